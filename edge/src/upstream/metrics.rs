//! What is counted of each upstream.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::breaker::BreakerState;
use crate::fetch::FetchError;

/// Bounds of times to first byte, in seconds.
const TIME_BOUNDS_SECONDS: [f64; 12] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Clones count together. Labels are names from the configuration, so their number is bounded.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    requests: Family<OutcomeLabels, Counter>,
    bodies_broken: Family<Labels, Counter>,
    retries: Family<Labels, Counter>,
    reroutes: Family<Labels, Counter>,
    hedges: Family<Labels, Counter>,
    hedges_won: Family<Labels, Counter>,
    budget_empty: Counter,
    in_flight: Family<Labels, Gauge>,
    breaker: Family<Labels, Gauge>,
    breaker_opened: Family<Labels, Counter>,
    up: Family<Labels, Gauge>,
    first_byte: Family<Labels, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Labels {
    upstream: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OutcomeLabels {
    upstream: String,
    outcome: &'static str,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let times: fn() -> Histogram = || Histogram::new(TIME_BOUNDS_SECONDS);
        Self {
            requests: Family::default(),
            bodies_broken: Family::default(),
            retries: Family::default(),
            reroutes: Family::default(),
            hedges: Family::default(),
            hedges_won: Family::default(),
            budget_empty: Counter::default(),
            in_flight: Family::default(),
            breaker: Family::default(),
            breaker_opened: Family::default(),
            up: Family::default(),
            first_byte: Family::new_with_constructor(times),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("upstream");
        let help = "Requests to an upstream, by how they ended";
        registry.register("requests", help, self.requests.clone());
        let help = "Answers that broke off after they had begun";
        registry.register("bodies_broken", help, self.bodies_broken.clone());
        let help = "Retries, by the upstream that was asked";
        registry.register("retries", help, self.retries.clone());
        let help = "Requests that never left for another upstream, by the one that was asked";
        registry.register("reroutes", help, self.reroutes.clone());
        let help = "Second requests because the first was slow, by the upstream that was asked";
        registry.register("hedges", help, self.hedges.clone());
        let help = "Second requests that answered first";
        registry.register("hedges_won", help, self.hedges_won.clone());
        let help = "Retries and hedges that were left out because the budget was used up";
        registry.register("budget_empty", help, self.budget_empty.clone());
        let help = "Requests waiting or under way";
        registry.register("requests_in_flight", help, self.in_flight.clone());
        let help = "State of the circuit breaker: 0 closed, 1 half open, 2 open";
        registry.register("breaker_state", help, self.breaker.clone());
        let help = "Times that the circuit breaker opened";
        registry.register("breaker_opened", help, self.breaker_opened.clone());
        registry.register("up", "Whether health checks succeed", self.up.clone());
        let help = "Time from a request to the first byte of the answer's body";
        let first_byte = self.first_byte.clone();
        registry.register_with_unit("first_byte", help, Unit::Seconds, first_byte);
    }

    pub(super) fn count_budget_empty(&self) {
        self.budget_empty.inc();
    }

    pub(super) fn of(&self, upstream: &str) -> NodeMetrics {
        let labels = Labels { upstream: upstream.to_owned() };
        NodeMetrics {
            upstream: upstream.to_owned(),
            requests: self.requests.clone(),
            bodies_broken: self.bodies_broken.get_or_create(&labels).clone(),
            retries: self.retries.get_or_create(&labels).clone(),
            reroutes: self.reroutes.get_or_create(&labels).clone(),
            hedges: self.hedges.get_or_create(&labels).clone(),
            hedges_won: self.hedges_won.get_or_create(&labels).clone(),
            in_flight: self.in_flight.get_or_create(&labels).clone(),
            breaker: self.breaker.get_or_create(&labels).clone(),
            breaker_opened: self.breaker_opened.get_or_create(&labels).clone(),
            up: self.up.get_or_create(&labels).clone(),
            first_byte: self.first_byte.get_or_create(&labels).clone(),
        }
    }
}

/// The metrics of one upstream.
#[derive(Debug)]
pub(super) struct NodeMetrics {
    upstream: String,
    requests: Family<OutcomeLabels, Counter>,
    pub(super) bodies_broken: Counter,
    pub(super) retries: Counter,
    pub(super) reroutes: Counter,
    pub(super) hedges: Counter,
    pub(super) hedges_won: Counter,
    pub(super) in_flight: Gauge,
    breaker: Gauge,
    breaker_opened: Counter,
    pub(super) up: Gauge,
    pub(super) first_byte: Histogram,
}

impl NodeMetrics {
    pub(super) fn count(&self, outcome: &'static str) {
        let labels = OutcomeLabels { upstream: self.upstream.clone(), outcome };
        self.requests.get_or_create(&labels).inc();
    }

    pub(super) fn set_breaker(&self, state: BreakerState) {
        let number = match state {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => 2,
        };
        let before = self.breaker.set(number);
        if number == 2 && before != 2 {
            self.breaker_opened.inc();
        }
    }
}

pub(super) fn outcome_of(error: &FetchError) -> &'static str {
    match error {
        FetchError::Timeout { .. } => "timeout",
        FetchError::Unreachable { .. } => "unreachable",
        FetchError::Invalid { .. } => "invalid",
        FetchError::Overloaded { .. } => "overloaded",
    }
}
