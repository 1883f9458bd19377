//! Conditional requests: ours to the origin, and the viewer's to us (RFC 9111 4.3).

use std::time::SystemTime;

use http::StatusCode;
use http::header::{
    CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG,
    HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, VARY,
};

use super::freshness::date;
use super::{Policy, StoredHead, strip_unstored};

/// Tags of one `If-None-Match`; in a longer list the rest is not looked at.
const TAGS_MAX: usize = 64;

/// Puts the stored validators on a request (RFC 9111 4.3.1).
pub fn add_validators(request: &mut HeaderMap, stored: &StoredHead) {
    if let Some(etag) = stored.etag() {
        request.insert(IF_NONE_MATCH, etag.clone());
    }
    if let Some(modified) = stored.headers.get(LAST_MODIFIED) {
        request.insert(IF_MODIFIED_SINCE, modified.clone());
    }
}

/// What a 304 made of a stored answer.
#[derive(Debug)]
pub enum Freshened {
    Updated(Box<StoredHead>),
    /// It is about another representation (RFC 9111 4.3.4): what is stored must not be used.
    Mismatch,
}

/// Puts the headers of a 304 over the stored ones (RFC 9111 3.2): all but those that describe the
/// bytes, which have not changed.
pub fn freshen(
    stored: &StoredHead,
    update: HeaderMap,
    times: (SystemTime, SystemTime),
    purge_stamp: u64,
    policy: &Policy,
) -> Freshened {
    let strong = |value: &&HeaderValue| !value.as_bytes().starts_with(b"W/");
    if let Some(new) = update.get(ETAG).filter(strong)
        && stored.etag() != Some(new)
    {
        return Freshened::Mismatch;
    }
    Freshened::Updated(Box::new(updated(stored, update, times, purge_stamp, policy)))
}

/// What a HEAD's answer makes of a stored GET's (RFC 9111 4.3.5). `None` where it says nothing: it
/// is no 200.
pub fn freshen_by_head(
    stored: &StoredHead,
    stored_len_bytes: u64,
    (status, update): (StatusCode, HeaderMap),
    times: (SystemTime, SystemTime),
    purge_stamp: u64,
    policy: &Policy,
) -> Option<Freshened> {
    if status != StatusCode::OK || stored.status != StatusCode::OK {
        return None;
    }
    let is_same = |name: &HeaderName| {
        update.get(name).is_none_or(|new| stored.headers.get(name) == Some(new))
    };
    let len = update.get(CONTENT_LENGTH).map(|value| value.to_str().ok()?.parse::<u64>().ok());
    let is_same_len = len.is_none_or(|len| len == Some(stored_len_bytes));
    // Another coding, type or list of what it varies by is another representation, though 4.3.5
    // doesn't name them: no stored byte may be shown under them.
    let about = [CONTENT_ENCODING, CONTENT_TYPE, VARY];
    let is_alike = is_same(&ETAG) && is_same(&LAST_MODIFIED) && about.iter().all(is_same);
    if !is_alike || !is_same_len {
        return Some(Freshened::Mismatch);
    }
    let head = updated(stored, update, times, purge_stamp, policy);
    // What forbids keeping it makes it as good as stale.
    let is_kept = !head.control.no_store && !head.control.private;
    Some(if is_kept { Freshened::Updated(Box::new(head)) } else { Freshened::Mismatch })
}

/// The stored head with the fields of a newer answer put over its own (RFC 9111 3.2).
fn updated(
    stored: &StoredHead,
    mut update: HeaderMap,
    times: (SystemTime, SystemTime),
    purge_stamp: u64,
    policy: &Policy,
) -> StoredHead {
    strip_unstored(&mut update);
    for name in [CONTENT_ENCODING, CONTENT_TYPE, CONTENT_RANGE, CONTENT_LENGTH, ETAG] {
        update.remove(name);
    }
    let mut headers = stored.headers.clone();
    // Age and Date tell how old the validation is, not the first answer.
    headers.remove(http::header::AGE);
    headers.remove(DATE);
    for name in update.keys() {
        headers.remove(name);
    }
    for (name, value) in &update {
        headers.append(name, value.clone());
    }
    let selecting = stored.selecting.clone();
    StoredHead::new(stored.status, headers, times, selecting, purge_stamp, policy)
}

/// Whether a viewer holds what is stored already (RFC 9111 4.3.2; RFC 9110 13.1.2, 13.1.3).
pub fn not_modified(request: &HeaderMap, stored: &StoredHead) -> bool {
    if stored.status != StatusCode::OK {
        return false;
    }
    if request.contains_key(IF_NONE_MATCH) {
        let lines = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let own = stored.etag().and_then(|etag| etag.to_str().ok()).map(opaque);
        return lines
            .flat_map(entity_tags)
            .take(TAGS_MAX)
            .any(|tag| tag == "*" || own == Some(opaque(tag)));
    }
    let Some(since) = date(request, &IF_MODIFIED_SINCE) else {
        return false;
    };
    let modified = date(&stored.headers, &LAST_MODIFIED).or_else(|| date(&stored.headers, &DATE));
    modified.is_some_and(|modified| modified <= since)
}

/// The headers that a 304 keeps (RFC 9110 15.4.5): none that describe bytes that aren't there.
pub(crate) fn strip_for_not_modified(headers: &mut HeaderMap) {
    for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_RANGE, CONTENT_LENGTH] {
        headers.remove(name);
    }
}

/// Weak comparison looks at the opaque part alone (RFC 9110 8.8.3.2).
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// Members of a list of entity tags; a comma inside quotes belongs to a tag.
fn entity_tags(line: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    line.split(move |c: char| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    })
    .map(str::trim)
}
