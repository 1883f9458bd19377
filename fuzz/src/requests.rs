//! What viewers ask: queries and ranges.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body::Body;
use origin::{Caching, Entity, ManifestQuery};

/// Queries of manifests: what is repeated to playlists is a query again, and a plain one.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(parsed) = ManifestQuery::parse(text) else {
        return;
    };
    let suffix = parsed.playlist_suffix();
    assert!(suffix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"?&=._-".contains(&byte)));
    if let Some(suffix) = suffix.strip_prefix('?') {
        let again = ManifestQuery::parse(suffix).expect("what was written can be read");
        assert_eq!(again.playlist_suffix(), format!("?{suffix}"));
    }
}

/// Bytes of the entity that ranges are asked of.
const ENTITY: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Values of `Range`, each behind a length, with conditions: answers are as long as they say and
/// hold the bytes that they name.
pub fn range(data: &[u8]) {
    let mut lines = data.split(|&byte| byte == b'\n');
    let mut headers = HeaderMap::new();
    for name in [http::header::RANGE, http::header::IF_RANGE, http::header::IF_NONE_MATCH] {
        if let Some(value) = lines.next().filter(|value| !value.is_empty())
            && let Ok(value) = HeaderValue::from_bytes(value)
        {
            headers.insert(name, value);
        }
    }
    let get = answer(&Method::GET, &headers);
    let head = answer(&Method::HEAD, &headers);
    assert_eq!(get.0, head.0);
    assert!(head.2.is_empty());
    let length = &get.1[http::header::CONTENT_LENGTH.as_str()];
    if get.0 != StatusCode::NOT_MODIFIED {
        assert_eq!(length.to_str().ok(), Some(get.2.len().to_string().as_str()));
    }
    if get.0 == StatusCode::PARTIAL_CONTENT
        && let Some(value) = get.1.get(http::header::CONTENT_RANGE)
    {
        let value = value.to_str().expect("written by us");
        let span = value.strip_prefix("bytes ").and_then(|value| value.strip_suffix("/36"));
        let (first, last) = span.and_then(|span| span.split_once('-')).expect("of this form");
        let number = |text: &str| text.parse::<usize>().expect("a number");
        assert_eq!(get.2, &ENTITY[number(first)..=number(last)]);
    }
}

fn answer(method: &Method, headers: &HeaderMap) -> (StatusCode, HeaderMap, Vec<u8>) {
    let entity = Entity {
        content_type: "video/mp4",
        etag: "tag".to_owned(),
        caching: Caching::Immutable,
        asset: None,
        source: Box::new(Bytes::from_static(ENTITY)),
    };
    let (mut head, body) = entity.respond(method, headers).into_parts();
    head.headers.entry(http::header::CONTENT_LENGTH).or_insert(HeaderValue::from_static("0"));
    let mut body = pin!(body);
    let mut bytes = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut context) {
        let mut data = frame.expect("memory can be read").into_data().expect("data alone");
        bytes.extend_from_slice(&data.copy_to_bytes(data.remaining()));
    }
    (head.status, head.headers, bytes)
}
