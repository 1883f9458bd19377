//! Texts that are read line by line.

/// Writes one line, without its end, as it is to be.
type Rewrite = fn(&str, &str, &mut Vec<u8>);

/// Handles the whole lines of `held`; the number of bytes that are done with.
pub(super) fn take(held: &[u8], query: &str, rewrite: Rewrite, out: &mut Vec<u8>) -> usize {
    let mut taken = 0;
    while let Some(len) = held[taken..].iter().position(|&byte| byte == b'\n') {
        last(&held[taken..taken + len], query, rewrite, out);
        out.push(b'\n');
        taken += len + 1;
    }
    taken
}

/// A line that no line feed ends. What is no UTF-8 is none of ours and passes as it is.
pub(super) fn last(bytes: &[u8], query: &str, rewrite: Rewrite, out: &mut Vec<u8>) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        out.extend_from_slice(bytes);
        return;
    };
    match text.strip_suffix('\r') {
        Some(text) => {
            rewrite(text, query, out);
            out.push(b'\r');
        }
        None => rewrite(text, query, out),
    }
}
