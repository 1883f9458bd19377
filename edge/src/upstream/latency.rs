//! Recent times to first byte, and the one that 95 in 100 stay under.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Times kept.
const SAMPLES_MAX: usize = 512;
/// Fewer say too little.
const SAMPLES_MIN: usize = 20;
/// Older ones tell of another load.
const AGE_MAX: Duration = Duration::from_secs(300);
/// New samples after which the percentile is counted anew.
const REFRESH_SAMPLES: u32 = 16;

/// The last times, at most [`SAMPLES_MAX`] of them and none older than [`AGE_MAX`].
#[derive(Debug, Default)]
pub struct LatencyWindow {
    samples: VecDeque<(Instant, Duration)>,
    counted: Option<Duration>,
    new_samples: u32,
}

impl LatencyWindow {
    pub fn handle_sample(&mut self, now: Instant, first_byte: Duration) {
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back((now, first_byte));
        self.new_samples += 1;
    }

    /// The 95th percentile by nearest rank; `None` while there are too few samples.
    pub fn p95(&mut self, now: Instant) -> Option<Duration> {
        while self.samples.front().is_some_and(|(at, _)| AGE_MAX < now - *at) {
            self.samples.pop_front();
        }
        if self.samples.len() < SAMPLES_MIN {
            self.counted = None;
            return None;
        }
        if self.counted.is_none() || REFRESH_SAMPLES <= self.new_samples {
            let mut times: Vec<Duration> = self.samples.iter().map(|(_, time)| *time).collect();
            let rank = (times.len() * 95).div_ceil(100);
            let (_, p95, _) = times.select_nth_unstable(rank - 1);
            self.counted = Some(*p95);
            self.new_samples = 0;
        }
        self.counted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ninety_five_in_a_hundred_stay_under(
            times in prop::collection::vec(0..10_000_u64, SAMPLES_MIN..2_000),
        ) {
            let now = Instant::now();
            let mut window = LatencyWindow::default();
            for time in &times {
                window.handle_sample(now, Duration::from_millis(*time));
            }
            let p95 = window.p95(now).unwrap();
            let last = &times[times.len().saturating_sub(SAMPLES_MAX)..];
            let count = |test: &dyn Fn(Duration) -> bool| {
                last.iter().filter(|time| test(Duration::from_millis(**time))).count()
            };
            prop_assert!(last.len() * 95 <= count(&|time| time <= p95) * 100);
            prop_assert!(count(&|time| time < p95) * 100 < last.len() * 95);
        }
    }

    #[test]
    fn old_and_few_samples_say_nothing() {
        let now = Instant::now();
        let mut window = LatencyWindow::default();
        for _ in 0..SAMPLES_MIN - 1 {
            window.handle_sample(now, Duration::from_millis(5));
        }
        assert_eq!(window.p95(now), None);
        window.handle_sample(now, Duration::from_millis(5));
        assert_eq!(window.p95(now), Some(Duration::from_millis(5)));
        assert_eq!(window.p95(now + AGE_MAX + Duration::from_secs(1)), None);
    }
}
