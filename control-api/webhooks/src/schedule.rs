//! When a delivery is tried again, when an endpoint rests, and when it is given up. Pure.

use std::time::Duration;

use platform::resilience::{Backoff, Jitter};

/// The specification's schedule, after the first try: three days and a bit.
const PAUSES_SECONDS: [u64; 9] =
    [5, 5 * 60, 30 * 60, 2 * 3_600, 5 * 3_600, 10 * 3_600, 14 * 3_600, 20 * 3_600, 24 * 3_600];

/// Failures in a row after which an endpoint rests, instead of failing every delivery.
const RESTS_FROM: i64 = 3;
const RESTS: Backoff = Backoff {
    first: Duration::from_secs(5),
    longest: Duration::from_secs(30 * 60),
    jitter: Jitter::Half,
};

/// Longest pause that a receiver may ask for.
const ASKED_MAX: Duration = Duration::from_secs(24 * 3_600);

/// The pause after the failed try number `failures`, from 1; `None` when that was the last.
///
/// Up to a tenth is added, so that what failed together is not tried together.
pub(crate) fn pause(failures: i64, asked: Option<Duration>, random: u64) -> Option<Duration> {
    let index = usize::try_from(failures - 1).ok()?;
    let pause = Duration::from_secs(*PAUSES_SECONDS.get(index)?);
    let spread = Jitter::Full.apply(pause / 10, random);
    Some((pause + spread).max(asked.unwrap_or_default().min(ASKED_MAX)))
}

/// How long an endpoint rests after so many failures in a row.
pub(crate) fn rest(failures_in_a_row: i64, random: u64) -> Duration {
    let beyond = failures_in_a_row - RESTS_FROM + 1;
    match u32::try_from(beyond) {
        Ok(beyond) if 0 < beyond => RESTS.pause(beyond, random),
        _ => Duration::ZERO,
    }
}

/// Whether an endpoint that has failed since then is turned off.
pub(crate) fn is_given_up(failing_since_ms: i64, now_ms: i64, after: Duration) -> bool {
    i64::try_from(after.as_millis()).is_ok_and(|after| failing_since_ms + after <= now_ms)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_schedule_is_the_specifications() {
        let pauses: Vec<_> = (1..).map_while(|n| pause(n, None, 0)).map(|p| p.as_secs()).collect();
        assert_eq!(pauses, PAUSES_SECONDS);
        let days = pauses.iter().sum::<u64>() as f64 / 86_400.0;
        assert!((3.0..3.5).contains(&days), "{days}");
        assert_eq!(pause(1, Some(Duration::from_secs(60)), 0), Some(Duration::from_secs(60)));
        assert_eq!(pause(1, Some(Duration::MAX), 0), Some(ASKED_MAX));
        assert_eq!(
            (pause(0, None, 0), pause(10, None, 0), pause(i64::MIN + 1, None, 0)),
            (None, None, None)
        );
    }

    #[test]
    fn endpoints_rest_and_are_given_up() {
        assert_eq!(rest(2, u64::MAX), Duration::ZERO);
        assert_eq!(rest(3, u64::MAX), Duration::from_secs(5));
        assert_eq!(rest(4, u64::MAX), Duration::from_secs(10));
        assert_eq!(rest(1_000, u64::MAX), Duration::from_secs(1_800));
        let day = Duration::from_secs(86_400);
        assert!(!is_given_up(0, 86_399_999, day) && is_given_up(0, 86_400_000, day));
    }

    proptest! {
        #[test]
        fn pauses_spread_by_a_tenth_at_most(failures in 1..=9_i64, random in any::<u64>()) {
            let plain = Duration::from_secs(PAUSES_SECONDS[failures as usize - 1]);
            let pause = pause(failures, None, random).unwrap();
            prop_assert!(plain <= pause && pause <= plain.mul_f64(1.1001));
        }
    }
}
