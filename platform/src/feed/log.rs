//! What a node remembers of the facts it was told, and who can go on where.
//!
//! Positions count the facts of one run of one process from 1, and an [`Epoch`] names the run. A
//! follower that comes back within the run and within [`FACTS_MAX`] facts gets what it missed and
//! nothing else. Any other gets a snapshot: the sessions that are revoked now, which another list
//! keeps, and the purges that are remembered here, the newest [`FACTS_MAX`]. Purges outlive a run in a
//! file of the caller's; how far back they go is told with the snapshot ([`FactLog::since_ms`]), so
//! that a follower which was away for longer knows that it can't know.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::fact::{Event, Fact, FactId};

/// Facts that a follower can be behind before it needs a snapshot, and purges that are remembered.
pub const FACTS_MAX: usize = 8_192;

/// Names one run of one process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Epoch(pub FactId);

/// The last fact of a source that a follower has taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cursor {
    pub epoch: Epoch,
    pub position: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch.0, self.position)
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (epoch, position) = text.split_once('-').ok_or("is EPOCH-POSITION")?;
        // One cursor has one form: no sign, no leading zero.
        let is_plain = position == "0"
            || (!position.starts_with('0') && position.bytes().all(|byte| byte.is_ascii_digit()));
        let position = position.parse().ok().filter(|_| is_plain).ok_or("ends with a number")?;
        Ok(Self { epoch: Epoch(epoch.parse()?), position })
    }
}

/// Where a follower goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resume {
    /// Behind this position: nothing was missed.
    After(u64),
    Snapshot,
}

/// A follower asked for facts that are no longer held one by one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the follower is more than {FACTS_MAX} facts behind")]
pub struct FellBehind;

/// A purge with the time at which it came into this log.
#[derive(Clone, Debug)]
pub struct LoggedPurge {
    pub logged_ms: u64,
    pub event: Arc<Event>,
}

#[derive(Debug)]
pub struct FactLog {
    epoch: Epoch,
    /// Position of the newest fact.
    head: u64,
    recent: VecDeque<Arc<Event>>,
    purges: VecDeque<LoggedPurge>,
    /// Ids of what is in `recent` or `purges`.
    known: HashSet<FactId>,
    since_ms: u64,
    /// Never goes back, whatever the clock does: `since_ms` is compared with it.
    clock_ms: u64,
    /// Of `recent` and of `purges` each; what falls out of both is no longer known.
    facts_max: usize,
}

impl FactLog {
    /// A log that knows of every purge since `since_ms`, of which it has to be told now
    /// ([`Self::restore`]).
    pub fn new(epoch: Epoch, since_ms: u64) -> Self {
        Self::with_limit(epoch, since_ms, FACTS_MAX)
    }

    pub(super) fn with_limit(epoch: Epoch, since_ms: u64, facts_max: usize) -> Self {
        Self {
            epoch,
            head: 0,
            recent: VecDeque::new(),
            purges: VecDeque::new(),
            known: HashSet::new(),
            since_ms,
            clock_ms: since_ms,
            facts_max,
        }
    }

    /// Takes a purge of an earlier run; false if it was there.
    pub fn restore(&mut self, event: Event, logged_ms: u64) -> bool {
        if !matches!(event.fact, Fact::CachePurged { .. }) || !self.known.insert(event.id) {
            return false;
        }
        self.clock_ms = self.clock_ms.max(logged_ms);
        self.remember(Arc::new(event), logged_ms);
        true
    }

    /// Takes a new fact; its position, or none when its id was taken before.
    pub fn append(&mut self, event: Event, now_ms: u64) -> Option<u64> {
        if !self.known.insert(event.id) {
            return None;
        }
        self.clock_ms = self.clock_ms.max(now_ms);
        self.head += 1;
        let event = Arc::new(event);
        self.recent.push_back(Arc::clone(&event));
        if self.facts_max < self.recent.len()
            && let Some(old) = self.recent.pop_front()
            && !matches!(old.fact, Fact::CachePurged { .. })
        {
            self.known.remove(&old.id);
        }
        if matches!(event.fact, Fact::CachePurged { .. }) {
            let logged_ms = self.clock_ms;
            self.remember(event, logged_ms);
        }
        Some(self.head)
    }

    fn remember(&mut self, event: Arc<Event>, logged_ms: u64) {
        self.purges.push_back(LoggedPurge { logged_ms, event });
        if self.facts_max < self.purges.len()
            && let Some(old) = self.purges.pop_front()
        {
            self.since_ms = self.since_ms.max(old.logged_ms);
            // As many facts are recent as purges are remembered, so it is in neither.
            self.known.remove(&old.event.id);
        }
    }

    pub fn knows(&self, id: FactId) -> bool {
        self.known.contains(&id)
    }

    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Position of the newest fact; 0 before the first.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// Every purge that came into this log later is remembered.
    pub fn since_ms(&self) -> u64 {
        self.since_ms
    }

    /// The time as it is told to followers: facts of this log are no younger, and later ones no
    /// older.
    pub fn now_ms(&mut self, clock_ms: u64) -> u64 {
        self.clock_ms = self.clock_ms.max(clock_ms);
        self.clock_ms
    }

    pub fn resume(&self, cursor: Option<Cursor>) -> Resume {
        match cursor {
            Some(Cursor { epoch, position })
                if epoch == self.epoch && self.is_held_after(position) =>
            {
                Resume::After(position)
            }
            _ => Resume::Snapshot,
        }
    }

    fn is_held_after(&self, position: u64) -> bool {
        position <= self.head && self.head - position <= self.recent.len() as u64
    }

    /// Up to `facts_max` facts behind `position`, each with its own.
    ///
    /// # Errors
    /// When some are no longer held, or the position never was.
    pub fn after(
        &self,
        position: u64,
        facts_max: usize,
    ) -> Result<Vec<(u64, Arc<Event>)>, FellBehind> {
        if !self.is_held_after(position) {
            return Err(FellBehind);
        }
        let missed = (self.head - position) as usize;
        let facts = self.recent.iter().skip(self.recent.len() - missed).take(facts_max);
        Ok((position + 1..).zip(facts.cloned()).collect())
    }

    /// The purges of a snapshot, oldest first.
    pub fn purges(&self) -> Vec<LoggedPurge> {
        self.purges.iter().cloned().collect()
    }
}
