//! QuickTime sound descriptions as audio sample entries of ISO/IEC 14496-12 12.2.3.
//!
//! Versions 1 and 2 of a sound description (QuickTime File Format, "Sound sample descriptions")
//! have fields between the fixed part and the boxes, and hide the codec's configuration inside
//! `wave`. Players that read ISO files alone refuse such an init segment, so that what they need is
//! taken out. Version 0 has neither and passes as it is.

use super::audio;
use super::boxes::children;
use super::sample_entry::{Entry, HEADER_SIZE};
use crate::{FourCc, PackageError};

/// Codecs that ISO files know too. Others, such as `lpcm`, mean nothing without the fields that
/// would be dropped.
const KINDS: [&[u8; 4]; 7] = [b"mp4a", b"ac-3", b"ec-3", b"ac-4", b"Opus", b"fLaC", b"alac"];
/// Their configurations.
const CONFIGS: [&[u8; 4]; 7] = [b"esds", b"dac3", b"dec3", b"dac4", b"dOps", b"dfLa", b"alac"];
/// `samplesize` of every compressed codec (ISO/IEC 14496-12 12.2.3.3).
const SAMPLE_SIZE_BITS: u16 = 16;

/// The entry as ISO files have it, or `None` where `entry`, the whole box, is to stay as it is.
///
/// # Errors
/// [`PackageError::Truncated`] or [`PackageError::InvalidBox`] when the boxes inside can't be read.
pub fn iso_audio_entry(
    track: u32,
    entry: &[u8],
    offset: u64,
) -> Result<Option<Vec<u8>>, PackageError> {
    let entry = Entry::new(track, entry, offset)?;
    if !KINDS.contains(&&entry.kind.0) {
        return Ok(None);
    }
    let (channels, sample_rate, fixed_size) = audio::read_fixed(&entry)?;
    if fixed_size == audio::FIXED_SIZE {
        return Ok(None);
    }
    let entry = entry.with_children(fixed_size)?;
    let mut iso = Vec::with_capacity(entry.bytes.len());
    iso.extend_from_slice(&entry.bytes[..HEADER_SIZE]);
    iso.extend_from_slice(&[0; 8]);
    iso.extend_from_slice(&channels.to_be_bytes());
    iso.extend_from_slice(&SAMPLE_SIZE_BITS.to_be_bytes());
    iso.extend_from_slice(&[0; 4]);
    // 16.16 fixed point; a rate that does not fit is left to the codec's configuration.
    let whole = u16::try_from(sample_rate).unwrap_or(0);
    iso.extend_from_slice(&(u32::from(whole) << 16).to_be_bytes());
    for child in entry.children() {
        match &child.kind.0 {
            b"wave" => {
                for inner in children(child.body, child.body_offset())? {
                    if CONFIGS.contains(&&inner.kind.0) && entry.find(&[&inner.kind.0]).is_none() {
                        push_box(&mut iso, inner.kind, inner.body);
                    }
                }
            }
            b"chan" => {} // QuickTime's channel layout; ISO files have `chnl`
            _ => push_box(&mut iso, child.kind, child.body),
        }
    }
    // No larger than the entry was, whose size has 32 bits.
    let size = (iso.len() as u32).to_be_bytes();
    iso[..4].copy_from_slice(&size);
    Ok(Some(iso))
}

