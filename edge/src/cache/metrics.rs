//! What the cache counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counters of one cache. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct CacheMetrics {
    pub memory_hits: Counter,
    pub disk_hits: Counter,
    pub stale_hits: Counter,
    pub misses: Counter,
    pub collapsed: Counter,
    pub validated: Counter,
    pub bypassed: Counter,
    pub uncacheable: Counter,
    pub fetch_errors: Counter,
    pub broken_fills: Counter,
    pub resumed_fills: Counter,
    pub purges: Counter,
    pub prefetches: Counter,
    pub prefetches_refused: Counter,
    pub live_bytes: Gauge,
    pub vod_bytes: Gauge,
    pub filling_bytes: Gauge,
    pub disk_bytes: Gauge,
    pub disk_objects: Gauge,
    pub disk_writes: Counter,
    pub disk_writes_dropped: Counter,
    pub disk_evictions: Counter,
    pub disk_errors: Counter,
    pub disk_rotten: Counter,
    pub swept: Counter,
}

impl CacheMetrics {
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("cache");
        for (name, help, counter) in [
            ("memory_hits", "Requests answered from memory", &self.memory_hits),
            ("disk_hits", "Requests answered from disk", &self.disk_hits),
            ("stale_hits", "Requests answered with a stale object", &self.stale_hits),
            ("misses", "Requests that led to a fetch", &self.misses),
            ("collapsed", "Requests that joined another one's fetch", &self.collapsed),
            ("validated", "Stored objects that the origin confirmed", &self.validated),
            ("bypassed", "Requests that the cache has no part in", &self.bypassed),
            ("uncacheable", "Answers that could not be stored", &self.uncacheable),
            ("fetch_errors", "Fetches without an answer", &self.fetch_errors),
            ("broken_fills", "Answers that broke off on their way in", &self.broken_fills),
            ("resumed_fills", "Answers that went on after they broke off", &self.resumed_fills),
            ("purges", "Purges of any kind", &self.purges),
            ("prefetches", "Objects fetched ahead of their request", &self.prefetches),
            ("prefetches_refused", "Prefetches over the budget", &self.prefetches_refused),
            ("disk_writes", "Objects written to disk", &self.disk_writes),
            ("disk_writes_dropped", "Objects not written: disk busy", &self.disk_writes_dropped),
            ("disk_evictions", "Objects evicted from disk", &self.disk_evictions),
            ("disk_errors", "Failed reads and writes of the disk tier", &self.disk_errors),
            ("swept", "Purged objects removed from disk by a sweep", &self.swept),
            ("disk_rotten", "Objects on disk whose checksum failed", &self.disk_rotten),
        ] {
            registry.register(name, help, counter.clone());
        }
        for (name, help, gauge) in [
            ("live_bytes", "Bytes in the live pool", &self.live_bytes),
            ("vod_bytes", "Bytes in the pool for the rest", &self.vod_bytes),
            ("filling_bytes", "Bytes of objects on their way in", &self.filling_bytes),
            ("disk_bytes", "Bytes of the disk tier", &self.disk_bytes),
            ("disk_objects", "Objects of the disk tier", &self.disk_objects),
        ] {
            registry.register(name, help, gauge.clone());
        }
    }
}
