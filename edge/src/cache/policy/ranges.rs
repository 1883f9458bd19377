//! Ranges out of whole objects (RFC 9110 14).

use std::ops::Range;

use http::header::{IF_RANGE, LAST_MODIFIED, RANGE};
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
