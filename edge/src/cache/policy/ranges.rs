//! Ranges out of whole objects (RFC 9110 14).

use std::ops::Range;

use http::header::{HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE};
use http::{HeaderMap, Method, StatusCode};
use http_range_header::SyntacticallyCorrectRange;

use super::StoredHead;

/// Ranges of one request; more are answered with the whole, as RFC 9110 14.2 lets a server do.
pub const RANGES_MAX: usize = 16;

/// Which bytes a request is answered with. Ranges are never empty and end at the object's end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wanted {
    All,
    One(Range<u64>),
    Several(Vec<Range<u64>>),
    Unsatisfiable,
}

/// `Content-Range` of one part (RFC 9110 14.4): its bytes, and the length of the whole where it is
/// told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ContentRange {
    pub start: u64,
    pub end: u64,
    pub total: Option<u64>,
}

/// Reads `bytes 0-99/200` or `bytes 0-99/*`. `None` for anything else, empty and impossible ranges
/// included.
pub fn content_range(value: &HeaderValue) -> Option<ContentRange> {
    let (unit, rest) = value.to_str().ok()?.split_once(' ')?;
    let (range, total) = rest.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (start, last) = (digits(first)?, digits(last)?);
    let total = if total == "*" { None } else { Some(digits(total)?) };
    let end = last.checked_add(1)?;
    let is_possible = start < end && total.is_none_or(|total| end <= total);
    (unit.eq_ignore_ascii_case("bytes") && is_possible).then_some(ContentRange {
        start,
        end,
        total,
    })
}

/// Digits alone: no sign, no space.
fn digits(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// Reads `Range` and `If-Range` against a stored answer of `len_bytes`.
pub fn wanted_ranges(
    method: &Method,
    request: &HeaderMap,
    stored: &StoredHead,
    len_bytes: u64,
) -> Wanted {
    // RFC 9110 14.2: Range means something with GET alone, and for what would be a 200.
    if method != Method::GET || stored.status != StatusCode::OK {
        return Wanted::All;
    }
    let Some(text) = request.get(RANGE).and_then(|value| value.to_str().ok()) else {
        return Wanted::All;
    };
    if !if_range_holds(request, stored) || text.matches(',').count() >= RANGES_MAX {
        return Wanted::All;
    }
    let Ok(parsed) = http_range_header::parse_range_header(text.trim()) else {
        return Wanted::All;
    };
    let ranges: Vec<_> =
        parsed.into_ranges().into_iter().filter_map(|range| resolve(&range, len_bytes)).collect();
    let total_bytes: u64 = ranges.iter().map(|range| range.end - range.start).sum();
    match ranges.len() {
        0 => Wanted::Unsatisfiable,
        1 => Wanted::One(ranges[0].clone()),
        // RFC 9110 14.2: overlapping ranges that add up to more than the whole are an attack or a
        // mistake.
        _ if total_bytes > len_bytes => Wanted::All,
        _ => Wanted::Several(ranges),
    }
}

/// The bytes that a request asks for, when it asks for one range and in a form that is understood.
pub fn one_range(request: &HeaderMap, len_bytes: u64) -> Option<Range<u64>> {
    let mut all = request.get_all(RANGE).iter();
    let text = all.next()?.to_str().ok()?.trim();
    let parsed = http_range_header::parse_range_header(text).ok()?.into_ranges();
    match &parsed[..] {
        [range] if all.next().is_none() => resolve(range, len_bytes),
        _ => None,
    }
}

/// The bytes of one range; `None` when there are none (RFC 9110 14.1.2).
fn resolve(range: &SyntacticallyCorrectRange, len_bytes: u64) -> Option<Range<u64>> {
    let (start, end) = match range {
        SyntacticallyCorrectRange::FromStart(start) => (*start, len_bytes),
        SyntacticallyCorrectRange::FromLast(count) => (len_bytes.saturating_sub(*count), len_bytes),
        SyntacticallyCorrectRange::Indexed(first, last) => {
            (*first, last.saturating_add(1).min(len_bytes))
        }
    };
    (start < end).then_some(start..end)
}

/// RFC 9110 13.1.5: strong comparison, or the very date of `Last-Modified`; else the whole.
fn if_range_holds(request: &HeaderMap, stored: &StoredHead) -> bool {
    let Some(validator) = request.get(IF_RANGE) else {
        return true;
    };
    if validator.as_bytes().contains(&b'"') {
        return !validator.as_bytes().starts_with(b"W/") && stored.etag() == Some(validator);
    }
    stored.headers.get(LAST_MODIFIED) == Some(validator)
}
