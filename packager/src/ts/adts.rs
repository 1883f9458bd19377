//! Audio Data Transport Stream: the header in front of each AAC frame (ISO/IEC 14496-3 1.A.3.2).
//!
//! | bits | field |
//! | --- | --- |
//! | 12, 1, 2, 1 | syncword `fff`, ID 0 (MPEG-4), layer 0, protection_absent 1 |
//! | 2, 4, 1, 3 | object type − 1, sampling frequency index, private bit, channel configuration |
//! | 4 | original, home, copyright bits |
//! | 13 | frame length, this header included |
//! | 11, 2 | buffer fullness `7ff` (variable rate), raw data blocks − 1 |

use super::pes::Cadence;
use crate::track::AacConfig;

pub(super) const HEADER_BYTES: u32 = 7;

/// By sampling frequency index (ISO/IEC 14496-3 table 1.18), in hertz.
const SAMPLE_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];
/// Samples of the core in a frame: ADTS has no word for frames of 960.
const FRAME_SAMPLES: u32 = 1024;

/// What the 13 bits of the length hold.
const FRAME_BYTES_MAX: u32 = (1 << 13) - 1;

/// The header of every frame of a track, but for the length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct AdtsHeader([u8; HEADER_BYTES as usize]);

impl AdtsHeader {
    /// `None` when ADTS has no room for the configuration: object types after 4, escaped sampling
    /// rates, layouts after 7.1, and layouts told by a program config element (configuration 0),
    /// which the sample entry keeps and the frames lack.
    pub(super) fn new(config: &AacConfig) -> Option<Self> {
        let profile = config.object_type.checked_sub(1).filter(|profile| *profile < 4)?;
        let fits = config.frequency_index < 13 && (1..8).contains(&config.channel_configuration);
        fits.then_some(Self([
            0xff,
            0xf1,
            profile << 6 | config.frequency_index << 2 | config.channel_configuration >> 2,
            config.channel_configuration << 6,
            0,
            0x1f,
            0xfc,
        ]))
    }

    /// How long a reader takes each frame to last.
    pub(super) fn cadence(&self) -> Cadence {
        let index = usize::from(self.0[2] >> 2 & 0xf);
        // `new` lets no other index in.
        let sample_rate = SAMPLE_RATES.get(index).copied().unwrap_or(SAMPLE_RATES[0]);
        Cadence { frame_samples: FRAME_SAMPLES, sample_rate }
    }

    /// Bytes of a frame with its header; an error when the length field can't say them.
    pub(super) fn framed_bytes(frame_bytes: u32) -> Result<u32, &'static str> {
        frame_bytes
            .checked_add(HEADER_BYTES)
            .filter(|bytes| *bytes <= FRAME_BYTES_MAX)
            .ok_or("the AAC frame is too long for ADTS")
    }

    /// The header of a frame that takes `framed_bytes`, at most 8191.
    pub(super) fn for_frame(&self, framed_bytes: u32) -> [u8; HEADER_BYTES as usize] {
        debug_assert!(framed_bytes <= FRAME_BYTES_MAX);
        let mut header = self.0;
        header[3] |= (framed_bytes >> 11) as u8;
        header[4] = (framed_bytes >> 3) as u8;
        header[5] |= (framed_bytes << 5) as u8;
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(object_type: u8, frequency_index: u8, channel_configuration: u8) -> AacConfig {
        AacConfig { object_type, frequency_index, channel_configuration }
    }

    #[test]
    fn header_of_a_stereo_frame_at_48_khz() {
        let header = AdtsHeader::new(&config(2, 3, 2)).unwrap();
        assert_eq!(header.for_frame(0x173), [0xff, 0xf1, 0x4c, 0x80, 0x2e, 0x7f, 0xfc]);
        assert_eq!(header.for_frame(8191), [0xff, 0xf1, 0x4c, 0x83, 0xff, 0xff, 0xfc]);
    }

    #[test]
    fn frames_last_by_their_sampling_frequency() {
        for (index, sample_rate) in [(0, 96_000), (3, 48_000), (4, 44_100), (12, 7_350)] {
            let header = AdtsHeader::new(&config(2, index, 2)).unwrap();
            assert_eq!(header.cadence(), Cadence { frame_samples: 1024, sample_rate });
        }
    }

    #[test]
    fn configurations_without_room_are_refused() {
        for (object_type, frequency, channels) in
            [(0, 3, 2), (5, 3, 2), (42, 3, 2), (2, 15, 2), (2, 3, 0), (2, 3, 11)]
        {
            assert!(AdtsHeader::new(&config(object_type, frequency, channels)).is_none());
        }
        assert_eq!(AdtsHeader::framed_bytes(8184), Ok(8191));
        assert!(AdtsHeader::framed_bytes(8185).is_err());
        assert!(AdtsHeader::framed_bytes(u32::MAX).is_err());
    }
}
