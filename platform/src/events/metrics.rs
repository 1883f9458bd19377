//! What a relay counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// Counters of a relay. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct EventMetrics {
    /// By a consumer, each time.
    pub handled: Counter,
    pub failed: Counter,
    pub dead: Counter,
}

impl EventMetrics {
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("events");
        for (name, help, counter) in [
            ("handled", "Events that a consumer has handled or passed by", &self.handled),
            ("failed", "Attempts to handle an event that failed", &self.failed),
            ("dead", "Events that are dead letters after their last attempt", &self.dead),
        ] {
            registry.register(name, help, counter.clone());
        }
    }
}
