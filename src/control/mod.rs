//! The control role: which domains there are, and the gateway in front of them.

use std::sync::Arc;

use api::cursor::CursorKeys;
use api::i18n::Catalogue;
use gateway::{Domain, Exporter, Gateway, Parts, State};
use platform::config::{Config, IpPrefix};
use platform::http::HttpLimits;
use platform::outbound::Outbound;
use platform::telemetry::{AccessSample, HttpMetrics};
use platform::{DataDir, secret_file};
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

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
    health: JoinHandle<()>,
    exporter: Option<Exporter>,
}

/// Every domain. `[control] domains` selects among them.
fn domains() -> Vec<Domain> {
    Vec::new()
}

impl Control {
    /// # Errors
    /// When the configuration names a domain that there isn't.
    pub fn new(
        config: &Config,
        data: &DataDir,
        surroundings: Surroundings,
    ) -> anyhow::Result<Self> {
        let readiness = surroundings.readiness;
        let (gateway, jobs) = Gateway::new(Parts {
            config,
            domains: domains(),
            authenticator: None,
            cursor_keys: cursor_keys(data)?,
            catalogue: catalogue()?,
            keys: None,
            readiness: gateway::Readiness::new(move || state(&readiness)),
            trusted_proxies: surroundings.trusted_proxies,
            http_metrics: surroundings.http_metrics,
            sample: surroundings.sample,
        })?;
        let outbound = Outbound::new(&config.outbound)?;
        let exporter = Exporter::start(&config.telemetry, &outbound)?;
        let health = tokio::spawn(gateway.tell_health());
        Ok(Self { gateway, jobs: jobs.into_iter().collect(), health, exporter })
    }

    pub fn register_metrics(&self, registry: &mut Registry) {
        self.gateway.register_metrics(registry);
        if let Some(exporter) = &self.exporter {
            exporter.register_metrics(registry);
        }
    }

    /// Ends what goes on beside requests. Each job can end wherever it waits.
    pub fn stop_jobs(&mut self) {
        self.jobs.abort_all();
    }

    /// When no request is under way any more.
    pub async fn finish(self) {
        self.health.abort();
        if let Some(exporter) = self.exporter {
            exporter.finish().await;
        }
    }
}

/// Signs the cursors of lists; they go on after a restart.
fn cursor_keys(data: &DataDir) -> anyhow::Result<Arc<CursorKeys>> {
    let secret = secret_file::open_or_make(&data.path().join("keys/cursors"))?;
    Ok(Arc::new(CursorKeys::new(&secret, &[])))
}

/// What is said to people: the messages of every domain.
fn catalogue() -> anyhow::Result<Arc<Catalogue>> {
    Ok(Arc::new(Catalogue::new(&[]).map_err(anyhow::Error::msg)?))
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
