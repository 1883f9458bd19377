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

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::*;
    use crate::cache::key::CacheKey;
    use crate::cache::pieces::Pieces;
    use crate::cache::policy::{Policy, StoredHead};

    const MIB: u64 = 1 << 20;

    fn object(target: &str, freshness: &'static str) -> Arc<Object> {
        let mut headers = HeaderMap::new();
        headers.insert("cache-control", HeaderValue::from_static(freshness));
        let times = (UNIX_EPOCH, UNIX_EPOCH);
        let policy = Policy::default();
        let head = StoredHead::new(StatusCode::OK, headers, times, Vec::new(), 0, &policy);
        let body: Pieces = [Bytes::from(vec![0; 100_000])].into_iter().collect();
        let key = CacheKey::new("a", target, &[]).unwrap();
        Arc::new(Object::new(key, head, Arc::new(body), Vec::new()))
    }

    #[test]
    fn live_objects_are_always_admitted_and_the_oldest_goes() {
        let tier = MemoryTier::new(MIB, 16 * MIB, Duration::from_secs(60));
        // A crowd of titles, each used often, and then live segments that nobody has asked for.
        for round in 0..20 {
            for number in 0..100 {
                let title = object(&format!("/vod/{number}"), "max-age=86400");
                if round == 0 {
                    tier.insert(title.clone());
                }
                tier.get(&title.hash);
            }
        }
        for number in 0..200 {
            let segment = object(&format!("/live/{number}"), "max-age=6");
            tier.insert(segment.clone());
            assert!(tier.get(&segment.hash).is_some(), "{number}");
        }
        let (live_bytes, vod_bytes) = tier.bytes();
        assert!(live_bytes <= MIB && live_bytes > MIB / 2, "{live_bytes}");
        assert!(vod_bytes > 9_000_000, "titles keep their place: {vod_bytes}");
        assert!(tier.get(&object("/live/199", "").hash).is_some());
        assert!(tier.get(&object("/live/0", "").hash).is_none());
    }

    #[test]
    fn what_is_watched_once_leaves_what_is_watched_often() {
        let tier = MemoryTier::new(MIB, 16 * MIB, Duration::from_secs(60));
        let often: Vec<_> =
            (0..50).map(|number| object(&format!("/often/{number}"), "max-age=86400")).collect();
        let mut misses = 0;
        for number in 0..3_000 {
            let once = object(&format!("/once/{number}"), "max-age=86400");
            tier.insert(once);
            let wanted = &often[number % often.len()];
            if tier.get(&wanted.hash).is_none() {
                misses += 1;
                tier.insert(wanted.clone());
            }
        }
        let (_, vod_bytes) = tier.bytes();
        assert!(vod_bytes <= 16 * MIB);
        assert!(misses < 300, "{misses} of 3000");
    }

    #[test]
    fn an_object_lies_in_one_pool() {
        let tier = MemoryTier::new(MIB, 16 * MIB, Duration::from_secs(60));
        for freshness in ["max-age=6", "max-age=86400", "max-age=6"] {
            let object = object("/a", freshness);
            tier.insert(object.clone());
            assert!(Arc::ptr_eq(&tier.get(&object.hash).unwrap(), &object));
        }
        tier.remove(&object("/a", "").hash);
        assert!(tier.get(&object("/a", "").hash).is_none());
    }
}
