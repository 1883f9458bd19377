//! From something that can be served to an HTTP answer: validators, ranges, caching, HEAD.

use std::ops::Range;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};

use crate::asset::AssetId;
use crate::body::{ChunkStream, MediaBody, next_chunk};
use crate::chunk::Chunk;

const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");
/// Ranges of one request; more are answered with the whole, as RFC 9110 14.2 lets a server do.
const RANGES_MAX: usize = 16;

/// How long an answer may be kept (the contract's table).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Caching {
    /// Bytes behind a name with a revision.
    Immutable,
    /// Manifests of a title.
    Manifest,
    /// Poster and thumbnail index.
    Short,
    /// Pages and lists.
    NoStore,
}

impl Caching {
    pub fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Immutable => "public, max-age=31536000, immutable",
            Self::Manifest => "public, max-age=3600",
            Self::Short => "public, max-age=300",
            Self::NoStore => "no-store",
        })
    }
}

/// Bytes whose number is known before any of them exists.
pub trait Source: Send + 'static {
    fn len_bytes(&self) -> u64;

    /// Streams a part of the bytes.
    fn stream(self: Box<Self>, range: Range<u64>) -> ChunkStream;

    /// All bytes, where they are at hand.
    fn whole(&self) -> Option<Bytes> {
        None
    }

    /// Another handle on the same bytes, for answers of several ranges.
    fn again(&self) -> Box<dyn Source>;
}

impl Source for Bytes {
    fn len_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn stream(self: Box<Self>, range: Range<u64>) -> ChunkStream {
        let part = self.slice(range.start as usize..range.end as usize);
        Box::pin(async_stream::stream! { yield Ok(Chunk::from(part)) })
    }

    fn whole(&self) -> Option<Bytes> {
        Some(self.clone())
    }

    fn again(&self) -> Box<dyn Source> {
        Box::new(self.clone())
    }
}

/// One thing to serve.
pub struct Entity {
    pub content_type: &'static str,
    /// Strong validator, without quotes.
    pub etag: String,
    pub caching: Caching,
    pub asset: Option<AssetId>,
    pub source: Box<dyn Source>,
}

impl Entity {
    /// Answers a GET or HEAD: 200, 206, 304, 412 or 416 (RFC 9110 13 and 14).
    pub fn respond(self, method: &Method, headers: &HeaderMap) -> Response<MediaBody> {
        let etag = format!("\"{}\"", self.etag);
        if let Some(expected) = headers.get(header::IF_MATCH)
            && !matches_etag(expected, &etag)
        {
            return self.answer(StatusCode::PRECONDITION_FAILED, &etag, MediaBody::empty());
        }
        if let Some(known) = headers.get(header::IF_NONE_MATCH)
            && matches_etag(known, &etag)
        {
            return self.answer(StatusCode::NOT_MODIFIED, &etag, MediaBody::empty());
        }
        let len = self.source.len_bytes();
        match wanted_ranges(headers, &etag, len) {
            Wanted::All => {
                let mut response = self.answer_with_source(method, &etag, len);
                set_length(&mut response, len);
                response
            }
            Wanted::Unsatisfiable => {
                let mut response =
                    self.answer(StatusCode::RANGE_NOT_SATISFIABLE, &etag, MediaBody::empty());
                let value = format!("bytes */{len}");
                set(&mut response, header::CONTENT_RANGE, &value);
                response.headers_mut().insert(header::CACHE_CONTROL, Caching::NoStore.header());
                set_length(&mut response, 0);
                response
            }
            Wanted::One(range) => self.answer_range(method, &etag, range, len),
            Wanted::Several(ranges) => self.answer_ranges(method, &etag, &ranges, len),
        }
    }

    fn answer_with_source(self, method: &Method, etag: &str, len: u64) -> Response<MediaBody> {
        let (head, source) = self.split();
        let body = match source.whole() {
            _ if method == Method::HEAD => MediaBody::empty(),
            Some(bytes) => MediaBody::whole(bytes),
            None => MediaBody::stream(source.stream(0..len), len),
        };
        head.answer(StatusCode::OK, etag, body)
    }

    fn answer_range(
        self,
        method: &Method,
        etag: &str,
        range: Range<u64>,
        len: u64,
    ) -> Response<MediaBody> {
        let (head, source) = self.split();
        let part_len = range.end - range.start;
        let body = if method == Method::HEAD {
            MediaBody::empty()
        } else {
            MediaBody::stream(source.stream(range.clone()), part_len)
        };
        let mut response = head.answer(StatusCode::PARTIAL_CONTENT, etag, body);
        let value = format!("bytes {}-{}/{len}", range.start, range.end - 1);
        set(&mut response, header::CONTENT_RANGE, &value);
        set_length(&mut response, part_len);
        response
    }

