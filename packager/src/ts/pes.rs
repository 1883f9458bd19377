//! PES packets (ISO/IEC 13818-1 2.4.3.6) and how audio frames share them.
//!
//! | bytes | field |
//! | --- | --- |
//! | 3, 1, 2 | start code prefix `00 00 01`, stream_id, PES_packet_length (0: unbounded, video only) |
//! | 1 | `84`: data_alignment_indicator, for each PES packet starts with an access unit |
//! | 1, 1 | PTS_DTS_flags, length of what follows of the header |
//! | 5 or 10 | PTS, and DTS where it differs |

use super::clock::{SampleTimes, timestamp};
use super::packet::{CLOCK_FIELD_BYTES, PAYLOAD_BYTES};
use crate::Timescale;

/// Bytes in front of the timestamps, and of one timestamp.
const FIXED_BYTES: usize = 9;
const TIMESTAMP_BYTES: usize = 5;

/// Header bytes that PES_packet_length counts: those after itself.
const COUNTED_BYTES: usize = 3;

/// Bytes of frames that one audio PES packet holds at most: what its 16-bit length allows.
pub(super) const AUDIO_BYTES_MAX: u32 =
    (u16::MAX as usize - COUNTED_BYTES - TIMESTAMP_BYTES) as u32;

/// Bytes of frames at which an audio PES packet takes no more, to bound what a reader must hold.
const AUDIO_BYTES_TARGET: u32 = 16 << 10;

/// Audio PES packets last a tenth of a second at most: so a PCR before each keeps to the interval
/// that PCRs are allowed, where the audio stands alone.
const AUDIO_PES_PER_SECOND: u128 = 10;

/// A PES header, at most 19 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct PesHeader {
    bytes: [u8; FIXED_BYTES + 2 * TIMESTAMP_BYTES],
    len: usize,
}

impl PesHeader {
    /// Header of one picture. `stream_bytes` is the length of the access unit with start codes,
    /// when known; a length that does not fit is left unbounded.
    pub(super) fn picture(stream_id: u8, times: &SampleTimes, stream_bytes: Option<u64>) -> Self {
        let len = picture_header_bytes(times);
        let counted = (len - FIXED_BYTES + COUNTED_BYTES) as u64;
        let length = stream_bytes.and_then(|bytes| u16::try_from(bytes + counted).ok());
        let decode = (times.decode != times.presentation).then_some(times.decode);
        Self::new(stream_id, times.presentation, decode, length.unwrap_or(0))
    }

    /// Header of `frame_bytes` of audio, at most [`AUDIO_BYTES_MAX`].
    pub(super) fn audio(stream_id: u8, presentation: i64, frame_bytes: u32) -> Self {
        debug_assert!(frame_bytes <= AUDIO_BYTES_MAX);
        let length = frame_bytes as u16 + (COUNTED_BYTES + TIMESTAMP_BYTES) as u16;
        Self::new(stream_id, presentation, None, length)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn new(stream_id: u8, presentation: i64, decode: Option<i64>, length: u16) -> Self {
        let mut bytes = [0; FIXED_BYTES + 2 * TIMESTAMP_BYTES];
        let timestamps_len = if decode.is_some() { 2 * TIMESTAMP_BYTES } else { TIMESTAMP_BYTES };
        let flags = if decode.is_some() { 0b11 } else { 0b10 };
        bytes[..4].copy_from_slice(&[0, 0, 1, stream_id]);
        bytes[4..6].copy_from_slice(&length.to_be_bytes());
        bytes[6..FIXED_BYTES].copy_from_slice(&[0x84, flags << 6, timestamps_len as u8]);
        bytes[9..14].copy_from_slice(&timestamp(flags, presentation));
        bytes[14..].copy_from_slice(&timestamp(1, decode.unwrap_or(0)));
        Self { bytes, len: FIXED_BYTES + timestamps_len }
    }
}

fn picture_header_bytes(times: &SampleTimes) -> usize {
    let timestamps = if times.decode == times.presentation { 1 } else { 2 };
    FIXED_BYTES + timestamps * TIMESTAMP_BYTES
}

/// Transport packets that a picture takes: each one carries the clock in its first packet.
pub(super) fn picture_packets(times: &SampleTimes, stream_bytes: u64) -> u64 {
    let header = (CLOCK_FIELD_BYTES + picture_header_bytes(times)) as u64;
    (header + stream_bytes).div_ceil(PAYLOAD_BYTES as u64)
}

/// Transport packets that an audio PES packet takes.
pub(super) fn audio_packets(frame_bytes: u32) -> u64 {
    let header = (FIXED_BYTES + TIMESTAMP_BYTES) as u64;
    (header + u64::from(frame_bytes)).div_ceil(PAYLOAD_BYTES as u64)
}

/// How a reader counts the time of audio frames on: so many samples each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Cadence {
    pub(super) frame_samples: u32,
    pub(super) sample_rate: u32,
}

