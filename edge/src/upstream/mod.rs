//! Remote origins behind the edge.
//!
//! [`Upstreams`] answers [`Fetch`] from any number of origins over pooled HTTP/1.1 and HTTP/2, and over
//! HTTP/3. The path of a request:
//!
//! ```text
//! headers (only what can't poison a cache; loops end here) → race (which upstream, retries within
//! the budget, one hedge) → ring (a title's upstream, bounded load) → node (place in the queue,
//! breaker, connection) → check (the head) → body (length, idle and total time)
//! ```
//!
//! What decides is apart from what acts: [`ring`], [`breaker`], [`budget`], [`health`], [`latency`],
//! [`headers`] and [`check`] know no socket and no clock.

pub mod check;
pub mod headers;
pub mod health;
pub mod latency;
pub mod ring;

mod body;
mod connect;
mod h3;
mod identity;
mod metrics;
mod node;
mod race;
mod settings;
mod wire;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Method, Request, Response};
use platform::config;
use prometheus_client::registry::Registry;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

pub use platform::resilience::{breaker, budget};

pub use self::connect::{Connect, Stream};

use self::breaker::BreakerState;
use self::budget::Budget;
use self::latency::LatencyWindow;
use self::metrics::Metrics;
use self::node::{Ask, Node};
use self::race::Race;
use self::settings::Settings;
use crate::fetch::{Fetch, FetchBody, FetchError};

/// All upstreams of an edge. Clones share them; with the last one the health checks end.
#[derive(Clone)]
pub struct Upstreams(Arc<Inner>);

struct Inner {
    settings: Arc<Settings>,
    nodes: Vec<Arc<Node>>,
    metrics: Metrics,
    budget: Mutex<Budget>,
    latency: Mutex<LatencyWindow>,
    checks: Vec<AbortHandle>,
}

/// Why upstreams can't be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    #[error("there is no upstream; add a [[upstream]] table with a url")]
    None,
    #[error("`{url}` is no address of an origin; write http:// or https://, a host and a port")]
    Url { url: String },
    #[error("the secret of {url} is empty or fits no header; use visible ASCII characters")]
    Secret { url: String },
    #[error("fetch.health_path `{path}` is no path; write one such as /ready")]
    HealthPath { path: String },
    #[error("cannot read {}: {reason}; name a PEM file", path.display())]
    Pem { path: PathBuf, reason: String },
    #[error("the system has no certificate authorities to check {url} by; set `ca`")]
    NoRoots { url: String },
    #[error("the certificates of an upstream can't be used")]
    Tls(#[source] rustls::Error),
}

impl Upstreams {
    /// Sets the upstreams of a configuration up and starts their health checks, inside a runtime.
    pub fn start(
        fetch: &config::Fetch,
        upstreams: &[config::Upstream],
    ) -> Result<Self, UpstreamError> {
        if upstreams.is_empty() {
            return Err(UpstreamError::None);
        }
        let settings = Arc::new(Settings::new(fetch)?);
        let metrics = Metrics::new();
        let node = |upstream| Node::new(upstream, &settings, |name| metrics.of(name)).map(Arc::new);
        let nodes = upstreams.iter().map(node).collect::<Result<Vec<_>, _>>()?;
        let check = |node: &Arc<Node>| {
            settings.health_interval?;
            Some(tokio::spawn(check_forever(Arc::clone(node))).abort_handle())
        };
        let checks = nodes.iter().filter_map(check).collect();
        Ok(Self(Arc::new(Inner {
            budget: Mutex::new(Budget::new(settings.retry_percent)),
            latency: Mutex::default(),
            settings,
            nodes,
            metrics,
            checks,
        })))
    }

    /// What this edge calls itself in `Via` and `CDN-Loop`.
    pub fn name(&self) -> &str {
        &self.0.settings.name
    }

    pub fn register_metrics(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
    }

    /// The upstreams by name, with the state of their breakers and whether their checks succeed.
    pub fn states(&self) -> Vec<(String, BreakerState, bool)> {
        let now = Instant::now();
        let state =
            |node: &Arc<Node>| (node.name.clone(), node.breaker_state(now), node.standing(now).1);
        self.0.nodes.iter().map(state).collect()
    }
}

impl Fetch for Upstreams {
    async fn fetch(&self, request: Request<()>) -> Result<Response<FetchBody>, FetchError> {
        let inner = &self.0;
        let headers = headers::outgoing(&request, &inner.settings.name).map_err(|refused| {
            FetchError::Unreachable {
                upstream: "every upstream".to_owned(),
                reason: refused.to_string(),
            }
        })?;
        inner.budget().handle_request();
        let key = ring::key_of(request.uri().path());
        let ask = Ask { method: request.method().clone(), uri: request.uri().clone(), headers };
        Race::new(inner, ask, key).run().await
    }
}

impl Inner {
    fn budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn latency(&self) -> MutexGuard<'_, LatencyWindow> {
        self.latency.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for check in &self.checks {
            check.abort();
        }
    }
}

/// Asks one upstream for its health, the first time soon.
async fn check_forever(node: Arc<Node>) {
    let Some(interval) = node.settings.health_interval else { return };
    sleep(health::jittered(interval / 20, settings::random())).await;
    loop {
        let request = Request::builder().uri(node.settings.health_path.clone()).body(());
        // A path that parsed before makes a request, and one without names makes no loop.
        if let Ok(request) = request
            && let Ok(headers) = headers::outgoing(&request, &node.settings.name)
        {
            let uri = request.uri().clone();
            let is_good = node.check(Ask { method: Method::GET, uri, headers }).await;
            node.handle_check(is_good);
        }
        sleep(health::jittered(interval, settings::random())).await;
    }
}
