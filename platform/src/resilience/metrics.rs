//! What is counted of each service that is called.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::breaker::BreakerState;
use super::retry::GiveUp;

/// Clones count together. Labels are names from the program and the configuration, so their number
/// is bounded.
#[derive(Clone, Debug, Default)]
pub struct ResilienceMetrics {
    breaker: Family<Labels, Gauge>,
    opened: Family<Labels, Counter>,
    retries: Family<Labels, Counter>,
    budget_exhausted: Family<Labels, Counter>,
    in_flight: Family<Labels, Gauge>,
    overloaded: Family<Labels, Counter>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Labels {
    service: String,
}

/// The metrics of one service.
#[derive(Clone, Debug, Default)]
pub struct ServiceMetrics {
    breaker: Gauge,
    opened: Counter,
    pub retries: Counter,
    pub budget_exhausted: Counter,
    pub in_flight: Gauge,
    pub overloaded: Counter,
}

impl ResilienceMetrics {
    /// Under `registry`, by the names `resilience_…`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("resilience");
        let help = "State of a service's circuit breaker: 0 closed, 1 half open, 2 open";
        registry.register("breaker_state", help, self.breaker.clone());
        let help = "Times that a circuit breaker opened";
        registry.register("breaker_opened", help, self.opened.clone());
        registry.register("retries", "Calls that were tried again", self.retries.clone());
        let help = "Tries that were left out because the budget was used up";
        registry.register("retry_budget_exhausted", help, self.budget_exhausted.clone());
        registry.register("calls_in_flight", "Calls under way", self.in_flight.clone());
        let help = "Calls refused because too many were under way";
        registry.register("overloaded", help, self.overloaded.clone());
    }

    pub fn of(&self, service: &str) -> ServiceMetrics {
        let labels = Labels { service: service.to_owned() };
        ServiceMetrics {
            breaker: self.breaker.get_or_create_owned(&labels),
            opened: self.opened.get_or_create_owned(&labels),
            retries: self.retries.get_or_create_owned(&labels),
            budget_exhausted: self.budget_exhausted.get_or_create_owned(&labels),
            in_flight: self.in_flight.get_or_create_owned(&labels),
            overloaded: self.overloaded.get_or_create_owned(&labels),
        }
    }
}

impl ServiceMetrics {
    pub fn set_breaker(&self, state: BreakerState) {
        let number = match state {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => 2,
        };
        let before = self.breaker.set(number);
        if number == 2 && before != 2 {
            self.opened.inc();
        }
    }

    pub fn count_give_up(&self, reason: GiveUp) {
        if reason == GiveUp::Budget {
            self.budget_exhausted.inc();
        }
    }
}
