//! The 90 kHz clock: PTS and DTS (ISO/IEC 13818-1 2.4.3.7) and PCR (2.4.3.5).
//!
//! Instants are kept unwrapped as `i64` ticks, so that they compare; they are cut to 33 bits where
//! they are written. Each is the floor of the exact instant: durations are never added up.

use super::pes::{AudioGroup, Cadence};
use crate::Timescale;
use crate::track::Sample;

/// What every PTS and DTS has on top of the title's timeline: ten seconds, so that neither the
/// reordering of the first pictures nor the lead of the PCR runs below zero.
pub const TIME_OFFSET: i64 = 900_000;

/// How far the PCR runs ahead of the decode time it comes with: half of the one second that bytes
/// may stay in a decoder's buffer (ISO/IEC 13818-1 2.4.2.6).
const PCR_LEAD: i64 = 45_000;

/// PCRs lie at most 100 ms apart (ISO/IEC 13818-1 2.7.2).
pub(super) const PCR_INTERVAL_MAX: i64 = 9_000;

/// Clock packets that one PES packet can bring along: a picture that stands for a minute. Longer
/// ones are slides, and no player recovers a clock from them.
const CLOCK_PACKETS_PER_PES_MAX: i64 = 600;

const WRAP: i64 = 1 << 33;

const TIME_TOO_LATE: &str = "the time is beyond what a 64-bit clock holds";

/// How far the track's pictures come before their own decode times, in its ticks; 0 when none do.
///
/// Sample tables may hold negative composition offsets, which a transport stream can't express.
/// Its decode times are therefore moved back by this constant of the whole track, and presentation
/// times stay the same in every container.
pub fn reorder_ticks(samples: &[Sample]) -> u32 {
    let least = samples.iter().map(|sample| sample.composition_offset_ticks).min();
    least.map_or(0, |offset| offset.min(0).unsigned_abs())
}

/// Turns the times of one track into 90 kHz.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) timescale: Timescale,
    pub(super) reorder_ticks: u32,
}

/// The times of one picture, or of the frames in an audio PES packet, unwrapped, at 90 kHz.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct SampleTimes {
    pub(super) presentation: i64,
    pub(super) decode: i64,
    /// Decode time of what comes after it.
    pub(super) decode_end: i64,
}

impl Clock {
    pub(super) fn times(&self, sample: &Sample) -> Result<SampleTimes, &'static str> {
        let decode = i128::from(sample.decode_time) - i128::from(self.reorder_ticks);
        let presentation = i128::from(sample.presentation_time());
        if presentation < decode {
            return Err("the sample comes before its decode time by more than the track allows");
        }
        Ok(SampleTimes {
            presentation: self.instant(presentation)?,
            decode: self.instant(decode)?,
            decode_end: self.instant(decode + i128::from(sample.duration_ticks))?,
        })
    }

    /// The PES packet that one frame, which takes `frame_bytes` in the stream, would make alone.
    /// Without a cadence of the codec, the next frames are expected to last as long.
    pub(super) fn audio_frame(
        &self,
        sample: &Sample,
        frame_bytes: u32,
        cadence: Option<Cadence>,
    ) -> Result<AudioGroup, &'static str> {
        let duration = u64::from(sample.duration_ticks);
        let (frame_samples, sample_rate) = (sample.duration_ticks, self.timescale.get());
        let own = Cadence { frame_samples, sample_rate };
        Ok(AudioGroup {
            start: sample.decode_time,
            end: sample.decode_time.checked_add(duration).ok_or(TIME_TOO_LATE)?,
            frames: 1,
            cadence: cadence.unwrap_or(own),
            composition_offset_ticks: sample.composition_offset_ticks,
            times: self.times(sample)?,
            bytes: frame_bytes,
        })
    }

    /// The 90 kHz instant of a time on the track, offset included.
    pub(super) fn instant(&self, ticks: i128) -> Result<i64, &'static str> {
        let scaled = (ticks * i128::from(Timescale::MPEG_TS.get()))
            .div_euclid(i128::from(self.timescale.get()));
        i64::try_from(scaled)
            .ok()
            .and_then(|instant| instant.checked_add(TIME_OFFSET))
            .ok_or(TIME_TOO_LATE)
    }
}

