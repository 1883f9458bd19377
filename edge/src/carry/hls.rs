//! Playlists (RFC 8216): lines that are URIs, and attributes of tags that hold one.

use super::with_query;

/// One line without its end.
pub(super) fn line(text: &str, query: &str, out: &mut Vec<u8>) {
    match text.strip_prefix("#EXT-X-").and_then(|tag| tag.split_once(':')) {
        Some((name, attributes)) => {
            out.extend_from_slice(b"#EXT-X-");
            out.extend_from_slice(name.as_bytes());
            out.push(b':');
            attribute_list(attributes, query, out);
        }
        // RFC 8216 4.1: a line is a URI, is blank, or starts with `#`.
        None if text.starts_with('#') => out.extend_from_slice(text.as_bytes()),
        None => match with_query(text, query) {
            Some(uri) => out.extend_from_slice(uri.as_bytes()),
            None => out.extend_from_slice(text.as_bytes()),
        },
    }
}

/// RFC 8216 4.2: `NAME=value,NAME="value, with commas"`.
fn attribute_list(list: &str, query: &str, out: &mut Vec<u8>) {
    let mut rest = list;
    while let Some((name, value)) = rest.split_once('=') {
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        rest = match value.strip_prefix('"').and_then(|value| value.split_once('"')) {
            Some((quoted, after)) => {
                let name = name.trim_start_matches([',', ' ']);
                let is_uri = name == "URI" || name.ends_with("-URI");
                let changed = is_uri.then(|| with_query(quoted, query)).flatten();
                out.push(b'"');
                out.extend_from_slice(changed.as_deref().unwrap_or(quoted).as_bytes());
                out.push(b'"');
                after
            }
            None => {
                let end = value.find(',').unwrap_or(value.len());
                out.extend_from_slice(&value.as_bytes()[..end]);
                &value[end..]
            }
        };
    }
    out.extend_from_slice(rest.as_bytes());
}
