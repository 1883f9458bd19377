//! One upstream: its connections, its breaker, its health, and one request to it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use platform::config::Upstream;
use platform::resilience::{Bulkhead, Slot as Place};
use tokio::time::{Instant, timeout_at};

use super::body::CheckedBody;
use super::breaker::{Breaker, BreakerState, Outcome, Ticket};
use super::check::check_head;
use super::headers::{SHIELD, strip_hop_by_hop, target};
use super::health::Health;
use super::metrics::{NodeMetrics, outcome_of};
use super::ring::{Candidate, seed_of};
use super::settings::Settings;
use super::wire::{Wire, WireBody, WireError, WireErrorKind};
use super::{UpstreamError, settings};
use crate::fetch::{FetchBody, FetchError};

/// A remote origin.
pub(super) struct Node {
    pub(super) name: String,
    pub(super) settings: Arc<Settings>,
    pub(super) metrics: NodeMetrics,
    weight: u32,
    seed: u64,
    base: Uri,
    secret: Option<HeaderValue>,
    wire: Wire,
    judged: Mutex<Judged>,
    /// Requests that wait or are under way.
    load: AtomicU32,
    bulkhead: Bulkhead,
}

/// What was learnt of an upstream.
struct Judged {
    breaker: Breaker,
    health: Health,
}

/// What is asked of whichever upstream.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) uri: Uri,
    /// From [`super::headers::outgoing`].
    pub(super) headers: HeaderMap,
}

/// An attempt without an answer.
pub(super) struct Failed {
    pub(super) error: FetchError,
    /// Whether the upstream may have seen the request.
    pub(super) was_sent: bool,
}

/// A place among the requests of one upstream, given back when dropped.
pub(super) struct Slot {
    _load: Load,
    _place: Place,
}

struct Load(Arc<Node>);

/// A breaker's leave. Dropped without an outcome, it says that nothing was learnt.
struct Admission {
    node: Arc<Node>,
    ticket: Option<Ticket>,
}

impl Node {
    pub(super) fn new(
        upstream: &Upstream,
        settings: &Arc<Settings>,
        metrics: impl FnOnce(&str) -> NodeMetrics,
    ) -> Result<Self, UpstreamError> {
        let (base, name) = settings::address_of(&upstream.url)?;
        let secret = settings::secret_of(upstream)?;
        let metrics = metrics(&name);
        metrics.up.set(1);
        Ok(Self {
            seed: seed_of(&name),
            weight: upstream.weight.max(1),
            wire: Wire::new(upstream, &base, settings)?,
            judged: Mutex::new(Judged {
                breaker: Breaker::new(settings.breaker),
                health: Health::new(settings.health),
            }),
            load: AtomicU32::new(0),
            bulkhead: Bulkhead::new(
                settings.requests_max,
                settings.queue_max,
                settings.queue_timeout,
            ),
            settings: Arc::clone(settings),
            metrics,
            name,
            base,
            secret,
        })
    }

    pub(super) fn candidate(&self) -> Candidate {
        let load = self.load.load(Ordering::Relaxed);
        Candidate { seed: self.seed, weight: self.weight, load }
    }

    /// Whether its breaker would let a request through, and whether its checks succeed.
    pub(super) fn standing(&self, now: Instant) -> (bool, bool) {
        let judged = self.judged();
        (judged.breaker.would_admit(now.into_std()), judged.health.is_up())
    }

    pub(super) fn breaker_state(&self, now: Instant) -> BreakerState {
        self.judged().breaker.state(now.into_std())
    }

    /// Asks once, and returns when the first byte of the body is there.
    pub(super) async fn attempt(self: Arc<Self>, ask: Ask) -> Result<Response<FetchBody>, Failed> {
        let slot = self.slot().await.map_err(|error| {
            self.metrics.count(outcome_of(&error));
            Failed { error, was_sent: false }
        })?;
        let admission = self.admit()?;
        let began = Instant::now();
        let outcome = self.exchange(ask, slot, began).await;
        match &outcome {
            Ok(response) if is_failure(response.status()) => {
                self.metrics.count("server_error");
                admission.settle(Outcome::Failure);
            }
            Ok(_) => {
                self.metrics.count("ok");
                self.metrics.first_byte.observe(began.elapsed().as_secs_f64());
                admission.settle(Outcome::Success);
            }
            Err(failed) => {
                self.metrics.count(outcome_of(&failed.error));
                admission.settle(Outcome::Failure);
            }
        }
        outcome
    }

    async fn exchange(
        self: &Arc<Self>,
        ask: Ask,
        slot: Slot,
        began: Instant,
    ) -> Result<Response<FetchBody>, Failed> {
        let first_byte = began + self.settings.first_byte_timeout;
        let has_range = ask.headers.contains_key(header::RANGE);
        let method = ask.method.clone();
        let response = self.send(ask, first_byte).await?;
        let sent = |error| Failed { error, was_sent: true };
        let announced = check_head(&method, has_range, &response, self.settings.header_bytes_max)
            .map_err(|error| sent(self.invalid(error.to_string())))?;
        let (mut parts, body) = response.into_parts();
        strip_hop_by_hop(&mut parts.headers);
        let deadline = began + self.settings.total_timeout;
        let mut body = CheckedBody::new(body, Arc::clone(self), slot, announced, deadline);
        match timeout_at(first_byte, body.read_first()).await {
            Ok(Ok(())) => Ok(Response::from_parts(parts, body.boxed_unsync())),
            Ok(Err(error)) => Err(sent(error)),
            Err(_) => Err(sent(self.timeout())),
        }
    }

