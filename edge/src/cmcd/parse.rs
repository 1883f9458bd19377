//! From a request, or a line of a report, to [`Cmcd`].

use std::borrow::Cow;

use http::{HeaderMap, Uri};

use super::item::Items;
use super::key::Cmcd;
use super::{CMCD_BYTES_MAX, KEYS_MAX};

/// The four headers of CTA-5004 3.2. Which key stands in which makes no difference here.
const HEADERS: [&str; 4] = ["cmcd-request", "cmcd-object", "cmcd-status", "cmcd-session"];

/// What a request says, in its query or else in its headers. `None` when it says nothing.
pub fn of_request(uri: &Uri, headers: &HeaderMap) -> Option<Cmcd> {
    uri.query().and_then(of_query).or_else(|| of_headers(headers))
}

/// What a raw query says by its parameter `CMCD`. `None` when there is none.
pub fn of_query(query: &str) -> Option<Cmcd> {
    let is_ours = |pair: &&str| pair.as_bytes().get(..5).is_some_and(|name| name == b"CMCD=");
    let value = query.split('&').find(is_ours)?;
    // An escape is three characters for one.
    let value = value.get(5..).filter(|value| value.len() <= 3 * CMCD_BYTES_MAX)?;
    let decoded = decode(value, true)?;
    (decoded.len() <= CMCD_BYTES_MAX).then(|| read([decoded.as_ref()]))
}

/// What headers say. `None` when there are none.
pub fn of_headers(headers: &HeaderMap) -> Option<Cmcd> {
    let values = || HEADERS.iter().flat_map(|name| headers.get_all(*name));
    let bytes: usize = values().map(http::HeaderValue::len).sum();
    (1..=CMCD_BYTES_MAX)
        .contains(&bytes)
        .then(|| read(values().filter_map(|value| value.to_str().ok())))
}

/// What a line of an event report says (CTA-5004-B, event mode). `None` for an empty one.
pub fn of_line(line: &str) -> Option<Cmcd> {
    let line = line.trim_end_matches('\r');
    (!line.is_empty() && line.len() <= CMCD_BYTES_MAX).then(|| read([line]))
}

fn read<'a>(parts: impl IntoIterator<Item = &'a str>) -> Cmcd {
    let mut cmcd = Cmcd::default();
    let items = parts.into_iter().flat_map(Items::new);
    for (key, value) in items.take(KEYS_MAX) {
        cmcd.set(key, value);
    }
    // Version 1 writes the path of the next object percent-encoded, version 2 as it is.
    if cmcd.version.unwrap_or(1) < 2
        && let Some(next) = cmcd.next.take()
    {
        match decode(&next, false) {
            Some(decoded) if !decoded.bytes().any(|byte| byte.is_ascii_control()) => {
                cmcd.next = Some(decoded.into());
            }
            _ => cmcd.invalid += 1,
        }
    }
    cmcd
}

/// Without percent-encoding; in a form a plus is a space. `None` for what is no text. An escape that
/// is none stays as it is.
fn decode(text: &str, is_form: bool) -> Option<Cow<'_, str>> {
    let is_coded = |byte: u8| byte == b'%' || (is_form && byte == b'+');
    let mut rest = text.as_bytes();
    let Some(first) = rest.iter().position(|&byte| is_coded(byte)) else {
        return Some(Cow::Borrowed(text));
    };
    let mut out = Vec::with_capacity(text.len());
    let mut next = Some(first);
    while let Some(at) = next {
        out.extend_from_slice(&rest[..at]);
        let is_escape = rest[at] == b'%';
        rest = &rest[at + 1..];
        match rest.get(..2).and_then(|digits| Some((digit(digits[0])?, digit(digits[1])?))) {
            Some((high, low)) if is_escape => {
                out.push(high << 4 | low);
                rest = &rest[2..];
            }
            _ => out.push(if is_escape { b'%' } else { b' ' }),
        }
        next = rest.iter().position(|&byte| is_coded(byte));
    }
    out.extend_from_slice(rest);
    String::from_utf8(out).ok().map(Cow::Owned)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}
