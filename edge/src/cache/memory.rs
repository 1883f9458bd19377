//! The memory tier: two pools with bounds and rules of their own.
//!
//! Frequency admission keeps a title that is watched often from being pushed out by one that is
//! watched once, and for the same reason turns away every segment of a live channel, which nobody
//! has asked for yet. So answers that are fresh for a short time have a pool where everything is
//! admitted and the least recently used goes, and the rest has one that admits by frequency.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::{Cache as FrequencyCache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::key::KeyHash;
use super::object::Object;

/// What an object is expected to weigh, to size the table of ghosts.
const OBJECT_BYTES_USUAL: u64 = 256 * 1024;
/// An object takes an eighth of its pool at most: pools are divided into as many shards, and one
/// that fills a shard would empty it.
pub(super) const SHARDS: usize = 8;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pool {
    Live,
    Vod,
}

#[derive(Clone)]
struct Weigh;

impl Weighter<KeyHash, Arc<Object>> for Weigh {
    fn weight(&self, _: &KeyHash, object: &Arc<Object>) -> u64 {
        object.weight_bytes()
    }
}

pub(super) struct MemoryTier {
    live: moka::sync::Cache<KeyHash, Arc<Object>>,
    vod: FrequencyCache<KeyHash, Arc<Object>, Weigh>,
    live_lifetime_max: Duration,
}

impl MemoryTier {
    pub(super) fn new(live_bytes: u64, vod_bytes: u64, live_lifetime_max: Duration) -> Self {
        let live = moka::sync::Cache::builder()
            .max_capacity(live_bytes)
            .weigher(|_: &KeyHash, object: &Arc<Object>| {
                u32::try_from(object.weight_bytes()).unwrap_or(u32::MAX)
            })
            .eviction_policy(moka::policy::EvictionPolicy::lru())
            .build();
        let items = (vod_bytes / OBJECT_BYTES_USUAL).clamp(1024, 1 << 20) as usize;
        let options = OptionsBuilder::new()
            .shards(SHARDS)
            .estimated_items_capacity(items)
            .weight_capacity(vod_bytes)
            .build()
            .expect("capacity and items are given");
        let vod = FrequencyCache::with_options(
            options,
            Weigh,
            DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        );
        Self { live, vod, live_lifetime_max }
    }

    pub(super) fn pool(&self, lifetime: Duration) -> Pool {
        if lifetime <= self.live_lifetime_max { Pool::Live } else { Pool::Vod }
    }

    pub(super) fn get(&self, hash: &KeyHash) -> Option<Arc<Object>> {
        self.vod.get(hash).or_else(|| self.live.get(hash))
    }

    /// Puts an object into its pool, and out of the other one.
    pub(super) fn insert(&self, object: Arc<Object>) {
        match self.pool(object.head.lifetime) {
            Pool::Live => {
                self.vod.remove(&object.hash);
                self.live.insert(object.hash, object);
            }
            Pool::Vod => {
                self.live.invalidate(&object.hash);
                self.vod.insert(object.hash, object);
            }
        }
    }

    pub(super) fn remove(&self, hash: &KeyHash) {
        self.vod.remove(hash);
        self.live.invalidate(hash);
    }

    /// Bytes of the live pool and the other one.
    pub(super) fn bytes(&self) -> (u64, u64) {
        self.live.run_pending_tasks();
        (self.live.weighted_size(), self.vod.weight())
    }
}