    /// Sends the request and waits for the head of its answer.
    async fn send(&self, ask: Ask, until: Instant) -> Result<Response<WireBody>, Failed> {
        let mut request = Request::new(());
        *request.method_mut() = ask.method;
        *request.uri_mut() = target(&self.base, &ask.uri);
        *request.headers_mut() = ask.headers;
        if let Some(secret) = &self.secret {
            request.headers_mut().insert(SHIELD, secret.clone());
        }
        match timeout_at(until, self.wire.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(WireError { kind, was_sent, cause })) => {
                let error = match kind {
                    WireErrorKind::Timeout => self.timeout(),
                    WireErrorKind::Garbage => self.invalid(cause),
                    WireErrorKind::Unreachable => self.unreachable(cause),
                };
                Err(Failed { error, was_sent })
            }
            Err(_) => Err(Failed { error: self.timeout(), was_sent: true }),
        }
    }

    /// Whether `/ready`, or what is configured instead, answers well.
    pub(super) async fn check(&self, ask: Ask) -> bool {
        let until = Instant::now() + self.settings.health_timeout();
        let Ok(response) = self.send(ask, until).await else { return false };
        let is_good = response.status().is_success();
        // Read to its end, so that the connection can be used again; a long answer is not worth it.
        let limited = http_body_util::Limited::new(response.into_body(), CHECK_BYTES_MAX);
        let read = timeout_at(until, limited.collect()).await;
        is_good && matches!(read, Ok(Ok(_)))
    }

    pub(super) fn handle_check(&self, is_good: bool) {
        let mut judged = self.judged();
        if judged.health.handle_check(is_good) {
            self.metrics.up.set(i64::from(is_good));
            if is_good {
                tracing::info!(upstream = self.name, "an upstream is back");
            } else {
                tracing::warn!(upstream = self.name, "an upstream fails its checks");
            }
        }
        self.metrics.set_breaker(judged.breaker.state(Instant::now().into_std()));
    }

    /// A body that broke off after its head had been passed on.
    pub(super) fn handle_broken_body(&self) {
        self.metrics.bodies_broken.inc();
        self.judge(|breaker, now| breaker.handle_failure(now));
    }

    fn judge(&self, change: impl FnOnce(&mut Breaker, std::time::Instant)) {
        let now = Instant::now().into_std();
        let mut judged = self.judged();
        let before = judged.breaker.state(now);
        change(&mut judged.breaker, now);
        let after = judged.breaker.state(now);
        if before != after {
            tracing::warn!(upstream = self.name, ?before, ?after, "a circuit breaker changed");
        }
        self.metrics.set_breaker(after);
    }

    fn judged(&self) -> MutexGuard<'_, Judged> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(self: &Arc<Self>) -> Result<Admission, Failed> {
        let ticket = self.judged().breaker.admit(Instant::now().into_std());
        if ticket.is_none() {
            let reason = "its circuit breaker is open".to_owned();
            return Err(Failed { error: self.unreachable(reason), was_sent: false });
        }
        Ok(Admission { node: Arc::clone(self), ticket })
    }

    /// Waits for a place among the requests under way, if not too many wait already.
    async fn slot(self: &Arc<Self>) -> Result<Slot, FetchError> {
        let load = Load::new(self);
        let place = self.bulkhead.enter(self.settings.queue_timeout).await;
        let overloaded = |_| FetchError::Overloaded { upstream: self.name.clone() };
        Ok(Slot { _load: load, _place: place.map_err(overloaded)? })
    }

    pub(super) fn invalid(&self, reason: String) -> FetchError {
        FetchError::Invalid { upstream: self.name.clone(), reason }
    }

    pub(super) fn timeout(&self) -> FetchError {
        FetchError::Timeout { upstream: self.name.clone() }
    }

    fn unreachable(&self, reason: String) -> FetchError {
        FetchError::Unreachable { upstream: self.name.clone(), reason }
    }
}

/// Largest answer to a check that is read.
const CHECK_BYTES_MAX: usize = 64 * 1024;

/// Statuses that say more of the upstream than of the request (RFC 9110 15.6).
pub(super) fn is_failure(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::INTERNAL_SERVER_ERROR
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

impl Admission {
    fn settle(mut self, outcome: Outcome) {
        if let Some(ticket) = self.ticket.take() {
            self.node.judge(|breaker, now| breaker.handle_outcome(now, ticket, outcome));
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.node.metrics.count("cancelled");
            let settle = |breaker: &mut Breaker, now| {
                breaker.handle_outcome(now, ticket, Outcome::Abandoned);
            };
            self.node.judge(settle);
        }
    }
}

impl Load {
    fn new(node: &Arc<Node>) -> Self {
        node.load.fetch_add(1, Ordering::Relaxed);
        node.metrics.in_flight.inc();
        Self(Arc::clone(node))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.load.fetch_sub(1, Ordering::Relaxed);
        self.0.metrics.in_flight.dec();
    }
}
