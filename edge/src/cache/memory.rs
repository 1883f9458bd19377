//! The memory tier: two pools with bounds and rules of their own.
//!
//! Frequency admission keeps a title that is watched often from being pushed out by one that is
//! watched once, and for the same reason turns away every segment of a live channel, which nobody
//! has asked for yet. So answers that are fresh for a short time have a pool where everything is
//! admitted and the least recently used goes, and the rest has one that admits by frequency. A live
//! segment says that it stays fresh for a year, which is true, and yet nobody wants it a minute
//! later: what lies under a path of live channels has its place among the live ones.

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
    live_prefixes: Vec<String>,
}

impl MemoryTier {
    pub(super) fn new(
        live_bytes: u64,
        vod_bytes: u64,
        live_lifetime_max: Duration,
        live_prefixes: Vec<String>,
    ) -> Self {
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
        Self { live, vod, live_lifetime_max, live_prefixes }
    }

    pub(super) fn pool(&self, object: &Object) -> Pool {
        let target = object.key.target();
        let is_live = object.head.lifetime <= self.live_lifetime_max
            || self.live_prefixes.iter().any(|prefix| target.starts_with(prefix));
        if is_live { Pool::Live } else { Pool::Vod }
    }

    pub(super) fn get(&self, hash: &KeyHash) -> Option<Arc<Object>> {
        self.vod.get(hash).or_else(|| self.live.get(hash))
    }

    /// Puts an object into its pool, and out of the other one.
    pub(super) fn insert(&self, object: Arc<Object>) {
        match self.pool(&object) {
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

    /// Names of objects that a test holds for. It sees those that are there throughout.
    pub(super) fn find(&self, is_wanted: impl Fn(&Object) -> bool) -> Vec<KeyHash> {
        let vod = self.vod.iter().filter(|(_, object)| is_wanted(object)).map(|(hash, _)| hash);
        let mut found: Vec<_> = vod.collect();
        let live = self.live.iter().filter(|(_, object)| is_wanted(object));
        found.extend(live.map(|(hash, _)| *hash));
        found
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
        let tier =
            MemoryTier::new(MIB, 16 * MIB, Duration::from_secs(60), vec!["/live/".to_owned()]);
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
        let tier =
            MemoryTier::new(MIB, 16 * MIB, Duration::from_secs(60), vec!["/live/".to_owned()]);
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

    /// Fetches a live segment costs while titles are watched around it: channels with viewers up to
    /// half a minute apart, segments that are fresh for a year, ten titles watched once for each
    /// viewer of a channel.
    fn live_fetches_a_segment(live_prefixes: &[&str]) -> f64 {
        const CHANNELS: usize = 20;
        const SEGMENTS: usize = 40;
        /// Viewers of a channel, by how many segments they are behind the first one.
        const BEHIND: [usize; 6] = [0, 0, 1, 2, 3, 5];
        let prefixes = live_prefixes.iter().map(|&prefix| prefix.to_owned()).collect();
        let tier = MemoryTier::new(24 * MIB, 48 * MIB, Duration::from_secs(60), prefixes);
        let immutable = "max-age=31536000, immutable";
        let mut fetches = 0;
        let mut ask = |target: &str| {
            let wanted = object(target, immutable);
            if tier.get(&wanted.hash).is_none() {
                fetches += usize::from(target.starts_with("/live/"));
                tier.insert(wanted);
            }
        };
        let mut title = 0;
        for now in 0..SEGMENTS + BEHIND[BEHIND.len() - 1] {
            for channel in 0..CHANNELS {
                for behind in BEHIND {
                    if let Some(segment) = now.checked_sub(behind).filter(|s| *s < SEGMENTS) {
                        ask(&format!("/live/{channel}/{segment}.m4s"));
                    }
                    for _ in 0..10 {
                        // A third of what is asked for is asked for by many.
                        title += 1;
                        match title % 3 {
                            0 => ask(&format!("/vod/popular/{}.m4s", title % 200)),
                            _ => ask(&format!("/vod/{title}/1.m4s")),
                        }
                    }
                }
            }
        }
        fetches as f64 / (CHANNELS * SEGMENTS) as f64
    }

    #[test]
    fn a_live_segment_is_fetched_once_whatever_it_says_of_its_lifetime() {
        let apart = live_fetches_a_segment(&["/live/"]);
        assert!(apart <= 1.02, "{apart}");
        let together = live_fetches_a_segment(&[]);
        assert!(together > 1.2, "the simulation tells good from bad: {together}");
    }

    #[test]
    fn an_object_lies_in_one_pool() {
        let tier =
            MemoryTier::new(MIB, 16 * MIB, Duration::from_secs(60), vec!["/live/".to_owned()]);
        for freshness in ["max-age=6", "max-age=86400", "max-age=6"] {
            let object = object("/a", freshness);
            tier.insert(object.clone());
            assert!(Arc::ptr_eq(&tier.get(&object.hash).unwrap(), &object));
        }
        tier.remove(&object("/a", "").hash);
        assert!(tier.get(&object("/a", "").hash).is_none());
    }
}
