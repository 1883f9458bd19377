//! Tokens that may be shown once (CTA-5007, `catreplay`), by their ids.
//!
//! An id is remembered until its token expires. The memory is this process's own: it ends with it,
//! and another edge has another.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::sync::{Mutex, PoisonError};

/// Tokens that are remembered at a time; some 100 bytes each.
pub const REPLAYS_MAX: usize = 200_000;

type Id = [u8; 16];

/// There are too many unexpired ones: whether this is the first time can't be told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Full;

/// The tokens that have been shown.
#[derive(Debug)]
pub struct Replays {
    known: Mutex<Known>,
    count_max: usize,
}

#[derive(Debug, Default)]
struct Known {
    ids: HashSet<Id>,
    /// The soonest to end first.
    by_end: BinaryHeap<Reverse<(u64, Id)>>,
}

impl Default for Replays {
    fn default() -> Self {
        Self::with_room(REPLAYS_MAX)
    }
}

impl Replays {
    fn with_room(count_max: usize) -> Self {
        Self { known: Mutex::default(), count_max }
    }

    /// Whether the token was not shown before; from now on it was.
    ///
    /// # Errors
    /// When there is no room for another one.
    pub fn is_first(
        &self,
        key_id: &str,
        token_id: &str,
        expires_at: u64,
        now: u64,
    ) -> Result<bool, Full> {
        let id = id_of(key_id, token_id);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(Reverse((end, ended))) = known.by_end.peek().copied()
            && end <= now
        {
            known.by_end.pop();
            known.ids.remove(&ended);
        }
        if known.ids.contains(&id) {
            return Ok(false);
        }
        if self.count_max <= known.ids.len() {
            return Err(Full);
        }
        known.ids.insert(id);
        known.by_end.push(Reverse((expires_at, id)));
        Ok(true)
    }
}

fn id_of(key_id: &str, token_id: &str) -> Id {
    let mut hasher = blake3::Hasher::new();
    // The length keeps two pairs apart that read alike when put together.
    hasher.update(&(key_id.len() as u64).to_be_bytes());
    hasher.update(key_id.as_bytes());
    hasher.update(token_id.as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_first_once() {
        let replays = Replays::with_room(2);
        assert_eq!(replays.is_first("k", "a", 100, 10), Ok(true));
        assert_eq!(replays.is_first("k", "a", 100, 10), Ok(false));
        assert_eq!(replays.is_first("k", "a", 100, 99), Ok(false));
        // Other keys may give the same ids.
        assert_eq!(replays.is_first("ka", "", 50, 10), Ok(true));
        // Nothing that lives is forgotten for something new.
        assert_eq!(replays.is_first("k", "b", 100, 10), Err(Full));
        assert_eq!(replays.is_first("k", "a", 100, 10), Ok(false), "known ones are told when full");
        // What has expired is refused elsewhere, and makes room here.
        assert_eq!(replays.is_first("k", "b", 200, 50), Ok(true));
        assert_eq!(replays.is_first("k", "c", 200, 50), Err(Full));
        assert_eq!(replays.is_first("k", "c", 200, 100), Ok(true));
        let known = replays.known.lock().unwrap();
        assert_eq!((known.ids.len(), known.by_end.len()), (2, 2));
    }
}
