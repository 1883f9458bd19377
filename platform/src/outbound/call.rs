//! One request, and its answer as a whole.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};

use crate::resilience::Deadline;

/// `Idempotency-Key`: the other side acts once, however often the request arrives.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Longest pause that an answer may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub deadline: Option<Deadline>,
    /// Reads no more of the answer than this and leaves the rest, instead of failing.
    pub cut_answer_at_bytes: Option<u64>,
}

/// An answer that was read to its end, or to where it was cut.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub is_cut: bool,
}

impl Call {
    pub fn new(method: Method, uri: Uri) -> Self {
        Self {
            method,
            uri,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            deadline: None,
            cut_answer_at_bytes: None,
        }
    }

    pub fn get(uri: Uri) -> Self {
        Self::new(Method::GET, uri)
    }

    pub fn post(uri: Uri, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let call = Self { body: body.into(), ..Self::new(Method::POST, uri) };
        call.header(header::CONTENT_TYPE, HeaderValue::from_static(content_type))
    }

    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    #[must_use]
    pub fn until(mut self, deadline: Deadline) -> Self {
        self.deadline = Some(deadline);
        self
    }

    #[must_use]
    pub fn cut_answer_at(mut self, bytes: u64) -> Self {
        self.cut_answer_at_bytes = Some(bytes);
        self
    }

    /// Whether the other side may get it twice (RFC 9110 9.2.2).
    pub fn is_idempotent(&self) -> bool {
        let is_by_method = matches!(
            self.method,
            Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
        );
        is_by_method || self.headers.contains_key(IDEMPOTENCY_KEY)
    }
}

impl Reply {
    /// Statuses that say more of the peer than of the request (RFC 9110 15.6).
    pub fn is_failure(&self) -> bool {
        matches!(self.status.as_u16(), 500 | 502 | 503 | 504)
    }

    /// Whether another try may be answered differently; 500 is as likely to be final.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self.status.as_u16(), 429 | 502 | 503 | 504)
    }

    /// `Retry-After` in seconds (RFC 9110 10.2.3). A date needs two clocks that agree, and counts as
    /// nothing said.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(header::RETRY_AFTER)?.to_str().ok()?;
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = is_number.then(|| text.parse().unwrap_or(u64::MAX))?;
        Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
    }

    pub(super) fn outcome(&self) -> &'static str {
        match self.status.as_u16() / 100 {
            2 => "ok",
            3 => "redirect",
            4 => "client_error",
            5 => "server_error",
            _ => "other",
        }
    }
}
