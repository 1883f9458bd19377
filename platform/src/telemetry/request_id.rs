//! One id for a request, from the first proxy to the last log line.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::{Builder, Uuid};

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
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
        let uuid = Builder::from_unix_timestamp_millis(millis, &unique_bytes()).into_uuid();
        let text = uuid.hyphenated().encode_lower(&mut buffer);
        Self(HeaderValue::from_str(text).expect("a UUID is hexadecimal digits and hyphens"))
    }

    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub fn to_header(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// Ten bytes that no other request of this process gets, and none of another but by chance.
///
/// A counter from a random start, scrambled by a bijection (SplitMix64): an id has to be unique and
/// not secret, and the system's random numbers would cost two calls a request.
fn unique_bytes() -> [u8; 10] {
    let unique = unique_word();
    let mut bytes = [0; 10];
    // The version and the variant of a UUID take six of these bits, so that both words are used:
    // what the first loses, the second, which depends on it, still tells.
    bytes[..8].copy_from_slice(&unique.to_be_bytes());
    bytes[8..].copy_from_slice(&scramble(unique).to_be_bytes()[..2]);
    bytes
}

/// Eight bytes that no other call in this process gets.
pub(super) fn unique_word() -> u64 {
    static START: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0));
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    scramble(START.wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

/// The output function of SplitMix64, a bijection.
pub(super) fn scramble(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
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
        let ids: std::collections::HashSet<_> =
            (0..100_000).map(|_| RequestId::new().as_str().to_owned()).collect();
        assert_eq!(ids.len(), 100_000);
    }
}
