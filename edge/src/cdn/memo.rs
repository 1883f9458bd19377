//! What has been verified lately.
//!
//! RSA, Ed25519 and P-256 take 16 to 60 µs; a viewer asks for a segment every few seconds with the
//! same token. A signature that was right is remembered as a hash of key, algorithm, message and
//! signature; everything else about a request is checked each time. Wrong signatures are not
//! remembered: they are free to make, and would push the right ones out. Compiled expressions are
//! remembered likewise, and only out of tokens whose signature was right.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use regex::Regex;

use super::keys::Algorithm;
use super::pattern;
use super::refusal::Refusal;

/// Signatures that are remembered: 32 bytes each.
pub const SIGNATURES_MAX: usize = 64 << 10;
/// Compiled expressions that are remembered.
pub const EXPRESSIONS_MAX: usize = 256;
const SHARDS: usize = 64;
const SLOTS: usize = SIGNATURES_MAX / SHARDS;

type Entry = [u8; 32];

pub(super) struct Memo {
    /// Each entry has one place, and whoever comes later takes it.
    signatures: [Mutex<Vec<Entry>>; SHARDS],
    expressions: Mutex<HashMap<String, Regex>>,
}

impl Default for Memo {
    fn default() -> Self {
        let signatures = std::array::from_fn(|_| Mutex::new(Vec::new()));
        Self { signatures, expressions: Mutex::default() }
    }
}

impl std::fmt::Debug for Memo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memo")
    }
}

impl Memo {
    /// `place` of a key among those of its set, which this memo belongs to.
    pub(super) fn entry(
        place: usize,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Entry {
        let mut context = Context::new(&SHA256);
        context.update(&(place as u64).to_be_bytes());
        context.update(&[algorithm as u8]);
        for part in [message, signature] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    pub(super) fn knows(&self, entry: &Entry) -> bool {
        let (shard, slot) = place(entry);
        locked(&self.signatures[shard]).get(slot) == Some(entry)
    }

    pub(super) fn remember(&self, entry: Entry) {
        let (shard, slot) = place(&entry);
        let mut entries = locked(&self.signatures[shard]);
        if entries.is_empty() {
            entries.resize(SLOTS, [0; 32]);
        }
        entries[slot] = entry;
    }

    /// A compiled expression of a token whose signature is right.
    pub(super) fn whole_regex(&self, field: &'static str, text: &str) -> Result<Regex, Refusal> {
        if let Some(known) = locked(&self.expressions).get(text) {
            return Ok(known.clone());
        }
        let compiled = pattern::whole_regex(field, text)?;
        let mut expressions = locked(&self.expressions);
        if expressions.len() >= EXPRESSIONS_MAX {
            expressions.clear();
        }
        expressions.insert(text.to_owned(), compiled.clone());
        Ok(compiled)
    }
}

fn place(entry: &Entry) -> (usize, usize) {
    let slot = usize::from(u16::from_be_bytes([entry[1], entry[2]])) % SLOTS;
    (usize::from(entry[0]) % SHARDS, slot)
}

/// Nothing here can be left half done, so a panic elsewhere spoils nothing.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
