//! Purges, applied when an object is next looked at.
//!
//! A purge notes a stamp under what it names: a URL, a tag, a prefix. An object carries the stamp
//! that was current when its request went to the origin, so a purge costs the same whatever it
//! hits, reaches both tiers and fills under way, and never an answer that was asked for later.
//! Stamps are milliseconds of the clock, made to grow: should the log be lost, new purges still
//! outrank old objects.

use std::collections::HashMap;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::key::{CacheKey, KeyHash};
use super::policy::{Purged, StoredHead};

/// URLs and tags remembered; then the older half is forgotten and everything stored before them
/// counts as purged.
const MARKS_MAX: usize = 100_000;
/// Prefixes are compared one by one.
const PREFIXES_MAX: usize = 1_000;

/// What a purge names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Scope {
    Url(CacheKey),
    /// Host and the beginning of a path: `cdn.example/vod/film/`.
    Prefix(String),
    Tag(String),
}

/// One purge. A soft one leaves the object to be validated, and to serve when the origin fails.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Purge {
    pub scope: Scope,
    pub is_soft: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    hard: u64,
    soft: u64,
}

impl Mark {
    fn set(&mut self, stamp: u64, is_soft: bool) {
        let slot = if is_soft { &mut self.soft } else { &mut self.hard };
        *slot = stamp.max(*slot);
    }

    fn newest(self) -> u64 {
        self.hard.max(self.soft)
    }
}

#[derive(Debug, Default)]
struct Marks {
    by_hash: HashMap<KeyHash, Mark>,
    prefixes: Vec<(Box<str>, Mark)>,
    /// Everything stored before it is gone.
    floor: u64,
}

#[derive(Debug, Default)]
pub struct Purges {
    marks: RwLock<Marks>,
    /// Of the newest purge. Objects that carry it were hit by none.
    newest: AtomicU64,
}

impl Purges {
    /// What a request that goes out now gives its answer.
    pub fn stamp(&self) -> u64 {
        self.newest.load(Ordering::Acquire)
    }

    /// Notes a purge; its stamp.
    pub fn apply(&self, purge: &Purge, now: SystemTime) -> u64 {
        let clock = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let mut marks = self.marks.write().expect("no holder panics");
        let stamp = clock.max(self.newest.load(Ordering::Relaxed) + 1);
        marks.note(purge, stamp);
        self.newest.store(stamp, Ordering::Release);
        stamp
    }

    /// Notes a purge of an earlier run.
    pub fn restore(&self, purge: &Purge, stamp: u64) {
        self.marks.write().expect("no holder panics").note(purge, stamp);
        self.newest.fetch_max(stamp, Ordering::AcqRel);
    }

    pub fn restore_floor(&self, floor: u64) {
        let mut marks = self.marks.write().expect("no holder panics");
        marks.floor = marks.floor.max(floor);
        self.newest.fetch_max(floor, Ordering::AcqRel);
    }

    pub fn floor(&self) -> u64 {
        self.marks.read().expect("no holder panics").floor
    }

    /// What purges say about a stored object.
    pub fn check(&self, key: &CacheKey, head: &StoredHead) -> Purged {
        let stored = head.purge_stamp;
        if stored >= self.stamp() {
            return Purged::No;
        }
        let marks = self.marks.read().expect("no holder panics");
        if stored < marks.floor {
            return Purged::Hard;
        }
        let mut found = Mark::default();
        let mut add = |mark: &Mark| {
            found.hard = found.hard.max(mark.hard);
            found.soft = found.soft.max(mark.soft);
        };
        marks.by_hash.get(&key.hash()).map(&mut add);
        for tag in head.tags.iter() {
            marks.by_hash.get(&tag_hash(tag)).map(&mut add);
        }
        marks
            .prefixes
            .iter()
            .filter(|(prefix, _)| key.as_str().starts_with(&**prefix))
            .for_each(|(_, mark)| add(mark));
        match found {
            Mark { hard, .. } if hard > stored => Purged::Hard,
            Mark { soft, .. } if soft > stored => Purged::Soft,
            _ => Purged::No,
        }
    }
}

impl Marks {
    fn note(&mut self, purge: &Purge, stamp: u64) {
        let hash = match &purge.scope {
            Scope::Url(key) => key.hash(),
            Scope::Tag(tag) => tag_hash(tag),
            Scope::Prefix(prefix) => {
                match self.prefixes.iter_mut().find(|(known, _)| **known == **prefix) {
                    Some((_, mark)) => mark.set(stamp, purge.is_soft),
                    None => {
                        let mut mark = Mark::default();
                        mark.set(stamp, purge.is_soft);
                        self.prefixes.push((prefix.as_str().into(), mark));
                    }
                }
                return self.shrink();
            }
        };
        self.by_hash.entry(hash).or_default().set(stamp, purge.is_soft);
        self.shrink();
    }

    /// Forgets the older half when there are too many: more is purged than was asked, never less.
    fn shrink(&mut self) {
        let mut stamps: Vec<u64> = if self.by_hash.len() > MARKS_MAX {
            self.by_hash.values().map(|mark| mark.newest()).collect()
        } else if self.prefixes.len() > PREFIXES_MAX {
            self.prefixes.iter().map(|(_, mark)| mark.newest()).collect()
        } else {
            return;
        };
        let middle = stamps.len() / 2;
        let (_, floor, _) = stamps.select_nth_unstable(middle);
        self.floor = self.floor.max(*floor);
        let floor = self.floor;
        self.by_hash.retain(|_, mark| mark.newest() > floor);
        self.prefixes.retain(|(_, mark)| mark.newest() > floor);
    }
}

/// Apart from hashes of keys, which begin with a host.
fn tag_hash(tag: &str) -> KeyHash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"\0tag\0").update(tag.as_bytes());
    KeyHash::of(&hasher)
}
