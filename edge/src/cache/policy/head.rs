//! What is kept of an answer besides its bytes.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{
    self, AGE, CONNECTION, CONTENT_LENGTH, DATE, HeaderName, HeaderValue, SET_COOKIE,
};
use http::{HeaderMap, StatusCode};

use super::vary::SelectingValues;
use super::{Control, Policy, initial_age, lifetime};

/// Tags of one answer; further ones are not counted and can't be purged by.
pub(super) const TAGS_MAX: usize = 32;
const TAG_BYTES_MAX: usize = 256;

/// Fields that answers have beyond what is stored.
const ADDED_HEADERS: usize = 8;

/// The head of a stored answer with what was derived from it on arrival.
#[derive(Clone, Debug)]
pub struct StoredHead {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub request_time: SystemTime,
    pub response_time: SystemTime,
    pub control: Control,
    pub lifetime: Duration,
    pub initial_age: Duration,
    /// What the request had in the fields that `Vary` names.
    pub selecting: SelectingValues,
    pub tags: Arc<[Box<str>]>,
    /// The last purge before the request went out; later purges hit this answer.
    pub purge_stamp: u64,
}

impl StoredHead {
    pub fn new(
        status: StatusCode,
        mut headers: HeaderMap,
        (request_time, response_time): (SystemTime, SystemTime),
        selecting: SelectingValues,
        purge_stamp: u64,
        policy: &Policy,
    ) -> Self {
        strip_unstored(&mut headers);
        // RFC 9110 6.6.1: a recipient with a clock adds the date that an origin without one left
        // out.
        if !headers.contains_key(DATE)
            && let Ok(value) = HeaderValue::from_str(&httpdate::fmt_http_date(response_time))
        {
            headers.insert(DATE, value);
        }
        let control = Control::of_response(&headers, &policy.targeted);
        let lifetime = lifetime(status, &headers, &control, response_time, policy);
        let initial_age = initial_age(&headers, request_time, response_time);
        let tags = tags(&headers);
        // Every answer gets a few more (age, length, status): a copy of a table with room for them
        // needs no other table.
        headers.reserve(ADDED_HEADERS);
        Self {
            status,
            headers,
            request_time,
            response_time,
            control,
            lifetime,
            initial_age,
            selecting,
            tags,
            purge_stamp,
        }
    }

    /// `current_age` (RFC 9111 4.2.3). A clock that was set back makes nothing younger than it
    /// arrived.
    pub fn age(&self, now: SystemTime) -> Duration {
        let resident = now.duration_since(self.response_time).unwrap_or(Duration::ZERO);
        self.initial_age.saturating_add(resident)
    }

    /// Fresh while the lifetime exceeds the age (RFC 9111 4.2).
    pub fn is_fresh(&self, now: SystemTime) -> bool {
        self.lifetime > self.age(now)
    }

    /// For how long it has been stale.
    pub fn staleness(&self, now: SystemTime) -> Duration {
        self.age(now).saturating_sub(self.lifetime)
    }

    /// Seconds left, negative when stale: `ttl` of RFC 9211 2.4.
    pub fn ttl_seconds(&self, now: SystemTime) -> i64 {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        seconds(self.lifetime) - seconds(self.age(now))
    }

    /// The headers of an answer made from it, with its age (RFC 9111 5.1).
    pub fn headers_at(&self, now: SystemTime) -> HeaderMap {
        let mut headers = self.headers.clone();
        headers.insert(AGE, HeaderValue::from(self.age(now).as_secs()));
        headers
    }

    pub fn etag(&self) -> Option<&HeaderValue> {
        self.headers.get(header::ETAG)
    }

    pub fn has_validator(&self) -> bool {
        self.headers.contains_key(header::ETAG) || self.headers.contains_key(header::LAST_MODIFIED)
    }

    /// About what it takes in memory.
    pub fn weight_bytes(&self) -> usize {
        let headers: usize =
            self.headers.iter().map(|(n, v)| n.as_str().len() + v.len() + 64).sum();
        let tags: usize = self.tags.iter().map(|tag| tag.len() + 32).sum();
        512 + headers + tags
    }
}

/// Takes off what is not kept (RFC 9111 3.1): what belongs to one connection, to one viewer, and the
/// length, which is written anew.
pub fn strip_unstored(headers: &mut HeaderMap) {
    strip_connection(headers);
    headers.remove(CONTENT_LENGTH);
    headers.remove(SET_COOKIE);
}

/// Takes off what belongs to one connection, not to the message (RFC 9110 7.6.1).
pub fn strip_connection(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
    ] {
        headers.remove(name);
    }
}

/// `Cache-Tag`: words between commas or spaces, `Surrogate-Key` likewise.
fn tags(headers: &HeaderMap) -> Arc<[Box<str>]> {
    let mut tags: Vec<Box<str>> = Vec::new();
    for name in ["cache-tag", "surrogate-key"] {
        let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        for tag in lines.flat_map(|line| line.split([',', ' '])).map(str::trim) {
            let is_new = !tags.iter().any(|known| **known == *tag);
            if !tag.is_empty() && tag.len() <= TAG_BYTES_MAX && is_new && tags.len() < TAGS_MAX {
                tags.push(tag.into());
            }
        }
    }
    tags.into()
}
