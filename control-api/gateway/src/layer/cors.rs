//! Which pages may read answers (Fetch, "CORS protocol"): those of the list, and none by default.
//!
//! Callers say who they are by `Authorization`, never by a cookie, so that a page of another origin
//! gets nothing that it didn't bring, and credentials are not allowed across origins.

use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode};
use platform::config::web_origin;

use crate::exchange::Exchange;
use crate::refusal::Refusal;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "accept-language, authorization, content-type, idempotency-key, if-match, if-none-match, \
     last-event-id, prefer, traceparent, tracestate, tus-resumable, upload-length, \
     upload-metadata, upload-offset, x-request-id",
);
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "deprecation, etag, link, location, ratelimit, ratelimit-policy, retry-after, sunset, \
     traceparent, tus-resumable, upload-offset, x-request-id",
);
/// Two hours: the most that any browser keeps.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
/// Where a page of the public asks something of a private network.
const PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-request-private-network");

/// The answer to a preflight; `None` where the request is none.
pub(crate) fn preflight<B>(
    exchange: &Exchange,
    request: &Request<B>,
) -> Option<Result<Response, Refusal>> {
    let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if request.method() != Method::OPTIONS || !asks || exchange.origin.is_none() {
        return None;
    }
    if allowed(exchange).is_none() || request.headers().contains_key(PRIVATE_NETWORK) {
        let detail = "Pages of this origin may not use this API from a browser.";
        return Some(Err(Refusal::new(StatusCode::FORBIDDEN, "origin_not_allowed", detail)));
    }
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
    ];
    Some(Ok((StatusCode::NO_CONTENT, headers).into_response()))
}

/// Lets pages of the list read an answer. What depends on the origin says so, also to others.
pub(crate) fn open(exchange: &Exchange, headers: &mut HeaderMap) {
    for name in [
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
    ] {
        headers.remove(name);
    }
    if exchange.settings.origins.is_empty() {
        return;
    }
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = allowed(exchange) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

fn allowed(exchange: &Exchange) -> Option<&HeaderValue> {
    let origin = exchange.origin.as_ref()?;
    let name = web_origin(origin.to_str().ok()?)?;
    exchange.settings.origins.contains(&name).then_some(origin)
}
