//! MPEG audio behind `mp4a`: AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1) for AAC in all its
//! extensions, and the object types that need none (MPEG-1 and MPEG-2 audio).

use super::audio::Sound;
use super::bits::{BitReader, Parsed};
use super::esds::DecoderConfig;
use crate::track::{AacConfig, AudioCodec};

/// `objectTypeIndication` (MP4 registration authority).
mod object {
    pub(super) const MPEG4_AUDIO: u8 = 0x40;
    pub(super) const MPEG2_AAC_MAIN: u8 = 0x66;
    pub(super) const MPEG2_AAC_SSR: u8 = 0x68;
    pub(super) const MPEG2_AUDIO: u8 = 0x69;
    pub(super) const MPEG1_AUDIO: u8 = 0x6b;
    pub(super) const AC3: u8 = 0xa5;
    pub(super) const EAC3: u8 = 0xa6;
}

/// `audioObjectType` (ISO/IEC 14496-3 table 1.17).
mod aot {
    pub(super) const AAC_LC: u8 = 2;
    pub(super) const SBR: u8 = 5;
    pub(super) const AAC_SCALABLE: u8 = 6;
    pub(super) const ER_AAC_SCALABLE: u8 = 20;
    pub(super) const ER_BSAC: u8 = 22;
    pub(super) const PS: u8 = 29;
    pub(super) const LAYER_1: u8 = 32;
    pub(super) const LAYER_3: u8 = 34;
    pub(super) const USAC: u8 = 42;
}

pub(super) fn describe(config: &DecoderConfig<'_>, sound: &mut Sound) -> Parsed<()> {
    match config.object_type {
        object::MPEG4_AUDIO => return describe_mpeg4(config.specific, sound),
        object::MPEG2_AAC_MAIN..=object::MPEG2_AAC_SSR => {
            sound.codec = AudioCodec::Aac;
            if !config.specific.is_empty() {
                let audio = AudioSpecificConfig::parse(config.specific)?;
                audio.apply(sound);
            }
        }
        object::MPEG2_AUDIO | object::MPEG1_AUDIO => sound.codec = AudioCodec::Mp3,
        object::AC3 => sound.codec = AudioCodec::Ac3,
        object::EAC3 => sound.codec = AudioCodec::Eac3,
        _ => {}
    }
    sound.rfc6381 = format!("mp4a.{:02X}", config.object_type);
    Ok(())
}

fn describe_mpeg4(specific: &[u8], sound: &mut Sound) -> Parsed<()> {
    let audio = AudioSpecificConfig::parse(specific)?;
    sound.codec = match audio.object_type {
        // MPEG-1 and MPEG-2 audio inside MPEG-4, which manifests call `mp4a.40.34`.
        aot::LAYER_1..=aot::LAYER_3 => AudioCodec::Mp3,
        1..=7 | 17 | 19..=23 | 29 | 39 | 42 => AudioCodec::Aac,
        _ => sound.codec,
    };
    sound.rfc6381 = format!("mp4a.40.{}", audio.signalled_object_type());
    audio.apply(sound);
    if sound.codec != AudioCodec::Aac || audio.object_type == aot::USAC {
        sound.aac = None; // ADTS can carry neither
    }
    Ok(())
}

