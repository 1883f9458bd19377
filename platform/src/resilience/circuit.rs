//! A breaker that tasks share: its state is logged and counted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::breaker::{Breaker, BreakerSettings, BreakerState, Outcome, Ticket};
use super::metrics::ServiceMetrics;

/// The breaker of one service. Clones share it.
#[derive(Clone, Debug)]
pub struct Circuit(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    service: String,
    breaker: Mutex<Breaker>,
    metrics: ServiceMetrics,
}

/// Leave to call once. Dropped without an outcome, it says that nothing was learnt.
#[derive(Debug)]
pub struct Admission {
    circuit: Circuit,
    ticket: Option<Ticket>,
}

/// The service failed too often of late.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("its circuit breaker is open, for {} ms more", retry_after.as_millis())]
pub struct Open {
    /// Until it may be asked again; nothing when somebody is asking right now.
    pub retry_after: Duration,
}

impl Circuit {
    pub fn new(service: &str, settings: BreakerSettings, metrics: ServiceMetrics) -> Self {
        metrics.set_breaker(BreakerState::Closed);
        let breaker = Mutex::new(Breaker::new(settings));
        Self(Arc::new(Shared { service: service.to_owned(), breaker, metrics }))
    }

    /// # Errors
    /// When the service is not to be asked now.
    pub fn admit(&self) -> Result<Admission, Open> {
        let mut admitted = Err(Open { retry_after: Duration::ZERO });
        self.judge(|breaker, now| {
            admitted = match breaker.admit(now) {
                Some(ticket) => Ok(Admission { circuit: self.clone(), ticket: Some(ticket) }),
                None => Err(Open { retry_after: breaker.wait(now) }),
            };
        });
        admitted
    }

    pub fn state(&self) -> BreakerState {
        let state = self.breaker().state(Instant::now().into_std());
        self.0.metrics.set_breaker(state);
        state
    }

    fn judge(&self, change: impl FnOnce(&mut Breaker, std::time::Instant)) {
        let now = Instant::now().into_std();
        let mut breaker = self.breaker();
        let before = breaker.state(now);
        change(&mut breaker, now);
        let after = breaker.state(now);
        drop(breaker);
        if before != after {
            tracing::warn!(service = self.0.service, ?before, ?after, "a circuit breaker changed");
        }
        self.0.metrics.set_breaker(after);
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.0.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admission {
    pub fn settle(mut self, outcome: Outcome) {
        if let Some(ticket) = self.ticket.take() {
            self.circuit.judge(|breaker, now| breaker.handle_outcome(now, ticket, outcome));
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let abandon = |breaker: &mut Breaker, now| {
                breaker.handle_outcome(now, ticket, Outcome::Abandoned);
            };
            self.circuit.judge(abandon);
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::super::metrics::ResilienceMetrics;
    use super::*;
    use crate::telemetry::encode_metrics;

    #[tokio::test(start_paused = true)]
    async fn it_opens_lets_one_probe_through_and_counts() {
        let metrics = ResilienceMetrics::default();
        let mut registry = Registry::with_prefix("streamverse");
        metrics.register(&mut registry);
        let circuit = Circuit::new("mail", BreakerSettings::default(), metrics.of("mail"));
        for _ in 0..5 {
            circuit.admit().unwrap().settle(Outcome::Failure);
        }
        assert_eq!(circuit.admit().unwrap_err().retry_after, Duration::from_secs(60));
        tokio::time::advance(Duration::from_secs(61)).await;
        let probe = circuit.admit().unwrap();
        assert_eq!(circuit.admit().unwrap_err().retry_after, Duration::ZERO);
        drop(probe);
        circuit.admit().unwrap().settle(Outcome::Success);
        assert_eq!(circuit.state(), BreakerState::Closed);
        let text = encode_metrics(&registry).unwrap();
        for line in [
            "streamverse_resilience_breaker_state{service=\"mail\"} 0",
            "streamverse_resilience_breaker_opened_total{service=\"mail\"} 1",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
