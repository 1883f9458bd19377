//! The configuration as the upstream client wants it.

use std::time::Duration;

use http::Uri;
use http::header::HeaderValue;
use platform::config::{self, Upstream};
pub(super) use platform::resilience::random;

use super::UpstreamError;
use super::breaker::BreakerSettings;
use super::health::HealthSettings;

/// Unused connections are closed well before an origin does (its `limits.keep_alive_seconds`, 75 s
/// by default): a request that meets the close half-way has to be sent again.
pub(super) const POOL_IDLE: Duration = Duration::from_secs(20);
/// Connections that wait for their next request, of one upstream.
pub(super) const POOL_CONNECTIONS_IDLE_MAX: usize = 64;

/// HTTP/2 windows: a stream's is what one slow reader may pile up here; both cover 1 Gbit/s at
/// 10 ms and more.
pub(super) const STREAM_WINDOW_BYTES: u32 = 1 << 20;
pub(super) const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;
/// How soon a dead HTTP/2 connection is noticed, though no request waits on it alone.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(10);
pub(super) const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest wait for the answer to a check.
const HEALTH_TIMEOUT_MAX: Duration = Duration::from_secs(2);

/// `[fetch]`, with units.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// In `Via` and `CDN-Loop`.
    pub(super) name: String,
    pub(super) connect_timeout: Duration,
    pub(super) first_byte_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) total_timeout: Duration,
    pub(super) attempts_max: u32,
    pub(super) retry_percent: u32,
    pub(super) hedges: bool,
    pub(super) load_factor: f64,
    pub(super) requests_max: usize,
    pub(super) queue_max: u32,
    pub(super) queue_timeout: Duration,
    pub(super) header_bytes_max: u64,
    pub(super) breaker: BreakerSettings,
    pub(super) health: HealthSettings,
    pub(super) health_path: Uri,
    /// `None`: no checks.
    pub(super) health_interval: Option<Duration>,
}

impl Settings {
    pub(super) fn new(fetch: &config::Fetch) -> Result<Self, UpstreamError> {
        let seconds = Duration::from_secs_f64;
        let health_path = fetch.health_path.parse();
        let health_interval = seconds(fetch.health_interval_seconds);
        Ok(Self {
            name: fetch.name.clone().unwrap_or_else(name_of_this_process),
            connect_timeout: seconds(fetch.connect_timeout_seconds),
            first_byte_timeout: seconds(fetch.first_byte_timeout_seconds),
            idle_timeout: seconds(fetch.idle_timeout_seconds),
            total_timeout: seconds(fetch.total_timeout_seconds),
            attempts_max: fetch.attempts_max,
            retry_percent: fetch.retry_percent,
            hedges: fetch.hedge,
            load_factor: fetch.load_factor,
            requests_max: fetch.requests_max as usize,
            queue_max: fetch.queue_max,
            queue_timeout: seconds(fetch.queue_timeout_seconds),
            header_bytes_max: fetch.header_bytes.get(),
            breaker: BreakerSettings {
                failures: fetch.breaker_failures,
                window: seconds(fetch.breaker_window_seconds),
                open: seconds(fetch.breaker_open_seconds),
            },
            health: HealthSettings { rise: fetch.health_rise, fall: fetch.health_fall },
            health_path: health_path
                .map_err(|_| UpstreamError::HealthPath { path: fetch.health_path.clone() })?,
            health_interval: (!health_interval.is_zero()).then_some(health_interval),
        })
    }

    pub(super) fn health_timeout(&self) -> Duration {
        self.first_byte_timeout.min(HEALTH_TIMEOUT_MAX)
    }
}

/// A name that no other process has: one that appears twice on a request's way is a loop.
fn name_of_this_process() -> String {
    format!("streamverse-{:08x}", random() as u32)
}

/// The address of an upstream, and its authority, which names it.
pub(super) fn address_of(url: &str) -> Result<(Uri, String), UpstreamError> {
    let bad = || UpstreamError::Url { url: url.to_owned() };
    let uri: Uri = url.parse().map_err(|_| bad())?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    let name = uri.authority().map(|authority| authority.as_str().to_ascii_lowercase());
    let name = name.filter(|_| is_http && uri.path() == "/" && uri.query().is_none());
    Ok((uri.clone(), name.ok_or_else(bad)?))
}

pub(super) fn secret_of(upstream: &Upstream) -> Result<Option<HeaderValue>, UpstreamError> {
    let Some(secret) = &upstream.secret else { return Ok(None) };
    let bad = || UpstreamError::Secret { url: upstream.url.clone() };
    // An empty one was never looked up: it must not be taken for one.
    let exposed = Some(secret.expose()).filter(|secret| !secret.is_empty()).ok_or_else(bad)?;
    let mut value = HeaderValue::from_str(exposed).map_err(|_| bad())?;
    value.set_sensitive(true);
    Ok(Some(value))
}