/// Hertz behind `samplingFrequencyIndex` (ISO/IEC 14496-3 table 1.18).
const SAMPLE_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// Loudspeakers of a ChannelConfiguration (ISO/IEC 23091-3 table 3); 0 for unknown ones.
pub(super) fn speakers(channel_configuration: u8) -> u16 {
    const SPEAKERS: [u16; 21] =
        [0, 1, 2, 3, 4, 5, 6, 8, 2, 3, 4, 7, 8, 24, 8, 12, 10, 12, 14, 12, 14];
    SPEAKERS.get(usize::from(channel_configuration)).copied().unwrap_or(0)
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct AudioSpecificConfig {
    /// Of the core.
    object_type: u8,
    frequency_index: u8,
    sample_rate: u32,
    channel_configuration: u8,
    /// Loudspeakers of the core.
    channels: u16,
    /// Output rate of spectral band replication.
    sbr_rate: Option<u32>,
    has_parametric_stereo: bool,
}

impl AudioSpecificConfig {
    fn parse(specific: &[u8]) -> Parsed<Self> {
        let bits = &mut BitReader::new(specific);
        let mut config = Self { object_type: parse_object_type(bits)?, ..Self::default() };
        (config.frequency_index, config.sample_rate) = parse_frequency(bits)?;
        config.channel_configuration = bits.bits8(4)?;
        config.channels = speakers(config.channel_configuration);

        let is_explicit = matches!(config.object_type, aot::SBR | aot::PS);
        if is_explicit {
            config.has_parametric_stereo = config.object_type == aot::PS;
            config.sbr_rate = Some(parse_frequency(bits)?.1);
            config.object_type = parse_object_type(bits)?;
            if config.object_type == aot::ER_BSAC {
                bits.skip(4)?; // extensionChannelConfiguration
            }
        }
        match config.object_type {
            1..=4 | 6 | 7 | 17 | 19..=23 => config.parse_general_audio(bits)?,
            aot::USAC => config.parse_usac(bits)?,
            // What follows belongs to codecs whose channels and rate are known by now.
            _ => return Ok(config),
        }
        if matches!(config.object_type, 17 | 19..=27) {
            let ep_config = bits.bits(2)?;
            if ep_config > 1 {
                return Ok(config); // an error protection table, no extension behind it
            }
        }
        if !is_explicit {
            config.parse_sync_extension(bits)?;
        }
        Ok(config)
    }

    /// GASpecificConfig (4.4.1).
    fn parse_general_audio(&mut self, bits: &mut BitReader<'_>) -> Parsed<()> {
        bits.skip(1)?; // frameLengthFlag
        if bits.bit()? {
            bits.skip(14)?; // coreCoderDelay
        }
        let has_extension = bits.bit()?;
        if self.channel_configuration == 0 {
            self.channels = parse_program_config(bits)?;
        }
        if matches!(self.object_type, aot::AAC_SCALABLE | aot::ER_AAC_SCALABLE) {
            bits.skip(3)?; // layerNr
        }
        if has_extension {
            match self.object_type {
                aot::ER_BSAC => bits.skip(16)?,     // numOfSubFrame, layer_length
                17 | 19 | 20 | 23 => bits.skip(3)?, // resilience flags
                _ => {}
            }
            bits.skip(1)?; // extensionFlag3
        }
        Ok(())
    }

    /// UsacConfig (ISO/IEC 23003-3 5.2), whose rate and channels are those of the output.
    fn parse_usac(&mut self, bits: &mut BitReader<'_>) -> Parsed<()> {
        self.sample_rate = match bits.bits(5)? {
            0x1f => bits.bits(24)?,
            index => usac_rate(index).unwrap_or(self.sample_rate),
        };
        bits.skip(3)?; // coreSbrFrameLengthIndex
        self.channel_configuration = bits.bits8(5)?;
        self.channels = match self.channel_configuration {
            0 => u16::try_from(escaped_value(bits, [5, 8, 16])?)
                .map_err(|_| "it has more than 65 535 channels")?,
            configuration => speakers(configuration),
        };
        Ok(())
    }

    /// The backward compatible signalling of SBR and PS behind the core's configuration
    /// (1.6.5, syncExtensionType). Encoders pad, so its absence is no error.
    fn parse_sync_extension(&mut self, bits: &mut BitReader<'_>) -> Parsed<()> {
        const SYNC_SBR: u32 = 0x2b7;
        const SYNC_PS: u32 = 0x548;
        if bits.bits_left() < 16 || bits.bits(11)? != SYNC_SBR {
            return Ok(());
        }
        if parse_object_type(bits)? != aot::SBR || !bits.bit()? {
            return Ok(());
        }
        self.sbr_rate = Some(parse_frequency(bits)?.1);
        if bits.bits_left() >= 12 && bits.bits(11)? == SYNC_PS {
            self.has_parametric_stereo = bits.bit()?;
        }
        Ok(())
    }

    /// What RFC 6381 names: the outermost extension that is signalled.
    fn signalled_object_type(&self) -> u8 {
        match (self.has_parametric_stereo, self.sbr_rate) {
            (true, _) => aot::PS,
            (false, Some(_)) => aot::SBR,
            (false, None) => self.object_type,
        }
    }

    /// What the decoder puts out. Where the configuration leaves channels open the sample entry
    /// keeps its say.
    fn apply(&self, sound: &mut Sound) {
        sound.sample_rate = self.sbr_rate.unwrap_or(self.sample_rate);
        let mut configuration = self.channel_configuration;
        if self.channels > 0 {
            sound.channels = self.channels;
        }
        if self.has_parametric_stereo && self.channels == 1 {
            (sound.channels, configuration) = (2, 2);
        }
        sound.channel_configuration = Some(configuration).filter(|value| *value != 0);
        sound.aac = Some(AacConfig {
            object_type: if self.object_type == 0 { aot::AAC_LC } else { self.object_type },
            frequency_index: self.frequency_index,
            channel_configuration: self.channel_configuration,
        });
    }
}

/// GetAudioObjectType (1.6.2.1).
fn parse_object_type(bits: &mut BitReader<'_>) -> Parsed<u8> {
    const ESCAPE: u8 = 31;
    match bits.bits8(5)? {
        ESCAPE => Ok(32 + bits.bits8(6)?),
        object_type => Ok(object_type),
    }
}

/// Index and hertz; an escaped rate keeps index 15, which ADTS reserves.
fn parse_frequency(bits: &mut BitReader<'_>) -> Parsed<(u8, u32)> {
    const ESCAPE: u8 = 15;
    let index = bits.bits8(4)?;
    let rate = match index {
        ESCAPE => bits.bits(24)?,
        _ => *SAMPLE_RATES.get(usize::from(index)).ok_or("samplingFrequencyIndex is reserved")?,
    };
    Ok((index, rate))
}

/// ISO/IEC 23003-3 table 72: the MPEG-4 rates, then those of the USAC core.
fn usac_rate(index: u32) -> Option<u32> {
    const USAC_RATES: [u32; 13] = [
        57_600, 51_200, 40_000, 38_400, 34_150, 28_800, 25_600, 20_000, 19_200, 17_075, 14_400,
        12_800, 9_600,
    ];
    let index = index as usize;
    SAMPLE_RATES.get(index).or_else(|| USAC_RATES.get(index.checked_sub(15)?)).copied()
}

/// ISO/IEC 23003-3 5.2: three stages, each of which hands on when all its bits are set.
fn escaped_value(bits: &mut BitReader<'_>, stages: [u32; 3]) -> Parsed<u32> {
    let mut value = 0;
    for width in stages {
        let part = bits.bits(width)?;
        value += part;
        if part != (1 << width) - 1 {
            break;
        }
    }
    Ok(value)
}

/// program_config_element (4.4.1.1): loudspeakers of all its elements.
fn parse_program_config(bits: &mut BitReader<'_>) -> Parsed<u16> {
    bits.skip(4 + 2 + 4)?; // element_instance_tag, object_type, sampling_frequency_index
    let directed = [bits.bits(4)?, bits.bits(4)?, bits.bits(4)?]; // front, side, back
    let low_frequency = bits.bits(2)?;
    let associated_data = bits.bits(3)?;
    let coupling = bits.bits(4)?;
    for width in [4, 4, 3] {
        // Mono, stereo and matrix mixdown.
        if bits.bit()? {
            bits.skip(width)?;
        }
    }
    let mut channels = low_frequency as u16;
    for _ in 0..directed.iter().sum() {
        let is_pair = bits.bit()?;
        channels += if is_pair { 2 } else { 1 };
        bits.skip(4)?; // element_tag_select
    }
    bits.skip(4 * low_frequency + 4 * associated_data + 5 * coupling)?;
    bits.align()?;
    let comment_bytes = bits.bits(8)?;
    bits.skip(comment_bytes * 8)?;
    Ok(channels)
}

#[cfg(test)]
mod tests;
