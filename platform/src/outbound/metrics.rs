//! What is counted of calls, by peer.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Bounds of the time of one try, in seconds.
const TIME_BOUNDS_SECONDS: [f64; 11] =
    [0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0];

/// Clones count together. Peers are names from the program, so their number is bounded.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    attempts: Family<OutcomeLabels, Counter>,
    seconds: Family<Labels, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Labels {
    peer: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OutcomeLabels {
    peer: String,
    outcome: &'static str,
}

/// The metrics of one peer.
#[derive(Clone, Debug)]
pub(super) struct PeerMetrics {
    peer: String,
    attempts: Family<OutcomeLabels, Counter>,
    pub(super) seconds: Histogram,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let times: fn() -> Histogram = || Histogram::new(TIME_BOUNDS_SECONDS);
        Self { attempts: Family::default(), seconds: Family::new_with_constructor(times) }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("outbound");
        let help = "Tries of calls to a peer, by how they ended";
        registry.register("attempts", help, self.attempts.clone());
        let help = "Time of one try, to the end of the answer";
        registry.register_with_unit("attempt", help, Unit::Seconds, self.seconds.clone());
    }

    pub(super) fn of(&self, peer: &str) -> PeerMetrics {
        let labels = Labels { peer: peer.to_owned() };
        PeerMetrics {
            peer: peer.to_owned(),
            attempts: self.attempts.clone(),
            seconds: self.seconds.get_or_create_owned(&labels),
        }
    }
}

impl PeerMetrics {
    pub(super) fn count(&self, outcome: &'static str) {
        let labels = OutcomeLabels { peer: self.peer.clone(), outcome };
        self.attempts.get_or_create(&labels).inc();
    }
}
