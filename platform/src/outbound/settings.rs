//! How one peer is called.

use std::time::Duration;

use super::url::Redirects;
use crate::config;
use crate::resilience::Backoff;
use crate::resilience::breaker::BreakerSettings;

/// Unused connections are closed before most servers do it: a request that meets the close half-way
/// has to be sent again.
pub(super) const POOL_IDLE: Duration = Duration::from_secs(20);
/// How soon a dead HTTP/2 connection is noticed.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(10);
pub(super) const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// HTTP/2 windows: answers are small, and read as a whole.
pub(super) const STREAM_WINDOW_BYTES: u32 = 256 << 10;
pub(super) const CONNECTION_WINDOW_BYTES: u32 = 2 << 20;

/// Who chose the addresses that a peer is called at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// The operator, in the configuration: any address.
    Anywhere,
    /// A customer: https, and addresses that anybody could call.
    Public,
}

/// `[outbound]` for one peer, with units. Whoever makes the peer may adjust it.
#[derive(Clone, Debug)]
pub struct PeerSettings {
    pub reach: Reach,
    pub connect_timeout: Duration,
    /// From the start of a try to the head of its answer, connecting included.
    pub first_byte_timeout: Duration,
    /// For all tries together.
    pub total_timeout: Duration,
    pub response_bytes_max: u64,
    pub header_bytes_max: u32,
    pub redirects: Redirects,
    pub calls_max: usize,
    pub queue_max: u32,
    pub queue_timeout: Duration,
    /// Connections that wait for their next request, to one host.
    pub idle_max: usize,
    /// `None` where many strangers share the peer, and one must not end it for the others.
    pub breaker: Option<BreakerSettings>,
    pub backoff: Backoff,
    pub retries_max: u32,
    pub retry_percent: u32,
    /// Whether the peer is one of ours and is told the deadline.
    pub tells_deadline: bool,
}

impl PeerSettings {
    pub(super) fn of(outbound: &config::Outbound, name: &str, reach: Reach) -> Self {
        let own = outbound.peer.iter().find(|peer| peer.name == name).cloned().unwrap_or_default();
        let seconds = |own: Option<f64>, all| Duration::from_secs_f64(own.unwrap_or(all));
        Self {
            reach,
            connect_timeout: seconds(own.connect_timeout_seconds, outbound.connect_timeout_seconds),
            first_byte_timeout: seconds(
                own.first_byte_timeout_seconds,
                outbound.first_byte_timeout_seconds,
            ),
            total_timeout: seconds(own.total_timeout_seconds, outbound.total_timeout_seconds),
            response_bytes_max: own.response_bytes.unwrap_or(outbound.response_bytes).get(),
            header_bytes_max: 32 << 10,
            redirects: Redirects::Off,
            calls_max: own.calls_max.unwrap_or(outbound.calls_max) as usize,
            queue_max: outbound.queue_max,
            queue_timeout: Duration::from_secs_f64(outbound.queue_timeout_seconds),
            idle_max: match reach {
                Reach::Anywhere => 16,
                Reach::Public => 1,
            },
            breaker: Some(BreakerSettings {
                failures: own.breaker_failures.unwrap_or(outbound.breaker_failures),
                window: Duration::from_secs_f64(outbound.breaker_window_seconds),
                open: seconds(own.breaker_open_seconds, outbound.breaker_open_seconds),
            }),
            backoff: Backoff::QUICK,
            retries_max: own.retries_max.unwrap_or(outbound.retries_max),
            retry_percent: outbound.retry_percent,
            tells_deadline: false,
        }
    }
}
