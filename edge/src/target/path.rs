//! The canonical form of a path, or why it has none.

use super::TargetError;

/// Reads a path that begins with a slash.
pub(super) fn canonical(raw: &str) -> Result<String, TargetError> {
    if raw.bytes().all(is_path_byte) {
        // Nothing is encoded, as in almost every request.
        check_segments(raw)?;
        return Ok(raw.to_owned());
    }
    let mut out = String::with_capacity(raw.len());
    // Bytes beyond ASCII that stand encoded side by side: together they have to be UTF-8.
    let mut text = Vec::new();
    let mut rest = raw.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            if !is_path_byte(byte) {
                return Err(TargetError::Character);
            }
            end_text(&mut text)?;
            out.push(byte.into());
            continue;
        }
        let decoded = read_hex(rest).ok_or(TargetError::Encoding)?;
        rest = &rest[2..];
        if 0x80 <= decoded {
            text.push(decoded);
        } else {
            end_text(&mut text)?;
        }
        match decoded {
            b'/' | b'\\' => return Err(TargetError::Separator),
            0..0x20 | 0x7f => return Err(TargetError::Character),
            // `%252e` is `%2e` to whoever decodes twice; `%25%32e` is, too.
            b'%' if is_escape_of_hex(rest) => return Err(TargetError::DoubleEncoding),
            _ if is_unreserved(decoded) => out.push(decoded.into()),
            _ => push_escape(&mut out, decoded),
        }
    }
    end_text(&mut text)?;
    check_segments(&out)?;
    Ok(out)
}

fn end_text(text: &mut Vec<u8>) -> Result<(), TargetError> {
    let is_text = std::str::from_utf8(text).is_ok();
    text.clear();
    if is_text { Ok(()) } else { Err(TargetError::Encoding) }
}

fn check_segments(path: &str) -> Result<(), TargetError> {
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        // A path may end with a slash, and the root is one.
        let is_empty = segment.is_empty() && segments.peek().is_some();
        if is_empty || is_dots(segment) {
            return Err(TargetError::Segment);
        }
    }
    Ok(())
}

/// A dot segment, also one with path parameters behind it (`..;x`), which some servers cut off
/// before they look.
fn is_dots(segment: &str) -> bool {
    matches!(segment.split(';').next(), Some("." | ".."))
}

/// The byte that two hexadecimal digits stand for.
pub(super) fn read_hex(digits: &[u8]) -> Option<u8> {
    let value = |digit: u8| char::from(digit).to_digit(16);
    let [high, low] = digits.get(..2)? else { return None };
    u8::try_from(value(*high)? << 4 | value(*low)?).ok()
}

/// Whether `rest`, which follows an encoded `%`, begins with two hexadecimal digits, plain or
/// encoded themselves.
fn is_escape_of_hex(mut rest: &[u8]) -> bool {
    for _ in 0..2 {
        let (digit, taken) = match rest {
            [b'%', escape @ ..] => (read_hex(escape), 3),
            [digit, ..] => (Some(*digit), 1),
            [] => (None, 0),
        };
        if !digit.is_some_and(|digit| digit.is_ascii_hexdigit()) {
            return false;
        }
        rest = &rest[taken..];
    }
    true
}

/// `unreserved` of RFC 3986 2.3.
pub(super) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// `pchar` of RFC 3986 3.3 without escapes, and the slash.
fn is_path_byte(byte: u8) -> bool {
    PATH_BYTES[usize::from(byte)]
}

/// Looked up rather than compared: this is asked for each byte of each request.
const PATH_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let others = b"-._~/!$&'()*+,;=:@";
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
};

pub(super) fn push_escape(out: &mut String, byte: u8) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    out.push('%');
    out.push(DIGITS[usize::from(byte >> 4)]);
    out.push(DIGITS[usize::from(byte & 15)]);
}
