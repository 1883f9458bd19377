//! HTTP/1.1 over TCP (RFC 9112), as far as a benchmark asks: GET, `Content-Length`, keep-alive.

use std::io::{ErrorKind, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::io::retry_on_intr;
use rustix::net::{RecvFlags, recv};

use super::{Answer, Body, Connection, connect_tcp, wrong};

/// Longest head of an answer.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Bytes of a body taken by one call.
const PIECE_BYTES: usize = 1 << 20;
/// Silence after which a server counts as broken.
const SILENCE_MAX: Duration = Duration::from_secs(30);

pub(super) struct Http1Connection {
    stream: TcpStream,
    host: SocketAddr,
    buffer: Vec<u8>,
}

impl Http1Connection {
    pub(super) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = connect_tcp(address, None)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        Ok(Self { stream, host: address, buffer: vec![0; PIECE_BYTES] })
    }

    /// Reads until the head is whole. Gives its length and how much of the buffer is filled.
    fn read_head(&mut self) -> Result<(usize, usize)> {
        let mut filled = 0;
        loop {
            let room = &mut self.buffer[filled..HEAD_BYTES_MAX];
            filled += receive(&self.stream, room, RecvFlags::empty())?;
            if let Some(at) = self.buffer[..filled].windows(4).position(|end| end == b"\r\n\r\n") {
                return Ok((at + 4, filled));
            }
            if filled == HEAD_BYTES_MAX {
                return Err(wrong("the head of the answer is too long"));
            }
        }
    }
}

impl Connection for Http1Connection {
    /// A dropped body stays in the kernel: `MSG_TRUNC` takes bytes off a TCP socket without
    /// copying them (tcp(7)).
    fn get(&mut self, path: &str, mut body: Body) -> Result<Answer> {
        let began = Instant::now();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        self.stream.write_all(request.as_bytes())?;

        let (head_len, filled) = self.read_head()?;
        let first_byte = began.elapsed();
        let body_bytes = body_len(&self.buffer[..head_len])?;
        let early = &self.buffer[head_len..filled];
        let early_bytes = early.len() as u64;
        let left = body_bytes.checked_sub(early_bytes);
        let mut left = left.ok_or_else(|| wrong("the body is longer than Content-Length"))?;
        if let Body::Hand(take) = &mut body {
            take(early)?;
        }
        while left > 0 {
            let most = left.min(PIECE_BYTES as u64) as usize;
            let piece = &mut self.buffer[..most];
            let taken = match &mut body {
                Body::Drop => receive(&self.stream, piece, RecvFlags::TRUNC)?,
                Body::Hand(take) => {
                    let taken = receive(&self.stream, piece, RecvFlags::empty())?;
                    take(&piece[..taken])?;
                    taken
                }
            };
            left -= taken as u64;
        }
        Ok(Answer { body_bytes, first_byte })
    }
}

/// Tries again when interrupted: with a timeout set, a process that is stopped and continued sees
/// EINTR without having any signal handler (signal(7)).
fn receive(stream: &TcpStream, buffer: &mut [u8], flags: RecvFlags) -> Result<usize> {
    match retry_on_intr(|| recv(stream, &mut *buffer, flags))? {
        (_, 0) => Err(ErrorKind::UnexpectedEof.into()),
        (_, len) => Ok(len),
    }
}

/// `Content-Length` of an answer with status 200.
pub(crate) fn body_len(head: &[u8]) -> Result<u64> {
    let head = std::str::from_utf8(head).map_err(|_| wrong("the head is no text"))?;
    if !head.starts_with("HTTP/1.1 200 ") {
        let status = head.lines().next().unwrap_or_default();
        return Err(wrong(format!("the answer is `{status}`, not a 200")));
    }
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let length = fields.rfind(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|(_, value)| value.trim().parse().ok());
    length.ok_or_else(|| wrong("the answer has no length"))
}
