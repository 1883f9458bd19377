//! How much of what costs a client nothing it may do: a bucket that fills with time.

use std::time::{Duration, Instant};

/// Events that are allowed at once and per second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub(super) burst: u32,
    pub(super) per_second: u32,
}

/// Counts events against a rate.
#[derive(Debug)]
pub(super) struct Budget {
    rate: Rate,
    left: f64,
    at: Instant,
}

impl Budget {
    pub(super) fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, left: f64::from(rate.burst), at: now }
    }

    /// Takes one; false when the bucket is empty.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let passed: Duration = now.saturating_duration_since(self.at);
        self.at = now;
        let filled = self.left + passed.as_secs_f64() * f64::from(self.rate.per_second);
        self.left = filled.min(f64::from(self.rate.burst)) - 1.0;
        let is_within = 0.0 <= self.left;
        self.left = self.left.max(0.0);
        is_within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills() {
        let begun = Instant::now();
        let mut budget = Budget::new(Rate { burst: 3, per_second: 2 }, begun);
        assert_eq!([(); 4].map(|()| budget.take(begun)), [true, true, true, false]);
        let later = begun + Duration::from_secs(1);
        assert_eq!([(); 3].map(|()| budget.take(later)), [true, true, false]);
        let much_later = begun + Duration::from_secs(100);
        assert_eq!([(); 4].map(|()| budget.take(much_later)), [true, true, true, false]);
    }
}
