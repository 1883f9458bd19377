//! How the gateway says no: a problem (RFC 9457) over REST, a status over gRPC, with one code.

use std::borrow::Cow;

use api::ApiError;
use api::problem::CodeEntry;
use axum::response::{IntoResponse, Response};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use tonic::{Code, Status};

/// In which words an answer is given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dialect {
    Rest,
    Grpc,
}

const fn entry(
    code: &'static str,
    status: u16,
    title: &'static str,
    about: &'static str,
) -> CodeEntry {
    CodeEntry { code, status, title, about }
}

/// The codes of the gateway itself, beside those that all domains share.
pub(crate) const CODES: &[CodeEntry] = &[
    entry(
        "origin_not_allowed",
        403,
        "Page not allowed",
        "Pages of this origin may not use the API from a browser; `control.cors_origins` lists those that may.",
    ),
    entry(
        "unknown_host",
        421,
        "Unknown host",
        "Nobody is served under the host that was asked; see `[[tenant]] hosts`.",
    ),
    entry(
        "too_early",
        425,
        "Too early",
        "The request came before the handshake was done and may be a replay. Send it again.",
    ),
    entry(
        "overloaded",
        503,
        "Overloaded",
        "More requests are under way than the server takes. Wait as `Retry-After` says.",
    ),
    entry(
        "invalid_timeout",
        400,
        "Timeout not readable",
        "`grpc-timeout` is up to eight digits and one of `H`, `M`, `S`, `m`, `u`, `n`.",
    ),
];

/// A request that gets no further. Boxed, so that results stay small.
#[derive(Debug)]
pub(crate) struct Refusal(Box<(ApiError, HeaderMap)>);

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self(Box::new((error, HeaderMap::new())))
    }
}

impl Refusal {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        ApiError::new(status, code, detail).into()
    }

    #[must_use]
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.1.insert(name, value);
        self
    }

    #[must_use]
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        let (error, headers) = *self.0;
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        Self(Box::new((error.retry_after(seconds), headers)))
    }

    pub(crate) fn into_response(self, dialect: Dialect) -> Response {
        let (error, headers) = *self.0;
        let mut response = match dialect {
            Dialect::Rest => error.into_response(),
            Dialect::Grpc => status_of(error).into_http(),
        };
        response.headers_mut().extend(headers);
        response
    }
}

/// Statuses that only a gateway gives have no pair among those of domains.
fn status_of(error: ApiError) -> Status {
    let code = match error.status() {
        StatusCode::REQUEST_TIMEOUT => Some(Code::DeadlineExceeded),
        StatusCode::MISDIRECTED_REQUEST => Some(Code::InvalidArgument),
        StatusCode::TOO_EARLY => Some(Code::Unavailable),
        StatusCode::PAYLOAD_TOO_LARGE => Some(Code::ResourceExhausted),
        _ => None,
    };
    let status = Status::from(error);
    match code {
        None => status,
        Some(code) => {
            let details = bytes::Bytes::copy_from_slice(status.details());
            Status::with_details(code, status.message(), details)
        }
    }
}

/// An answer of HTTP's own over gRPC, where the status of HTTP is always 200 (gRPC over HTTP/2,
/// "Responses").
pub(crate) fn in_grpc(response: Response) -> Response {
    if response.status() == StatusCode::OK {
        return response;
    }
    let status = response.status();
    Status::new(api::rpc::code_of(status), status.canonical_reason().unwrap_or("refused"))
        .into_http()
}
