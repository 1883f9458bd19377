//! What a store counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counters of one store. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct ObjectMetrics {
    pub files_open: Gauge,
    /// Reads of local pages that were in memory, and that were not.
    pub pages_warm: Counter,
    pub pages_cold: Counter,
    /// Blocks of remote objects found in memory, waited for with others, and fetched.
    pub block_hits: Counter,
    pub block_joins: Counter,
    pub block_misses: Counter,
    pub remote_gets: Counter,
    pub remote_bytes: Counter,
}

impl ObjectMetrics {
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("objects");
        let files_open = self.files_open.clone();
        registry.register("files_open", "Local objects held open", files_open);
        for (name, help, counter) in [
            ("reads_warm", "Local reads answered from memory", &self.pages_warm),
            ("reads_cold", "Local reads that waited for the disk", &self.pages_cold),
            ("block_hits", "Blocks of remote objects found in memory", &self.block_hits),
            ("block_joins", "Blocks that were being fetched already", &self.block_joins),
            ("block_misses", "Blocks that had to be fetched", &self.block_misses),
            ("remote_gets", "GET requests to the remote store", &self.remote_gets),
            ("remote_bytes", "Bytes read from the remote store", &self.remote_bytes),
        ] {
            registry.register(name, help, counter.clone());
        }
    }
}
