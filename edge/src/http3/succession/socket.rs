//! quinn's socket, with other processes on the same one.
//!
//! Sending and what the kernel does for it (GSO, GRO, ECN) are quinn's own. Of what comes in only
//! first packets are looked at, and all of them while an older process has connections left.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures_util::task::AtomicWaker;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::handshakes::Handshakes;
use super::ids::{ConnectionIds, destination};
use super::{Elder, HandshakesUnderWay, packet};

/// A UDP socket that several processes send on and one reads.
pub(in crate::http3) struct SharedSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    ids: ConnectionIds,
    state: Mutex<State>,
    /// Of the task that reads, for when it has to read elsewhere.
    reader: AtomicWaker,
}

struct State {
    reads: Reads,
    /// What this process has seen.
    handshakes: Handshakes,
    elders: Vec<Passing>,
    /// Where packets come from when another process reads the socket. No stream (each message is
    /// one): of the type only the readiness is used.
    inbox: Option<UnixStream>,
}

/// Where this process gets its packets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reads {
    /// Not yet from anywhere: another process reads the socket.
    Nothing,
    Socket,
    Inbox,
}

/// An older process, and what goes to it.
#[derive(Debug)]
struct Passing {
    generation: u16,
    packets: OwnedFd,
    handshakes: Handshakes,
}

impl SharedSocket {
    /// `reads`: from now on; else from [`Self::begin`] on.
    pub(in crate::http3) fn new(
        inner: Arc<dyn AsyncUdpSocket>,
        ids: ConnectionIds,
        elders: Vec<Elder>,
        reads: bool,
    ) -> Self {
        let passing = |elder: Elder| Passing {
            generation: elder.generation,
            packets: elder.packets,
            handshakes: Handshakes::default(),
        };
        let state = State {
            reads: if reads { Reads::Socket } else { Reads::Nothing },
            handshakes: Handshakes::default(),
            elders: elders.into_iter().map(passing).collect(),
            inbox: None,
        };
        Self { inner, ids, state: Mutex::new(state), reader: AtomicWaker::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the socket from now on. `handshakes` are those that older processes have under way.
    pub(in crate::http3) fn begin(&self, handshakes: &[HandshakesUnderWay]) {
        let mut state = self.state();
        let now = Instant::now();
        for told in handshakes {
            let elder = state.elders.iter_mut().find(|elder| elder.generation == told.generation);
            if let Some(elder) = elder {
                told.ids.iter().for_each(|name| elder.handshakes.note(*name, now));
            }
        }
        state.reads = Reads::Socket;
        drop(state);
        self.reader.wake();
    }

    /// Ways for packets of this process and of all older ones, for the process that reads next.
    pub(in crate::http3) fn ways(&self) -> io::Result<Vec<Elder>> {
        let mut state = self.state();
        // Most have gone without a packet that would have told; handed on, they would only grow more.
        state.elders.retain(|elder| !packet::is_left(&elder.packets));
        let mut ways = Vec::new();
        for elder in &state.elders {
            let packets = elder.packets.try_clone()?;
            ways.push(Elder { generation: elder.generation, packets });
        }
        let (packets, inbox) = packet::pair()?;
        state.inbox = Some(UnixStream::from_std(inbox.into())?);
        ways.push(Elder { generation: self.ids.generation(), packets });
        Ok(ways)
    }

    /// Reads what the next process passes on, instead of the socket. Tells whose handshakes are
    /// under way.
    pub(in crate::http3) fn step_aside(&self) -> Vec<HandshakesUnderWay> {
        let mut state = self.state();
        if state.inbox.is_some() {
            state.reads = Reads::Inbox;
        }
        let now = Instant::now();
        let told = |generation, handshakes: &Handshakes| HandshakesUnderWay {
            generation,
            ids: handshakes.names(now),
        };
        let mut all = vec![told(self.ids.generation(), &state.handshakes)];
        all.extend(state.elders.iter().map(|elder| told(elder.generation, &elder.handshakes)));
        drop(state);
        self.reader.wake();
        all
    }

    /// Nobody took over: reads the socket again.
    pub(in crate::http3) fn step_back(&self) {
        let mut state = self.state();
        state.reads = Reads::Socket;
        state.inbox = None;
        drop(state);
        self.reader.wake();
    }

    /// Another process passes on what belongs to older ones.
    pub(in crate::http3) fn forget_elders(&self) {
        self.state().elders.clear();
    }

    #[cfg(test)]
    pub(super) fn sort_for_test(&self, buffer: &mut [u8], meta: &mut RecvMeta) {
        self.state().sort(&self.ids, buffer, meta);
    }

    /// Whether this process gets packets of its own connections only.
    pub(in crate::http3) fn is_aside(&self) -> bool {
        self.state().reads == Reads::Inbox
    }
}

impl State {
    /// Notes first packets, and takes out what belongs to older processes.
    fn sort(&mut self, ids: &ConnectionIds, buffer: &mut [u8], meta: &mut RecvMeta) {
        let stride = meta.stride.max(1);
        if self.elders.is_empty() {
            for datagram in buffer[..meta.len].chunks(stride) {
                self.note(ids, datagram);
            }
            return;
        }
        // Datagrams of one sender come together; nearly always they have one owner, too.
        let mut kept = 0;
        let mut at = 0;
        while at < meta.len {
            let owner = self.owner(ids, &buffer[at..(at + stride).min(meta.len)]);
            let mut end = (at + stride).min(meta.len);
            while end < meta.len
                && self.owner(ids, &buffer[end..(end + stride).min(meta.len)]) == owner
            {
                end = (end + stride).min(meta.len);
            }
            match owner {
                Some(elder) => self.pass(elder, meta, &buffer[at..end]),
                None => {
                    buffer[at..end].chunks(stride).for_each(|datagram| self.note(ids, datagram));
                    buffer.copy_within(at..end, kept);
                    kept += end - at;
                }
            }
            at = end;
        }
        meta.len = kept;
    }

    fn note(&mut self, ids: &ConnectionIds, datagram: &[u8]) {
        if let Some(to) = destination(datagram).filter(|to| to.is_initial) {
            self.handshakes.note(ids.name_of(to.id), Instant::now());
        }
    }

    /// The older generation that a datagram belongs to.
    fn owner(&self, ids: &ConnectionIds, datagram: &[u8]) -> Option<u16> {
        let to = destination(datagram)?;
        let generation = ids.generation_of(to.id);
        if let Some(elder) = self.elders.iter().find(|elder| Some(elder.generation) == generation) {
            return Some(elder.generation);
        }
        if !to.is_early || self.elders.iter().all(|elder| elder.handshakes.is_empty()) {
            return None;
        }
        let name = ids.name_of(to.id);
        self.elders.iter().find(|elder| elder.handshakes.has(name)).map(|elder| elder.generation)
    }

    fn pass(&mut self, generation: u16, meta: &RecvMeta, datagrams: &[u8]) {
        let Some(at) = self.elders.iter().position(|elder| elder.generation == generation) else {
            return;
        };
        let mut part = *meta;
        part.len = datagrams.len();
        match packet::send(&self.elders[at].packets, &part, datagrams) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tracing::debug!(generation, "dropped packets for an older process");
            }
            // It has finished and gone.
            Err(error) => {
                tracing::debug!(generation, %error, "an older process takes no packets any more");
                self.elders.swap_remove(at);
            }
        }
    }

