//! A whole answer in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::key::{CacheKey, KeyHash};
use super::pieces::Pieces;
use super::policy::StoredHead;
use super::tags::TagCounters;

#[derive(Debug)]
pub struct Object {
    pub key: CacheKey,
    /// Key and selecting values in one.
    pub hash: KeyHash,
    pub head: StoredHead,
    pub body: Arc<Pieces>,
    /// Whoever made the answer has its bytes on a disk of this machine already.
    pub keep_off_disk: bool,
    pub counters: Vec<Arc<TagCounters>>,
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
            hits: AtomicU64::new(0),
            is_on_disk: AtomicBool::new(false),
        }
    }

    /// The same bytes under a head that was validated.
    pub fn with_head(&self, head: StoredHead) -> Self {
        Self {
            keep_off_disk: self.keep_off_disk,
            ..Self::new(self.key.clone(), head, self.body.clone(), self.counters.clone())
        }
    }

    /// Counts a hit; the number of earlier ones.
    pub fn count_hit(&self) -> u64 {
        for counters in &self.counters {
            counters.hits.fetch_add(1, Ordering::Relaxed);
        }
        self.hits.fetch_add(1, Ordering::Relaxed)
    }

    /// True for the first caller only, who then writes it.
    pub fn claim_disk(&self) -> bool {
        !self.keep_off_disk && !self.is_on_disk.swap(true, Ordering::Relaxed)
    }

    pub fn weight_bytes(&self) -> u64 {
        self.body.len_bytes() + self.head.weight_bytes() as u64 + self.key.as_str().len() as u64
    }
}
