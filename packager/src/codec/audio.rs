//! Audio sample entries (ISO/IEC 14496-12 12.2.3) and QuickTime sound descriptions of version 1
//! and 2 (QuickTime File Format, "Sound sample descriptions").

use super::boxes::{Child, children};
use super::esds::{self, DecoderConfig};
use super::sample_entry::{Entry, HEADER_SIZE};
use super::{aac, ac3, ac4, other_audio};
use crate::PackageError;
use crate::track::{AacConfig, AudioCodec, AudioParams};

/// `version` of a QuickTime sound description; reserved and zero in ISO/IEC 14496-12.
const VERSION_AT: usize = HEADER_SIZE;
const CHANNELS_AT: usize = HEADER_SIZE + 8;
/// 16.16 fixed point.
const RATE_AT: usize = HEADER_SIZE + 16;
pub(super) const FIXED_SIZE: usize = HEADER_SIZE + 20;
/// Four fields more in version 1: samples per packet, bytes per packet, frame and sample.
const QUICKTIME_V1_SIZE: usize = FIXED_SIZE + 16;
/// In version 2: size, rate as `f64`, channels, and five more fields.
const QUICKTIME_V2_SIZE: usize = FIXED_SIZE + 36;

/// What the codec's configuration says over the fields of the sample entry.
pub(super) struct Sound {
    pub(super) codec: AudioCodec,
    pub(super) rfc6381: String,
    pub(super) channels: u16,
    pub(super) sample_rate: u32,
    pub(super) aac: Option<AacConfig>,
    pub(super) joc_complexity: Option<u8>,
    pub(super) channel_configuration: Option<u8>,
}

pub(super) fn describe(entry: Entry<'_>) -> Result<AudioParams, PackageError> {
    let (channels, sample_rate, fixed_size) = read_fixed(&entry)?;
    let entry = entry.with_children(fixed_size)?;
    let mut sound = Sound {
        codec: AudioCodec::Other(entry.kind),
        rfc6381: entry.kind.to_string(),
        channels,
        sample_rate,
        aac: None,
        joc_complexity: None,
        channel_configuration: None,
    };
    describe_codec(&entry, &mut sound)?;
    Ok(AudioParams {
        codec: sound.codec,
        rfc6381: sound.rfc6381,
        channels: sound.channels,
        sample_rate: sound.sample_rate,
        aac: sound.aac,
        joc_complexity: sound.joc_complexity,
        channel_configuration: sound.channel_configuration,
    })
}

/// Channels, rate in hertz, and where the boxes begin.
pub(super) fn read_fixed(entry: &Entry<'_>) -> Result<(u16, u32, usize), PackageError> {
    let channels = entry.u16(CHANNELS_AT)?;
    let sample_rate = entry.u32(RATE_AT)? >> 16;
    match entry.u16(VERSION_AT)? {
        1 => Ok((channels, sample_rate, version_1_size(entry))),
        2 => {
            let rate = f64::from_be_bytes(entry.array(FIXED_SIZE + 4)?);
            let channels = entry.u32(FIXED_SIZE + 12)?;
            // `as` saturates, and turns a rate that is no number into zero.
            Ok((u16::try_from(channels).unwrap_or(u16::MAX), rate as u32, QUICKTIME_V2_SIZE))
        }
        _ => Ok((channels, sample_rate, FIXED_SIZE)),
    }
}

/// Version 1 is a QuickTime sound description, or an AudioSampleEntryV1 of ISO/IEC 14496-12,
/// which has no extra fields: where boxes tile the rest tells them apart.
fn version_1_size(entry: &Entry<'_>) -> usize {
    let tiles_from = |at: usize| {
        let rest = entry.bytes.get(at..).unwrap_or_default();
        children(rest, 0).is_ok_and(|boxes| !boxes.is_empty())
    };
    if !tiles_from(QUICKTIME_V1_SIZE) && tiles_from(FIXED_SIZE) {
        FIXED_SIZE
    } else {
        QUICKTIME_V1_SIZE
    }
}

/// The codec's configuration, also where QuickTime hides it inside `wave`.
pub(super) fn find_config<'a>(
    entry: &Entry<'a>,
    kind: &[u8; 4],
) -> Result<Option<Child<'a>>, PackageError> {
    if let Some(config) = entry.find(&[kind]) {
        return Ok(Some(config));
    }
    for wave in entry.all(b"wave") {
        let inside = children(wave.body, wave.body_offset())?;
        if let Some(config) = inside.into_iter().find(|child| child.kind.0 == *kind) {
            return Ok(Some(config));
        }
    }
    Ok(None)
}

pub(super) fn require_config<'a>(
    entry: &Entry<'a>,
    kind: &[u8; 4],
) -> Result<Child<'a>, PackageError> {
    let missing = PackageError::MissingTrackBox { track: entry.track, kind: crate::FourCc(*kind) };
    find_config(entry, kind)?.ok_or(missing)
}

/// The decoder configuration inside `esds`.
pub(super) fn decoder_config<'a>(esds: &Child<'a>) -> Result<DecoderConfig<'a>, PackageError> {
    let (_, body) = esds.full_box()?;
    esds::parse(body).map_err(|reason| esds.invalid(reason))
}

fn describe_codec(entry: &Entry<'_>, sound: &mut Sound) -> Result<(), PackageError> {
    let (config, described) = match &entry.kind.0 {
        b"mp4a" => {
            let esds = require_config(entry, b"esds")?;
            (esds, aac::describe(&decoder_config(&esds)?, sound))
        }
        b"ac-3" => {
            let dac3 = require_config(entry, b"dac3")?;
            (dac3, ac3::describe_ac3(dac3.body, sound))
        }
        b"ec-3" => {
            let dec3 = require_config(entry, b"dec3")?;
            (dec3, ac3::describe_eac3(dec3.body, sound))
        }
        b"ac-4" => {
            let dac4 = require_config(entry, b"dac4")?;
            (dac4, ac4::describe(dac4.body, sound))
        }
        _ => return other_audio::describe(entry, sound),
    };
    described.map_err(|reason| config.invalid(reason))
}
