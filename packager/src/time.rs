//! Media time: whole ticks on a stated timescale.
//!
//! A track counts time in ticks of `1 / timescale` seconds (`mdhd`, ISO/IEC 14496-12 8.4.2).
//! Arithmetic stays integral from source to wire, so a two-hour title ends on the tick it started
//! from; seconds appear only where a manifest prints them.

use std::cmp::Ordering;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// Ticks per second. 90 000 in MPEG-2 TS, usually the sampling rate in audio. Never zero.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct Timescale(NonZeroU32);

impl Timescale {
    /// The system clock of MPEG-2 TS (ISO/IEC 13818-1 2.4.2.2, divided by 300).
    pub const MPEG_TS: Self = Self(NonZeroU32::new(90_000).unwrap());
    /// Milliseconds: text cues and URL parameters.
    pub const MILLIS: Self = Self(NonZeroU32::new(1_000).unwrap());

    pub const fn new(ticks_per_second: u32) -> Option<Self> {
        match NonZeroU32::new(ticks_per_second) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// `ticks` of this timescale as an instant or span.
    pub const fn ticks(self, ticks: u64) -> MediaTime {
        MediaTime { ticks, timescale: self }
    }
}

/// An instant or a span of `ticks / timescale` seconds.
///
/// Compares exactly across timescales: `a/b < c/d` is decided as `a·d < c·b`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct MediaTime {
    pub ticks: u64,
    pub timescale: Timescale,
}

impl MediaTime {
    /// Moves to another timescale, rounding towards zero. `None` when the ticks exceed `u64`.
    ///
    /// Rescale instants and subtract afterwards: durations rescaled one by one lose up to a tick
    /// each, and an hour of segments would drift from the timeline.
    pub fn rescale_floor(self, to: Timescale) -> Option<Self> {
        let scaled = u128::from(self.ticks) * u128::from(to.get());
        self.with_ticks(scaled / u128::from(self.timescale.get()), to)
    }

    /// Like [`Self::rescale_floor`], rounding to the nearest tick, halves up.
    pub fn rescale_round(self, to: Timescale) -> Option<Self> {
        let from = u128::from(self.timescale.get());
        let scaled = u128::from(self.ticks) * u128::from(to.get());
        self.with_ticks((scaled + from / 2) / from, to)
    }

    /// Like [`Self::rescale_floor`], rounding up.
    pub fn rescale_ceil(self, to: Timescale) -> Option<Self> {
        let scaled = u128::from(self.ticks) * u128::from(to.get());
        self.with_ticks(scaled.div_ceil(u128::from(self.timescale.get())), to)
    }

    /// Seconds, for printing and for comparisons that need no exactness.
    pub fn as_seconds(self) -> f64 {
        self.ticks as f64 / f64::from(self.timescale.get())
    }

    fn with_ticks(self, ticks: u128, timescale: Timescale) -> Option<Self> {
        Some(Self { ticks: u64::try_from(ticks).ok()?, timescale })
    }
}

impl Ord for MediaTime {
    fn cmp(&self, other: &Self) -> Ordering {
        let left = u128::from(self.ticks) * u128::from(other.timescale.get());
        let right = u128::from(other.ticks) * u128::from(self.timescale.get());
        left.cmp(&right)
    }
}

impl PartialOrd for MediaTime {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for MediaTime {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for MediaTime {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn time(ticks: u64, timescale: u32) -> MediaTime {
        Timescale::new(timescale).unwrap().ticks(ticks)
    }

    #[test]
    fn equal_instants_compare_equal_across_timescales() {
        assert_eq!(time(1001, 30_000), time(3003, 90_000));
        assert!(time(1001, 30_000) > time(3002, 90_000));
    }

    #[test]
    fn rescaling_names_its_rounding() {
        let one_third = time(1, 3);
        assert_eq!(one_third.rescale_floor(Timescale::MILLIS).unwrap().ticks, 333);
        assert_eq!(one_third.rescale_ceil(Timescale::MILLIS).unwrap().ticks, 334);
        assert_eq!(time(2, 3).rescale_round(Timescale::MILLIS).unwrap().ticks, 667);
        assert!(time(u64::MAX, 1).rescale_floor(Timescale::MILLIS).is_none());
    }

    proptest! {
        #[test]
        fn floor_and_ceil_enclose_the_instant(
            ticks in 0..u64::from(u32::MAX) * 90_000, from in 1..u32::MAX, to in 1..200_000_u32,
        ) {
            let exact = time(ticks, from);
            let to = Timescale::new(to).unwrap();
            if let (Some(floor), Some(ceil)) = (exact.rescale_floor(to), exact.rescale_ceil(to)) {
                prop_assert!(floor <= exact && exact <= ceil);
                prop_assert!(ceil.ticks - floor.ticks <= 1);
            }
        }
    }
}