    /// What was passed on; `Ready(None)` when nobody is left who could.
    fn poll_inbox(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<Option<usize>>> {
        let Some(inbox) = &self.inbox else { return Poll::Ready(Ok(None)) };
        loop {
            ready!(inbox.poll_read_ready(context))?;
            let mut count = 0;
            while count < buffers.len().min(metas.len()) {
                let receive = || packet::receive(inbox, &mut buffers[count]);
                match inbox.try_io(Interest::READABLE, receive) {
                    Ok(Some(meta)) => metas[count] = meta,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // An end, in whatever way: told when all before it is taken.
                    Ok(None) | Err(_) if count == 0 => return Poll::Ready(Ok(None)),
                    Ok(None) | Err(_) => break,
                }
                count += 1;
            }
            if 0 < count {
                return Poll::Ready(Ok(Some(count)));
            }
        }
    }
}

impl AsyncUdpSocket for SharedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.inner).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.inner.try_send(transmit)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.reader.register(context.waker());
        let mut state = self.state();
        match state.reads {
            Reads::Nothing => return Poll::Pending,
            Reads::Socket => {}
            Reads::Inbox => match ready!(state.poll_inbox(context, buffers, metas))? {
                Some(count) => return Poll::Ready(Ok(count)),
                None => {
                    tracing::warn!("nobody passes packets on; reading the socket again");
                    state.reads = Reads::Socket;
                    state.inbox = None;
                }
            },
        }
        let count = ready!(self.inner.poll_recv(context, buffers, metas))?;
        for (buffer, meta) in buffers.iter_mut().zip(metas).take(count) {
            state.sort(&self.ids, buffer, meta);
        }
        Poll::Ready(Ok(count))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}

impl fmt::Debug for SharedSocket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SharedSocket").field("inner", &self.inner).finish_non_exhaustive()
    }
}
