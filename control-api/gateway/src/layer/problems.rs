//! Every failure is a problem (RFC 9457), also those that the router and the extractors answer with
//! a line of text.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{self, HeaderName};
use http_body_util::{BodyExt, Limited};

use crate::exchange::Exchange;
use crate::refusal::{Dialect, PROBLEM, Refusal};

/// Longest text of an extractor that becomes a detail.
const DETAIL_BYTES_MAX: usize = 1_024;

/// What of such an answer is kept beside its text.
const KEPT: [HeaderName; 4] = [
    header::ALLOW,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("accept-post"),
];

pub(crate) async fn shape(exchange: &Exchange, response: Response) -> Response {
    let status = response.status();
    let is_problem = response.headers().get(header::CONTENT_TYPE) == Some(&PROBLEM);
    let is_failure = status.is_client_error() || status.is_server_error();
    match exchange.dialect {
        Dialect::Rest if is_failure && !is_problem => {}
        // Over gRPC the status of HTTP is 200 (gRPC over HTTP/2, "Responses").
        Dialect::Grpc if status != StatusCode::OK => {}
        _ => return response,
    }
    let (parts, body) = response.into_parts();
    let detail = match standard_detail(status) {
        Some(detail) => Cow::Borrowed(detail),
        None => text_of(body).await.map_or("The request was refused.".into(), Cow::Owned),
    };
    let mut refusal = Refusal::new(status, code_of(status), detail);
    for name in KEPT {
        if let Some(value) = parts.headers.get(&name) {
            refusal = refusal.with(name, value.clone());
        }
    }
    let mut shaped = refusal.into_response(exchange);
    *shaped.extensions_mut() = parts.extensions;
    shaped
}

fn code_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "credentials_missing",
        403 => "forbidden",
        404 => "no_such_route",
        405 => "method_not_allowed",
        406 => "not_acceptable",
        408 => "request_late",
        413 => "content_too_large",
        415 => "unsupported_media_type",
        422 => "validation_failed",
        500..=599 => "internal",
        _ => "invalid_request",
    }
}

/// `None` where the text itself helps the caller.
fn standard_detail(status: StatusCode) -> Option<&'static str> {
    Some(match status.as_u16() {
        404 => "Nothing answers at this path.",
        405 => "The path is right and the method is not; `Allow` lists those there are.",
        413 => "The content is larger than this operation takes.",
        500..=599 => "Something went wrong on our side. The request id helps us to find it.",
        _ => return None,
    })
}

async fn text_of(body: Body) -> Option<String> {
    let whole = Limited::new(body, DETAIL_BYTES_MAX).collect().await.ok()?;
    let text = String::from_utf8(whole.to_bytes().into()).ok()?;
    (!text.is_empty()).then_some(text)
}
