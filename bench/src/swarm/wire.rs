//! A TCP connection, in the clear or under TLS, for clients that share it on one thread.
//!
//! Sockets are read in large pieces and records are opened where they lie (rustls' unbuffered
//! connections): the client's own work must not become what a run measures.

use std::cell::RefCell;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::sync::Arc;

use rustix::net::{RecvFlags, recv};
use rustls::client::UnbufferedClientConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::tls;
use crate::client::wrong;

/// Bytes taken by one call.
const PIECE_BYTES: usize = 256 << 10;

pub(super) struct Wire {
    stream: TcpStream,
    state: RefCell<State>,
}

struct State {
    tls: Option<UnbufferedClientConnection>,
    incoming: Vec<u8>,
    /// Bytes of `incoming` that no whole record was made of yet.
    filled: usize,
    outgoing: Vec<u8>,
}

impl Wire {
    /// Connects, and shakes hands where there are TLS settings.
    pub(super) async fn connect(
        address: SocketAddr,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(tls::NAME).map_err(|_| wrong("a name"))?;
        let tls = tls.map(|config| UnbufferedClientConnection::new(config, name));
        let tls = tls.transpose().map_err(Error::other)?;
        let is_encrypted = tls.is_some();
        let state =
            State { tls, incoming: vec![0; 2 * PIECE_BYTES], filled: 0, outgoing: Vec::new() };
        let wire = Self { stream, state: RefCell::new(state) };
        if is_encrypted {
            while !wire.state.borrow_mut().process(&mut |_| {})? {
                wire.flush()?;
                wire.receive(&mut |_| {}).await?;
            }
            wire.flush()?;
        }
        Ok(wire)
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.state.borrow().tls.is_some()
    }

    /// Sends at once what the socket takes, and the rest while the connection is read.
    pub(super) fn send(&self, plain: &[u8]) -> Result<()> {
        self.state.borrow_mut().enclose(plain)?;
        self.flush()
    }

    fn flush(&self) -> Result<()> {
        let mut state = self.state.borrow_mut();
        while !state.outgoing.is_empty() {
            match self.stream.try_write(&state.outgoing) {
                Ok(sent) => drop(state.outgoing.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn ready(&self) -> Result<()> {
        let has_more = !self.state.borrow().outgoing.is_empty();
        let interest =
            if has_more { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        let ready = self.stream.ready(interest).await?;
        if ready.is_writable() {
            self.flush()?;
        }
        Ok(())
    }

    /// Waits for bytes and hands over what of them can be read, in pieces.
    pub(super) async fn receive(&self, take: &mut dyn FnMut(&[u8])) -> Result<()> {
        loop {
            self.ready().await?;
            let mut state = self.state.borrow_mut();
            let State { incoming, filled, .. } = &mut *state;
            match self.stream.try_read(&mut incoming[*filled..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => *filled += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            }
            state.process(take)?;
            let has_more = !state.outgoing.is_empty();
            drop(state);
            return if has_more { self.flush() } else { Ok(()) };
        }
    }

    /// Drops so many bytes of a connection in the clear, in the kernel: `MSG_TRUNC` takes bytes
    /// off a TCP socket without copying them (tcp(7)).
    pub(super) async fn skip(&self, mut count: u64) -> Result<()> {
        while count > 0 {
            self.ready().await?;
            let mut state = self.state.borrow_mut();
            let most = count.min(state.incoming.len() as u64) as usize;
            let room = &mut state.incoming[..most];
            let taken = self
                .stream
                .try_io(Interest::READABLE, || Ok(recv(&self.stream, room, RecvFlags::TRUNC)?.1));
            match taken {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(taken) => count -= taken as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl State {
    /// Reads what has come. True when application data may be sent.
    fn process(&mut self, take: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let Some(tls) = &mut self.tls else {
            take(&self.incoming[..self.filled]);
            self.filled = 0;
            return Ok(true);
        };
        let mut start = 0;
        let may_send = loop {
            let UnbufferedStatus { mut discard, state, .. } =
                tls.process_tls_records(&mut self.incoming[start..self.filled]);
            let mut outcome = None;
            match state.map_err(Error::other)? {
                ConnectionState::ReadTraffic(mut records) => {
                    while let Some(record) = records.next_record() {
                        let record = record.map_err(Error::other)?;
                        discard += record.discard;
                        take(record.payload);
                    }
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    grow(&mut self.outgoing, |room| match data.encode(room) {
                        Ok(len) => Ok(len),
                        Err(EncodeError::InsufficientSize(size)) => Err(Ok(size.required_size)),
                        Err(error) => Err(Err(Error::other(error))),
                    })?;
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::BlockedHandshake => outcome = Some(false),
                ConnectionState::WriteTraffic(_) => outcome = Some(true),
                _ => return Err(ErrorKind::UnexpectedEof.into()),
            }
            start += discard;
            if let Some(may_send) = outcome {
                break may_send;
            }
        };
        self.incoming.copy_within(start..self.filled, 0);
        self.filled -= start;
        if self.filled == self.incoming.len() {
            return Err(wrong("a TLS record is too long"));
        }
        Ok(may_send)
    }

    fn enclose(&mut self, plain: &[u8]) -> Result<()> {
        let Some(tls) = &mut self.tls else {
            self.outgoing.extend_from_slice(plain);
            return Ok(());
        };
        let UnbufferedStatus { state, .. } =
            tls.process_tls_records(&mut self.incoming[..self.filled]);
        let ConnectionState::WriteTraffic(mut traffic) = state.map_err(Error::other)? else {
            return Err(wrong("TLS takes no data now"));
        };
        grow(&mut self.outgoing, |room| match traffic.encrypt(plain, room) {
            Ok(len) => Ok(len),
            Err(EncryptError::InsufficientSize(size)) => Err(Ok(size.required_size)),
            Err(error) => Err(Err(Error::other(error))),
        })
    }
}

/// Appends what `write` puts into a room that is made as large as it wants.
fn grow(
    to: &mut Vec<u8>,
    mut write: impl FnMut(&mut [u8]) -> std::result::Result<usize, Result<usize>>,
) -> Result<()> {
    let start = to.len();
    let mut room = 1_024;
    loop {
        to.resize(start + room, 0);
        match write(&mut to[start..]) {
            Ok(len) => {
                to.truncate(start + len);
                return Ok(());
            }
            Err(wanted) => room = wanted?.max(room + 1),
        }
    }
}
