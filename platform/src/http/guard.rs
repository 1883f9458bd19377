//! The layer between hyper and the service: limits that hold for every request.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use tower_service::Service;

use super::activity::{Activity, InFlight};
use super::body::{BodyError, ServerBody};
use super::{Connection, HttpLimits};

/// Bytes that a header field takes beyond its name and value: a colon, a space, a line end.
const FIELD_OVERHEAD_BYTES: usize = 4;

/// Hands the requests of one connection to the service.
#[derive(Clone)]
pub(super) struct Guard<S> {
    pub(super) service: S,
    pub(super) activity: Arc<Activity>,
    pub(super) limits: HttpLimits,
    pub(super) connection: Connection,
}

type Answer<B> = Response<ServerBody<B>>;

impl<S, B> hyper::service::Service<Request<Incoming>> for Guard<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BodyError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BodyError>,
{
    type Response = Answer<B>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer<B>, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let is_http2 = request.version() == Version::HTTP_2;
        let in_flight = self.activity.begin(is_http2);
        let finish = match is_http2 && *request.method() == Method::HEAD {
            true => without_content,
            false => |answer| answer,
        };
        if (self.limits.header_bytes as usize) < header_bytes(&request) {
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            return Box::pin(std::future::ready(Ok(finish(refusal(status, in_flight)))));
        }
        if !has_one_host(&request) {
            let answer = refusal(StatusCode::BAD_REQUEST, in_flight);
            return Box::pin(std::future::ready(Ok(finish(answer))));
        }
        request.extensions_mut().insert(self.connection);
        let answer = call_when_ready(self.service.clone(), request);
        let request_timeout = self.limits.request_timeout;
        let activity = Arc::clone(&self.activity);
        Box::pin(async move {
            let mut answer = answer_in_time(answer, request_timeout, in_flight).await;
            // RFC 9112 9.6: the client sends its next request elsewhere, and loses none.
            if !is_http2 && activity.is_leaving() {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(finish(answer))
        })
    }
}

async fn call_when_ready<S, R>(mut service: S, request: R) -> Result<S::Response, S::Error>
where
    S: Service<R>,
{
    std::future::poll_fn(|context| service.poll_ready(context)).await?;
    service.call(request).await
}

async fn answer_in_time<B: Body, E: Into<BodyError>>(
    answer: impl Future<Output = Result<Response<B>, E>>,
    request_timeout: Duration,
    in_flight: InFlight,
) -> Answer<B> {
    match tokio::time::timeout(request_timeout, answer).await {
        Ok(Ok(answer)) => answer.map(|body| ServerBody::service(body, in_flight)),
        Ok(Err(error)) => {
            tracing::error!(error = error.into(), "the service failed to answer a request");
            refusal(StatusCode::INTERNAL_SERVER_ERROR, in_flight)
        }
        Err(_) => {
            tracing::warn!(?request_timeout, "the service did not answer a request in time");
            refusal(StatusCode::SERVICE_UNAVAILABLE, in_flight)
        }
    }
}

/// An answer to HEAD: its fields say what GET would bring (RFC 9110 9.3.2). Over HTTP/1 hyper leaves
/// the content out by itself; over HTTP/2 it sends what it is given, which clients take for a
/// malformed answer.
fn without_content<B: Body>(mut answer: Answer<B>) -> Answer<B>
where
    B::Error: Into<BodyError>,
{
    let is_without = matches!(answer.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if let (false, Some(length)) = (is_without, answer.body().size_hint().exact())
        && 0 < length
    {
        answer.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| length.into());
    }
    answer.map(ServerBody::without_content)
}

/// Whether a request names its host once, and nowhere otherwise (RFC 9112 3.2, RFC 9113 8.3.1).
/// CONNECT names no path: no listener here is a tunnel.
fn has_one_host<T>(request: &Request<T>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, authority) = (hosts.next(), request.uri().authority());
    let is_missing = host.is_none() && request.version() == Version::HTTP_11;
    let is_other = host.zip(authority).is_some_and(|(host, authority)| {
        !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())
    });
    !is_missing && !is_other && hosts.next().is_none() && request.method() != Method::CONNECT
}

/// The request line and the header fields as HTTP/1 writes them.
fn header_bytes<T>(request: &Request<T>) -> usize {
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    let fields = request.headers().iter();
    let fields =
        fields.map(|(name, value)| name.as_str().len() + value.len() + FIELD_OVERHEAD_BYTES);
    path + fields.sum::<usize>()
}

/// An answer of the listener's own.
fn refusal<B: Body>(status: StatusCode, in_flight: InFlight) -> Answer<B> {
    let text = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "the headers of the request are too large\n",
        StatusCode::BAD_REQUEST => "the request names no host, or several\n",
        StatusCode::SERVICE_UNAVAILABLE => "the answer took too long\n",
        _ => "the request could not be answered\n",
    };
    let is_http2 = in_flight.activity().is_http2();
    let mut answer = Response::new(ServerBody::text(text, in_flight));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == StatusCode::BAD_REQUEST && !is_http2 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}
