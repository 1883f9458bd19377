//! Sample entries (ISO/IEC 14496-12 8.5.2): the door through which a codec is known.

use crate::track::{AudioCodec, AudioParams, MediaParams, VideoCodec, VideoParams, VideoRange};
use crate::{FourCc, PackageError};

/// Bytes before the fields of VisualSampleEntry: box header, reserved, data_reference_index.
const VISUAL_SIZE_AT: usize = 8 + 8 + 16;
const AUDIO_CHANNELS_AT: usize = 8 + 8 + 8;

/// Describes the track that a sample entry box belongs to.
///
/// `handler` is the `hdlr` type (`vide`, `soun`, `text`, `subt`, `sbtl`), `entry` the whole box
/// with its header, `offset` its place in the source for error messages. A codec that is not known
/// is described by its size or channels alone, so that it still passes.
///
/// # Errors
/// [`PackageError::Truncated`] or [`PackageError::InvalidBox`] when the box can't be read, and
/// [`PackageError::UnsupportedTrack`] for handlers that carry neither video, audio nor text.
pub fn describe(
    track: u32,
    handler: FourCc,
    entry: &[u8],
    offset: u64,
) -> Result<MediaParams, PackageError> {
    let kind = entry.get(4..8).map_or(FourCc::new(b"stsd"), |code| {
        FourCc(code.try_into().expect("four bytes were taken"))
    });
    let u16_at = |at: usize| match entry.get(at..at + 2) {
        Some(bytes) => Ok(u16::from_be_bytes([bytes[0], bytes[1]])),
        None => Err(PackageError::Truncated {
            kind,
            offset,
            wanted: at as u64 + 2,
            left: entry.len() as u64,
        }),
    };
    match &handler.0 {
        b"vide" => Ok(MediaParams::Video(VideoParams {
            codec: VideoCodec::Other(kind),
            rfc6381: kind.to_string(),
            supplemental: None,
            width: u16_at(VISUAL_SIZE_AT)?,
            height: u16_at(VISUAL_SIZE_AT + 2)?,
            pixel_aspect: (1, 1),
            range: VideoRange::Sdr,
            color: None,
            nal_length_size: None,
            parameter_sets: Vec::new(),
        })),
        b"soun" => Ok(MediaParams::Audio(AudioParams {
            codec: AudioCodec::Other(kind),
            rfc6381: kind.to_string(),
            channels: u16_at(AUDIO_CHANNELS_AT)?,
            sample_rate: u32::from(u16_at(AUDIO_CHANNELS_AT + 8)?),
            aac: None,
            joc_complexity: None,
            channel_configuration: None,
        })),
        _ => Err(PackageError::UnsupportedTrack {
            track,
            reason: format!("handler `{handler}` with `{kind}` is neither video, audio nor text"),
        }),
    }
}
