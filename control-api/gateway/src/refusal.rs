//! How the gateway says no: a problem (RFC 9457) over REST, a status over gRPC.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::Response;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde_json::json;
use tonic::Code;

use crate::exchange::Exchange;

/// In which words an answer is given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dialect {
    Rest,
    Grpc,
}

pub(crate) const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// A request that gets no further. Boxed, so that results stay small.
#[derive(Debug)]
pub(crate) struct Refusal(Box<Inner>);

#[derive(Debug)]
struct Inner {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    headers: HeaderMap,
}

impl Refusal {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let headers = HeaderMap::new();
        Self(Box::new(Inner { status, code, detail: detail.into(), headers }))
    }

    #[must_use]
    pub(crate) fn with(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.0.headers.insert(name, value.into());
        self
    }

    #[must_use]
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        self.with(header::RETRY_AFTER, seconds)
    }

    pub(crate) fn into_response(self, exchange: &Exchange) -> Response {
        let mut response = match exchange.dialect {
            Dialect::Rest => self.problem(exchange),
            Dialect::Grpc => self.status(),
        };
        response.headers_mut().extend(self.0.headers);
        response
    }

    fn problem(&self, exchange: &Exchange) -> Response {
        let Inner { status, code, detail, .. } = self.0.as_ref();
        let document = json!({
            "type": format!("urn:streamverse:problem:{code}"),
            "title": status.canonical_reason().unwrap_or("Error"),
            "status": status.as_u16(),
            "code": code,
            "detail": detail,
            "instance": exchange.path,
            "request_id": exchange.request_id.as_str(),
            "trace_id": format!("{:032x}", exchange.trace.trace_id),
        });
        let mut response = Response::new(Body::from(document.to_string()));
        *response.status_mut() = *status;
        response.headers_mut().insert(header::CONTENT_TYPE, PROBLEM);
        response
    }

    fn status(&self) -> Response {
        let Inner { status, detail, .. } = self.0.as_ref();
        tonic::Status::new(code_of(*status), detail.as_ref()).into_http()
    }
}

/// The code of a status, as google.rpc.Code pairs them.
fn code_of(status: StatusCode) -> Code {
    match status.as_u16() {
        400 | 405 | 413 | 415 | 421 | 422 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        408 | 504 => Code::DeadlineExceeded,
        429 => Code::ResourceExhausted,
        425 | 503 => Code::Unavailable,
        _ => Code::Internal,
    }
}
