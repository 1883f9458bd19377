//! AC-3 (`dac3`, ETSI TS 102 366 F.4) and Enhanced AC-3 (`dec3`, F.6).

use super::audio::Sound;
use super::bits::{BitReader, Parsed};
use crate::track::AudioCodec;

/// Hertz behind `fscod`; 3 is reserved in a configuration record.
const SAMPLE_RATES: [u32; 3] = [48_000, 44_100, 32_000];
/// Full range channels behind `acmod`.
const CHANNELS: [u16; 8] = [2, 1, 2, 3, 3, 4, 4, 5];

pub(super) fn describe_ac3(dac3: &[u8], sound: &mut Sound) -> Parsed<()> {
    let bits = &mut BitReader::new(dac3);
    let rate_code = bits.bits(2)?;
    let version = bits.bits(5)?; // bsid
    bits.skip(3)?; // bsmod
    let layout = Layout::parse(bits)?;
    sound.codec = AudioCodec::Ac3;
    sound.rfc6381 = "ac-3".to_owned();
    // Versions 9 and 10 halve and quarter the rate (annex of A/52 on alternate syntax).
    sound.sample_rate = sample_rate(rate_code)? >> version.saturating_sub(8).min(2);
    sound.channels = layout.channels();
    sound.channel_configuration = layout.configuration(ChannelLocations::default());
    Ok(())
}

/// The first independent substream with its dependent ones: the programme that plays. Further
/// independent substreams are programmes of their own.
pub(super) fn describe_eac3(dec3: &[u8], sound: &mut Sound) -> Parsed<()> {
    let bits = &mut BitReader::new(dec3);
    bits.skip(13)?; // data_rate
    let substreams = 1 + bits.bits(3)?;
    let mut first = None;
    for _ in 0..substreams {
        let substream = Substream::parse(bits)?;
        first.get_or_insert(substream);
    }
    let first = first.ok_or("it has no independent substream")?;
    sound.codec = AudioCodec::Eac3;
    sound.rfc6381 = "ec-3".to_owned();
    sound.sample_rate = first.sample_rate;
    sound.channels = first.layout.channels() + first.locations.channels();
    sound.channel_configuration = first.layout.configuration(first.locations);
    // flag_ec3_extension_type_a and complexity_index_type_a (ETSI TS 103 420 C.3.2).
    if bits.bits_left() >= 16 {
        bits.skip(7)?;
        let has_objects = bits.bit()?;
        let complexity = bits.bits8(8)?;
        sound.joc_complexity = has_objects.then_some(complexity);
    }
    Ok(())
}

fn sample_rate(code: u32) -> Parsed<u32> {
    SAMPLE_RATES.get(code as usize).copied().ok_or("fscod is reserved")
}

/// `acmod` and `lfeon`.
#[derive(Clone, Copy)]
struct Layout {
    mode: u8,
    has_low_frequency: bool,
}

impl Layout {
    fn parse(bits: &mut BitReader<'_>) -> Parsed<Self> {
        Ok(Self { mode: bits.bits8(3)?, has_low_frequency: bits.bit()? })
    }

    fn channels(self) -> u16 {
        CHANNELS[usize::from(self.mode)] + u16::from(self.has_low_frequency)
    }

    /// ISO/IEC 23091-3 table 3, where it has this arrangement.
    fn configuration(self, locations: ChannelLocations) -> Option<u8> {
        match (self.mode, self.has_low_frequency, locations.0) {
            (1, false, 0) => Some(1),
            (2, false, 0) => Some(2),
            (3, false, 0) => Some(3),
            (4, false, 0) => Some(9),
            (5, false, 0) => Some(4),
            (6, false, 0) => Some(10),
            (7, false, 0) => Some(5),
            (7, true, 0) => Some(6),
            (7, true, ChannelLocations::REAR_SURROUND) => Some(12),
            (7, true, ChannelLocations::REAR_CENTRE) => Some(11),
            (7, true, ChannelLocations::FRONT_CENTRES) => Some(7),
            (7, true, ChannelLocations::FRONT_HEIGHT) => Some(14),
            _ => None,
        }
    }
}

/// `chan_loc`: loudspeakers that the dependent substreams add (table F.6.1), bit 0 the lowest.
#[derive(Clone, Copy, Default)]
struct ChannelLocations(u16);

impl ChannelLocations {
    const FRONT_CENTRES: u16 = 1; // Lc/Rc
    const REAR_SURROUND: u16 = 1 << 1; // Lrs/Rrs
    const REAR_CENTRE: u16 = 1 << 2; // Cs
    const FRONT_HEIGHT: u16 = 1 << 6; // Lvh/Rvh
    /// Lc/Rc, Lrs/Rrs, Lsd/Rsd, Lw/Rw and Lvh/Rvh.
    const PAIRS: u16 = 0b0_0111_0011;

    fn channels(self) -> u16 {
        (self.0.count_ones() + (self.0 & Self::PAIRS).count_ones()) as u16
    }
}

struct Substream {
    sample_rate: u32,
    layout: Layout,
    locations: ChannelLocations,
}

impl Substream {
    fn parse(bits: &mut BitReader<'_>) -> Parsed<Self> {
        let sample_rate = sample_rate(bits.bits(2)?)?;
        bits.skip(5 + 1 + 1 + 3)?; // bsid, reserved, asvc, bsmod
        let layout = Layout::parse(bits)?;
        bits.skip(3)?;
        let dependent = bits.bits(4)?;
        let locations = if dependent > 0 { bits.bits(9)? } else { bits.skip(1).map(|()| 0)? };
        Ok(Self { sample_rate, layout, locations: ChannelLocations(locations as u16) })
    }
}

#[cfg(test)]
mod tests;
