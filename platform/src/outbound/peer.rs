//! Calls to one peer: place, breaker, tries.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderValue};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, sleep};

use super::call::{Call, Reply};
use super::connect::Connect;
use super::error::CallError;
use super::exchange::{HttpClient, exchange};
use super::metrics::PeerMetrics;
use super::settings::{self, PeerSettings, Reach};
use super::trace::CallContext;
use super::url::check_given;
use crate::resilience::breaker::{BreakerState, Outcome};
use crate::resilience::budget::Budget;
use crate::resilience::{Bulkhead, Circuit, Deadline, GiveUp, Retries, ServiceMetrics, random};

/// What we call ourselves.
const USER_AGENT: &str = concat!("streamverse/", env!("CARGO_PKG_VERSION"));

/// A service that is called over HTTP. Clones share connections, breaker and budget.
#[derive(Clone)]
pub struct Peer(Arc<Inner>);

pub(super) struct Inner {
    pub(super) name: String,
    pub(super) settings: PeerSettings,
    pub(super) client: HttpClient,
    allows_http: bool,
    circuit: Option<Circuit>,
    budget: Mutex<Budget>,
    bulkhead: Bulkhead,
    service: ServiceMetrics,
    metrics: PeerMetrics,
}

impl Peer {
    pub(super) fn new(
        name: &str,
        settings: PeerSettings,
        allows_http: bool,
        connect: Connect,
        service: ServiceMetrics,
        metrics: PeerMetrics,
    ) -> Self {
        let circuit = settings.breaker.map(|rule| Circuit::new(name, rule, service.clone()));
        Self(Arc::new(Inner {
            name: name.to_owned(),
            client: client(&settings, connect),
            allows_http,
            circuit,
            budget: Mutex::new(Budget::new(settings.retry_percent)),
            bulkhead: Bulkhead::new(settings.calls_max, settings.queue_max, settings.queue_timeout),
            settings,
            service,
            metrics,
        }))
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub fn breaker_state(&self) -> BreakerState {
        self.0.circuit.as_ref().map_or(BreakerState::Closed, Circuit::state)
    }

    /// Calls, tries again where that is safe and may help, and reads the answer to its end.
    ///
    /// Only what may arrive twice is sent again: requests that are idempotent by their method or by
    /// `Idempotency-Key`, and those that never left.
    ///
    /// # Errors
    /// When there is no answer. One of status 400 or more is an answer.
    pub async fn send(&self, mut call: Call) -> Result<Reply, CallError> {
        let inner = &*self.0;
        inner.check(&call)?;
        let context = CallContext::current();
        let now = now();
        let own = Deadline::after(now, inner.settings.total_timeout);
        let callers = call.deadline.into_iter().chain(context.deadline).min();
        let is_callers = callers.is_some_and(|callers| callers < own);
        let wait = Wait { deadline: own.earlier(callers), is_callers };
        inner.prepare(&mut call.headers, &context);

        let patience = wait.deadline.remaining(now);
        let _place = inner.bulkhead.enter(patience).await.map_err(|reason| {
            inner.service.overloaded.inc();
            CallError::Overloaded { peer: inner.name.clone(), reason }
        })?;
        let _counted = InFlight::new(&inner.service);
        inner.budget().handle_request();
        let tries_max = inner.settings.retries_max;
        let mut retries = Retries::new(inner.settings.backoff, tries_max, wait.deadline);
        loop {
            let outcome = inner.follow(&call, wait).await;
            let Some(asked) = worth_another(&call, &outcome) else { return outcome };
            let next = retries.next(self::now(), random(), asked, &mut inner.budget());
            match next {
                Ok(pause) => {
                    inner.service.retries.inc();
                    sleep(pause).await;
                }
                Err(reason) => {
                    inner.give_up(reason);
                    return outcome;
                }
            }
        }
    }
}

/// Until when a call may take, and whether it is the caller who set that.
#[derive(Clone, Copy)]
pub(super) struct Wait {
    pub(super) deadline: Deadline,
    pub(super) is_callers: bool,
}

/// Whether to try again, with the pause that the other side asked for.
fn worth_another(call: &Call, outcome: &Result<Reply, CallError>) -> Option<Option<Duration>> {
    match outcome {
        Ok(reply) => (reply.is_passing() && call.is_idempotent()).then(|| reply.retry_after()),
        Err(error) => {
            let is_safe = call.is_idempotent() || !error.was_sent();
            (error.is_passing() && is_safe).then_some(None)
        }
    }
}

impl Inner {
    fn check(&self, call: &Call) -> Result<(), CallError> {
        let checked = match self.settings.reach {
            Reach::Public => check_given(&call.uri, self.allows_http),
            Reach::Anywhere => Ok(()),
        };
        checked.map_err(|reason| {
            self.metrics.count("bad_url");
            CallError::BadUrl { peer: self.name.clone(), reason }
        })
    }

