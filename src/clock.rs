//! The wall clock: the only place that reads it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds since 1970, as rings of keys and databases count them.
pub fn signed_ms() -> i64 {
    i64::try_from(now_ms()).unwrap_or(i64::MAX)
}

/// Seconds since 1970.
pub fn now_s() -> u64 {
    now_ms() / 1_000
}

/// `2026-01-31T23:59:59Z`, of seconds since 1970.
pub fn rfc3339(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|time| jiff::Timestamp::from_second(time).ok());
    time.map_or_else(|| seconds.to_string(), |time| time.to_string())
}

/// `2026-01-31T23:59:59.123Z`.
pub fn now_xs_date_time() -> String {
    let now = jiff::Timestamp::now();
    format!("{now:.3}")
}
