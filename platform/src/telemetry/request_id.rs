//! One id for a request, from the first proxy to the last log line.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// `X-Request-Id`.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken over.
const ID_BYTES_MAX: usize = 128;

/// The id of a request; among its extensions, and in the answer's `X-Request-Id`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id that came with the request, if it is one that logs and headers can hold; else a new
    /// one: a UUID of version 7 (RFC 9562 5.7), which sorts by time.
    pub fn of(headers: &HeaderMap) -> Self {
        match headers.get(REQUEST_ID) {
            Some(given) if is_sane(given.as_bytes()) => Self(given.clone()),
            _ => Self::new(),
        }
    }

    fn new() -> Self {
        let mut buffer = Uuid::encode_buffer();
        let text = Uuid::now_v7().hyphenated().encode_lower(&mut buffer);
        Self(HeaderValue::from_str(text).expect("a UUID is hexadecimal digits and hyphens"))
    }

    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub fn to_header(&self) -> HeaderValue {
        self.0.clone()
    }
}

fn is_sane(id: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte);
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.iter().all(is_plain)
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sane_ids_are_kept_and_others_replaced() {
        let of = |id: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(id).unwrap());
            RequestId::of(&headers)
        };
        for sane in ["a", "Root=1-67891233-abcdef012345678912345678", "a/b:c_d.e"] {
            assert_eq!(of(sane.as_bytes()).as_str(), sane);
        }
        let long = vec![b'x'; ID_BYTES_MAX + 1];
        for insane in [&b""[..], b"a b", b"\"quoted\"", b"\xff", b"<script>", &long] {
            let id = of(insane);
            let uuid = Uuid::parse_str(id.as_str()).unwrap();
            assert_eq!(uuid.get_version_num(), 7);
        }
        assert_ne!(RequestId::new(), RequestId::new());
    }
}