    /// `multipart/byteranges` (RFC 9110 14.6). The boundary comes from the validator, so that the
    /// same request has the same bytes.
    fn answer_ranges(
        self,
        method: &Method,
        etag: &str,
        ranges: &[Range<u64>],
        len: u64,
    ) -> Response<MediaBody> {
        let (head, source) = self.split();
        let boundary = format!("part-{}", head.etag);
        let part_head = |range: &Range<u64>| {
            format!(
                "\r\n--{boundary}\r\nContent-Type: {}\r\nContent-Range: bytes {}-{}/{len}\r\n\r\n",
                head.content_type,
                range.start,
                range.end - 1
            )
        };
        let end = format!("\r\n--{boundary}--\r\n");
        let mut parts: Vec<(String, ChunkStream)> = Vec::with_capacity(ranges.len());
        let mut total = end.len() as u64;
        for range in ranges {
            let text = part_head(range);
            total += text.len() as u64 + (range.end - range.start);
            parts.push((text, source.again().stream(range.clone())));
        }
        let body = if method == Method::HEAD {
            MediaBody::empty()
        } else {
            MediaBody::stream(multipart(parts, end), total)
        };
        let mut response = head.answer(StatusCode::PARTIAL_CONTENT, etag, body);
        let value = format!("multipart/byteranges; boundary={boundary}");
        set(&mut response, header::CONTENT_TYPE, &value);
        set_length(&mut response, total);
        response
    }

    fn answer(self, status: StatusCode, etag: &str, body: MediaBody) -> Response<MediaBody> {
        self.split().0.answer(status, etag, body)
    }

    fn split(self) -> (Head, Box<dyn Source>) {
        let head = Head {
            content_type: self.content_type,
            etag: self.etag,
            caching: self.caching,
            asset: self.asset,
        };
        (head, self.source)
    }
}

/// An entity without its bytes.
struct Head {
    content_type: &'static str,
    etag: String,
    caching: Caching,
    asset: Option<AssetId>,
}

impl Head {
    fn answer(&self, status: StatusCode, etag: &str, body: MediaBody) -> Response<MediaBody> {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, self.caching.header());
        if status != StatusCode::PRECONDITION_FAILED {
            headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        }
        if status.is_success() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        }
        if let Ok(value) = HeaderValue::from_str(etag) {
            headers.insert(header::ETAG, value);
        }
        if let Some(asset) = &self.asset
            && let Ok(value) = HeaderValue::from_str(asset.as_str())
        {
            headers.insert(CACHE_TAG, value);
        }
        response
    }
}

fn multipart(parts: Vec<(String, ChunkStream)>, end: String) -> ChunkStream {
    Box::pin(async_stream::stream! {
        for (head, mut stream) in parts {
            yield Ok(Chunk::from(Bytes::from(head)));
            while let Some(chunk) = next_chunk(&mut stream).await {
                yield chunk;
            }
        }
        yield Ok(Chunk::from(Bytes::from(end)));
    })
}

fn set(response: &mut Response<MediaBody>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn set_length(response: &mut Response<MediaBody>, len: u64) {
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(len));
}

/// Whether an `If-Match` or `If-None-Match` list names `etag`. Weak validators compare by their
/// opaque part: our bytes are the same whenever the tag is.
fn matches_etag(list: &HeaderValue, etag: &str) -> bool {
    list.to_str().is_ok_and(|list| {
        list.split(',')
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    })
}

enum Wanted {
    All,
    Unsatisfiable,
    One(Range<u64>),
    Several(Vec<Range<u64>>),
}

/// Reads `Range` in the light of `If-Range`. What can't be read is ignored (RFC 9110 14.2).
fn wanted_ranges(headers: &HeaderMap, etag: &str, len: u64) -> Wanted {
    let Some(range) = headers.get(header::RANGE).and_then(|range| range.to_str().ok()) else {
        return Wanted::All;
    };
    if headers
        .get(header::IF_RANGE)
        .is_some_and(|validator| validator.as_bytes() != etag.as_bytes())
    {
        return Wanted::All;
    }
    if range.matches(',').count() >= RANGES_MAX {
        return Wanted::All;
    }
    let Ok(parsed) = http_range_header::parse_range_header(range) else {
        return Wanted::All;
    };
    let Ok(ranges) = parsed.validate(len) else {
        // Several ranges fail when they overlap, too, which is no reason to send nothing.
        return if range.contains(',') { Wanted::All } else { Wanted::Unsatisfiable };
    };
    let mut ranges: Vec<_> =
        ranges.into_iter().map(|range| *range.start()..*range.end() + 1).collect();
    match ranges.len() {
        0 => Wanted::Unsatisfiable,
        1 => Wanted::One(ranges.remove(0)),
        _ => Wanted::Several(ranges),
    }
}
