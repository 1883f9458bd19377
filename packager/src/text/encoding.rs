//! Finds out how a text file is encoded.

use std::borrow::Cow;

use encoding_rs::{UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Text of a file that does not say its encoding.
///
/// A byte order mark decides; then whatever is valid UTF-8 is that, since text of other encodings
/// hardly ever happens to be; the rest is read as Windows-1252, the most common of them. Never
/// fails: impossible sequences become U+FFFD. The result has at most three times the bytes.
pub(super) fn decode_text(bytes: &[u8]) -> Cow<'_, str> {
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        [0xff, 0xfe, rest @ ..] => UTF_16LE.decode_without_bom_handling(rest).0,
        [0xfe, 0xff, rest @ ..] => UTF_16BE.decode_without_bom_handling(rest).0,
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_found() {
        let check = |bytes: &[u8], expected: &str| assert_eq!(decode_text(bytes), expected);
        check(b"plain", "plain");
        check("h\u{e9}".as_bytes(), "h\u{e9}");
        check(b"\xef\xbb\xbfh\xc3\xa9", "h\u{e9}");
        check(b"\xff\xfeh\0\xe9\0", "h\u{e9}");
        check(b"\xfe\xff\0h\0\xe9", "h\u{e9}");
        check(b"h\xe9 \x80 \x93x\x94", "h\u{e9} \u{20ac} \u{201c}x\u{201d}");
        check(b"\xff\xfe\x00\xd8", "\u{fffd}");
        check(b"", "");
    }
}
