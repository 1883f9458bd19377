//! The parameters of a query that change an answer, in one order and one spelling.
//!
//! They are read as the origin reads them, by the rules of HTML forms
//! (`application/x-www-form-urlencoded`: `+` is a space, a stray `%` itself), so that two queries
//! with one key have one answer.

use super::path::{is_unreserved, push_escape, read_hex};
use super::{PARAMETERS_MAX, QUERY_BYTES_MAX, TargetError};

/// Parameters of manifests that change the answer, as the contract lists them.
pub const MANIFEST_PARAMETERS: [&str; 8] =
    ["audio", "end", "key_format", "max_bitrate", "max_height", "start", "text", "video"];

/// What a path leads to, as far as its query is concerned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Manifest,
    /// A fragment, in front of which a `sidx` can be asked for.
    Fragment,
    /// No query changes it.
    Other,
}

impl Kind {
    pub(super) fn of(path: &str) -> Self {
        let file = path.rsplit('/').next().unwrap_or_default();
        match file.rsplit_once('.').map(|(_, extension)| extension) {
            Some("m3u8" | "mpd") => Self::Manifest,
            Some("m4s") => Self::Fragment,
            _ => Self::Other,
        }
    }

    fn keeps(self, name: &str, value: &[u8]) -> bool {
        match self {
            Self::Manifest => MANIFEST_PARAMETERS.contains(&name),
            // Any other value means no index.
            Self::Fragment => name == "sidx" && value == b"1",
            Self::Other => false,
        }
    }
}

/// The parameters of `raw` that change an answer, decoded, sorted by name.
pub(super) fn canonical(raw: &str, kind: Kind) -> Result<Vec<(String, String)>, TargetError> {
    let mut kept = Vec::new();
    let mut len_bytes = 0;
    if kind == Kind::Other {
        return Ok(kept);
    }
    for (at, pair) in raw.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        if PARAMETERS_MAX <= at {
            return Err(TargetError::Query);
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // Whatever is no text is none of our names.
        let Ok(name) = String::from_utf8(decode(name)) else { continue };
        let value = decode(value);
        if !kind.keeps(&name, &value) {
            continue;
        }
        let value = String::from_utf8(value).map_err(|_| TargetError::Query)?;
        if value.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(TargetError::Query);
        }
        len_bytes += name.len() + 3 * value.len() + 2;
        kept.push((name, value));
    }
    if QUERY_BYTES_MAX < len_bytes {
        return Err(TargetError::TooLong);
    }
    // Stable: the values of one name stay in order.
    kept.sort_by(|(one, _), (other, _)| one.cmp(other));
    kept.dedup();
    Ok(kept)
}

/// Decodes a name or a value of a form.
fn decode(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, read_hex(rest)) {
            (b'+', _) => out.push(b' '),
            (b'%', Some(decoded)) => {
                out.push(decoded);
                rest = &rest[2..];
            }
            _ => out.push(byte),
        }
    }
    out
}

/// Appends a query with its `?`, or nothing.
pub(super) fn write(parameters: &[(String, String)], out: &mut String) {
    for (at, (name, value)) in parameters.iter().enumerate() {
        out.push(if at == 0 { '?' } else { '&' });
        write_text(name, out);
        out.push('=');
        write_text(value, out);
    }
}

fn write_text(text: &str, out: &mut String) {
    for byte in text.bytes() {
        // Lists are read by people, too: commas stay.
        match is_unreserved(byte) || byte == b',' {
            true => out.push(byte.into()),
            false => push_escape(out, byte),
        }
    }
}
