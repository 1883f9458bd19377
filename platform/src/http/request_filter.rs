//! Refuses what two readers of an HTTP/1 connection could understand differently (RFC 9112 11.2).
//!
//! A request is smuggled past a proxy when the proxy and the server behind it disagree on where it
//! ends. Parsers are lenient in different ways; the way out is to take one form only. The filter
//! reads along with the bytes of a connection, ahead of hyper, and refuses:
//!
//! - more than one `Content-Length`, even with equal values, or one that is not 1 to 15 digits;
//! - any `Transfer-Encoding` but exactly one `chunked`, and that in HTTP/1.0;
//! - both of them at once;
//! - a GET or HEAD with content, which no route here takes;
//! - folded lines, white space before a colon, other control characters, lines that end in a bare
//!   LF or hold a bare CR (RFC 9112 2.2, 5.1, 5.2);
//! - chunks whose sizes or line ends are off (RFC 9112 7.1).
//!
//! It follows the bodies of requests that it lets pass, so that it knows where the next head
//! begins; it keeps no more of a line than tells these fields.

/// Bytes of a head line that are looked at as a whole: a name and a value that matter are shorter.
const LINE_PREFIX_BYTES: usize = 64;

/// Digits of a `Content-Length`: a petabyte.
const LENGTH_DIGITS_MAX: usize = 15;

/// Digits of a chunk's size (16^8 is four gigabytes), and bytes of its line with extensions.
const CHUNK_DIGITS_MAX: usize = 8;
const CHUNK_LINE_BYTES_MAX: usize = 256;

/// Empty lines before a request line that are passed over (RFC 9112 2.2 asks for one at least).
const EMPTY_LINES_MAX: u8 = 2;

/// Follows the requests of one connection.
#[derive(Debug)]
pub(super) struct RequestFilter {
    state: State,
    /// Of the line being read: its first bytes, its length, its last bytes.
    prefix: Vec<u8>,
    line_bytes: usize,
    last: [u8; 8],
    /// A CR was the last byte.
    after_cr: bool,
    empty_lines: u8,
    head: Head,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    RequestLine,
    Field,
    Body {
        left: u64,
    },
    ChunkSize,
    Chunk {
        left: u64,
    },
    /// The line end after a chunk's data.
    ChunkEnd,
    Trailer,
    /// HTTP/2 or another protocol: nothing of ours.
    Off,
}

/// What of a head decides where its request ends.
#[derive(Debug, Default)]
struct Head {
    is_without_content: bool,
    is_http10: bool,
    lengths: u8,
    length: u64,
    encodings: u8,
}

/// A request that is refused: at which of the bytes that were handed in, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Refused {
    pub(super) at: usize,
    pub(super) reason: &'static str,
}

impl RequestFilter {
    pub(super) fn new() -> Self {
        Self {
            state: State::RequestLine,
            prefix: Vec::new(),
            line_bytes: 0,
            last: [0; 8],
            after_cr: false,
            empty_lines: 0,
            head: Head::default(),
        }
    }

    /// The connection speaks HTTP/2.
    pub(super) fn turn_off(&mut self) {
        self.state = State::Off;
    }

