//! What the head of an answer must say before any of its body is believed.
//!
//! RFC 9112 6.3 lets a body end with the connection, which makes a whole answer and one that broke
//! off look the same. Something that may be kept for a year has to say how long it is.

use http::header::{self, HeaderMap};
use http::{Method, Response, StatusCode, Version};

/// How much body follows a head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Announced {
    /// Exactly so many bytes.
    Bytes(u64),
    /// Framed by the protocol: chunks (RFC 9112 7.1) or the end of a stream (RFC 9113 8.1).
    Framed,
}

/// Why an answer is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadHead {
    #[error("its headers are larger than {max_bytes} bytes")]
    HeadersTooLarge { max_bytes: u64 },
    #[error("it has several Content-Length fields")]
    SeveralLengths,
    #[error("its Content-Length is no number")]
    NoLength,
    #[error("it has both Content-Length and Transfer-Encoding")]
    LengthAndEncoding,
    #[error("its Transfer-Encoding is not `chunked` alone")]
    UnknownEncoding,
    #[error("it would end with the connection, so that a part could pass for the whole")]
    EndsWithConnection,
    #[error("its status {0} does not answer the request")]
    Status(u16),
    #[error("its Content-Range does not fit its status and length")]
    ContentRange,
}

/// Checks the head of an answer to a request with `method`, with a `Range` or without one.
pub fn check_head<B>(
    method: &Method,
    has_range: bool,
    response: &Response<B>,
    header_bytes_max: u64,
) -> Result<Announced, BadHead> {
    let headers = response.headers();
    let size: usize =
        headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if header_bytes_max < size as u64 {
        return Err(BadHead::HeadersTooLarge { max_bytes: header_bytes_max });
    }
    let status = response.status();
    let is_of_range =
        matches!(status, StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE);
    if status.is_informational() || (is_of_range && !has_range) {
        return Err(BadHead::Status(status.as_u16()));
    }
    let length = content_length(headers)?;
    let encoding = transfer_encoding(headers)?;
    if encoding && length.is_some() {
        return Err(BadHead::LengthAndEncoding);
    }
    if status == StatusCode::PARTIAL_CONTENT {
        check_content_range(headers, length)?;
    }
    let is_bodyless = *method == Method::HEAD
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if is_bodyless {
        return Ok(Announced::Bytes(0));
    }
    match length {
        Some(length) => Ok(Announced::Bytes(length)),
        None if encoding || Version::HTTP_2 <= response.version() => Ok(Announced::Framed),
        None => Err(BadHead::EndsWithConnection),
    }
}

/// RFC 9110 8.6: digits. Equal fields twice would be allowed; nobody who means well sends them.
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, BadHead> {
    let mut values = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() || value.as_bytes().contains(&b',') {
        return Err(BadHead::SeveralLengths);
    }
    let text = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    text.and_then(|text| text.parse().ok()).map(Some).ok_or(BadHead::NoLength)
}

/// Whether the body is chunked. No other coding is taken: none was asked for.
fn transfer_encoding(headers: &HeaderMap) -> Result<bool, BadHead> {
    let mut values = headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(value) = values.next() else { return Ok(false) };
    let is_chunked = value.as_bytes().eq_ignore_ascii_case(b"chunked");
    if !is_chunked || values.next().is_some() {
        return Err(BadHead::UnknownEncoding);
    }
    Ok(true)
}

/// RFC 9110 14.4 and 15.3.7: a single part says where it lies, and is as long as it says.
fn check_content_range(headers: &HeaderMap, length: Option<u64>) -> Result<(), BadHead> {
    let mut values = headers.get_all(header::CONTENT_RANGE).iter();
    let Some(value) = values.next() else {
        let content_type = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes());
        let is_multipart =
            content_type.is_some_and(|value| value.starts_with(b"multipart/byteranges"));
        return if is_multipart { Ok(()) } else { Err(BadHead::ContentRange) };
    };
    let range = value.to_str().ok().and_then(parse_content_range);
    let Some((first, last, whole)) = range else { return Err(BadHead::ContentRange) };
    let is_ordered = first <= last && whole.is_none_or(|whole| last < whole);
    let fits =
        is_ordered && length.is_none_or(|length| (last - first).checked_add(1) == Some(length));
    if fits && values.next().is_none() { Ok(()) } else { Err(BadHead::ContentRange) }
}