impl Cadence {
    /// Whether frame `frames`, which begins `elapsed` ticks after the first, is elsewhere than a
    /// reader takes it to be, by more than what rounds it: a tick of the track, half a tick of PTS.
    fn is_left(self, elapsed: u64, frames: u32, timescale: Timescale) -> bool {
        let (timescale, rate) = (u128::from(timescale.get()), u128::from(self.sample_rate));
        let half_ticks = 2 * u128::from(Timescale::MPEG_TS.get());
        let is = u128::from(elapsed).saturating_mul(rate);
        let counted = u128::from(frames) * u128::from(self.frame_samples) * timescale;
        is.abs_diff(counted).saturating_mul(half_ticks) > rate * (half_ticks + timescale)
    }
}

/// Audio frames that go into one PES packet together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct AudioGroup {
    /// Decode time of the first frame and end of the last, in ticks of the track.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) frames: u32,
    /// Of the codec, or else what the first frame lasts.
    pub(super) cadence: Cadence,
    /// How far the first frame's presentation is from its decode time.
    pub(super) composition_offset_ticks: i32,
    /// Presentation time of the first frame; `start` and `end` at 90 kHz.
    pub(super) times: SampleTimes,
    /// Of the frames, their ADTS headers included.
    pub(super) bytes: u32,
}

impl AudioGroup {
    /// Whether `next`, a group of one frame, may share this PES packet.
    ///
    /// A reader counts the time of later frames on from the first. A frame that would get another
    /// time than its own, by more than rounding, starts a PES packet.
    pub(super) fn admits(&self, next: &Self, timescale: Timescale) -> bool {
        let span = u128::from(next.end.saturating_sub(self.start));
        let is_steady = next.start == self.end
            && next.composition_offset_ticks == self.composition_offset_ticks
            && next.cadence == self.cadence
            && !self.cadence.is_left(next.start - self.start, self.frames, timescale);
        is_steady
            && span * AUDIO_PES_PER_SECOND <= u128::from(timescale.get())
            && self.bytes.saturating_add(next.bytes) <= AUDIO_BYTES_TARGET
    }

