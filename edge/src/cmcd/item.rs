//! The wire form: a dictionary in the manner of structured fields (RFC 9651), read with patience.
//!
//! Version 1 only resembles structured fields and players get corners of both wrong, so that what
//! can't be read costs that key and not the others: reading goes on behind the next comma that
//! stands outside of quotes and parentheses.

/// The value of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// A key alone, or `?1` and `?0`.
    Flag(bool),
    Number(f64),
    /// Between quotes, escapes still in it.
    Text(&'a str),
    Token(&'a str),
    /// Between parentheses, as it is.
    List(&'a str),
}

/// Reads keys and values one by one; `None` in place of a value that can't be read.
#[derive(Debug)]
pub(super) struct Items<'a> {
    rest: &'a str,
}

impl<'a> Items<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = (&'a str, Option<Value<'a>>);

    fn next(&mut self) -> Option<Self::Item> {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
        if self.rest.is_empty() {
            return None;
        }
        let end = end_of_item(self.rest);
        let (item, rest) = self.rest.split_at(end);
        self.rest = rest;
        let item = item.trim_end();
        Some(match item.split_once('=') {
            Some((key, value)) => (key, read_value(value)),
            // Parameters of a flag mean nothing to anybody.
            None => (item.split(';').next().unwrap_or(item), Some(Value::Flag(true))),
        })
    }
}

/// Where the comma behind the first item is, or the end.
fn end_of_item(text: &str) -> usize {
    let (mut quoted, mut escaped, mut depth) = (false, false, 0_u32);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => depth = depth.saturating_sub(1),
            b',' if !quoted && depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

/// One bare item or inner list, without its parameters.
pub(super) fn read_value(text: &str) -> Option<Value<'_>> {
    match text.as_bytes().first()? {
        b'"' => text_of(text).map(|(value, _)| Value::Text(value)),
        b'(' => text[1..].rfind(')').map(|end| Value::List(&text[1..=end])),
        b'?' => match text.as_bytes().get(1)? {
            b'1' => Some(Value::Flag(true)),
            b'0' => Some(Value::Flag(false)),
            _ => None,
        },
        byte => {
            let bare = text.split(';').next().unwrap_or(text);
            match byte {
                b'0'..=b'9' | b'-' => {
                    bare.parse().ok().filter(|n: &f64| n.is_finite()).map(Value::Number)
                }
                _ if bare == "true" => Some(Value::Flag(true)),
                _ if bare == "false" => Some(Value::Flag(false)),
                _ => Some(Value::Token(bare)),
            }
        }
    }
}

/// What stands between the quotes that `text` begins with, and what follows them.
fn text_of(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('"')?;
    let mut escaped = false;
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some((&inside[..at], &inside[at + 1..])),
            _ => {}
        }
    }
    None
}

/// The members of an inner list, each with its parameters as text.
pub(super) fn members(list: &str) -> impl Iterator<Item = (Value<'_>, &str)> {
    let mut rest = list;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let (value, behind) = match rest.as_bytes().first()? {
            b'"' => text_of(rest).map(|(value, behind)| (Value::Text(value), behind))?,
            _ => {
                let end = rest.find([' ', ';']).unwrap_or(rest.len());
                (read_value(&rest[..end])?, &rest[end..])
            }
        };
        let end = end_of_parameters(behind);
        rest = &behind[end..];
        Some((value, &behind[..end]))
    })
}

/// Where the space behind parameters is, or the end.
fn end_of_parameters(text: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b' ' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

/// A quoted text without its escapes, if it is not longer than `bytes_max` and has no control
/// characters.
pub(super) fn unescape(text: &str, bytes_max: usize) -> Option<Box<str>> {
    let is_plain = text.len() <= bytes_max && !text.bytes().any(|byte| byte.is_ascii_control());
    if !is_plain {
        return None;
    }
    if !text.contains('\\') {
        return Some(text.into());
    }
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => out.extend(characters.next()),
            other => out.push(other),
        }
    }
    Some(out.into())
}
