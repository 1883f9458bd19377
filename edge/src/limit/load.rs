//! How many requests are under way at once, who waits, and who is turned away.
//!
//! A request is under way from its arrival to the head of its answer: what waits for an origin, a
//! disk or a processor is counted, and a slow viewer who takes a body is not. The limit is the
//! configured one, or less where the processor has fallen behind: additive increase, multiplicative
//! decrease on the delay of work that was ready to run, as TCP does on loss (RFC 5681 3.1).
//!
//! Whoever finds no place waits, up to a number and a time. A more urgent request takes the waiting
//! place of the least urgent one. Places that become free go to the most urgent, and among those to
//! whoever came first.

use std::collections::VecDeque;

use super::priority::Priority;

/// The ranks from the first: their names, and how much of the limit they and those behind them may
/// fill, in percent.
pub const LOAD_RANKS: [(&str, usize); Priority::COUNT] = [
    ("manifest_playing", 100),
    ("manifest", 95),
    ("segment_starving", 90),
    ("segment_live", 90),
    ("segment_playing", 85),
    ("segment_starting", 75),
    ("other", 60),
    ("ahead", 40),
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LoadSettings {
    /// Requests under way at once.
    pub requests_max: usize,
    /// The limit falls no lower under pressure.
    pub requests_min: usize,
    /// Requests that wait for a place.
    pub waiting_max: usize,
    /// The longest that one waits.
    pub wait_nanos_max: u64,
    /// Delay of work that is ready above which the limit falls; 0: it never does.
    pub delay_nanos_target: u64,
}

/// What becomes of a request that arrives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Arrival {
    /// It is under way; [`Load::finish`] when it no longer is.
    Runs,
    /// [`Load::poll`] or [`Load::expire`] will name it.
    Waits { ticket: Ticket, displaced: Option<Ticket> },
    /// Turned away at once.
    Shed,
}

/// A request that waits.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ticket(u64);

#[derive(Debug)]
struct Waiting {
    ticket: Ticket,
    since: u64,
}

#[derive(Debug)]
pub struct Load {
    settings: LoadSettings,
    /// Now, between the least and the most of the settings.
    limit: usize,
    running: usize,
    waiting: [VecDeque<Waiting>; Priority::COUNT],
    waiting_count: usize,
    tickets: u64,
}

impl Load {
    pub fn new(settings: LoadSettings) -> Self {
        Self {
            limit: settings.requests_max,
            settings,
            running: 0,
            waiting: Default::default(),
            waiting_count: 0,
            tickets: 0,
        }
    }

    /// Other settings; what is under way goes on.
    pub fn set(&mut self, settings: LoadSettings) {
        self.limit = match settings.requests_max == self.settings.requests_max {
            true => self.limit.clamp(settings.requests_min, settings.requests_max),
            false => settings.requests_max,
        };
        self.settings = settings;
    }

    pub fn limit(&self) -> usize {
        self.limit
    }

    pub fn running(&self) -> usize {
        self.running
    }

    pub fn waiting(&self) -> usize {
        self.waiting_count
    }

    /// Whether requests wait, or the processor has fallen behind.
    pub fn is_pressed(&self) -> bool {
        self.waiting_count != 0 || self.limit < self.settings.requests_max
    }

    /// Whether there is room for what nobody waits for.
    pub fn has_room_ahead(&self) -> bool {
        !self.is_pressed() && self.running < self.places(Priority::AHEAD)
    }

    pub fn arrive(&mut self, priority: Priority, now: u64) -> Arrival {
        if self.may_run(priority) {
            self.running += 1;
            return Arrival::Runs;
        }
        let mut displaced = None;
        if self.settings.waiting_max <= self.waiting_count {
            displaced = self.displace(priority);
            if displaced.is_none() {
                return Arrival::Shed;
            }
        }
        let ticket = Ticket(self.tickets);
        self.tickets += 1;
        self.waiting[priority.rank()].push_back(Waiting { ticket, since: now });
        self.waiting_count += 1;
        Arrival::Waits { ticket, displaced }
    }

    /// A request that was under way no longer is. Then [`Self::poll`].
    pub fn finish(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// The next one that no longer waits and is under way. To be asked until there is none.
    pub fn poll(&mut self) -> Option<Ticket> {
        for rank in 0..Priority::COUNT {
            if self.waiting[rank].is_empty() {
                continue;
            }
            // Whoever comes behind may fill less: where the most urgent finds no place, nobody does.
            if self.places_of_rank(rank) <= self.running {
                return None;
            }
            let waiting = self.waiting[rank].pop_front()?;
            self.waiting_count -= 1;
            self.running += 1;
            return Some(waiting.ticket);
        }
        None
    }

    /// One that gave up waiting. False when it no longer waited: it was named meanwhile.
    pub fn leave(&mut self, ticket: Ticket) -> bool {
        for queue in &mut self.waiting {
            // Tickets of a queue ascend.
            if let Ok(index) = queue.binary_search_by_key(&ticket, |waiting| waiting.ticket) {
                queue.remove(index);
                self.waiting_count -= 1;
                return true;
            }
        }
        false
    }

    /// The next one that has waited too long. To be asked until there is none.
    pub fn expire(&mut self, now: u64) -> Option<Ticket> {
        for queue in &mut self.waiting {
            let is_over = |waiting: &Waiting| {
                self.settings.wait_nanos_max <= now.saturating_sub(waiting.since)
            };
            if queue.front().is_some_and(is_over) {
                self.waiting_count -= 1;
                return queue.pop_front().map(|waiting| waiting.ticket);
            }
        }
        None
    }

    /// How long work that was ready had to wait for a processor just now. Then [`Self::poll`].
    pub fn note_delay(&mut self, delay_nanos: u64) {
        let LoadSettings { requests_max, requests_min, delay_nanos_target, .. } = self.settings;
        if delay_nanos_target == 0 {
            self.limit = requests_max;
        } else if delay_nanos_target < delay_nanos {
            // From what is really under way: a limit far above it would fall for long in vain.
            let from = self.limit.min(self.running.max(requests_min));
            self.limit = (from * 9 / 10).clamp(requests_min, requests_max);
        } else {
            let step = (self.limit / 20).max(1);
            self.limit = (self.limit + step).min(requests_max);
        }
    }

    fn may_run(&self, priority: Priority) -> bool {
        // Nobody overtakes those of the same rank, or a more urgent one, that wait.
        let is_first = self.waiting[..=priority.rank()].iter().all(VecDeque::is_empty);
        is_first && self.running < self.places(priority)
    }

    fn places(&self, priority: Priority) -> usize {
        self.places_of_share(priority.share_percent())
    }

    fn places_of_rank(&self, rank: usize) -> usize {
        self.places_of_share(LOAD_RANKS[rank].1)
    }

    fn places_of_share(&self, percent: usize) -> usize {
        (self.limit * percent / 100).max(1)
    }

    /// Ends the waiting of the least urgent one, the latest among those, if it is less urgent than
    /// `priority`.
    fn displace(&mut self, priority: Priority) -> Option<Ticket> {
        let behind = &mut self.waiting[priority.rank() + 1..];
        let waiting = behind.iter_mut().rev().find_map(VecDeque::pop_back)?;
        self.waiting_count -= 1;
        Some(waiting.ticket)
    }
}
