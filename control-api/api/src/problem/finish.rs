//! The last layer of an answer: problems learn where they happened, and their causes are logged.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};

use super::{Behind, CONTENT_TYPE, Known, Registry, body_of};
use crate::{ApiError, RequestId};

/// How problems are written.
#[derive(Clone, Debug, Default)]
pub struct Style {
    pub registry: Arc<Registry>,
}

/// `axum::middleware::from_fn_with_state(Arc::new(Style …), problem::finish)`, in front of the
/// router and of all layers that refuse, behind the one that gives the request its id.
pub async fn finish(State(style): State<Arc<Style>>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let instance = request.uri().path().to_owned();
    let request_id = request.extensions().get::<RequestId>().cloned();
    let trace_id = trace_id(request.headers().get("traceparent"));
    let response = next.run(request).await;
    if response.status().as_u16() < 400 {
        return response;
    }
    let known = Known {
        instance: Some(&instance),
        request_id: request_id.as_ref().map(RequestId::as_str),
        trace_id: trace_id.as_deref(),
    };
    let response = as_problem(response);
    let Some(Behind(error)) = response.extensions().get::<Behind>().cloned() else {
        return response;
    };
    log(&error, &method, &known);
    write(response, &error, style.title(&error), &known, method == Method::HEAD)
}

impl Style {
    fn title(&self, error: &ApiError) -> &str {
        let by_status = || error.status().canonical_reason().unwrap_or("Error");
        self.registry.find(error.code()).map_or_else(by_status, |entry| entry.title)
    }
}

fn write(
    response: Response,
    error: &ApiError,
    title: &str,
    known: &Known<'_>,
    is_head: bool,
) -> Response {
    let body = body_of(error, title, known);
    let (mut parts, _) = response.into_parts();
    parts.headers.insert(header::CONTENT_LENGTH, body.len().into());
    let body = if is_head { Body::empty() } else { Body::from(body) };
    Response::from_parts(parts, body)
}

/// A refusal that no handler wrote gets the code of its status; its headers stay (`Allow` of 405).
/// One that is a problem already, say of another server, stays as it is.
fn as_problem(response: Response) -> Response {
    let is_ours = response.extensions().get::<Behind>().is_some();
    let is_problem = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(CONTENT_TYPE.as_bytes()));
    if is_ours || is_problem {
        return response;
    }
    let mut problem = of_status(response.status()).into_response();
    let kept = response.headers().iter().filter(|(name, _)| {
        ![header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::ETAG]
            .contains(name)
    });
    for (name, value) in kept {
        problem.headers_mut().insert(name, value.clone());
    }
    problem
}

/// The problem of a bare status.
pub(super) fn of_status(status: StatusCode) -> ApiError {
    let (code, detail) = match status.as_u16() {
        400 => ("bad_request", "The request can't be understood."),
        401 => ("credentials_missing", "Send credentials."),
        403 => ("forbidden", "This is not allowed."),
        404 => ("no_such_route", "There is nothing at this path; see /v1/openapi.json."),
        405 => ("method_not_allowed", "This path takes other methods; see `Allow`."),
        408 => ("request_timeout", "The request took too long to arrive."),
        411 => ("length_required", "Send `Content-Length`."),
        413 => ("body_too_large", "The body is longer than this operation takes."),
        414 => ("target_too_long", "The path and query are too long."),
        415 => ("unsupported_media_type", "Send `Content-Type: application/json`."),
        429 => ("rate_limited", "Too many requests; wait as `Retry-After` says."),
        431 => ("headers_too_large", "The headers are too long."),
        500 => return ApiError::internal("internal", "a layer answered 500"),
        501 => ("not_implemented", "The server doesn't do this."),
        502 => ("upstream_failed", "A service behind this one failed."),
        503 => ("unavailable", "The service is not available right now."),
        504 => ("timed_out", "The request took too long to answer."),
        _ if status.is_client_error() => ("bad_request", "The request was refused."),
        _ => return ApiError::internal("internal", format!("a layer answered {status}")),
    };
    ApiError::new(status, code, detail)
}

fn log(error: &ApiError, method: &Method, known: &Known<'_>) {
    let (code, status) = (error.code(), error.status().as_u16());
    let (path, request_id) = (known.instance, known.request_id);
    let causes = error.causes();
    if error.is_ours() {
        tracing::error!(code, status, %method, path, request_id, causes, "a request failed");
    } else {
        tracing::debug!(code, status, %method, path, request_id, causes, "a request was refused");
    }
}

/// The trace id of `traceparent` (W3C Trace Context 3.2): `00-{32 hex}-{16 hex}-{2 hex}`, not zero.
fn trace_id(value: Option<&HeaderValue>) -> Option<String> {
    let text = value?.to_str().ok()?;
    let mut parts = text.split('-');
    let (version, id) = (parts.next()?, parts.next()?);
    let is_hex =
        |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let is_id = version.len() == 2
        && version != "ff"
        && is_hex(version)
        && id.len() == 32
        && is_hex(id)
        && id.bytes().any(|byte| byte != b'0');
    is_id.then(|| id.to_owned())
}