fn push_box(out: &mut Vec<u8>, kind: FourCc, body: &[u8]) {
    out.extend_from_slice(&(body.len() as u32 + 8).to_be_bytes());
    out.extend_from_slice(&kind.0);
    out.extend_from_slice(body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::describe;
    use crate::track::MediaParams;

    fn nested(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        push_box(&mut out, FourCc(*kind), body);
        out
    }

    /// AAC-LC, 48 kHz, stereo.
    fn esds() -> Vec<u8> {
        let mut body = vec![0, 0, 0, 0, 0x03, 25, 0, 2, 0, 0x04, 17, 0x40, 0x15, 0, 0, 0];
        body.extend([0, 0, 0xfc, 0x8b, 0, 0, 0xfc, 0x8b, 0x05, 2, 0x11, 0x90, 0x06, 1, 2]);
        nested(b"esds", &body)
    }

    /// A sound description with these boxes, and the fields that its version adds.
    fn description(kind: &[u8; 4], version: u16, added: &[u8], boxes: &[Vec<u8>]) -> Vec<u8> {
        let mut body = vec![0, 0, 0, 0, 0, 0, 0, 1];
        body.extend(version.to_be_bytes());
        body.extend([0, 0, 0, 0, 0, 0, 0, 2, 0, 16, 0xff, 0xfe, 0, 0]);
        body.extend((48_000_u32 << 16).to_be_bytes());
        body.extend(added);
        body.extend(boxes.concat());
        nested(kind, &body)
    }

    fn wave(config: Vec<u8>) -> Vec<u8> {
        let terminator = nested(&[0; 4], &[]);
        let boxes = [nested(b"frma", b"mp4a"), nested(b"mp4a", &[0; 4]), config, terminator];
        nested(b"wave", &boxes.concat())
    }

    fn version_2(rate: f64, channels: u32) -> Vec<u8> {
        let mut added = 72_u32.to_be_bytes().to_vec();
        added.extend(rate.to_be_bytes());
        added.extend(channels.to_be_bytes());
        added.extend([0; 20]);
        added
    }

    /// What an ISO file would hold, written by hand.
    fn iso(kind: &[u8; 4], channels: u8, rate: u32, boxes: &[Vec<u8>]) -> Vec<u8> {
        let mut body = vec![0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        body.extend([0, channels, 0, 16, 0, 0, 0, 0]);
        body.extend((rate << 16).to_be_bytes());
        body.extend(boxes.concat());
        nested(kind, &body)
    }

    #[test]
    fn takes_the_configuration_out_of_wave() {
        let chan = nested(b"chan", &[0; 16]);
        let bitrate = nested(b"btrt", &[0; 12]);
        let boxes = [wave(esds()), chan, bitrate.clone()];
        let entry = description(b"mp4a", 1, &[0; 16], &boxes);
        let written = iso_audio_entry(1, &entry, 0).unwrap();
        assert_eq!(written, Some(iso(b"mp4a", 2, 48_000, &[esds(), bitrate])));
    }

    #[test]
    fn reads_the_fields_of_version_2() {
        for (rate, fits) in [(44_100.0, 44_100), (96_000.0, 0), (f64::NAN, 0)] {
            let entry = description(b"mp4a", 2, &version_2(rate, 6), &[wave(esds())]);
            let written = iso_audio_entry(1, &entry, 0).unwrap();
            assert_eq!(written, Some(iso(b"mp4a", 6, fits, &[esds()])));
        }
    }

    #[test]
    fn both_forms_say_the_same() {
        let entry = description(b"mp4a", 1, &[0; 16], &[wave(esds())]);
        let written = iso_audio_entry(1, &entry, 0).unwrap().unwrap();
        let soun = FourCc::new(b"soun");
        let read = describe(1, soun, &written, 0).unwrap();
        assert_eq!(read, describe(1, soun, &entry, 0).unwrap());
        assert!(matches!(read, MediaParams::Audio(audio) if audio.rfc6381 == "mp4a.40.2"));
        assert_eq!(iso_audio_entry(1, &written, 0).unwrap(), None);
    }

    #[test]
    fn leaves_the_rest_alone() {
        // Of ISO files, also of version 1, and of codecs that ISO files don't know.
        for entry in [
            description(b"mp4a", 0, &[], &[esds()]),
            description(b"mp4a", 1, &[], &[esds()]),
            description(b"sowt", 1, &[0; 16], &[]),
            description(b"lpcm", 2, &version_2(48_000.0, 2), &[]),
        ] {
            assert_eq!(iso_audio_entry(1, &entry, 0).unwrap(), None);
        }
    }

    #[test]
    fn names_what_is_cut_short() {
        let whole = description(b"mp4a", 1, &[0; 16], &[wave(esds())]);
        for length in 0..whole.len() {
            // Never a panic; a cut inside `wave` is an error.
            let result = iso_audio_entry(1, &whole[..length], 0);
            assert!(length < 60 || result.is_err(), "{length} bytes: {result:?}");
        }
    }
}
