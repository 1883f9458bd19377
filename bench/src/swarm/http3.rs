//! HTTP/3 (RFC 9114) over quinn: what a load needs of it.
//!
//! Requests are field sections made once, without a dynamic table (RFC 9204); of an answer's fields
//! only `:status` is read. Windows are wide and the socket's buffers too, so that the client never
//! is what a server waits for. What servers send on their own streams is left lying: it fits into
//! the windows.

use std::io::{Error, Result};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Endpoint, EndpointConfig, IdleTimeout, TokioRuntime, TransportConfig, VarInt};
use rustix::net::sockopt;

use super::http2::write_integer;
use super::{Answer, tls};
use crate::client::wrong;

const SOCKET_BYTES: usize = 4 << 20;
const STREAM_WINDOW_BYTES: u32 = 16 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 64 << 20;
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Longest field section of an answer.
const FIELDS_BYTES_MAX: u64 = 16 << 10;

mod kind {
    pub(super) const DATA: u64 = 0;
    pub(super) const HEADERS: u64 = 1;
}

pub(super) struct Http3 {
    quic: quinn::Connection,
    /// Has to live as long as the connection.
    _control: quinn::SendStream,
    _endpoint: Endpoint,
}

/// A HEADERS frame: static indices for method and scheme, literals with static names for the rest.
pub(super) fn request(path: &str) -> Vec<u8> {
    // Neither table of insertions nor base (RFC 9204 4.5.1), GET (17), https (23).
    let mut fields = vec![0, 0, 0xc0 | 17, 0xc0 | 23];
    // Literals with a name of the static table (RFC 9204 4.5.4): `:authority` is 0, `:path` 1.
    for (name_index, value) in [(0, tls::NAME), (1, path)] {
        fields.push(0x50 | name_index);
        write_integer(value.len(), &mut fields);
        fields.extend_from_slice(value.as_bytes());
    }
    let mut frame = vec![kind::HEADERS as u8];
    write_length(fields.len(), &mut frame);
    frame.extend_from_slice(&fields);
    frame
}

/// A length as QUIC writes it (RFC 9000 16), in two or four bytes.
fn write_length(value: usize, to: &mut Vec<u8>) {
    match value {
        0..0x4000 => to.extend_from_slice(&(value as u16 | 0x4000).to_be_bytes()),
        _ => to.extend_from_slice(&(value as u32 | 0x8000_0000).to_be_bytes()),
    }
}

pub(super) fn config() -> Result<quinn::ClientConfig> {
    config_with(STREAM_WINDOW_BYTES)
}

/// With a window of 16 KiB, which a client that reads nothing never opens further.
pub(super) fn narrow_config() -> Result<quinn::ClientConfig> {
    config_with(16 << 10)
}

fn config_with(stream_window_bytes: u32) -> Result<quinn::ClientConfig> {
    let tls = tls::config(b"h3").map_err(Error::other)?;
    let tls = QuicClientConfig::try_from(tls).map_err(Error::other)?;
    let mut transport = TransportConfig::default();
    transport
        .stream_receive_window(stream_window_bytes.into())
        .receive_window(CONNECTION_WINDOW_BYTES.into())
        .max_concurrent_uni_streams(VarInt::from_u32(16))
        .max_idle_timeout(IdleTimeout::try_from(SILENCE_MAX).ok())
        .datagram_receive_buffer_size(None);
    let mut config = quinn::ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

impl Http3 {
    pub(super) async fn connect(address: SocketAddr, config: quinn::ClientConfig) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BYTES)?;
        sockopt::set_socket_send_buffer_size(&socket, SOCKET_BYTES)?;
        let runtime = Arc::new(TokioRuntime);
        let endpoint = Endpoint::new(EndpointConfig::default(), None, socket, runtime)?;
        let connecting = endpoint.connect_with(config, address, tls::NAME).map_err(Error::other)?;
        let quic = connecting.await?;
        let mut control = quic.open_uni().await?;
        // The control stream with empty settings (RFC 9114 6.2.1).
        control.write_all(&[0x00, 0x04, 0x00]).await?;
        Ok(Self { quic, _control: control, _endpoint: endpoint })
    }

    pub(super) async fn get(&self, request: &[u8], keep: bool) -> Result<Answer> {
        let (mut send, mut receive) = self.quic.open_bi().await?;
        send.write_all(request).await?;
        send.finish().map_err(Error::other)?;
        let mut reading = Reading::default();
        reading.answer.body = keep.then(Vec::new);
        while let Some(chunk) = receive.read_chunk(usize::MAX, true).await? {
            reading.take(&chunk.bytes)?;
        }
        reading.end()
    }

    /// Asks and reads nothing; the answer stays with the server as far as this keeps it.
    pub(super) async fn stall(&self, request: &[u8]) -> Result<quinn::RecvStream> {
        let (mut send, receive) = self.quic.open_bi().await?;
        send.write_all(request).await?;
        send.finish().map_err(Error::other)?;
        Ok(receive)
    }
}

