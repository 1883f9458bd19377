//! From something stored to an answer: validators, ranges, HEAD (RFC 9110 13 to 15).

use std::collections::VecDeque;
use std::ops::Range;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use serde_json::json;

use super::body::{CacheBody, Part, Source};
use super::policy::{
    CacheStatus, StoredHead, Wanted, not_modified, strip_for_not_modified, wanted_ranges,
};
use crate::fetch::FetchError;

/// What is answered from.
pub(super) struct Stored<'a> {
    pub head: &'a StoredHead,
    pub source: Source,
    /// Unknown while an origin that doesn't say streams.
    pub len_bytes: Option<u64>,
}

/// Who asks, when, and what this cache has to say about it.
pub(super) struct Asked<'a> {
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
    pub now: SystemTime,
    pub cache_name: &'a str,
}

pub(super) fn respond(
    asked: &Asked<'_>,
    stored: Stored<'_>,
    status: &CacheStatus,
) -> Response<CacheBody> {
    let mut response = respond_silently(asked, stored);
    status.append_to(response.headers_mut(), asked.cache_name);
    response
}

fn respond_silently(asked: &Asked<'_>, stored: Stored<'_>) -> Response<CacheBody> {
    let head = stored.head;
    let mut headers = head.headers_at(asked.now);
    if not_modified(asked.headers, head) {
        strip_for_not_modified(&mut headers);
        return response(StatusCode::NOT_MODIFIED, headers, CacheBody::empty());
    }
    let wanted = match stored.len_bytes {
        // Without a length no range has an end; the whole may be sent instead (RFC 9110 14.2).
        None => Wanted::All,
        Some(len) => wanted_ranges(asked.method, asked.headers, head, len),
    };
    let len = stored.len_bytes.unwrap_or(0);
    match wanted {
        Wanted::All => whole(asked, stored, headers),
        Wanted::Unsatisfiable => {
            strip_for_not_modified(&mut headers);
            set(&mut headers, header::CONTENT_RANGE, &format!("bytes */{len}"));
            // The answer is about this request alone; as long as the object it must not live.
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
            response(StatusCode::RANGE_NOT_SATISFIABLE, headers, CacheBody::empty())
        }
        Wanted::One(range) => {
            let count = range.end - range.start;
            set(&mut headers, header::CONTENT_RANGE, &content_range(&range, len));
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(count));
            let parts = VecDeque::from([span(&range)]);
            let body = CacheBody::parts(stored.source, parts, Some(count));
            response(StatusCode::PARTIAL_CONTENT, headers, body)
        }
        Wanted::Several(ranges) => several(stored, headers, &ranges, len),
    }
}

fn whole(asked: &Asked<'_>, stored: Stored<'_>, mut headers: HeaderMap) -> Response<CacheBody> {
    let status = stored.head.status;
    // RFC 9110 8.6: no length where there can be no content.
    if let Some(len) = stored.len_bytes.filter(|_| status != StatusCode::NO_CONTENT) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(len));
    }
    let body = if asked.method == Method::HEAD {
        CacheBody::empty()
    } else {
        let parts = VecDeque::from([Part::Span { start: 0, end: u64::MAX }]);
        CacheBody::parts(stored.source, parts, stored.len_bytes)
    };
    response(status, headers, body)
}

/// `multipart/byteranges` (RFC 9110 14.6), of a length known in advance.
fn several(
    stored: Stored<'_>,
    mut headers: HeaderMap,
    ranges: &[Range<u64>],
    len: u64,
) -> Response<CacheBody> {
    let boundary = boundary(stored.head, ranges);
    let kind = headers.remove(header::CONTENT_TYPE);
    let kind = kind.as_ref().and_then(|kind| kind.to_str().ok());
    let kind = kind.map_or_else(String::new, |kind| format!("Content-Type: {kind}\r\n"));
    let mut parts = VecDeque::new();
    let mut total = 0;
    for (index, range) in ranges.iter().enumerate() {
        let lead = if index == 0 { "" } else { "\r\n" };
        let place = content_range(range, len);
        let text = format!("{lead}--{boundary}\r\n{kind}Content-Range: {place}\r\n\r\n");
        total += text.len() as u64 + range.end - range.start;
        parts.push_back(Part::Literal(text.into()));
        parts.push_back(span(range));
    }
    let end = format!("\r\n--{boundary}--\r\n");
    total += end.len() as u64;
    parts.push_back(Part::Literal(end.into()));
    let kind = format!("multipart/byteranges; boundary={boundary}");
    set(&mut headers, header::CONTENT_TYPE, &kind);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(total));
    let body = CacheBody::parts(stored.source, parts, Some(total));
    response(StatusCode::PARTIAL_CONTENT, headers, body)
}

/// A word that no content holds but by intent; it differs between objects and requests.
fn boundary(head: &StoredHead, ranges: &[Range<u64>]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(head.etag().map_or(b"", |etag| etag.as_bytes()));
    for range in ranges {
        hasher.update(&range.start.to_le_bytes()).update(&range.end.to_le_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

/// A problem document for what went wrong on the way (RFC 9457), with a stable code.
pub(super) fn failure(error: &FetchError, status: &CacheStatus, name: &str) -> Response<CacheBody> {
    let (code, word) = match error {
        FetchError::Timeout { .. } => (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout"),
        FetchError::Unreachable { .. } => (StatusCode::BAD_GATEWAY, "upstream_unreachable"),
        FetchError::Invalid { .. } => (StatusCode::BAD_GATEWAY, "upstream_invalid"),
        FetchError::Overloaded { .. } => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
    };
    let mut response = problem(code, word);
    if code == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(1));
    }
    status.append_to(response.headers_mut(), name);
    response
}

/// The cause names upstreams, which are nobody's business: the viewer learns the code.
pub(super) fn problem(status: StatusCode, code: &str) -> Response<CacheBody> {
    let document = json!({
        "type": format!("urn:streamverse:problem:{code}"),
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "code": code,
    });
    let bytes = Bytes::from(document.to_string());
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response(status, headers, CacheBody::literal(bytes))
}

fn response(status: StatusCode, headers: HeaderMap, body: CacheBody) -> Response<CacheBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn span(range: &Range<u64>) -> Part {
    Part::Span { start: range.start, end: range.end }
}

fn content_range(range: &Range<u64>, len: u64) -> String {
    format!("bytes {}-{}/{len}", range.start, range.end - 1)
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