    /// Reads on.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let mut at = 0;
        while at < bytes.len() {
            match &mut self.state {
                State::Off => return Ok(()),
                State::Body { left } | State::Chunk { left } => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                    *left -= here as u64;
                    at += here;
                    self.end_content();
                }
                State::RequestLine | State::Field | State::Trailer
                    if 0 < self.line_bytes && !self.after_cr =>
                {
                    let run = plain_run(&bytes[at..]);
                    self.extend_line(&bytes[at..at + run]);
                    at += run;
                    if let Some(byte) = bytes.get(at) {
                        self.read_byte(*byte).map_err(|reason| Refused { at, reason })?;
                        at += 1;
                    }
                }
                _ => {
                    self.read_byte(bytes[at]).map_err(|reason| Refused { at, reason })?;
                    at += 1;
                }
            }
        }
        Ok(())
    }

    /// Takes bytes that make the line longer and mean nothing else.
    fn extend_line(&mut self, run: &[u8]) {
        let room = LINE_PREFIX_BYTES.saturating_sub(self.prefix.len());
        self.prefix.extend_from_slice(&run[..run.len().min(room)]);
        self.line_bytes += run.len();
        let tail = &run[run.len().saturating_sub(self.last.len())..];
        self.last.rotate_left(tail.len());
        let start = self.last.len() - tail.len();
        self.last[start..].copy_from_slice(tail);
    }

    fn end_content(&mut self) {
        match self.state {
            State::Body { left: 0 } => self.begin_request(),
            State::Chunk { left: 0 } => self.state = State::ChunkEnd,
            _ => {}
        }
    }

    fn begin_request(&mut self) {
        self.state = State::RequestLine;
        self.empty_lines = 0;
        self.head = Head::default();
    }

    fn read_byte(&mut self, byte: u8) -> Result<(), &'static str> {
        match byte {
            b'\n' if !self.after_cr => return Err("a line ends in a bare LF"),
            b'\n' => {
                self.after_cr = false;
                return self.end_line();
            }
            _ if self.after_cr => return Err("a line holds a bare CR"),
            b'\r' => {
                self.after_cr = true;
                return Ok(());
            }
            0..=8 | 11..=31 | 127 => return Err("a line holds a control character"),
            _ => {}
        }
        if self.line_bytes == 0 && matches!(byte, b' ' | b'\t') {
            return Err("a line begins with white space");
        }
        let is_chunk_line = matches!(self.state, State::ChunkSize | State::ChunkEnd);
        if is_chunk_line && CHUNK_LINE_BYTES_MAX <= self.line_bytes {
            return Err("the line of a chunk's size is too long");
        }
        if self.prefix.len() < LINE_PREFIX_BYTES {
            self.prefix.push(byte);
        }
        self.line_bytes += 1;
        self.last.rotate_left(1);
        self.last[7] = byte;
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), &'static str> {
        let prefix = std::mem::take(&mut self.prefix);
        let line_bytes = std::mem::take(&mut self.line_bytes);
        let outcome = match self.state {
            State::RequestLine => self.end_request_line(&prefix, line_bytes),
            State::Field if line_bytes == 0 => self.end_head(),
            State::Field => self.end_field(&prefix, line_bytes),
            State::ChunkSize => self.end_chunk_size(&prefix),
            State::ChunkEnd if line_bytes == 0 => {
                self.state = State::ChunkSize;
                Ok(())
            }
            State::ChunkEnd => Err("a chunk is longer than its size"),
            State::Trailer => {
                if line_bytes == 0 {
                    self.begin_request();
                }
                Ok(())
            }
            State::Body { .. } | State::Chunk { .. } | State::Off => Ok(()),
        };
        // The allocation serves the next line.
        self.prefix = prefix;
        self.prefix.clear();
        outcome
    }

    fn end_request_line(&mut self, prefix: &[u8], line_bytes: usize) -> Result<(), &'static str> {
        if line_bytes == 0 {
            self.empty_lines += 1;
            let is_few = self.empty_lines <= EMPTY_LINES_MAX;
            return if is_few { Ok(()) } else { Err("there are empty lines before a request") };
        }
        let method = prefix.split(|byte| *byte == b' ').next().unwrap_or_default();
        if method == b"PRI" {
            self.state = State::Off;
            return Ok(());
        }
        self.head.is_without_content = matches!(method, b"GET" | b"HEAD");
        self.head.is_http10 = match &self.last {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            _ => return Err("the request line does not end in HTTP/1.1 or HTTP/1.0"),
        };
        self.state = State::Field;
        Ok(())
    }

    fn end_field(&mut self, prefix: &[u8], line_bytes: usize) -> Result<(), &'static str> {
        let colon = prefix.iter().position(|byte| *byte == b':');
        // A name that goes beyond the prefix is none of those below; hyper checks its form.
        let Some(colon) = colon else {
            let is_name = prefix.len() < line_bytes && !prefix.iter().any(u8::is_ascii_whitespace);
            return if is_name { Ok(()) } else { Err("a header line has no proper name") };
        };
        let (name, value) = (&prefix[..colon], prefix[colon + 1..].trim_ascii());
        if name.is_empty() || name.iter().any(|byte| matches!(byte, b' ' | b'\t')) {
            return Err("a header's name is empty or holds white space");
        }
        let is_whole = line_bytes <= prefix.len();
        if name.eq_ignore_ascii_case(b"content-length") {
            self.head.lengths = self.head.lengths.saturating_add(1);
            let is_number = (1..=LENGTH_DIGITS_MAX).contains(&value.len())
                && value.iter().all(u8::is_ascii_digit);
            if !is_whole || !is_number {
                return Err("Content-Length is no plain number");
            }
            let digits = value.iter().map(|digit| u64::from(digit - b'0'));
            self.head.length = digits.fold(0, |number, digit| number * 10 + digit);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.head.encodings = self.head.encodings.saturating_add(1);
            if !is_whole || !value.eq_ignore_ascii_case(b"chunked") {
                return Err("Transfer-Encoding is not exactly `chunked`");
            }
        }
        Ok(())
    }

    fn end_head(&mut self) -> Result<(), &'static str> {
        let head = &self.head;
        self.state = match (head.lengths, head.encodings) {
            (0, 0) => {
                self.begin_request();
                return Ok(());
            }
            (0, 1) if head.is_http10 => return Err("HTTP/1.0 knows no Transfer-Encoding"),
            (0, 1) | (1, 0)
                if head.is_without_content && 0 < head.length + u64::from(head.encodings) =>
            {
                return Err("a GET or HEAD request brings content");
            }
            (0, 1) => State::ChunkSize,
            (1, 0) if head.length == 0 => {
                self.begin_request();
                return Ok(());
            }
            (1, 0) => State::Body { left: head.length },
            (0, _) => return Err("there are several Transfer-Encoding headers"),
            (_, 0) => return Err("there are several Content-Length headers"),
            (_, _) => return Err("there are both Content-Length and Transfer-Encoding"),
        };
        Ok(())
    }

    fn end_chunk_size(&mut self, prefix: &[u8]) -> Result<(), &'static str> {
        let digits = prefix.split(|byte| *byte == b';').next().unwrap_or_default();
        let is_number = (1..=CHUNK_DIGITS_MAX).contains(&digits.len())
            && digits.iter().all(u8::is_ascii_hexdigit);
        if !is_number {
            return Err("a chunk's size is no plain hexadecimal number");
        }
        let value = |digit: &u8| u64::from((*digit as char).to_digit(16).unwrap_or(0));
        let left = digits.iter().map(value).fold(0, |number, digit| number * 16 + digit);
        self.state = if left == 0 { State::Trailer } else { State::Chunk { left } };
        Ok(())
    }
}

