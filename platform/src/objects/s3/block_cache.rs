//! Blocks of remote objects in memory, and the fetches under way.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::super::{ObjectError, ObjectMetrics};
use super::run::Run;

/// Size of a block. A segment of video is some twenty, one of audio less than one; what is read
/// beyond the ends of a range is at most two.
pub(super) const BLOCK_BYTES: u64 = 256 * 1024;

/// What a block costs beside its bytes: key, hash table, list nodes.
const ENTRY_BYTES: u32 = 256;

/// One version of one object.
#[derive(Debug, Eq, Hash, PartialEq)]
pub(super) struct ObjectId {
    pub(super) key: String,
    pub(super) etag: String,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct BlockKey {
    object: Arc<ObjectId>,
    index: u64,
}

/// Least recently used blocks go first. Frequency, which serves a cache of titles better, would
/// refuse a block that was just fetched ahead of its first use.
#[derive(Debug)]
pub(super) struct BlockCache {
    ready: Cache<BlockKey, Bytes>,
    under_way: Mutex<HashMap<BlockKey, Place>>,
    metrics: ObjectMetrics,
}

/// Where in a run a block will arrive.
#[derive(Clone, Debug)]
struct Place {
    run: Arc<Run>,
    position: usize,
}

/// A block that is there, or on its way.
#[derive(Debug)]
pub(super) enum Slot {
    Ready(Bytes),
    Joined { run: Arc<Run>, position: usize },
}

/// A run that nobody fetches yet: whoever got it must.
#[derive(Debug)]
pub(super) struct Missing {
    pub(super) blocks: Range<u64>,
    pub(super) run: Arc<Run>,
}

impl BlockCache {
    pub(super) fn new(max_bytes: u64, metrics: ObjectMetrics) -> Self {
        let ready = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(|_, block: &Bytes| {
                u32::try_from(block.len()).unwrap_or(u32::MAX).saturating_add(ENTRY_BYTES)
            })
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { ready, under_way: Mutex::new(HashMap::new()), metrics }
    }

    /// The blocks at `indexes` (ascending), and the runs that must be fetched for them.
    ///
    /// Looking up and entering happen under one lock, so that of all who miss a block one fetches.
    pub(super) fn look_up(
        &self,
        object: &Arc<ObjectId>,
        indexes: impl Iterator<Item = u64>,
    ) -> (Vec<Slot>, Vec<Missing>) {
        let mut under_way = self.lock();
        let mut slots = Vec::new();
        let mut missing: Vec<Missing> = Vec::new();
        for index in indexes {
            let key = BlockKey { object: Arc::clone(object), index };
            if let Some(block) = self.ready.get(&key) {
                self.metrics.block_hits.inc();
                slots.push(Slot::Ready(block));
                continue;
            }
            if let Some(Place { run, position }) = under_way.get(&key).cloned() {
                self.metrics.block_joins.inc();
                slots.push(Slot::Joined { run, position });
                continue;
            }
            self.metrics.block_misses.inc();
            let run = match missing.last_mut() {
                Some(last) if last.blocks.end == index => {
                    last.blocks.end += 1;
                    Arc::clone(&last.run)
                }
                _ => {
                    let run = Arc::new(Run::new());
                    missing.push(Missing { blocks: index..index + 1, run: Arc::clone(&run) });
                    run
                }
            };
            let first = missing.last().map_or(index, |last| last.blocks.start);
            let position = usize::try_from(index - first).unwrap_or(usize::MAX);
            under_way.insert(key, Place { run: Arc::clone(&run), position });
            slots.push(Slot::Joined { run, position });
        }
        (slots, missing)
    }

    /// Whether a block is there or on its way, without counting as a use of it.
    pub(super) fn knows(&self, object: &Arc<ObjectId>, index: u64) -> bool {
        let key = BlockKey { object: Arc::clone(object), index };
        self.lock().contains_key(&key) || self.ready.contains_key(&key)
    }

    /// A block of a run has arrived.
    pub(super) fn arrived(&self, object: &Arc<ObjectId>, index: u64, run: &Run, block: Bytes) {
        let key = BlockKey { object: Arc::clone(object), index };
        // First there, then no longer on its way: whoever looks finds it in one of the two.
        self.ready.insert(key.clone(), block.clone());
        self.lock().remove(&key);
        run.arrive(block);
    }

    /// The blocks `left` of a run will not arrive. They can be asked for again.
    pub(super) fn failed(
        &self,
        object: &Arc<ObjectId>,
        left: Range<u64>,
        run: &Run,
        failure: ObjectError,
    ) {
        let mut under_way = self.lock();
        for index in left {
            under_way.remove(&BlockKey { object: Arc::clone(object), index });
        }
        drop(under_way);
        run.fail(failure);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BlockKey, Place>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    pub(super) async fn block(&self) -> Result<Bytes, ObjectError> {
        match self {
            Self::Ready(block) => Ok(block.clone()),
            Self::Joined { run, position } => run.block(*position).await,
        }
    }
}
