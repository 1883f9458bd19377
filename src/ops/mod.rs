//! The operator's listener: what anyone near may look at, and what whoever has the key may do.
//!
//! | path | who | what |
//! | --- | --- | --- |
//! | `/metrics`, `/health`, `/ready` | everyone | for machines that scrape and probe |
//! | `/config` | everyone by a known name | the effective configuration, secrets redacted |
//! | `GET /stats` | the key | cache, upstreams, connections, feed |
//! | `POST /cache/purge`, `/cache/prefetch` | the key | [`cache`] |
//! | `GET`, `POST`, `DELETE /drain` | the key | [`drain`] |
//! | `POST /sessions/revoke`, `GET /sessions/revoked` | the key | [`sessions`] |
//! | `GET /feed` | the key | what other nodes follow ([`crate::feed`]) |
//!
//! [`guard`] decides who. `admin.sock` answers the same paths, and asks for no key: the socket
//! itself is the data directory owner's.

mod cache;
mod drain;
mod guard;
mod sessions;
mod stats;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use origin::body::MediaBody;
use origin::problem_with;
use platform::http::{Connection, Peer};
use platform::telemetry::{HttpMetrics, METRICS_CONTENT_TYPE, encode_metrics};
use prometheus_client::registry::Registry;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower_service::Service;

pub use guard::OpsGuard;
pub use stats::ConnectionCounts;

use crate::backend::Backend;
use crate::feed::{Feed, PublishError, Taken};
use crate::media::{Readiness, text};

const END_MARK: &str = "# EOF\n";
/// Largest body of a request: a few hundred addresses.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Things that one request may name.
const NAMES_MAX: usize = 1_000;

/// Clones share everything.
#[derive(Clone)]
pub struct OpsService(Arc<Ops>);

/// What operators look at and act upon.
pub struct Ops {
    pub registries: Vec<Registry>,
    /// The configuration as JSON, secrets redacted.
    pub config: String,
    pub readiness: Readiness,
    pub guard: OpsGuard,
    pub backend: Backend,
    pub feed: Feed,
    pub http: HttpMetrics,
    pub connections: ConnectionCounts,
}

/// An answer, or the problem that stands in its place.
type Answered = Result<Response<MediaBody>, Problem>;

/// What a request is refused with.
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
}

/// What can be done with the key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Act {
    Stats,
    Purge,
    Prefetch,
    DrainState,
    Drain,
    CancelDrain,
    Revoke,
    Revoked,
    Feed,
}

/// Every act by path and method.
const ACTS: [(&str, Method, Act); 9] = [
    ("/stats", Method::GET, Act::Stats),
    ("/cache/purge", Method::POST, Act::Purge),
    ("/cache/prefetch", Method::POST, Act::Prefetch),
    ("/drain", Method::GET, Act::DrainState),
    ("/drain", Method::POST, Act::Drain),
    ("/drain", Method::DELETE, Act::CancelDrain),
    ("/sessions/revoke", Method::POST, Act::Revoke),
    ("/sessions/revoked", Method::GET, Act::Revoked),
    ("/feed", Method::GET, Act::Feed),
];

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into() }
    }

    fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
    }

    fn response(&self) -> Response<MediaBody> {
        problem_with(self.status, self.code, &self.detail)
    }
}

impl OpsService {
    pub fn new(ops: Ops) -> Self {
        Self(Arc::new(ops))
    }

    /// All registries as one text, which has one end mark (OpenMetrics 1.0, "Overall Structure").
    fn metrics(&self) -> Result<String, std::fmt::Error> {
        self.0.feed.show();
        let mut metrics = String::new();
        for registry in &self.0.registries {
            metrics.push_str(encode_metrics(registry)?.trim_end_matches(END_MARK));
        }
        metrics.push_str(END_MARK);
        Ok(metrics)
    }

