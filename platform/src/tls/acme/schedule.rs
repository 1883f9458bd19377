//! When a certificate is renewed, and when a failed order is tried again.

use std::time::{Duration, SystemTime};

/// Pauses after failures: from a minute, doubling, to six hours. Authorities count failures by the
/// hour.
const PAUSE_MIN: Duration = Duration::from_secs(60);
const PAUSE_MAX: Duration = Duration::from_secs(6 * 60 * 60);

/// When a certificate is due: at two thirds of its life, and up to a thirtieth earlier. How much is
/// told by its own beginning, so that a restart changes nothing.
pub(super) fn due(begins: SystemTime, expires: SystemTime) -> SystemTime {
    let life = expires.duration_since(begins).unwrap_or_default();
    let since = begins.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // Seconds spread servers well enough: each got its certificate at a time of its own.
    let share = (since.as_secs() % 100) as u32;
    begins + life * 2 / 3 - life / 30 * share / 100
}

/// How long to wait after so many failures in a row; `random` shortens it by up to a quarter.
pub(super) fn pause(failures: u32, random: u64) -> Duration {
    let doubled = 1_u32 << failures.saturating_sub(1).min(16);
    let pause = (PAUSE_MIN * doubled).min(PAUSE_MAX);
    pause - pause / 4 * (random % 100) as u32 / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_renewed_at_two_thirds_of_their_life() {
        let day = Duration::from_secs(24 * 60 * 60);
        for offset_seconds in [0, 1, 50, 99, 1_234_567] {
            let begins = SystemTime::UNIX_EPOCH + 20_000 * day;
            let begins = begins + Duration::from_secs(offset_seconds);
            let due = due(begins, begins + 90 * day);
            assert!(begins + 57 * day <= due && due <= begins + 60 * day, "{offset_seconds}");
        }
        // One that makes no sense is due at once.
        let begins = SystemTime::UNIX_EPOCH + 20_000 * day;
        assert_eq!(due(begins, begins - day), begins);
    }

    #[test]
    fn pauses_grow_and_differ() {
        assert_eq!(pause(1, 0), PAUSE_MIN);
        assert_eq!(pause(3, 100), 4 * PAUSE_MIN);
        assert!(pause(3, 99) < pause(3, 0));
        for failures in [10, 100, u32::MAX] {
            assert_eq!(pause(failures, 0), PAUSE_MAX);
            assert!(PAUSE_MAX / 2 < pause(failures, 99));
        }
    }
}
