//! How many requests may be sent beside those that clients made.
//!
//! Retries that follow failures multiply the load on what already fails. Each request of a client
//! pays `percent` hundredths into a bucket, each retry or hedge takes a whole out of it; what the
//! bucket holds at most covers the burst of an upstream that dies with its requests under way.

/// Tries that the bucket holds at most.
pub const BURST_MAX: u32 = 100;
/// Tries that it holds at first.
pub const BURST_FIRST: u32 = 10;

#[derive(Debug)]
pub struct Budget {
    /// Of a hundred each.
    hundredths: u32,
    percent: u32,
}

impl Budget {
    /// `percent` is how many tries a hundred requests allow.
    pub fn new(percent: u32) -> Self {
        let first = if percent == 0 { 0 } else { BURST_FIRST };
        Self { hundredths: first * 100, percent }
    }

    /// A request by a client.
    pub fn handle_request(&mut self) {
        self.hundredths = (self.hundredths + self.percent).min(BURST_MAX * 100);
    }

    /// Takes leave for one retry or hedge.
    pub fn try_take(&mut self) -> bool {
        let has_one = 100 <= self.hundredths;
        if has_one {
            self.hundredths -= 100;
        }
        has_one
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Over any stretch, tries are at most the share of requests and what was saved up.
        #[test]
        fn tries_stay_within_the_share(
            percent in 0..=100_u32,
            events in prop::collection::vec(any::<bool>(), 1..5_000),
            from in 0..1_000_usize,
        ) {
            let mut budget = Budget::new(percent);
            let (mut requests, mut tries) = (0, 0);
            for (index, is_request) in events.into_iter().enumerate() {
                let counts = from <= index;
                if is_request {
                    budget.handle_request();
                    requests += u32::from(counts);
                } else {
                    tries += u32::from(budget.try_take() && counts);
                }
                prop_assert!(tries <= BURST_MAX + requests * percent / 100);
                if from == 0 {
                    prop_assert!(tries <= BURST_FIRST + requests * percent / 100);
                }
            }
        }
    }

    #[test]
    fn what_was_saved_serves_a_burst() {
        let mut budget = Budget::new(10);
        (0..10_000).for_each(|_| budget.handle_request());
        let burst = (0..1_000).filter(|_| budget.try_take()).count();
        assert_eq!(burst, BURST_MAX as usize);
        let mut none = Budget::new(0);
        (0..10_000).for_each(|_| none.handle_request());
        assert!(!none.try_take());
    }
}
