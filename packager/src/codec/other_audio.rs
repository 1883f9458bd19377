//! Opus, FLAC, ALAC, DTS, MPEG-H, IAMF, AMR, and MP3 outside MPEG-4: the fields of their own
//! configuration boxes, where these say more than the sample entry.

use super::audio::{Sound, find_config, require_config};
use super::bits::{BitReader, Parsed};
use super::iamf;
use super::sample_entry::Entry;
use crate::PackageError;
use crate::track::AudioCodec;

pub(super) fn describe(entry: &Entry<'_>, sound: &mut Sound) -> Result<(), PackageError> {
    let (config, described) = match &entry.kind.0 {
        b"Opus" => {
            let config = require_config(entry, b"dOps")?;
            (config, describe_opus(config.body, sound))
        }
        b"fLaC" => {
            let config = require_config(entry, b"dfLa")?;
            (config, config.full_box().map(|(_, blocks)| describe_flac(blocks, sound))?)
        }
        b"alac" => match find_config(entry, b"alac")? {
            Some(config) => {
                (config, config.full_box().map(|(_, body)| describe_alac(body, sound))?)
            }
            None => return Ok(()),
        },
        b"dtsc" | b"dtse" | b"dtsh" | b"dtsl" => match find_config(entry, b"ddts")? {
            Some(config) => (config, describe_dts(config.body, sound)),
            None => return Ok(()),
        },
        b"mha1" | b"mhm1" => {
            let config = require_config(entry, b"mhaC")?;
            (config, describe_mpegh(entry, config.body, sound))
        }
        b"iamf" => {
            let config = require_config(entry, b"iacb")?;
            (config, iamf::describe(config.body, sound))
        }
        // 3GPP TS 26.244 6.5 fixes the entry's channels to 2; both codecs are mono.
        b"samr" | b"sawb" => {
            sound.channels = 1;
            sound.sample_rate = if entry.kind.0 == *b"sawb" { 16_000 } else { 8_000 };
            return Ok(());
        }
        // QuickTime's names of MP3; the second is the WAVE format number 0x55.
        b".mp3" | b"ms\0\x55" => {
            describe_mp3(sound);
            return Ok(());
        }
        _ => return Ok(()),
    };
    described.map_err(|reason| config.invalid(reason))
}

/// `dOps` (Encapsulation of Opus in ISO Base Media File Format 4.3.2). Decoders put out 48 kHz
/// whatever the rate of the original was.
fn describe_opus(config: &[u8], sound: &mut Sound) -> Parsed<()> {
    let [_, channels, ..] = config else {
        return Err("it ends before the channel count");
    };
    sound.codec = AudioCodec::Opus;
    sound.rfc6381 = "Opus".to_owned();
    sound.sample_rate = 48_000;
    sound.channels = u16::from(*channels);
    Ok(())
}

/// STREAMINFO, which must come first (RFC 9639 8.2; Encapsulation of FLAC in ISO Base Media File
/// Format 3.3.2).
fn describe_flac(blocks: &[u8], sound: &mut Sound) -> Parsed<()> {
    const STREAMINFO: u32 = 0;
    let bits = &mut BitReader::new(blocks);
    bits.skip(1)?; // last block
    if bits.bits(7)? != STREAMINFO {
        return Err("its first metadata block is not STREAMINFO");
    }
    bits.skip(24 + 16 + 16 + 24 + 24)?; // length; least and greatest block and frame
    sound.codec = AudioCodec::Flac;
    sound.rfc6381 = "fLaC".to_owned();
    sound.sample_rate = bits.bits(20)?;
    sound.channels = 1 + bits.bits(3)? as u16;
    Ok(())
}

/// ALACSpecificConfig: channels and rate after frame length, version, depth and tuning.
fn describe_alac(config: &[u8], sound: &mut Sound) -> Parsed<()> {
    let bits = &mut BitReader::new(config);
    bits.skip(32 + 8 * 5)?;
    sound.channels = bits.bits(8)? as u16;
    bits.skip(16 + 32 + 32)?; // maxRun, maxFrameBytes, avgBitRate
    sound.sample_rate = bits.bits(32)?;
    Ok(())
}

/// DTSSpecificBox (ETSI TS 102 114 E.2.2.3).
fn describe_dts(config: &[u8], sound: &mut Sound) -> Parsed<()> {
    /// Bits of ChannelLayout that stand for two loudspeakers (table E-5).
    const PAIRS: u32 = 0b1010_1110_0110_0110;
    let bits = &mut BitReader::new(config);
    let sample_rate = bits.bits(32)?;
    bits.skip(32 + 32 + 8)?; // bit rates, sample depth
    bits.skip(2 + 5 + 1 + 6 + 14 + 1 + 3)?; // FrameDuration to RepresentationType
    let layout = bits.bits(16)?;
    let channels = layout.count_ones() + (layout & PAIRS).count_ones();
    // Both are zero where the muxer did not know.
    if sample_rate > 0 {
        sound.sample_rate = sample_rate;
    }
    if channels > 0 {
        sound.channels = channels as u16;
    }
    Ok(())
}

/// MHADecoderConfigurationRecord (ISO/IEC 23008-3 20.5.3).
fn describe_mpegh(entry: &Entry<'_>, config: &[u8], sound: &mut Sound) -> Parsed<()> {
    let [_, profile_and_level, layout, ..] = *config else {
        return Err("it ends before the reference channel layout");
    };
    sound.rfc6381 = format!("{}.0x{profile_and_level:02X}", entry.kind);
    sound.channel_configuration = Some(layout).filter(|layout| *layout != 0);
    Ok(())
}

fn describe_mp3(sound: &mut Sound) {
    /// The lowest rate of MPEG-1; MPEG-2 halves them.
    const MPEG1_RATE_MIN: u32 = 32_000;
    sound.codec = AudioCodec::Mp3;
    let object_type = if sound.sample_rate < MPEG1_RATE_MIN { "69" } else { "6B" };
    sound.rfc6381 = format!("mp4a.{object_type}");
}
