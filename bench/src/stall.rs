//! Clients that ask for a body and read none of it.
//!
//! With HTTP/2 the client grants the largest windows there are (RFC 9113 6.9.1), so that nothing
//! but the socket holds the server back: what it would keep for a client that stalls is then in
//! its own memory.

use std::io::{Result, Write};
use std::net::{SocketAddr, TcpStream};

use crate::client::connect_tcp;

/// How the request is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StallProtocol {
    Http1,
    /// HTTP/2 in clear text with prior knowledge (RFC 9113 3.3).
    H2c,
}

/// A connection whose answer is under way until it is dropped. `receive_buffer_bytes` is
/// `SO_RCVBUF`, which the kernel doubles; without it the kernel decides.
pub fn stalled_client(
    address: SocketAddr,
    protocol: StallProtocol,
    path: &str,
    receive_buffer_bytes: Option<usize>,
) -> Result<TcpStream> {
    let mut stream = connect_tcp(address, receive_buffer_bytes)?;
    let request = match protocol {
        StallProtocol::Http1 => {
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes()
        }
        StallProtocol::H2c => h2_request(&address.to_string(), path),
    };
    stream.write_all(&request)?;
    Ok(stream)
}

/// Largest window (RFC 9113 6.9.1).
const WINDOW_MAX: u32 = (1 << 31) - 1;
/// Window that a connection starts with (RFC 9113 6.9.2).
const WINDOW_INITIAL: u32 = 65_535;

const FRAME_HEADERS: u8 = 0x1;
const FRAME_SETTINGS: u8 = 0x4;
const FRAME_WINDOW_UPDATE: u8 = 0x8;
/// END_STREAM and END_HEADERS (RFC 9113 6.2).
const WHOLE_REQUEST: u8 = 0x1 | 0x4;

/// Preface, settings, windows and one GET on stream 1 (RFC 9113 3.4, 6.5, 6.9, 8.3.1).
fn h2_request(authority: &str, path: &str) -> Vec<u8> {
    let mut out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS_INITIAL_WINDOW_SIZE has number 4.
    let mut settings = vec![0, 4];
    settings.extend(WINDOW_MAX.to_be_bytes());
    write_frame(&mut out, FRAME_SETTINGS, 0, 0, &settings);
    let grown = WINDOW_MAX - WINDOW_INITIAL;
    write_frame(&mut out, FRAME_WINDOW_UPDATE, 0, 0, &grown.to_be_bytes());

    // Indexed fields of the static table: `:method GET` is 2, `:scheme http` 6 (RFC 7541 6.1).
    let mut fields = vec![0x80 | 2, 0x80 | 6];
    // Literals without indexing whose names are in it: `:authority` is 1, `:path` 4 (6.2.2).
    for (name, value) in [(1, authority), (4, path)] {
        fields.push(name);
        write_string(&mut fields, value);
    }
    write_frame(&mut out, FRAME_HEADERS, WHOLE_REQUEST, 1, &fields);
    out
}

/// A frame (RFC 9113 4.1): 24 bits of length, type, flags, stream.
fn write_frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
}

/// A string without Huffman coding, its length with a prefix of seven bits (RFC 7541 5.1, 5.2).
fn write_string(out: &mut Vec<u8>, text: &str) {
    const PREFIX_MAX: usize = 0x7f;
    if text.len() < PREFIX_MAX {
        out.push(text.len() as u8);
    } else {
        out.push(PREFIX_MAX as u8);
        let mut rest = text.len() - PREFIX_MAX;
        while rest >= 0x80 {
            out.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }
    out.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7541 C.1.2: 1,337 behind a prefix; here 7 bits wide, so 1,337 - 127 is
    /// 1,210, in groups of seven bits 0x3a and 0x09.
    #[test]
    fn long_strings_have_their_length_in_pieces() {
        let mut out = Vec::new();
        write_string(&mut out, &"a".repeat(1_337));
        assert_eq!(out[..3], [0x7f, 0x3a | 0x80, 0x09]);
        assert_eq!(out.len(), 3 + 1_337);

        let mut out = Vec::new();
        write_string(&mut out, &"a".repeat(127));
        assert_eq!(out[..2], [0x7f, 0]);
        assert_eq!(out.len(), 2 + 127);
    }

    #[test]
    fn a_request_is_preface_settings_window_and_headers() {
        let out = h2_request("h:1", "/p");
        let frames = out.strip_prefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        let expected: &[&[u8]] = &[
            &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff],
            &[0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0xff, 0, 0],
            &[0, 0, 11, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 1, 3, b'h', b':', b'1', 4, 2, b'/', b'p'],
        ];
        assert_eq!(frames, expected.concat());
    }
}