/// Bytes in front of the first line end or control character, tabs apart. Targets of hundreds of
/// bytes (tokens, CMCD) are most of a request: blocks of them are looked at at once.
fn plain_run(bytes: &[u8]) -> usize {
    const BLOCK_BYTES: usize = 32;
    let is_plain = |byte: u8| (byte >= b' ' && byte != 127) || byte == b'\t';
    let blocks = bytes.chunks_exact(BLOCK_BYTES);
    // No early end within a block, so that it compiles to vector instructions.
    let all_plain = |block: &&[u8]| block.iter().fold(true, |plain, b| plain & is_plain(*b));
    let run = blocks.take_while(all_plain).count() * BLOCK_BYTES;
    run + bytes[run..].iter().take_while(|byte| is_plain(**byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_end_where_something_else_begins() {
        for end in [b'\r', b'\n', 0, 31, 127] {
            for len in 0..100 {
                let mut bytes = vec![b'a'; 100];
                bytes[..len].iter_mut().step_by(3).for_each(|byte| *byte = b'\t');
                bytes[len] = end;
                assert_eq!(plain_run(&bytes), len, "{end}");
            }
        }
        assert_eq!(plain_run(&[0xff; 70]), 70);
    }

    /// Long lines with a fault anywhere, in one piece and in small ones.
    #[test]
    fn faults_in_long_lines_are_found_wherever_pieces_end() {
        for at in 5..150 {
            let mut text = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(150));
            text.replace_range(at..=at, "\u{1}");
            assert_eq!(read(&text), Err("a line holds a control character"));
            text.replace_range(at..=at, "\r");
            assert_eq!(read(&text), Err("a line holds a bare CR"));
        }
    }

    /// Reads `text` whole and byte by byte; both must come to the same.
    fn read(text: &str) -> Result<(), &'static str> {
        let whole = RequestFilter::new().read(text.as_bytes()).map_err(|refused| refused.reason);
        let mut filter = RequestFilter::new();
        let mut bytes = text.as_bytes().chunks(1);
        let single = bytes.try_for_each(|byte| filter.read(byte)).map_err(|refused| refused.reason);
        assert_eq!(whole, single, "{text:?}");
        whole
    }

    #[test]
    fn plain_requests_pass() {
        for text in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
            "\r\nGET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n\n\0aGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding:  Chunked \r\n\r\n3;x=y\r\n\r\n\n\r\n0\r\nT: a\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\n\n",
        ] {
            assert_eq!(read(text), Ok(()), "{text:?}");
        }
        let long = format!("GET /{} HTTP/1.1\r\n{}: b\r\n\r\n", "a".repeat(9_000), "n".repeat(99));
        assert_eq!(read(&long), Ok(()));
    }

    #[test]
    fn the_refusal_stands_where_the_fault_ends() {
        let text = b"GET / HTTP/1.1\r\nTransfer-Encoding: x\r\nHost: a\r\n\r\n";
        let refused = RequestFilter::new().read(text).unwrap_err();
        assert_eq!(refused.at, text.iter().position(|byte| *byte == b'x').unwrap() + 2);
    }
}
