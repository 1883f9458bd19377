//! Until when somebody waits for an answer.
//!
//! A deadline is handed down with a call: whoever asks somebody else in turn takes the earlier of
//! the caller's and its own, and work that nobody waits for any more is not begun. Between processes
//! of ours it travels as the milliseconds that are left, since clocks differ.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};

/// `X-Timeout-Ms`: what is left of a deadline.
pub const TIMEOUT_MS: HeaderName = HeaderName::from_static("x-timeout-ms");

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Deadline(Instant);

impl Deadline {
    pub fn after(now: Instant, wait: Duration) -> Self {
        // The clock ends far beyond any wait; what exceeds it is a year.
        Self(now.checked_add(wait).unwrap_or_else(|| now + Duration::from_secs(365 * 86_400)))
    }

    pub fn at(self) -> Instant {
        self.0
    }

    pub fn earlier(self, other: Option<Self>) -> Self {
        other.map_or(self, |other| self.min(other))
    }

    pub fn remaining(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }

    pub fn is_over(self, now: Instant) -> bool {
        self.0 <= now
    }

    /// Tells the next process what is left.
    pub fn write(self, now: Instant, headers: &mut HeaderMap) {
        let left_ms = u64::try_from(self.remaining(now).as_millis()).unwrap_or(u64::MAX);
        headers.insert(TIMEOUT_MS, HeaderValue::from(left_ms));
    }

    /// What a request says of its sender's patience. A number that can't be read says nothing, and
    /// nobody has more than `longest`.
    pub fn read(now: Instant, headers: &HeaderMap, longest: Duration) -> Self {
        let said = headers.get(TIMEOUT_MS).and_then(|value| value.to_str().ok());
        let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let said = said.filter(is_number).map(|text| text.parse().unwrap_or(u64::MAX));
        let wait = said.map_or(longest, |ms| Duration::from_millis(ms).min(longest));
        Self::after(now, wait)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_left_travels() {
        let now = Instant::now();
        let longest = Duration::from_secs(30);
        let mut headers = HeaderMap::new();
        assert_eq!(Deadline::read(now, &headers, longest).remaining(now), longest);
        Deadline::after(now, Duration::from_millis(1_500)).write(now, &mut headers);
        assert_eq!(headers[TIMEOUT_MS], "1500");
        let later = now + Duration::from_secs(9);
        let read = Deadline::read(later, &headers, longest);
        assert_eq!(read.remaining(later), Duration::from_millis(1_500));
        for nonsense in ["", "-1", "1.5", " 7", "soon"] {
            headers.insert(TIMEOUT_MS, HeaderValue::from_static(nonsense));
            assert_eq!(Deadline::read(now, &headers, longest).remaining(now), longest);
        }
    }

    proptest! {
        #[test]
        fn a_deadline_is_never_lengthened(
            a in 0..u64::MAX, b in prop::option::of(0..u64::MAX), digits in "[0-9]{1,40}",
        ) {
            let now = Instant::now();
            let after = |ms| Deadline::after(now, Duration::from_millis(ms));
            let earlier = after(a).earlier(b.map(after));
            prop_assert!(earlier <= after(a));
            prop_assert!(b.is_none_or(|b| earlier <= after(b)));
            let headers = [(TIMEOUT_MS, HeaderValue::from_str(&digits).unwrap())].into_iter().collect();
            let longest = Duration::from_secs(5);
            prop_assert!(Deadline::read(now, &headers, longest).remaining(now) <= longest);
        }
    }
}
