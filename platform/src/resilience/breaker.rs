//! The circuit breaker of one service.
//!
//! Closed, it lets everything through and counts failures; with [`BreakerSettings::failures`] of
//! them inside the window it opens. Open, it lets nothing through until its time is over. Then it
//! is half open: one request goes through as a probe, and its outcome closes the breaker or opens
//! it again. Time comes in as an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BreakerSettings {
    /// Failures inside `window` that open the breaker.
    pub failures: u32,
    pub window: Duration,
    /// How long it stays open before a probe is let through.
    pub open: Duration,
}

impl Default for BreakerSettings {
    /// Five failures in 30 seconds open it for 60.
    fn default() -> Self {
        let (window, open) = (Duration::from_secs(30), Duration::from_secs(60));
        Self { failures: 5, window, open }
    }
}

/// What can be seen of a breaker from outside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BreakerState {
    Closed,
    HalfOpen,
    Open,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    Success,
    Failure,
    /// Nothing was learnt: whoever asked went away, or the request never left.
    Abandoned,
}

/// Leave to send one request. Its outcome is reported with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ticket {
    /// Of the state that gave it: what was let through before a change says nothing after it.
    generation: u64,
}

#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    state: State,
    generation: u64,
}

#[derive(Debug)]
enum State {
    /// The times of recent failures, oldest first; always fewer than would open it.
    Closed {
        failures: VecDeque<Instant>,
    },
    Open {
        until: Instant,
    },
    HalfOpen {
        is_probing: bool,
    },
}

