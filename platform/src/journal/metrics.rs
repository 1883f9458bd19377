//! What a journal counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

const SECONDS: [f64; 9] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0];
const RECORDS: [f64; 8] = [1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0, 16_384.0];

/// Counters of one journal. Clones count together.
#[derive(Clone, Debug)]
pub struct JournalMetrics {
    /// Records and their bytes that are durable.
    pub records: Counter,
    pub bytes: Counter,
    /// Offered while the queue was full, too large, or after the end.
    pub dropped: Counter,
    /// Of groups that could not be written or synced.
    pub failed: Counter,
    pub group_records: Histogram,
    pub sync: Histogram,
    pub segments: Gauge,
    pub stored_bytes: Gauge,
    /// Bytes that a crash cut short, found at start.
    pub torn_bytes: Counter,
    /// Places where a segment's bytes are no records.
    pub damages: Counter,
    /// Segments that retention removed.
    pub expired_segments: Counter,
    pub erased: Counter,
}

impl Default for JournalMetrics {
    fn default() -> Self {
        Self {
            records: Counter::default(),
            bytes: Counter::default(),
            dropped: Counter::default(),
            failed: Counter::default(),
            group_records: Histogram::new(RECORDS),
            sync: Histogram::new(SECONDS),
            segments: Gauge::default(),
            stored_bytes: Gauge::default(),
            torn_bytes: Counter::default(),
            damages: Counter::default(),
            expired_segments: Counter::default(),
            erased: Counter::default(),
        }
    }
}

impl JournalMetrics {
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("journal");
        for (name, help, counter) in [
            ("records", "Records that are durable", &self.records),
            ("bytes", "Bytes of durable records", &self.bytes),
            ("records_dropped", "Records lost: the queue was full", &self.dropped),
            ("records_failed", "Records of groups that could not be stored", &self.failed),
            (
                "torn_bytes",
                "Bytes cut at start, of a group that a crash interrupted",
                &self.torn_bytes,
            ),
            ("damages", "Places in segments that can't be read", &self.damages),
            ("segments_expired", "Segments removed by age or size", &self.expired_segments),
            ("records_erased", "Records erased by key", &self.erased),
        ] {
            registry.register(name, help, counter.clone());
        }
        registry.register("segments", "Segments on the disk", self.segments.clone());
        registry.register("stored_bytes", "Bytes on the disk", self.stored_bytes.clone());
        registry.register(
            "group_records",
            "Records that shared a sync",
            self.group_records.clone(),
        );
        let help = "Time to write and sync a group";
        registry.register_with_unit("sync", help, Unit::Seconds, self.sync.clone());
    }
}
