//! The control role: which domains there are, and the gateway in front of them.

use gateway::{Domain, Gateway, Parts, State};
use platform::config::{Config, IpPrefix};
use platform::http::HttpLimits;
use platform::telemetry::{AccessSample, HttpMetrics};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::media::Readiness;

/// Time that the listener gives beyond the gateway's own limits, so that it is the gateway that
/// answers.
const LISTENER_GRACE_SECONDS: f64 = 5.0;

/// What the gateway is told of the process around it.
pub struct Surroundings {
    pub readiness: Readiness,
    pub trusted_proxies: watch::Receiver<Vec<IpPrefix>>,
    pub http_metrics: HttpMetrics,
    pub sample: watch::Receiver<AccessSample>,
}

/// The gateway, and what its domains do beside requests.
pub struct Control {
    pub gateway: Gateway,
    jobs: JoinSet<()>,
}

/// Every domain. `[control] domains` selects among them.
fn domains() -> Vec<Domain> {
    Vec::new()
}

impl Control {
    /// # Errors
    /// When the configuration names a domain that there isn't.
    pub fn new(config: &Config, surroundings: Surroundings) -> anyhow::Result<Self> {
        let readiness = surroundings.readiness;
        let (gateway, jobs) = Gateway::new(Parts {
            config,
            domains: domains(),
            keys: None,
            readiness: gateway::Readiness::new(move || state(&readiness)),
            trusted_proxies: surroundings.trusted_proxies,
            http_metrics: surroundings.http_metrics,
            sample: surroundings.sample,
        })?;
        Ok(Self { gateway, jobs: jobs.into_iter().collect() })
    }

    /// Ends what goes on beside requests. Each job can end wherever it waits.
    pub fn stop(mut self) {
        self.jobs.abort_all();
    }
}

fn state(readiness: &Readiness) -> State {
    match (readiness.get(), readiness.draining_since_ms()) {
        (true, _) => State::Ready,
        (false, Some(_)) => State::Draining,
        (false, None) => State::Starting,
    }
}

/// Limits of the control listeners: those of all, and time for what the gateway bounds itself.
pub fn http_limits(config: &Config) -> HttpLimits {
    let limits = &config.control.limits;
    let seconds = limits.request_seconds.max(limits.bulk_request_seconds) + LISTENER_GRACE_SECONDS;
    HttpLimits {
        request_timeout: std::time::Duration::from_secs_f64(seconds),
        ..HttpLimits::from(&config.limits)
    }
}
