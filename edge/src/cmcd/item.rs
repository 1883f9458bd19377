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
        let blanks = self.rest.bytes().take_while(|byte| matches!(byte, b' ' | b'\t' | b','));
        self.rest = &self.rest[blanks.count()..];
        if self.rest.is_empty() {
            return None;
        }
        let rest = self.rest;
        let key_end = rest.bytes().position(|byte| matches!(byte, b'=' | b','));
        let key_end = key_end.unwrap_or(rest.len());
        let key = &rest[..key_end];
        let Some(value) = rest[key_end..].strip_prefix('=') else {
            self.rest = &rest[key_end..];
            // Parameters of a flag mean nothing to anybody.
            let key = key.split(';').next().unwrap_or(key).trim_end();
            return Some((key, Some(Value::Flag(true))));
        };
        // Each byte of a usual item is looked at once.
        let end = match value.as_bytes().first() {
            Some(b'"' | b'(') => end_of_item(value),
            _ => value.bytes().position(|byte| byte == b',').unwrap_or(value.len()),
        };
        self.rest = &value[end..];
        Some((key, read_value(value[..end].trim_end())))
    }
}

/// Where the comma behind the first item is, or the end.
fn end_of_item(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_u32);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b',' if depth == 0 => return at - 1,
            b'"' => match end_of_quotes(&bytes[at..]) {
                Some(end) => at += end,
                None => return bytes.len(),
            },
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    bytes.len()
}

/// How much is left of a quoted text, its closing quote included. `None` when nothing closes it.
fn end_of_quotes(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => return Some(at),
            b'\\' => at += 1,
            _ => {}
        }
    }
    None
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
                b'0'..=b'9' | b'-' => read_number(bare).map(Value::Number),
                _ if bare == "true" => Some(Value::Flag(true)),
                _ if bare == "false" => Some(Value::Flag(false)),
                _ => Some(Value::Token(bare)),
            }
        }
    }
}

fn read_number(text: &str) -> Option<f64> {
    // Nearly all are whole and short, which is read faster so.
    if text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number =
            text.bytes().fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'));
        return Some(number as f64);
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// What stands between the quotes that `text` begins with, and what follows them.
fn text_of(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('"')?;
    let end = end_of_quotes(inside.as_bytes())?;
    // A quote is one byte, so that both ends are ends of characters.
    Some((&inside[..end - 1], &inside[end..]))
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
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b' ' => return at - 1,
            b'"' => match end_of_quotes(&bytes[at..]) {
                Some(end) => at += end,
                None => return bytes.len(),
            },
            _ => {}
        }
    }
    bytes.len()
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
