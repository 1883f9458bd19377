//! Whether an answer may be kept by a shared cache (RFC 9111 3).

use http::header::{AUTHORIZATION, CONTENT_RANGE, EXPIRES, SET_COOKIE};
use http::{HeaderMap, Method, StatusCode};

use super::freshness::is_heuristic_status;
use super::{Control, VaryNames, vary_names};

/// Larger heads are passed on and not kept.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// What becomes of an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Storing {
    Store(VaryNames),
    Refuse(Refusal),
}

/// Why an answer is not kept, in the words that `Cache-Status` shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    Method,
    Status,
    NoStore,
    Private,
    Authorization,
    SetCookie,
    Vary,
    Silent,
    TooLarge,
    /// Some node on the way saw its own name in what the viewer sent (RFC 8586): about this request
    /// alone, and nothing about the URL.
    Loop,
}

impl Refusal {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Status => "status",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::Authorization => "authorization",
            Self::SetCookie => "set-cookie",
            Self::Vary => "vary",
            Self::Silent => "no-freshness",
            Self::TooLarge => "too-large",
            Self::Loop => "loop",
        }
    }
}

/// Decides about one answer to one request.
pub fn storing(
    method: &Method,
    request: &HeaderMap,
    status: StatusCode,
    headers: &HeaderMap,
    control: &Control,
) -> Storing {
    match refusal(method, request, status, headers, control) {
        Some(refusal) => Storing::Refuse(refusal),
        None => vary_names(headers).map_or(Storing::Refuse(Refusal::Vary), Storing::Store),
    }
}

fn refusal(
    method: &Method,
    request: &HeaderMap,
    status: StatusCode,
    headers: &HeaderMap,
    control: &Control,
) -> Option<Refusal> {
    if method != Method::GET {
        return Some(Refusal::Method);
    }
    if status == StatusCode::LOOP_DETECTED {
        return Some(Refusal::Loop);
    }
    // Parts are made from wholes here, never kept as such; a validation's answer is no content.
    let is_part = status == StatusCode::PARTIAL_CONTENT || headers.contains_key(CONTENT_RANGE);
    if status.is_informational() || status == StatusCode::NOT_MODIFIED || is_part {
        return Some(Refusal::Status);
    }
    // RFC 9111 5.2.2.3: with must-understand, whoever knows the status overlooks no-store.
    let understands = is_understood(status);
    if control.must_understand && !understands {
        return Some(Refusal::Status);
    }
    if control.no_store && !(control.must_understand && understands) {
        return Some(Refusal::NoStore);
    }
    if control.private {
        return Some(Refusal::Private);
    }
    // RFC 9111 3.5.
    let opens = control.public || control.must_revalidate || control.shared_max_age.is_some();
    if request.contains_key(AUTHORIZATION) && !opens {
        return Some(Refusal::Authorization);
    }
    // RFC 9111 7.3 leaves it to the server to forbid; one that forgot must not hand one viewer's
    // session to the next.
    if headers.contains_key(SET_COOKIE) {
        return Some(Refusal::SetCookie);
    }
    let says = control.public
        || control.max_age.is_some()
        || control.shared_max_age.is_some()
        || (!control.is_targeted && headers.contains_key(EXPIRES));
    if !says && !is_heuristic_status(status) {
        return Some(Refusal::Silent);
    }
    let head_bytes: usize = headers.iter().map(|(n, v)| n.as_str().len() + v.len() + 4).sum();
    (head_bytes > HEAD_BYTES_MAX).then_some(Refusal::TooLarge)
}

/// Statuses whose rules of caching this cache carries out.
fn is_understood(status: StatusCode) -> bool {
    is_heuristic_status(status)
        || matches!(status.as_u16(), 302 | 303 | 307 | 400 | 403 | 500..=504)
}