/// Clock packets wanted between `start` and `end`, apart from the PCR at `start` itself.
pub(super) fn clock_packets_between(start: i64, end: i64) -> u64 {
    (end.saturating_sub(start).saturating_sub(1) / PCR_INTERVAL_MAX)
        .clamp(0, CLOCK_PACKETS_PER_PES_MAX)
        .unsigned_abs()
}

/// The five bytes of a PTS or DTS; `prefix` is the four bits in front (ISO/IEC 13818-1 2.4.3.6).
pub(super) fn timestamp(prefix: u8, instant: i64) -> [u8; 5] {
    let wrapped = instant.rem_euclid(WRAP);
    [
        prefix << 4 | ((wrapped >> 29) as u8 & 0x0e) | 1,
        (wrapped >> 22) as u8,
        (wrapped >> 14) as u8 | 1,
        (wrapped >> 7) as u8,
        (wrapped << 1) as u8 | 1,
    ]
}

/// The six bytes of the PCR that goes with decode time `decode`: 33 bits of base, six reserved,
/// nine of extension, which is 0 (ISO/IEC 13818-1 2.4.3.4).
pub(super) fn pcr(decode: i64) -> [u8; 6] {
    let base = decode.saturating_sub(PCR_LEAD).rem_euclid(WRAP);
    [
        (base >> 25) as u8,
        (base >> 17) as u8,
        (base >> 9) as u8,
        (base >> 1) as u8,
        (base << 7) as u8 | 0x7e,
        0,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(timescale: u32, reorder_ticks: u32) -> Clock {
        Clock { timescale: Timescale::new(timescale).unwrap(), reorder_ticks }
    }

    #[test]
    fn negative_composition_offsets_move_decode_times_back() {
        let samples = [
            Sample { duration_ticks: 1, ..Sample::default() },
            Sample {
                decode_time: 3,
                duration_ticks: 1,
                composition_offset_ticks: -2,
                ..Sample::default()
            },
        ];
        let reorder = reorder_ticks(&samples);
        assert_eq!(reorder, 2);
        let times = clock(25, reorder).times(&samples[0]).unwrap();
        assert_eq!((times.presentation, times.decode), (900_000, 900_000 - 7200));
        let times = clock(25, reorder).times(&samples[1]).unwrap();
        assert_eq!((times.presentation, times.decode), (903_600, 903_600));
        assert!(clock(25, 1).times(&samples[1]).is_err());
    }

    #[test]
    fn instants_are_floors() {
        assert_eq!(clock(7, 0).instant(1).unwrap(), 912_857);
        assert_eq!(clock(7, 0).instant(-1).unwrap(), 900_000 - 12_858);
        assert!(clock(1, 0).instant(i128::from(u64::MAX)).is_err());
    }

    #[test]
    fn timestamps_wrap_at_33_bits() {
        assert_eq!(timestamp(2, 0), [0x21, 0, 1, 0, 1]);
        assert_eq!(timestamp(3, (1 << 33) - 1), [0x3f, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(timestamp(2, (1 << 33) + 5), timestamp(2, 5));
        assert_eq!(pcr(PCR_LEAD), [0, 0, 0, 0, 0x7e, 0]);
        assert_eq!(pcr(PCR_LEAD - 1), [0xff, 0xff, 0xff, 0xff, 0xfe, 0]);
    }

    #[test]
    fn long_pictures_bring_clock_packets() {
        assert_eq!(clock_packets_between(0, 0), 0);
        assert_eq!(clock_packets_between(0, 9_000), 0);
        assert_eq!(clock_packets_between(0, 9_001), 1);
        assert_eq!(clock_packets_between(0, 90_000), 9);
        assert_eq!(clock_packets_between(i64::MIN, i64::MAX), 600);
    }
}