/// `bytes 0-4/5` as first, last and complete length, which may be `*`.
fn parse_content_range(value: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, whole) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let whole = if whole == "*" { None } else { Some(whole.parse().ok()?) };
    Some((first.parse().ok()?, last.parse().ok()?, whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, fields: &[(&str, &str)], expected: Result<Announced, BadHead>) {
        check_for(&Method::GET, true, Version::HTTP_11, status, fields, expected);
    }

    #[track_caller]
    fn check_for(
        method: &Method,
        has_range: bool,
        version: Version,
        status: u16,
        fields: &[(&str, &str)],
        expected: Result<Announced, BadHead>,
    ) {
        let mut response = Response::builder().status(status).version(version);
        for (name, value) in fields {
            response = response.header(*name, *value);
        }
        let response = response.body(()).unwrap();
        assert_eq!(check_head(method, has_range, &response, 8_192), expected, "{fields:?}");
    }

    #[test]
    fn a_body_says_how_long_it_is() {
        check(200, &[("content-length", "5")], Ok(Announced::Bytes(5)));
        check(200, &[("transfer-encoding", "Chunked")], Ok(Announced::Framed));
        check(200, &[], Err(BadHead::EndsWithConnection));
        check(304, &[], Ok(Announced::Bytes(0)));
        check(304, &[("content-length", "9")], Ok(Announced::Bytes(0)));
        check_for(&Method::GET, false, Version::HTTP_2, 200, &[], Ok(Announced::Framed));
        let nine = [("content-length", "9")];
        check_for(&Method::HEAD, false, Version::HTTP_11, 200, &nine, Ok(Announced::Bytes(0)));
    }

    #[test]
    fn lengths_that_conflict_are_refused() {
        let five = ("content-length", "5");
        check(200, &[five, five], Err(BadHead::SeveralLengths));
        check(200, &[("content-length", "5, 5")], Err(BadHead::SeveralLengths));
        for value in ["", "-1", "+5", "0x5", "5 ", "99999999999999999999"] {
            check(200, &[("content-length", value)], Err(BadHead::NoLength));
        }
        let chunked = ("transfer-encoding", "chunked");
        check(200, &[five, chunked], Err(BadHead::LengthAndEncoding));
        check(200, &[chunked, chunked], Err(BadHead::UnknownEncoding));
        check(200, &[("transfer-encoding", "gzip, chunked")], Err(BadHead::UnknownEncoding));
        check(200, &[("transfer-encoding", "identity")], Err(BadHead::UnknownEncoding));
    }

    #[test]
    fn ranges_fit_their_length() {
        let with = |range, length| [("content-range", range), ("content-length", length)];
        check(206, &with("bytes 0-4/9", "5"), Ok(Announced::Bytes(5)));
        check(206, &with("bytes 0-4/*", "5"), Ok(Announced::Bytes(5)));
        for (range, length) in [
            ("bytes 0-4/9", "4"),
            ("bytes 5-4/9", "0"),
            ("bytes 5-9/9", "5"),
            ("bytes */9", "5"),
            ("items 0-4/9", "5"),
            ("bytes 0-18446744073709551615/*", "0"),
        ] {
            check(206, &with(range, length), Err(BadHead::ContentRange));
        }
        check(206, &[("content-length", "5")], Err(BadHead::ContentRange));
        let parts = [("content-type", "multipart/byteranges; boundary=x"), ("content-length", "5")];
        check(206, &parts, Ok(Announced::Bytes(5)));
        let unasked = with("bytes 0-4/9", "5");
        let refused = Err(BadHead::Status(206));
        check_for(&Method::GET, false, Version::HTTP_11, 206, &unasked, refused);
    }

    #[test]
    fn headers_are_bounded() {
        let large = "x".repeat(8_192);
        let fields = [("content-length", "5"), ("x-large", large.as_str())];
        check(200, &fields, Err(BadHead::HeadersTooLarge { max_bytes: 8_192 }));
    }
}
