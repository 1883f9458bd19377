//! Visual sample entries (ISO/IEC 14496-12 12.1.3).

use super::sample_entry::{Entry, HEADER_SIZE};
use super::{audio, av1, avc, color, dolby_vision, hevc, vp9};
use crate::PackageError;
use crate::track::{ColorInfo, VideoCodec, VideoParams, VideoRange};

/// `width`, then `height`, after pre_defined and reserved bytes.
const SIZE_AT: usize = HEADER_SIZE + 16;
/// Where the boxes of a visual sample entry begin.
pub(super) const FIXED_SIZE: usize = HEADER_SIZE + 70;

/// What container and configuration record say, before one is preferred to the other.
///
/// Boxes of the sample entry come first (`colr` overrules the VUI, `pasp` too); sizes come from
/// the parameter sets, because encoders disagree on what the sample entry's size means.
pub(super) struct Picture {
    pub(super) codec: VideoCodec,
    pub(super) rfc6381: String,
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) pixel_aspect: Option<(u32, u32)>,
    pub(super) color: Option<ColorInfo>,
    pub(super) nal_length_size: Option<u8>,
    pub(super) parameter_sets: Vec<Vec<u8>>,
}

pub(super) fn describe(entry: Entry<'_>) -> Result<VideoParams, PackageError> {
    let (width, height) = (entry.u16(SIZE_AT)?, entry.u16(SIZE_AT + 2)?);
    let entry = entry.with_children(FIXED_SIZE)?;
    let mut picture = Picture {
        codec: VideoCodec::Other(entry.kind),
        rfc6381: entry.kind.to_string(),
        width,
        height,
        pixel_aspect: entry.find(&[b"pasp"]).map(|pasp| color::parse_pasp(&pasp)).transpose()?,
        color: None,
        nal_length_size: None,
        parameter_sets: Vec::new(),
    };
    for colr in entry.all(b"colr") {
        picture.color = picture.color.or(color::parse_colr(colr)?);
    }
    describe_codec(&entry, &mut picture)?;

    let has_mastering_metadata = entry.find(&[b"mdcv", b"clli"]).is_some();
    let mut range = color::range(picture.color, has_mastering_metadata);
    let mut supplemental = None;
    if let Some(signal) = dolby_vision::find(&entry)? {
        let transfer = picture.color.map(|color| color.transfer);
        range = signal.range().unwrap_or(range);
        match signal.codec_string(entry.kind, transfer) {
            dolby_vision::Codec::Primary(codec) => picture.rfc6381 = codec,
            dolby_vision::Codec::Supplemental(codec) => supplemental = Some(codec),
            dolby_vision::Codec::BaseOnly => {}
        }
    }
    Ok(picture.into_params(range, supplemental))
}

fn describe_codec(entry: &Entry<'_>, picture: &mut Picture) -> Result<(), PackageError> {
    let (config, described) = match &entry.kind.0 {
        b"avc1" | b"avc3" | b"dva1" | b"dvav" => {
            let config = entry.require(b"avcC")?;
            let parsed = avc::DecoderConfig::parse(config.body);
            (config, parsed.and_then(|avc| avc.describe(entry.kind, picture)))
        }
        b"hvc1" | b"hev1" | b"dvh1" | b"dvhe" => {
            let config = entry.require(b"hvcC")?;
            let parsed = hevc::DecoderConfig::parse(config.body);
            (config, parsed.and_then(|hevc| hevc.describe(entry.kind, picture)))
        }
        b"av01" | b"dav1" => {
            let config = entry.require(b"av1C")?;
            (config, av1::describe(config.body, picture))
        }
        b"vp08" | b"vp09" => {
            let config = entry.require(b"vpcC")?;
            (config, vp9::describe(entry.kind, config.body, picture))
        }
        b"mp4v" => {
            picture.rfc6381 = mpeg4_visual(entry)?;
            return Ok(());
        }
        _ => return Ok(()),
    };
    described.map_err(|reason| config.invalid(reason))
}

/// `mp4v.20.9`: the object type in hexadecimal and, for MPEG-4 Visual, the decimal profile and
/// level that its configuration opens with (RFC 6381 3.3).
fn mpeg4_visual(entry: &Entry<'_>) -> Result<String, PackageError> {
    const MPEG4_VISUAL: u8 = 0x20;
    let esds = entry.require(b"esds")?;
    let config = audio::decoder_config(&esds)?;
    let object_type = config.object_type;
    Ok(match config.specific {
        [0, 0, 1, 0xb0, profile_and_level, ..] if object_type == MPEG4_VISUAL => {
            format!("mp4v.{object_type:02X}.{profile_and_level}")
        }
        _ => format!("mp4v.{object_type:02X}"),
    })
}

impl Picture {
    fn into_params(self, range: VideoRange, supplemental: Option<String>) -> VideoParams {
        VideoParams {
            codec: self.codec,
            rfc6381: self.rfc6381,
            supplemental,
            width: self.width,
            height: self.height,
            pixel_aspect: self.pixel_aspect.unwrap_or((1, 1)),
            range,
            color: self.color,
            nal_length_size: self.nal_length_size,
            parameter_sets: self.parameter_sets,
        }
    }
}

/// The codec string's last part, common to AV1 and VP9: colour code points, where unspecified ones
/// take the defaults of both bindings, BT.709.
pub(super) fn color_code_points(color: Option<ColorInfo>) -> [u8; 3] {
    const BT709: u8 = 1;
    let or_default = |code: u8| if code == color::UNSPECIFIED { BT709 } else { code };
    color
        .map_or([BT709; 3], |color| [color.primaries, color.transfer, color.matrix].map(or_default))
}
