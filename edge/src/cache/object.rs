//! A whole answer in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::key::{CacheKey, KeyHash};
use super::pieces::Pieces;
use super::policy::StoredHead;
use super::slices::Slice;
use super::tags::TagCounters;

#[derive(Debug)]
pub struct Object {
    pub key: CacheKey,
    /// Key and selecting values in one, and the number of a slice.
    pub hash: KeyHash,
    pub head: StoredHead,
    pub body: Arc<Pieces>,
    /// Whoever made the answer has its bytes on a disk of this machine already.
    pub keep_off_disk: bool,
    pub counters: Vec<Arc<TagCounters>>,
    /// The body is a slice; key and head are the whole's.
    pub slice: Option<Slice>,
    hits: AtomicU64,
    is_on_disk: AtomicBool,
}

impl Object {
    pub fn new(
        key: CacheKey,
        head: StoredHead,
        body: Arc<Pieces>,
        counters: Vec<Arc<TagCounters>>,
    ) -> Self {
        let hash = key.variant_hash(&head.selecting);
        Self {
            key,
            hash,
            head,
            body,
            keep_off_disk: false,
            counters,
            slice: None,
            hits: AtomicU64::new(0),
            is_on_disk: AtomicBool::new(false),
        }
    }

    /// The same bytes under a head that was validated.
    pub fn with_head(&self, head: StoredHead) -> Self {
        Self {
            keep_off_disk: self.keep_off_disk,
            hash: self.hash,
            slice: self.slice.clone(),
            ..Self::new(self.key.clone(), head, self.body.clone(), self.counters.clone())
        }
    }

    /// Slices have names of their own, and stay in memory.
    pub fn into_slice(self, hash: KeyHash, slice: Slice) -> Self {
        Self { hash, slice: Some(slice), keep_off_disk: true, ..self }
    }

    /// Counts a hit; the number of earlier ones.
    pub fn count_hit(&self) -> u64 {
        for counters in &self.counters {
            counters.hits.fetch_add(1, Ordering::Relaxed);
        }
        self.hits.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether it may go to disk, and nobody has taken it there.
    pub fn wants_disk(&self) -> bool {
        !self.keep_off_disk && !self.is_on_disk.load(Ordering::Relaxed)
    }

    /// After a write that came to nothing: a later one may try again.
    pub fn unclaim_disk(&self) {
        self.is_on_disk.store(false, Ordering::Relaxed);
    }

    /// True for the first caller only, who then writes it.
    pub fn claim_disk(&self) -> bool {
        !self.keep_off_disk && !self.is_on_disk.swap(true, Ordering::Relaxed)
    }

    pub fn weight_bytes(&self) -> u64 {
        self.body.len_bytes() + self.head.weight_bytes() as u64 + self.key.as_str().len() as u64
    }
}