/// How far an answer has been read.
#[derive(Default)]
struct Reading {
    /// A frame's type and length as far as they have come.
    header: Vec<u8>,
    kind: u64,
    left: u64,
    fields: Vec<u8>,
    has_head: bool,
    answer: Answer,
}

impl Reading {
    fn take(&mut self, mut piece: &[u8]) -> Result<()> {
        while !piece.is_empty() {
            if self.left == 0 {
                self.header.push(piece[0]);
                piece = &piece[1..];
                let Some((kind, left)) = frame_header(&self.header) else { continue };
                self.header.clear();
                (self.kind, self.left) = (kind, left);
                if kind != kind::DATA && left > FIELDS_BYTES_MAX {
                    return Err(wrong("a frame is too long"));
                }
                continue;
            }
            let (part, rest) = piece.split_at(piece.len().min(self.left as usize));
            piece = rest;
            self.left -= part.len() as u64;
            match self.kind {
                kind::DATA => {
                    self.answer.first_byte.get_or_insert_with(Instant::now);
                    self.answer.body_bytes += part.len() as u64;
                    if let Some(body) = &mut self.answer.body {
                        body.extend_from_slice(part);
                    }
                }
                kind::HEADERS if !self.has_head => {
                    self.fields.extend_from_slice(part);
                    self.has_head = self.left == 0;
                    // Two bytes of prefix, then index 25 of the static table: `:status: 200`.
                    if self.has_head && self.fields.get(2) != Some(&(0xc0 | 25)) {
                        return Err(wrong("the answer is not a 200"));
                    }
                }
                // Trailers, and what a server greases with.
                _ => {}
            }
        }
        Ok(())
    }

    fn end(self) -> Result<Answer> {
        if self.left > 0 || !self.header.is_empty() || !self.has_head {
            return Err(wrong("the answer broke off"));
        }
        Ok(self.answer)
    }
}

/// Type and length of a frame, once both are there.
fn frame_header(bytes: &[u8]) -> Option<(u64, u64)> {
    let (kind, rest) = varint(bytes)?;
    varint(rest).map(|(len, _)| (kind, len))
}

/// RFC 9000 16.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let first = *bytes.first()?;
    let len = 1 << (first >> 6);
    let (number, rest) = bytes.split_at_checked(len)?;
    let value = number[1..]
        .iter()
        .fold(u64::from(first & 0x3f), |value, byte| value << 8 | u64::from(*byte));
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However the bytes are cut, the same answer comes out.
    #[test]
    fn frames_are_read_across_pieces() {
        let mut bytes = vec![0x01, 0x03, 0, 0, 0xd9, 0x00, 0x41, 0x2c];
        bytes.extend_from_slice(&[7; 300]);
        bytes.extend_from_slice(&[0x21, 0x02, 1, 2, 0x00, 0x01, 8]);
        for size in 1..bytes.len() {
            let mut reading = Reading::default();
            reading.answer.body = Some(Vec::new());
            for piece in bytes.chunks(size) {
                reading.take(piece).unwrap();
            }
            let answer = reading.end().unwrap();
            assert_eq!(answer.body_bytes, 301);
            assert_eq!(answer.body.unwrap()[299..], [7, 8]);
        }
    }

    #[test]
    fn other_answers_and_broken_ones_fail() {
        let mut reading = Reading::default();
        assert!(reading.take(&[0x01, 0x03, 0, 0, 0xc0 | 27]).is_err());
        let mut reading = Reading::default();
        reading.take(&[0x01, 0x03, 0, 0, 0xd9, 0x00, 0x05, 1]).unwrap();
        assert!(reading.end().is_err());
    }

    #[test]
    fn requests_have_lengths_of_two_bytes() {
        assert_eq!(
            request("/a"),
            [b"\x01\x40\x13\0\0\xd1\xd7\x50\x09localhost\x51\x02/a".as_slice()].concat()
        );
    }
}
