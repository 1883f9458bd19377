//! What is counted of webhooks. No labels by tenant or endpoint: their number has no bound.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    tries: Family<Labels, Counter>,
    pub(crate) given_up: Counter,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Labels {
    outcome: &'static str,
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("webhooks");
        registry.register("tries", "Tries of deliveries, by outcome", self.tries.clone());
        let help = "Endpoints that were turned off because they kept failing";
        registry.register("endpoints_given_up", help, self.given_up.clone());
    }

    pub(crate) fn count(&self, outcome: &'static str) {
        self.tries.get_or_create(&Labels { outcome }).inc();
    }
}
