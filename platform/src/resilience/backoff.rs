//! How long to wait before the next try.
//!
//! Pauses double from the first to the longest. Jitter spreads them, so that those who were thrown
//! off together don't come back together: full jitter (anything up to the pause) toward services
//! that others use too, half of it where a pause has to be kept.

use std::time::Duration;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backoff {
    pub first: Duration,
    pub longest: Duration,
    pub jitter: Jitter,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Jitter {
    /// The pause as it is.
    None,
    /// Half the pause at least, the whole at most.
    Half,
    /// Anything from nothing to the whole pause.
    Full,
}

impl Backoff {
    /// 100, 200, 400 ms.
    pub const QUICK: Self = Self {
        first: Duration::from_millis(100),
        longest: Duration::from_millis(400),
        jitter: Jitter::Full,
    };

    /// The pause before the try that follows `failures` failed ones, of which there is at least one.
    pub fn pause(&self, failures: u32, random: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let pause = self.first.saturating_mul(1 << doublings).min(self.longest);
        self.jitter.apply(pause, random)
    }
}

impl Jitter {
    pub fn apply(self, pause: Duration, random: u64) -> Duration {
        // Thirty-two bits are more than clocks can tell apart.
        let share = f64::from((random >> 32) as u32) / f64::from(u32::MAX);
        match self {
            Self::None => pause,
            Self::Half => pause.mul_f64(0.5 + share / 2.0),
            Self::Full => pause.mul_f64(share),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn three_quick_tries() {
        let backoff = Backoff { jitter: Jitter::None, ..Backoff::QUICK };
        let pauses: Vec<_> = (1..=4).map(|failures| backoff.pause(failures, 7)).collect();
        assert_eq!(pauses, [100, 200, 400, 400].map(Duration::from_millis));
        assert_eq!(Backoff::QUICK.pause(3, u64::MAX), Duration::from_millis(400));
        assert_eq!(Backoff::QUICK.pause(3, 0), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn pauses_stay_within_their_bounds(
            first_ms in 0..10_000_u64,
            longest_ms in 0..10_000_000_u64,
            failures in any::<u32>(),
            random in any::<u64>(),
        ) {
            let backoff = |jitter| Backoff {
                first: Duration::from_millis(first_ms),
                longest: Duration::from_millis(longest_ms),
                jitter,
            };
            let whole = backoff(Jitter::None).pause(failures, random);
            prop_assert!(whole <= Duration::from_millis(longest_ms));
            prop_assert!(whole <= backoff(Jitter::None).pause(failures.saturating_add(1), random));
            let half = backoff(Jitter::Half).pause(failures, random);
            // A nanosecond for rounding.
            prop_assert!(half <= whole && whole <= half * 2 + Duration::from_nanos(2));
            prop_assert!(backoff(Jitter::Full).pause(failures, random) <= whole);
        }
    }
}
