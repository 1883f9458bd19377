//! Immersive Audio Model and Formats (`iacb`, IAMF 1.0 6.2): profiles, and the codec inside.

use super::audio::Sound;
use super::av1::leb128;
use super::bits::Parsed;

/// `obu_type` (IAMF 3.2).
const CODEC_CONFIG: u8 = 0;
const SEQUENCE_HEADER: u8 = 31;

/// `iamf.PPP.AAA.cccc` (6.3.1): primary and additional profile, then the codec's identifier.
pub(super) fn describe(iacb: &[u8], sound: &mut Sound) -> Parsed<()> {
    const ENDS: &str = "the configuration ends early";
    let body = iacb.get(1..).ok_or(ENDS)?; // configurationVersion
    let (size, taken) = leb128(body)?;
    let mut rest = &body[taken..];
    rest = &rest[..rest.len().min(usize::try_from(size).unwrap_or(usize::MAX))];
    let mut profiles = None;
    let mut codec = None;
    while let Some((header, after)) = rest.split_first() {
        let (size, taken) = leb128(after)?;
        let size = usize::try_from(size).map_err(|_| ENDS)?;
        let (payload, after) = after[taken..].split_at_checked(size).ok_or(ENDS)?;
        rest = after;
        match (header >> 3, payload) {
            (SEQUENCE_HEADER, [b'i', b'a', b'm', b'f', primary, additional, ..]) => {
                profiles = profiles.or(Some((*primary, *additional)));
            }
            (CODEC_CONFIG, _) => codec = codec.or(Some(parse_codec(payload).ok_or(ENDS)?)),
            _ => {}
        }
    }
    let (primary, additional) = profiles.ok_or("it has no sequence header")?;
    let (name, sample_rate) = codec.ok_or("it has no codec configuration")?;
    sound.rfc6381 = format!("iamf.{primary:03}.{additional:03}.{}", name.escape_ascii());
    sound.sample_rate = sample_rate.unwrap_or(sound.sample_rate);
    // Sample entries leave the count at zero: the scene is rendered to what is there, and every
    // decoder can make stereo of it.
    if sound.channels == 0 {
        sound.channels = 2;
    }
    Ok(())
}

/// The codec's identifier and, where it lies in a fixed place, the rate in hertz.
fn parse_codec(payload: &[u8]) -> Option<([u8; 4], Option<u32>)> {
    let (_, taken) = leb128(payload).ok()?; // codec_config_id
    let (name, rest) = payload[taken..].split_first_chunk::<4>()?;
    let (_, taken) = leb128(rest).ok()?; // num_samples_per_frame
    let decoder = rest[taken..].get(2..)?; // audio_roll_distance
    let sample_rate = match name {
        b"Opus" => Some(48_000),
        b"ipcm" => decoder.get(2..)?.first_chunk().map(|rate| u32::from_be_bytes(*rate)),
        // The rate of STREAMINFO: 20 bits, 10 bytes behind its header.
        b"fLaC" => {
            let [high, middle, low] = *decoder.get(14..)?.first_chunk()?;
            Some(u32::from_be_bytes([0, high, middle, low]) >> 4)
        }
        _ => None,
    };
    Some((*name, sample_rate))
}
