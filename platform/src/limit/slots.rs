//! A table of fixed size, in sets of eight entries, by keyed hashes.
//!
//! Memory is bounded because all of it is taken at the start. Which set a key falls into depends on
//! a secret of this process (SipHash under the system's random numbers), so that nobody can aim at
//! the set of another.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Entries of one set: two cache lines.
pub(super) const SET_ENTRIES: usize = 8;

/// A key's fingerprint, never 0 where the entry is taken, and its value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry {
    pub(super) fingerprint: u64,
    pub(super) value: u64,
}

pub(super) type Set = [Entry; SET_ENTRIES];

#[derive(Debug)]
pub(super) struct Slots {
    sets: Box<[Mutex<Set>]>,
    secret: RandomState,
}

impl Slots {
    /// Room for `entries_max` entries, rounded up to whole sets.
    pub(super) fn new(entries_max: usize) -> Self {
        let sets = entries_max.div_ceil(SET_ENTRIES).max(1);
        let sets = (0..sets).map(|_| Mutex::new(Set::default())).collect();
        Self { sets, secret: RandomState::new() }
    }

    /// The set that `key` belongs to, and what it is known by there.
    pub(super) fn set(&self, key: &(impl Hash + ?Sized)) -> (MutexGuard<'_, Set>, u64) {
        let hash = self.secret.hash_one(key);
        // The upper half chooses the set, scaled instead of divided.
        let index = ((hash >> 32) * self.sets.len() as u64) >> 32;
        (self.lock(index as usize), hash.max(1))
    }

    /// One set after the other, for looking through all of them.
    pub(super) fn each(&self, mut look: impl FnMut(&mut Set)) {
        for index in 0..self.sets.len() {
            look(&mut self.lock(index));
        }
    }

    fn lock(&self, index: usize) -> MutexGuard<'_, Set> {
        // No holder panics; and values of any panic's time are as good as any.
        self.sets[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