    fn prepare(&self, headers: &mut HeaderMap, context: &CallContext) {
        headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
        // What is not asked for can't blow up when it is unpacked.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        context.write(headers);
    }

    /// One try, with the redirects that it may follow.
    async fn follow(&self, call: &Call, wait: Wait) -> Result<Reply, CallError> {
        let mut hop = call.clone();
        let mut hops = 0;
        loop {
            let reply = self.attempt(&hop, wait).await?;
            let location = reply.headers.get(header::LOCATION).map(HeaderValue::as_bytes);
            let rule = self.settings.redirects;
            let next = rule.next(&hop.method, &hop.uri, reply.status, location, hops);
            let next =
                next.map_err(|reason| CallError::Redirect { peer: self.name.clone(), reason })?;
            let Some(next) = next else { return Ok(reply) };
            if next.authority() != hop.uri.authority() {
                keep_harmless(&mut hop.headers);
            }
            hop.uri = next;
            hops += 1;
            self.check(&hop)?;
        }
    }

    async fn attempt(&self, call: &Call, wait: Wait) -> Result<Reply, CallError> {
        if wait.deadline.is_over(now()) {
            self.metrics.count("deadline");
            return Err(CallError::DeadlineOver { peer: self.name.clone() });
        }
        let admission = match self.circuit.as_ref().map(Circuit::admit).transpose() {
            Ok(admission) => admission,
            Err(reason) => {
                self.metrics.count("breaker_open");
                return Err(CallError::BreakerOpen { peer: self.name.clone(), reason });
            }
        };
        let began = Instant::now();
        let counted = Cancelled(Some(&self.metrics));
        let outcome = exchange(self, call, wait).await;
        counted.settle();
        self.metrics.seconds.observe(began.elapsed().as_secs_f64());
        let (word, judged) = match &outcome {
            Ok(reply) if reply.is_failure() => (reply.outcome(), Outcome::Failure),
            Ok(reply) => (reply.outcome(), Outcome::Success),
            Err(error) if error.blames_peer() => (error.outcome(), Outcome::Failure),
            Err(error) => (error.outcome(), Outcome::Abandoned),
        };
        self.metrics.count(word);
        if let Some(admission) = admission {
            admission.settle(judged);
        }
        outcome
    }

    fn budget(&self) -> std::sync::MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_up(&self, reason: GiveUp) {
        self.service.count_give_up(reason);
        if reason == GiveUp::Budget {
            tracing::warn!(peer = self.name, "a call is not tried again: the budget is used up");
        }
    }
}

pub(super) fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// Another host gets nothing that was meant for the first.
fn keep_harmless(headers: &mut HeaderMap) {
    let harmless = [header::ACCEPT, header::ACCEPT_ENCODING, header::USER_AGENT];
    let kept = harmless.into_iter().filter_map(|name| {
        let value = headers.get(&name)?.clone();
        Some((name, value))
    });
    *headers = kept.collect();
}

fn client(settings: &PeerSettings, connect: Connect) -> HttpClient {
    let header_bytes_max = settings.header_bytes_max;
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(settings::POOL_IDLE)
        .pool_max_idle_per_host(settings.idle_max)
        // Which requests are sent again is decided in one place, and counted.
        .retry_canceled_requests(false)
        .http1_max_buf_size(header_bytes_max as usize)
        .http2_max_header_list_size(header_bytes_max)
        .http2_initial_stream_window_size(settings::STREAM_WINDOW_BYTES)
        .http2_initial_connection_window_size(settings::CONNECTION_WINDOW_BYTES)
        .http2_keep_alive_interval(settings::PING_INTERVAL)
        .http2_keep_alive_timeout(settings::PING_TIMEOUT)
        .build::<_, Full<bytes::Bytes>>(connect)
}

/// Counts a call while it is under way.
struct InFlight<'a>(&'a ServiceMetrics);

impl<'a> InFlight<'a> {
    fn new(service: &'a ServiceMetrics) -> Self {
        service.in_flight.inc();
        Self(service)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}

/// Counts a try whose caller went away.
struct Cancelled<'a>(Option<&'a PeerMetrics>);

impl Cancelled<'_> {
    fn settle(mut self) {
        self.0 = None;
    }
}

impl Drop for Cancelled<'_> {
    fn drop(&mut self) {
        if let Some(metrics) = self.0 {
            metrics.count("cancelled");
        }
    }
}
