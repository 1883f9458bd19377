//! What callers send, checked before a handler sees it.
//!
//! | extractor | of | refused with |
//! | --- | --- | --- |
//! | [`Json`] | the body | 415, 413, 400 `malformed_json`, 422 with a JSON pointer |
//! | [`Query`] | `?a=b` without `limit` and `cursor`, which are [`Page`](crate::Page)'s | 422 `query/…` |
//! | [`Path`] | `{id}` of the route | 404: no other path exists |

mod json;
mod path;
mod query;
mod shape;
#[cfg(test)]
mod tests;

pub use json::{BODY_BYTES_MAX, Json, read_json};
pub use path::Path;
pub(crate) use query::pairs;
pub use query::{Query, read_query};
pub use shape::{DEPTH_MAX, VALUES_MAX, check_shape};

use std::borrow::Cow;

use serde_path_to_error::Segment;

use crate::FieldError;

/// A serde path as JSON pointer (RFC 6901 3): `~` and `/` of keys are escaped.
fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            // Names of variants don't stand in the document.
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// The code of a message of serde's derive. Types of ours say `[code] sentence` themselves.
fn field_error(pointer: String, message: &str) -> FieldError {
    if let Some((code, detail)) = message.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        return FieldError::new(pointer, code.to_owned(), detail.to_owned());
    }
    let named = |text: &str| text.split('`').nth(1).unwrap_or_default().to_owned();
    let (code, pointer): (_, Cow<'static, str>) = if message.starts_with("missing field") {
        ("missing_field", format!("{pointer}/{}", named(message)).into())
    } else if message.starts_with("unknown field") {
        ("unknown_field", pointer.into())
    } else if message.starts_with("duplicate field") {
        ("duplicate_field", pointer.into())
    } else if message.starts_with("invalid value") || message.starts_with("unknown variant") {
        ("invalid_value", pointer.into())
    } else {
        ("invalid_type", pointer.into())
    };
    FieldError::new(pointer, code, sentence(message))
}

/// serde's message without the position, which means nothing to a caller who wrote no bytes.
fn sentence(message: &str) -> String {
    let text = message.split(" at line ").next().unwrap_or(message);
    let mut sentence: String = text.chars().take(SENTENCE_CHARS_MAX).collect();
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    sentence.push('.');
    sentence
}

/// Messages quote what was sent.
const SENTENCE_CHARS_MAX: usize = 200;