    /// Takes in a frame that [`Self::admits`] let through.
    pub(super) fn join(&mut self, next: &Self) {
        self.end = next.end;
        self.frames += next.frames;
        self.times.decode_end = next.times.decode_end;
        self.bytes += next.bytes;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times(presentation: i64, decode: i64) -> SampleTimes {
        SampleTimes { presentation, decode, decode_end: decode }
    }

    #[test]
    fn decode_times_are_written_where_they_differ() {
        let plain = PesHeader::picture(0xe0, &times(0, 0), Some(100));
        assert_eq!(plain.as_bytes(), [0, 0, 1, 0xe0, 0, 108, 0x84, 0x80, 5, 0x21, 0, 1, 0, 1]);
        let both = PesHeader::picture(0xe0, &times(1, 0), Some(100));
        assert_eq!(both.as_bytes()[4..9], [0, 113, 0x84, 0xc0, 10]);
        assert_eq!(both.as_bytes()[9..], [0x31, 0, 1, 0, 3, 0x11, 0, 1, 0, 1]);
    }

    #[test]
    fn lengths_over_16_bits_are_left_open() {
        for (bytes, length) in [(65_527, 65_535_u16), (65_528, 0), (u64::from(u32::MAX), 0)] {
            let header = PesHeader::picture(0xe0, &times(0, 0), Some(bytes));
            assert_eq!(header.as_bytes()[4..6], length.to_be_bytes());
        }
        assert_eq!(PesHeader::audio(0xc0, 0, AUDIO_BYTES_MAX).as_bytes()[4..6], [0xff, 0xff]);
    }

    /// A frame of AAC at 48 kHz, in ticks of 48 kHz.
    fn frame_at(start: u64, ticks: u64) -> AudioGroup {
        AudioGroup {
            start,
            end: start + ticks,
            frames: 1,
            cadence: Cadence { frame_samples: 1024, sample_rate: 48_000 },
            composition_offset_ticks: 0,
            times: SampleTimes { decode_end: ((start + ticks) * 15 / 8) as i64, ..times(0, 0) },
            bytes: 300,
        }
    }

    #[test]
    fn audio_groups_last_a_tenth_of_a_second() {
        let frame = |n: u64| frame_at(n * 1024, 1024);
        let mut group = frame(0);
        let timescale = Timescale::new(48_000).unwrap();
        for next in (1..4).map(frame) {
            assert!(group.admits(&next, timescale));
            group.join(&next);
        }
        assert!(!group.admits(&frame(4), timescale));
        assert_eq!((group.end, group.times.decode_end, group.bytes), (4096, 7680, 1200));
        // A gap, another cadence.
        let late = AudioGroup { start: 1025, ..frame(1) };
        let cadence = Cadence { frame_samples: 1536, sample_rate: 48_000 };
        let other = AudioGroup { cadence, ..frame(1) };
        assert!(!frame(0).admits(&late, timescale) && !frame(0).admits(&other, timescale));
        let large = AudioGroup { bytes: AUDIO_BYTES_TARGET, ..frame(5) };
        assert!(!frame(4).admits(&large, timescale));
    }

    /// How many frames of these durations share a PES packet with the one before them.
    fn frames_a_packet(timescale: u32, durations: &[u64]) -> Vec<u32> {
        let timescale = Timescale::new(timescale).unwrap();
        let mut packets: Vec<AudioGroup> = Vec::new();
        let mut start = 0;
        for ticks in durations {
            let next = frame_at(start, *ticks);
            start += ticks;
            match packets.last_mut() {
                Some(group) if group.admits(&next, timescale) => group.join(&next),
                _ => packets.push(next),
            }
        }
        packets.iter().map(|group| group.frames).collect()
    }

    #[test]
    fn frames_keep_their_own_times() {
        assert_eq!(frames_a_packet(48_000, &[1024; 8]), [4, 4]);
        // Rounded to milliseconds they last 21⅓ each.
        assert_eq!(frames_a_packet(1_000, &[21, 21, 22, 21, 21, 22, 21, 21]), [4, 4]);
        assert_eq!(frames_a_packet(90_000, &[1920; 8]), [4, 4]);
        // All alike and all too short: the second is 1⅓ ms early.
        assert_eq!(frames_a_packet(1_000, &[20; 4]), [1; 4]);
        // A tick is let pass once, not with every frame.
        assert_eq!(frames_a_packet(48_000, &[1025; 4]), [2, 2]);
        assert_eq!(frames_a_packet(48_000, &[1025, 1023, 1025, 1023]), [4]);
        // A frame is where it should be, whatever it lasts; those behind it are not.
        assert_eq!(frames_a_packet(48_000, &[1024, 900, 1024, 1024]), [2, 2]);
        // One that begins with the title is cut.
        assert_eq!(frames_a_packet(48_000, &[700, 1024, 1024, 1024]), [1, 3]);
    }

    proptest! {
        /// Whatever the spacing, a reader that counts on from each PES packet is off by rounding.
        #[test]
        fn counted_times_are_the_frames_own(
            timescale in 100_u32..200_000,
            durations in prop::collection::vec(1_u64..5_000, 1..50),
        ) {
            let packets = frames_a_packet(timescale, &durations);
            let mut start = 0_u64;
            let mut durations = durations.iter();
            for frames in packets {
                let origin = start;
                for number in 0..frames {
                    let is = (start - origin) as f64 / f64::from(timescale);
                    let counted = f64::from(number) * 1024.0 / 48_000.0;
                    let rounding = 1.0 / f64::from(timescale) + 0.5 / 90_000.0;
                    prop_assert!((is - counted).abs() <= rounding + 1e-9);
                    start += durations.next().unwrap();
                }
            }
            prop_assert!(durations.next().is_none());
        }
    }

    #[test]
    fn packets_hold_184_bytes_each() {
        assert_eq!(audio_packets(170), 1);
        assert_eq!(audio_packets(171), 2);
        assert_eq!(picture_packets(&times(0, 0), 162), 1);
        assert_eq!(picture_packets(&times(1, 0), 162), 2);
    }
}
