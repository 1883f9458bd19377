//! Whether to try again, and when.
//!
//! Four things have to allow it: the number of tries, the budget, the deadline, and what the other
//! side asked for in `Retry-After`. Whether the failure is one that another try can mend is for
//! whoever knows the protocol.

use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::budget::Budget;
use super::deadline::Deadline;

/// The tries of one request.
#[derive(Clone, Debug)]
pub struct Retries {
    backoff: Backoff,
    deadline: Deadline,
    left: u32,
    failures: u32,
}

/// Why there is no further try.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GiveUp {
    /// It was tried as often as it may be.
    Tries,
    /// Others have used up what may be tried again.
    Budget,
    /// The pause would last until nobody waits any more.
    Deadline,
}

impl Retries {
    pub fn new(backoff: Backoff, retries_max: u32, deadline: Deadline) -> Self {
        Self { backoff, deadline, left: retries_max, failures: 0 }
    }

    /// The pause before the next try. `asked` is the least that the other side wants.
    ///
    /// The budget is asked last, so that a try that can't take place costs none of it.
    pub fn next(
        &mut self,
        now: Instant,
        random: u64,
        asked: Option<Duration>,
        budget: &mut Budget,
    ) -> Result<Duration, GiveUp> {
        self.left = self.left.checked_sub(1).ok_or(GiveUp::Tries)?;
        self.failures += 1;
        let pause = self.backoff.pause(self.failures, random).max(asked.unwrap_or_default());
        if self.deadline.remaining(now) <= pause {
            return Err(GiveUp::Deadline);
        }
        if budget.try_take() { Ok(pause) } else { Err(GiveUp::Budget) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::backoff::Jitter;
    use super::super::budget::{BURST_FIRST, BURST_MAX};
    use super::*;

    #[test]
    fn what_the_other_side_asks_for_counts() {
        let now = Instant::now();
        let deadline = Deadline::after(now, Duration::from_secs(3));
        let mut retries = Retries::new(Backoff::QUICK, 3, deadline);
        let mut budget = Budget::new(10);
        let mut next = |asked| retries.next(now, 0, Some(Duration::from_secs(asked)), &mut budget);
        assert_eq!(next(2), Ok(Duration::from_secs(2)));
        assert_eq!(next(3), Err(GiveUp::Deadline));
        assert_eq!(next(0), Ok(Duration::ZERO));
        assert_eq!(next(0), Err(GiveUp::Tries));
    }

    proptest! {
        /// An outage is not multiplied: when every try of every request fails, the service sees the
        /// requests, their share, and what was saved up.
        #[test]
        fn an_outage_is_not_multiplied(
            percent in 0..=100_u32,
            before in 0..5_000_u32,
            requests in 1..5_000_u32,
            retries_max in 0..10_u32,
            randoms in any::<u64>(),
        ) {
            let now = Instant::now();
            let deadline = Deadline::after(now, Duration::from_secs(60));
            let backoff = Backoff { jitter: Jitter::Full, ..Backoff::QUICK };
            let mut budget = Budget::new(percent);
            (0..before).for_each(|_| budget.handle_request());
            let mut sent = 0;
            for index in 0..requests {
                budget.handle_request();
                sent += 1;
                let mut retries = Retries::new(backoff, retries_max, deadline);
                let random = randoms.rotate_left(index % 64);
                let mut tries = 0;
                while let Ok(pause) = retries.next(now, random, None, &mut budget) {
                    prop_assert!(pause <= backoff.longest);
                    tries += 1;
                }
                prop_assert!(tries <= retries_max);
                sent += tries;
            }
            let saved = (BURST_FIRST + before * percent / 100).min(BURST_MAX);
            prop_assert!(sent <= requests + saved + 1 + requests * percent / 100);
        }
    }
}
