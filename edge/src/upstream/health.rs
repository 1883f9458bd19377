//! What the regular checks say of one upstream.
//!
//! `fall` bad answers in a row take it out, `rise` good ones bring it back, so that one lost
//! packet moves no titles. An upstream counts as up until checks say otherwise.

use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub struct HealthSettings {
    pub rise: u32,
    pub fall: u32,
}

#[derive(Debug)]
pub struct Health {
    settings: HealthSettings,
    is_up: bool,
    /// Answers in a row that speak against the present state.
    contrary: u32,
}

impl Health {
    pub fn new(settings: HealthSettings) -> Self {
        Self { settings, is_up: true, contrary: 0 }
    }

    pub fn is_up(&self) -> bool {
        self.is_up
    }

    /// Takes one answer in; true when the state has changed.
    pub fn handle_check(&mut self, is_good: bool) -> bool {
        if is_good == self.is_up {
            self.contrary = 0;
            return false;
        }
        self.contrary += 1;
        let needed = if self.is_up { self.settings.fall } else { self.settings.rise };
        let changes = needed <= self.contrary;
        if changes {
            self.is_up = is_good;
            self.contrary = 0;
        }
        changes
    }
}

/// `interval`, from a tenth less to a tenth more, by a random number: the checks of many edges
/// that started together don't stay together.
pub fn jittered(interval: Duration, random: u64) -> Duration {
    let share = f64::from((random >> 32) as u32) / f64::from(u32::MAX);
    interval.mul_f64(0.9 + 0.2 * share)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The state differs from the one before only after as many answers in a row as it takes.
        #[test]
        fn changes_follow_runs(
            rise in 1..5_u32,
            fall in 1..5_u32,
            answers in prop::collection::vec(any::<bool>(), 1..100),
        ) {
            let mut health = Health::new(HealthSettings { rise, fall });
            for (index, is_good) in answers.iter().enumerate() {
                let was_up = health.is_up();
                let changed = health.handle_check(*is_good);
                let needed = if was_up { fall } else { rise } as usize;
                let seen = &answers[..=index];
                let run = seen.iter().rev().take_while(|answer| **answer != was_up).count();
                prop_assert_eq!(changed, run == needed, "run {} of {}", run, needed);
                prop_assert_eq!(health.is_up(), was_up != changed);
            }
        }

        #[test]
        fn jitter_stays_near(random in any::<u64>()) {
            let jittered = jittered(Duration::from_secs(10), random);
            prop_assert!((9.0..=11.0).contains(&jittered.as_secs_f64()));
        }
    }
}