    /// Answers a request of the listener, which may come from anybody.
    async fn answer<B>(&self, request: Request<B>) -> Response<MediaBody>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let path = request.uri().path();
        if let Some(answer) = self.0.readiness.answer(path) {
            return answer;
        }
        if path == "/metrics" {
            return match self.metrics() {
                Ok(metrics) => typed(METRICS_CONTENT_TYPE, metrics),
                Err(error) => {
                    tracing::error!(%error, "metrics can't be written");
                    text(StatusCode::INTERNAL_SERVER_ERROR, "metrics can't be written\n")
                }
            };
        }
        let who = match request.extensions().get::<Connection>().map(|connection| connection.peer) {
            Some(Peer::Tcp(address)) => address.to_string(),
            _ => "unknown".to_owned(),
        };
        // What there is stands in the documentation; only acts ask for the key.
        let is_act = ACTS.iter().any(|(known, ..)| *known == path);
        let admitted = self.0.guard.check_host(&request).and_then(|()| match is_act {
            true => self.0.guard.check_key(request.headers()),
            false => Ok(()),
        });
        if let Err(problem) = admitted {
            self.0.guard.note_refusal(&who, path, problem.code);
            let mut response = problem.response();
            if problem.status == StatusCode::UNAUTHORIZED {
                let challenge = HeaderValue::from_static("Bearer realm=\"operator\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            return response;
        }
        if path == "/config" {
            return typed("application/json", self.0.config.clone());
        }
        self.act(request, &who).await
    }

    /// Does what an operator asks for, whoever it is: the key, or the socket, was looked at.
    pub async fn act<B>(&self, request: Request<B>, who: &str) -> Response<MediaBody>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let path = request.uri().path().to_owned();
        let methods = || ACTS.iter().filter(|(known, ..)| *known == path);
        if methods().next().is_none() {
            let reason = "this listener serves /metrics, /health, /ready, /config, /stats, \
                          /cache/purge, /cache/prefetch, /drain, /sessions/revoke, \
                          /sessions/revoked and /feed";
            return problem_with(StatusCode::NOT_FOUND, "not_found", reason);
        }
        let method = request.method().clone();
        let Some(&(_, _, act)) = methods().find(|(_, known, _)| *known == method) else {
            let allowed: Vec<_> = methods().map(|(_, method, _)| method.as_str()).collect();
            let reason = format!("{path} takes {}", allowed.join(", "));
            let mut response =
                problem_with(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", &reason);
            if let Ok(value) = HeaderValue::from_str(&allowed.join(", ")) {
                response.headers_mut().insert(header::ALLOW, value);
            }
            return response;
        };
        let answer = self.perform(act, request, who).await;
        answer.unwrap_or_else(|problem| {
            if method != Method::GET {
                let Problem { status, code, detail } = &problem;
                let status = status.as_u16();
                tracing::warn!(target: "audit", who, %method, path, status, code, detail, "refused");
            }
            problem.response()
        })
    }

    async fn perform<B>(&self, act: Act, request: Request<B>, who: &str) -> Answered
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let ops = &*self.0;
        let query = request.uri().query().unwrap_or_default().to_owned();
        match act {
            Act::Stats => stats::stats(ops, &query),
            Act::Purge => cache::purge(ops, body(request).await?, who).await,
            Act::Prefetch => cache::prefetch(ops, body(request).await?, who),
            Act::DrainState => Ok(drain::state(ops)),
            Act::Drain => Ok(drain::begin(ops, who)),
            Act::CancelDrain => Ok(drain::cancel(ops, who)),
            Act::Revoke => sessions::revoke(ops, body(request).await?, who).await,
            Act::Revoked => sessions::revoked(ops, &query),
            Act::Feed => {
                let heard_ms = parameter(&query, "heard").and_then(|text| text.parse().ok());
                Ok(ops.feed.answer(request.headers(), heard_ms))
            }
        }
    }
}

/// The body of a request as JSON, within bounds.
async fn body<B, T: DeserializeOwned>(request: Request<B>) -> Result<T, Problem>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let too_large = || {
        let reason = format!("at most {BODY_BYTES_MAX} bytes are read; send several requests");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "content_too_large", reason)
    };
    if (BODY_BYTES_MAX as u64) < request.body().size_hint().lower() {
        return Err(too_large());
    }
    let body = match Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(too_large()),
        Err(error) => return Err(Problem::bad_request(error.to_string())),
    };
    serde_json::from_slice(&body).map_err(|error| Problem::bad_request(error.to_string()))
}

/// Refuses a request that names nothing, or too much.
fn check_count(count: usize, what: &str) -> Result<(), Problem> {
    match count {
        0 => Err(Problem::bad_request(format!("name {what}"))),
        1..=NAMES_MAX => Ok(()),
        _ => Err(Problem::bad_request(format!("at most {NAMES_MAX} are taken at a time"))),
    }
}

/// Refuses what the feed refused, though the rest holds.
fn check_taken(taken: &Taken) -> Result<(), Problem> {
    match taken.refused.first() {
        None => Ok(()),
        Some(error) => {
            let reason = format!("{error} ({} of them; the others hold)", taken.refused.len());
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not_taken", reason))
        }
    }
}

/// Tells why nothing was published.
fn not_published(code: &'static str, error: &PublishError) -> Problem {
    match error {
        PublishError::Replaced => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "server_replaced", error.to_string())
        }
        PublishError::Random(_) => {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, code, error.to_string())
        }
    }
}

/// The value of a parameter of a query.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// A count in a query, up to `count_max`.
fn count_parameter(query: &str, name: &str, count_max: usize) -> Result<usize, Problem> {
    let Some(text) = parameter(query, name) else { return Ok(count_max.min(100)) };
    let count = text.parse().ok().filter(|count| *count <= count_max);
    count.ok_or_else(|| Problem::bad_request(format!("`{name}` is a number up to {count_max}")))
}

fn json(value: &Value) -> Response<MediaBody> {
    typed("application/json", format!("{value}\n"))
}

fn typed(content_type: &'static str, body: String) -> Response<MediaBody> {
    let mut response = text(StatusCode::OK, body);
    let value = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}

impl<B> Service<Request<B>> for OpsService
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<MediaBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.answer(request).await) })
    }
}
