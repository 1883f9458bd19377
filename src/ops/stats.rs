//! What a server is doing, as one JSON document for people and scripts. What is watched over time
//! is at `/metrics`.

use std::sync::{Arc, Mutex, PoisonError};

use edge::cache::{Cache, TagRow};
use edge::upstream::Upstreams;
use edge::upstream::breaker::BreakerState;
use serde_json::{Map, Value, json};

use super::{Answered, Ops, count_parameter, drain, json};

/// Rows of hits by tag in one answer; as many as are counted apart, and the one for the others.
const TAGS_MAX: usize = 10_001;

type Count = Box<dyn Fn() -> usize + Send + Sync>;

/// Tells the open connections of each listener. Clones are one.
#[derive(Clone, Default)]
pub struct ConnectionCounts(Arc<Mutex<Vec<(&'static str, Count)>>>);

impl ConnectionCounts {
    pub fn add(&self, name: &'static str, count: impl Fn() -> usize + Send + Sync + 'static) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((name, Box::new(count)));
    }

    fn values(&self) -> Map<String, Value> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(name, count)| ((*name).to_owned(), count().into())).collect()
    }
}

/// `GET /stats?tags=N`: everything, with the N most used tags.
pub(super) fn stats(ops: &Ops, query: &str) -> Answered {
    let tags_max = count_parameter(query, "tags", TAGS_MAX)?;
    let cache = ops.backend.cache();
    Ok(json(&json!({
        "ready": ops.readiness.get(),
        "drain": drain::value(ops),
        "connections": ops.connections.values(),
        "cache": cache.map(|cache| cache_value(cache, tags_max)),
        "upstreams": cache.map(|cache| upstreams_value(cache.fetch())),
        "feed": {
            "facts": ops.feed.head(),
            "followers": ops.feed.followers(),
            "sources": ops.feed.sources(),
            "revoked_sessions": ops.feed.revocations().len(),
        },
    })))
}

fn cache_value(cache: &Cache<Upstreams>, tags_max: usize) -> Value {
    cache.show();
    let (metrics, settings) = (cache.metrics(), cache.settings());
    let tags = cache.tag_rows();
    let tag = |row: &TagRow| {
        json!({
            "tag": row.tag,
            "hits": row.hits,
            "misses": row.misses,
            "filled_bytes": row.filled_bytes,
        })
    };
    json!({
        "memory": {
            "live_bytes": metrics.live_bytes.get(),
            "live_bytes_max": settings.live_bytes,
            "vod_bytes": metrics.vod_bytes.get(),
            "vod_bytes_max": settings.vod_bytes,
            "filling_bytes": metrics.filling_bytes.get(),
        },
        "disk": settings.disk.as_ref().map(|disk| json!({
            "bytes": metrics.disk_bytes.get(),
            "bytes_max": disk.bytes_max,
            "objects": metrics.disk_objects.get(),
            "errors": metrics.disk_errors.get(),
        })),
        "requests": {
            "memory_hits": metrics.memory_hits.get(),
            "disk_hits": metrics.disk_hits.get(),
            "stale_hits": metrics.stale_hits.get(),
            "misses": metrics.misses.get(),
            "collapsed": metrics.collapsed.get(),
            "validated": metrics.validated.get(),
            "bypassed": metrics.bypassed.get(),
            "uncacheable": metrics.uncacheable.get(),
            "fetch_errors": metrics.fetch_errors.get(),
        },
        "purges": metrics.purges.get(),
        "prefetches": metrics.prefetches.get(),
        "tags": tags.iter().take(tags_max).map(tag).collect::<Vec<_>>(),
    })
}

fn upstreams_value(upstreams: &Upstreams) -> Value {
    let row = |(name, breaker, is_up): (String, BreakerState, bool)| {
        let breaker = match breaker {
            BreakerState::Closed => "closed",
            BreakerState::HalfOpen => "half_open",
            BreakerState::Open => "open",
        };
        json!({ "name": name, "up": is_up, "breaker": breaker })
    };
    upstreams.states().into_iter().map(row).collect()
}
