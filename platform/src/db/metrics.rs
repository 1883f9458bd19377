//! What is counted of the database.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Clones count together.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    /// Transactions that wait for SQLite's writer, or calls that wait for a connection.
    pub(super) waiting: Gauge,
    /// Connections of the pool that are in use, or readers that read.
    pub(super) in_use: Gauge,
    pub(super) group_size: Histogram,
    pub(super) commit_seconds: Histogram,
    pub(super) commits: Counter,
    pub(super) retries: Counter,
    pub(super) refused: Counter,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let times = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0];
        Self {
            waiting: Gauge::default(),
            in_use: Gauge::default(),
            group_size: Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]),
            commit_seconds: Histogram::new(times),
            commits: Counter::default(),
            retries: Counter::default(),
            refused: Counter::default(),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("streamverse_database");
        registry.register("waiting", "Calls that wait for the database", self.waiting.clone());
        registry.register("in_use", "Connections that are in use", self.in_use.clone());
        let help = "Transactions that one commit made durable";
        registry.register("group_size", help, self.group_size.clone());
        let help = "Time that commits took";
        registry.register_with_unit("commit", help, Unit::Seconds, self.commit_seconds.clone());
        registry.register("commits", "Transactions that are durable", self.commits.clone());
        let help = "Transactions that ran again after a conflict";
        registry.register("retries", help, self.retries.clone());
        let help = "Calls that a full queue, a used up pool or the deadline has refused";
        registry.register("refused", help, self.refused.clone());
    }
}
