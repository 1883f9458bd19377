//! How many bytes a second go to disk: an SSD wears out by writing, and reads wait behind writes.

use std::time::Instant;

/// Lets a write begin while anything is left, and lets it run into debt: an object larger than a
/// second's worth is written, and others wait until that is paid.
#[derive(Debug)]
pub(super) struct WriteBudget {
    bytes_per_second: u64,
    left_bytes: f64,
    counted: Instant,
}

impl WriteBudget {
    /// 0 is no bound.
    pub(super) fn new(bytes_per_second: u64, now: Instant) -> Self {
        Self { bytes_per_second, left_bytes: bytes_per_second as f64, counted: now }
    }

    pub(super) fn spend(&mut self, bytes: u64, now: Instant) -> bool {
        if self.bytes_per_second == 0 {
            return true;
        }
        let rate = self.bytes_per_second as f64;
        let since = now.saturating_duration_since(self.counted).as_secs_f64();
        self.left_bytes = (self.left_bytes + since * rate).min(rate);
        self.counted = now;
        let may = self.left_bytes > 0.0;
        if may {
            self.left_bytes -= bytes as f64;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_written_in_a_minute_is_a_minutes_worth() {
        let start = Instant::now();
        let mut budget = WriteBudget::new(1_000, start);
        let mut written = 0;
        for millis in 0..60_000 {
            if budget.spend(300, start + Duration::from_millis(millis)) {
                written += 300;
            }
        }
        // And what was saved up at first, and the last one's debt.
        assert!((60_000..=61_300).contains(&written), "{written}");
    }

    #[test]
    fn a_large_object_is_written_and_paid_for() {
        let start = Instant::now();
        let mut budget = WriteBudget::new(1_000, start);
        assert!(budget.spend(10_000, start));
        assert!(!budget.spend(1, start + Duration::from_secs(8)));
        assert!(budget.spend(1, start + Duration::from_secs(10)));
        // An idle hour saves up a second's worth.
        let later = start + Duration::from_secs(3_600);
        assert!(budget.spend(1_000, later));
        assert!(!budget.spend(1, later));
        assert!(WriteBudget::new(0, start).spend(u64::MAX, start));
    }
}
