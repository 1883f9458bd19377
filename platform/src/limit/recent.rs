//! Which keys were seen of late, in a table of fixed size: sessions that play, tokens that were good,
//! objects that were fetched ahead.

use std::hash::Hash;

use super::slots::Slots;

#[derive(Debug)]
pub struct Recent {
    slots: Slots,
    lifetime_nanos: u64,
}

impl Recent {
    /// Remembers about `keys_max` keys for `lifetime_nanos`; in a full set the oldest goes first.
    pub fn new(keys_max: usize, lifetime_nanos: u64) -> Self {
        Self { slots: Slots::new(keys_max), lifetime_nanos }
    }

    /// Whether `key` was noted within the lifetime.
    pub fn contains(&self, key: &(impl Hash + ?Sized), now: u64) -> bool {
        let (set, fingerprint) = self.slots.set(key);
        set.iter().any(|entry| entry.fingerprint == fingerprint && now < entry.value)
    }

    /// Notes `key`; whether it was noted before, and whether another had to go that still counted.
    pub fn note(&self, key: &(impl Hash + ?Sized), now: u64) -> Noted {
        let (mut set, fingerprint) = self.slots.set(key);
        let until = now.saturating_add(self.lifetime_nanos);
        if let Some(entry) = set.iter_mut().find(|entry| entry.fingerprint == fingerprint) {
            let was_known = now < entry.value;
            // What was forgotten on time had expired, whoever noted it again.
            let expired = !was_known && entry.value != 0;
            entry.value = until;
            return Noted { was_known, lost: expired };
        }
        let Some(oldest) = set.iter_mut().min_by_key(|entry| entry.value) else {
            return Noted { was_known: false, lost: false };
        };
        let lost = oldest.value != 0;
        (oldest.fingerprint, oldest.value) = (fingerprint, until);
        Noted { was_known: false, lost }
    }

    /// Forgets `key`; whether it was noted within the lifetime.
    pub fn take(&self, key: &(impl Hash + ?Sized), now: u64) -> bool {
        let (mut set, fingerprint) = self.slots.set(key);
        let found = set.iter_mut().find(|entry| entry.fingerprint == fingerprint);
        found.is_some_and(|entry| {
            let counts = now < entry.value;
            if counts {
                *entry = super::slots::Entry::default();
            }
            counts
        })
    }

    /// Forgets what has outlived its time; how many that were.
    pub fn expire(&self, now: u64) -> usize {
        let mut expired = 0;
        self.slots.each(|set| {
            for entry in set.iter_mut().filter(|entry| entry.value != 0 && entry.value <= now) {
                *entry = super::slots::Entry::default();
                expired += 1;
            }
        });
        expired
    }
}

/// What noting a key changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Noted {
    pub was_known: bool,
    /// An entry was lost: another's that had to go, or this key's own that had expired.
    pub lost: bool,
}
