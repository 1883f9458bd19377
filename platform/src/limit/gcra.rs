//! Rates by key: the generic cell rate algorithm (ITU-T I.371 annex A, the virtual scheduling form)
//! over a table of fixed size.
//!
//! A key's whole state is its *theoretical arrival time*: when its budget will be full again. Budget
//! that is full again is no state at all, and its entry is free. When a set is full, a new key takes
//! the entry that is nearest to full **and goes on from its time**, as counters do in Space-Saving
//! (Metwally et al. 2005). So a key's budget can be thought smaller than it is, in a set where all
//! eight are being spent, and never larger: forgetting what was spent is what a flood of addresses
//! would be good for.

use std::hash::Hash;

use super::slots::{Entry, Slots};

/// So many a second on average, and so many at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    interval_nanos: u64,
    /// How far ahead of now the theoretical arrival time of something allowed may be.
    tolerance_nanos: u64,
}

/// What became of one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Taken {
    Allowed {
        /// How many more would be allowed at once.
        remaining: u64,
    },
    /// Nothing was taken from the budget.
    Refused { retry_after_nanos: u64 },
}

impl Rate {
    /// `None` where there is no limit: a rate of 0, or less.
    pub fn new(per_second: f64, burst: u32) -> Option<Self> {
        let is_limit = per_second.is_finite() && per_second > 0.0;
        is_limit.then(|| {
            // A rate beyond one a nanosecond is no limit that a computer could exceed.
            let interval_nanos = ((1e9 / per_second) as u64).clamp(1, NANOS_MAX);
            let tolerance_nanos = interval_nanos.saturating_mul(u64::from(burst.max(1)));
            Self { interval_nanos, tolerance_nanos }
        })
    }

    /// Takes one from the budget whose theoretical arrival time is `*time`.
    fn take(self, time: &mut u64, now: u64) -> Taken {
        let taken = self.look(*time, now);
        if let Taken::Allowed { .. } = taken {
            *time = (*time).max(now) + self.interval_nanos;
        }
        taken
    }

    fn look(self, time: u64, now: u64) -> Taken {
        let next = time.max(now).saturating_add(self.interval_nanos);
        match now.saturating_add(self.tolerance_nanos).checked_sub(next) {
            Some(left_nanos) => Taken::Allowed { remaining: left_nanos / self.interval_nanos },
            None => Taken::Refused { retry_after_nanos: next - now - self.tolerance_nanos },
        }
    }
}

/// Longest time between two requests of one rate: a day.
const NANOS_MAX: u64 = 86_400 * 1_000_000_000;

/// The budgets of many keys.
#[derive(Debug)]
pub struct RateTable {
    slots: Slots,
}

impl RateTable {
    /// Remembers `keys_max` keys whose budgets are not full.
    pub fn new(keys_max: usize) -> Self {
        Self { slots: Slots::new(keys_max) }
    }

    /// Takes one from the budget of `key`, unless it is spent.
    pub fn take(&self, key: &(impl Hash + ?Sized), rate: Rate, now: u64) -> Taken {
        let (mut set, fingerprint) = self.slots.set(key);
        let entry = find(&mut set[..], fingerprint);
        // Whoever comes for the first time, or took over another's entry, stays from now on.
        let taken = rate.take(&mut entry.value, now);
        if let Taken::Allowed { .. } = taken {
            entry.fingerprint = fingerprint;
        }
        taken
    }

    /// What [`Self::take`] would say, taking nothing.
    pub fn look(&self, key: &(impl Hash + ?Sized), rate: Rate, now: u64) -> Taken {
        let (mut set, fingerprint) = self.slots.set(key);
        rate.look(find(&mut set[..], fingerprint).value, now)
    }

    /// Keys whose budgets are not full at `now`.
    pub fn len(&self, now: u64) -> usize {
        let mut count = 0;
        self.slots.each(|set| count += set.iter().filter(|entry| now < entry.value).count());
        count
    }
}

/// The entry of a key, or else the one that is nearest to full.
fn find(set: &mut [Entry], fingerprint: u64) -> &mut Entry {
    let known = set.iter().position(|entry| entry.fingerprint == fingerprint);
    let nearest = || {
        let by_time = set.iter().enumerate().min_by_key(|(_, entry)| entry.value);
        by_time.map_or(0, |(index, _)| index)
    };
    let index = known.unwrap_or_else(nearest);
    &mut set[index]
}
