//! The answers to requests that are turned away, which say when to come again.

use edge::limit::Priority;
use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use origin::body::MediaBody;
use origin::problem_with;

/// `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10).
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

const NANOS: u64 = 1_000_000_000;

/// A limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limited {
    pub(super) limit: &'static str,
    pub(super) burst: u32,
    pub(super) per_second: f64,
    pub(super) retry_after_nanos: u64,
}

impl Limited {
    /// 429 (RFC 6585 4).
    pub(super) fn answer(self) -> Response<MediaBody> {
        let seconds = self.retry_after_nanos.div_ceil(NANOS).max(1);
        let detail = match self.limit {
            "refused" => "too many signed URLs from here open nothing",
            _ => "too many requests from here",
        };
        let mut response = problem_with(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail);
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        // A full budget, and the time that an empty one takes to be full again.
        let window = (f64::from(self.burst) / self.per_second).ceil().clamp(1.0, 1e9) as u64;
        let (limit, burst) = (self.limit, self.burst);
        for (name, value) in [
            (RATE_LIMIT_POLICY, format!("\"{limit}\";q={burst};w={window}")),
            (RATE_LIMIT, format!("\"{limit}\";r=0;t={seconds}")),
        ] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        for_scripts(response)
    }
}

/// 503 (RFC 9110 15.6.4), at once: a player that knows early asks another server.
pub(super) fn shed(priority: Priority) -> Response<MediaBody> {
    let detail = "this server has too much to do for requests like this one";
    let mut response = problem_with(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail);
    let seconds = HeaderValue::from(priority.retry_after_seconds());
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    for_scripts(response)
}

/// Players read why they are refused, wherever their page comes from.
fn for_scripts(mut response: Response<MediaBody>) -> Response<MediaBody> {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let exposed = HeaderValue::from_static("Retry-After, RateLimit, RateLimit-Policy");
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    response
}
