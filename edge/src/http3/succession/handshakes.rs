//! Ids that clients chose for connections whose handshake may still be under way.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

/// How long an id is remembered: longer than handshakes may take by default.
pub(super) const REMEMBERED: Duration = Duration::from_secs(30);

/// Ids that are remembered; beyond, the oldest go.
pub(super) const IDS_MAX: usize = 4_096;

/// Names of ids with the time at which each was seen first, the oldest in front.
#[derive(Debug, Default)]
pub(super) struct Handshakes {
    seen: VecDeque<(Instant, u64)>,
    names: HashSet<u64>,
}

impl Handshakes {
    pub(super) fn note(&mut self, name: u64, now: Instant) {
        if !self.names.insert(name) {
            return;
        }
        self.seen.push_back((now, name));
        while let Some((at, name)) = self.seen.front()
            && (IDS_MAX < self.seen.len() || REMEMBERED < now.saturating_duration_since(*at))
        {
            self.names.remove(name);
            self.seen.pop_front();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    pub(super) fn has(&self, name: u64) -> bool {
        self.names.contains(&name)
    }

    /// Those that were seen of late.
    pub(super) fn names(&self, now: Instant) -> Vec<u64> {
        let of_late = |at: &Instant| now.saturating_duration_since(*at) <= REMEMBERED;
        self.seen.iter().filter(|(at, _)| of_late(at)).map(|(_, name)| *name).collect()
    }
}
