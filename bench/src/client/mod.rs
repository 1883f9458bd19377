//! A blocking client, one request at a time on a connection.
//!
//! [`Connection`] hides the HTTP version: whoever adds one writes a module beside `http1` and a
//! variant of [`Protocol`]; load, verification and rows stay as they are.

mod http1;

pub(crate) use http1::body_len;

use std::io::{Error, ErrorKind, Result};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, sockopt};

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 in clear text, connections kept alive.
    Http1,
}

impl Protocol {
    pub fn connect(self, address: SocketAddr) -> Result<Box<dyn Connection>> {
        match self {
            Self::Http1 => Ok(Box::new(http1::Http1Connection::connect(address)?)),
        }
    }
}

/// What becomes of a body.
pub enum Body<'a> {
    /// Dropped as cheaply as the protocol can, so that the client is not what limits a run.
    Drop,
    /// Handed over piece by piece.
    Hand(&'a mut dyn FnMut(&[u8]) -> Result<()>),
}

/// A whole answer with status 200, as long as it said.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    pub body_bytes: u64,
    /// From the request to the end of the answer's headers.
    pub first_byte: Duration,
}

/// One connection. After an error it is of no more use.
pub trait Connection {
    /// Asks for a path and takes the whole answer. Whatever is not a 200 is an error.
    fn get(&mut self, path: &str, body: Body) -> Result<Answer>;
}

/// The whole body of one answer, on a connection of its own.
pub fn fetch(protocol: Protocol, address: SocketAddr, path: &str) -> Result<Vec<u8>> {
    let mut whole = Vec::new();
    let mut keep = |piece: &[u8]| {
        whole.extend_from_slice(piece);
        Ok(())
    };
    protocol.connect(address)?.get(path, Body::Hand(&mut keep))?;
    Ok(whole)
}

/// Connects over TCP. The size of the receive buffer has to be set first: it decides which window
/// scale the handshake announces (tcp(7)).
pub(crate) fn connect_tcp(
    address: SocketAddr,
    receive_buffer_bytes: Option<usize>,
) -> Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
    if let Some(bytes) = receive_buffer_bytes {
        sockopt::set_socket_recv_buffer_size(&socket, bytes)?;
    }
    rustix::net::connect(&socket, &address)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    Ok(stream)
}

pub(crate) fn wrong(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, reason.into())
}