impl Breaker {
    pub fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: State::Closed { failures: VecDeque::new() }, generation: 0 }
    }

    /// Whether [`Self::admit`] would let a request through.
    pub fn would_admit(&self, now: Instant) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { until } => until <= now,
            State::HalfOpen { is_probing } => !is_probing,
        }
    }

    pub fn admit(&mut self, now: Instant) -> Option<Ticket> {
        if !self.would_admit(now) {
            return None;
        }
        if !matches!(self.state, State::Closed { .. }) {
            self.change(State::HalfOpen { is_probing: true });
        }
        Some(Ticket { generation: self.generation })
    }

    pub fn handle_outcome(&mut self, now: Instant, ticket: Ticket, outcome: Outcome) {
        if ticket.generation != self.generation {
            return;
        }
        match (&mut self.state, outcome) {
            (State::Closed { .. }, Outcome::Failure) => self.handle_failure(now),
            (State::HalfOpen { .. }, Outcome::Success) => {
                self.change(State::Closed { failures: VecDeque::new() });
            }
            (State::HalfOpen { .. }, Outcome::Failure) => self.open(now),
            (State::HalfOpen { is_probing }, Outcome::Abandoned) => *is_probing = false,
            _ => {}
        }
    }

    /// A failure of an answer that had begun well, and was reported as a success.
    pub fn handle_failure(&mut self, now: Instant) {
        let State::Closed { failures } = &mut self.state else { return };
        while failures.front().is_some_and(|first| self.settings.window < now - *first) {
            failures.pop_front();
        }
        failures.push_back(now);
        if self.settings.failures as usize <= failures.len() {
            self.open(now);
        }
    }

    pub fn state(&self, now: Instant) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { until } if now < until => BreakerState::Open,
            State::Open { .. } | State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// How long it stays open. Nothing while it is closed or half open.
    pub fn wait(&self, now: Instant) -> Duration {
        match self.state {
            State::Open { until } => until.saturating_duration_since(now),
            State::Closed { .. } | State::HalfOpen { .. } => Duration::ZERO,
        }
    }

    fn open(&mut self, now: Instant) {
        self.change(State::Open { until: now + self.settings.open });
    }

    fn change(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SETTINGS: BreakerSettings = BreakerSettings {
        failures: 5,
        window: Duration::from_secs(30),
        open: Duration::from_secs(60),
    };

    fn fail(breaker: &mut Breaker, now: Instant) {
        let ticket = breaker.admit(now).unwrap();
        breaker.handle_outcome(now, ticket, Outcome::Failure);
    }

    #[test]
    fn five_failures_in_thirty_seconds_open_it_for_sixty() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut breaker = Breaker::new(SETTINGS);
        for seconds in [0, 8, 16, 24] {
            fail(&mut breaker, at(seconds));
        }
        // The first is 31 seconds old by now, so this is the fourth of its window.
        fail(&mut breaker, at(31));
        assert_eq!(breaker.state(at(31)), BreakerState::Closed);
        fail(&mut breaker, at(32));
        assert_eq!(breaker.state(at(32)), BreakerState::Open);
        assert!(breaker.admit(at(91)).is_none());

        let probe = breaker.admit(at(92)).unwrap();
        assert_eq!(breaker.state(at(92)), BreakerState::HalfOpen);
        assert!(breaker.admit(at(93)).is_none(), "one probe at a time");
        breaker.handle_outcome(at(94), probe, Outcome::Failure);
        assert!(breaker.admit(at(153)).is_none(), "open for 60 seconds more");
        let probe = breaker.admit(at(154)).unwrap();
        breaker.handle_outcome(at(155), probe, Outcome::Success);
        assert_eq!(breaker.state(at(155)), BreakerState::Closed);
    }

    /// What a breaker should do, written the long way: a list of all that happened.
    struct Model {
        /// Failures since it closed.
        failures: Vec<u64>,
        opened: Option<u64>,
        probe: Option<Ticket>,
    }

    impl Model {
        fn admits(&self, now: u64) -> bool {
            self.probe.is_none() && self.opened.is_none_or(|opened| opened + 60 <= now)
        }

        fn fail(&mut self, now: u64) {
            self.failures.push(now);
            let recent = self.failures.iter().filter(|at| now - **at <= 30).count();
            if 5 <= recent {
                self.opened = Some(now);
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Event {
        Pass(u64),
        Admit,
        Settle(usize, Outcome),
        Late,
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let outcome = prop_oneof![
            1 => Just(Outcome::Success),
            4 => Just(Outcome::Failure),
            1 => Just(Outcome::Abandoned)
        ];
        let event = prop_oneof![
            2 => (0..40_u64).prop_map(Event::Pass),
            6 => Just(Event::Admit),
            6 => (any::<usize>(), outcome).prop_map(|(index, outcome)| Event::Settle(index, outcome)),
            1 => Just(Event::Late),
        ];
        prop::collection::vec(event, 1..200)
    }

    proptest! {
        #[test]
        fn it_does_what_its_model_does(events in events()) {
            let start = Instant::now();
            let mut now = 0;
            let mut breaker = Breaker::new(SETTINGS);
            let mut model = Model { failures: Vec::new(), opened: None, probe: None };
            // Tickets under way, with whether the model was closed, and since which change.
            let mut under_way: Vec<(Ticket, u64)> = Vec::new();
            let mut changes = 0_u64;
            for event in events {
                let at = start + Duration::from_secs(now);
                match event {
                    Event::Pass(seconds) => now += seconds,
                    Event::Admit => {
                        let ticket = breaker.admit(at);
                        prop_assert_eq!(ticket.is_some(), model.admits(now));
                        let Some(ticket) = ticket else { continue };
                        if model.opened.is_some() {
                            model.probe = Some(ticket);
                        } else {
                            under_way.push((ticket, changes));
                        }
                    }
                    Event::Settle(index, outcome) => {
                        if let Some(probe) = model.probe.take_if(|_| index % 2 == 0) {
                            breaker.handle_outcome(at, probe, outcome);
                            match outcome {
                                Outcome::Success => {
                                    changes += 1;
                                    model.opened = None;
                                    model.failures.clear();
                                }
                                Outcome::Failure => model.opened = Some(now),
                                Outcome::Abandoned => {}
                            }
                        } else if !under_way.is_empty() {
                            let (ticket, since) = under_way.swap_remove(index % under_way.len());
                            breaker.handle_outcome(at, ticket, outcome);
                            let counts = since == changes && model.opened.is_none();
                            if counts && outcome == Outcome::Failure {
                                model.fail(now);
                            }
                        }
                    }
                    Event::Late => {
                        breaker.handle_failure(at);
                        if model.opened.is_none() {
                            model.fail(now);
                        }
                    }
                }
                let at = start + Duration::from_secs(now);
                prop_assert_eq!(breaker.would_admit(at), model.admits(now));
                prop_assert_eq!(
                    breaker.state(at) == BreakerState::Closed,
                    model.opened.is_none()
                );
            }
        }
    }
}
