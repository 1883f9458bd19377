//! MPDs (ISO/IEC 23009-1): attributes that hold addresses, and the texts of `BaseURL`, `Location`
//! and `PatchLocation`.

use super::is_relative;

/// Elements whose text is an address.
const ADDRESS_ELEMENTS: [&str; 3] = ["BaseURL", "Location", "PatchLocation"];
/// Attributes that hold an address, and whether it is a template (5.3.9.4.4).
const ADDRESS_ATTRIBUTES: [(&str, &str, bool); 10] = [
    ("SegmentTemplate", "media", true),
    ("SegmentTemplate", "initialization", true),
    ("SegmentTemplate", "index", true),
    ("SegmentTemplate", "bitstreamSwitching", true),
    ("SegmentURL", "media", false),
    ("SegmentURL", "index", false),
    ("Initialization", "sourceURL", false),
    ("RepresentationIndex", "sourceURL", false),
    ("BitstreamSwitching", "sourceURL", false),
    ("Period", "xlink:href", false),
];

/// Entities that every document has (XML 1.0 4.6).
const PLAIN_ENTITIES: [&str; 5] = ["amp;", "lt;", "gt;", "quot;", "apos;"];

/// Where in the document the next byte stands.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The text is an address.
    is_address: bool,
}

impl State {
    /// Handles the whole pieces of `held`: tags, comments, texts. The number of bytes done with.
    pub(super) fn take(&mut self, held: &[u8], query: &str, out: &mut Vec<u8>) -> usize {
        let mut taken = 0;
        loop {
            let rest = &held[taken..];
            let len = match rest.first() {
                None => return taken,
                Some(b'<') => {
                    let Some(len) = markup_len(rest) else { return taken };
                    self.markup(&rest[..len], query, out);
                    len
                }
                Some(_) => {
                    let end = rest.iter().position(|&byte| byte == b'<');
                    match end {
                        Some(len) if self.is_address => {
                            address(&rest[..len], query, out);
                            len
                        }
                        // An address that may go on.
                        None if self.is_address => return taken,
                        end => {
                            let len = end.unwrap_or(rest.len());
                            out.extend_from_slice(&rest[..len]);
                            len
                        }
                    }
                }
            };
            taken += len;
        }
    }

    /// One tag, comment, declaration or section.
    fn markup(&mut self, markup: &[u8], query: &str, out: &mut Vec<u8>) {
        self.is_address = false;
        let text = std::str::from_utf8(markup).ok();
        let tag = text.filter(|text| !text.starts_with("<!") && !text.starts_with("<?"));
        let Some(tag) = tag.filter(|tag| !tag.starts_with("</")) else {
            out.extend_from_slice(markup);
            return;
        };
        let name_len = tag[1..].find([' ', '\t', '\r', '\n', '/', '>']).unwrap_or(tag.len() - 1);
        let name = &tag[1..=name_len];
        self.is_address = ADDRESS_ELEMENTS.contains(&name) && !tag.ends_with("/>");
        out.extend_from_slice(&markup[..=name_len]);
        attributes(name, &tag[1 + name_len..], query, out);
    }
}

/// Length of the piece of markup that `bytes` begin with, if its end is there.
fn markup_len(bytes: &[u8]) -> Option<usize> {
    let until = |end: &[u8], from: usize| {
        let rest = bytes.get(from..)?;
        let at = rest.windows(end.len()).position(|window| window == end)?;
        Some(from + at + end.len())
    };
    // What could still become one of these waits for more.
    for (start, end) in [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")] {
        if bytes.starts_with(start.as_bytes()) {
            return until(end.as_bytes(), start.len());
        }
        if start.as_bytes().starts_with(bytes) {
            return None;
        }
    }
    let mut quote = None;
    for (at, &byte) in bytes.iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at + 1),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

/// What follows the name of a tag.
fn attributes(element: &str, text: &str, query: &str, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((before, value)) = rest.split_once('=') {
        out.extend_from_slice(before.as_bytes());
        out.push(b'=');
        let blank_len = value.len() - value.trim_start().len();
        out.extend_from_slice(&value.as_bytes()[..blank_len]);
        let value = &value[blank_len..];
        let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''));
        let quoted = quote.and_then(|quote| Some((quote, value[1..].split_once(quote)?)));
        let Some((quote, (value, after))) = quoted else {
            rest = value;
            break;
        };
        let name = before.trim();
        let known = ADDRESS_ATTRIBUTES.iter().find(|known| known.0 == element && known.1 == name);
        let changed = known.and_then(|&(_, _, is_template)| {
            let query = if is_template { query.replace('$', "$$") } else { query.to_owned() };
            with_query(value, &query)
        });
        out.push(quote as u8);
        out.extend_from_slice(changed.as_deref().unwrap_or(value).as_bytes());
        out.push(quote as u8);
        rest = after;
    }
    out.extend_from_slice(rest.as_bytes());
}

/// The text of an element that is an address. A folder's query would be dropped when the addresses
/// below it are resolved, so it stays as it is.
fn address(bytes: &[u8], query: &str, out: &mut Vec<u8>) {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let address = text.trim();
    let changed = match address.ends_with('/') {
        true => None,
        false => with_query(address, query),
    };
    let Some(changed) = changed else {
        out.extend_from_slice(bytes);
        return;
    };
    let (before, after) = text.split_once(address).unwrap_or_default();
    for part in [before, &changed, after] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// The address with `query` added, as XML writes it (XML 1.0 2.4), or `None` if it is to be left
/// alone. One that spells characters as numbers, or by names of its own, could hide a host.
fn with_query(address: &str, query: &str) -> Option<String> {
    let is_plain = |rest: &str| PLAIN_ENTITIES.iter().any(|entity| rest.starts_with(entity));
    if !is_relative(address) || !address.split('&').skip(1).all(is_plain) {
        return None;
    }
    let separator = if address.contains('?') { "&amp;" } else { "?" };
    // A query has none of the other characters that would need it.
    let query = query.replace('&', "&amp;").replace('\'', "&apos;").replace('"', "&quot;");
    Some(format!("{address}{separator}{query}"))
}
