//! What the gateway counts beside requests: whom it turned away and why, and what broke.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) panics: Counter,
    pub(crate) refused: Family<Reason, Counter>,
    pub(crate) running: Gauge,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(crate) struct Reason {
    reason: &'static str,
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("gateway");
        let help = "Requests whose handler panicked; each was answered with 500";
        registry.register("panics", help, self.panics.clone());
        let help = "Requests turned away, by the layer that did so";
        registry.register("refused", help, self.refused.clone());
        let help = "Requests under way in handlers";
        registry.register("running", help, self.running.clone());
    }

    pub(crate) fn refuse(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }
}
