//! The accept loop, the life of a connection, and the orderly end of both.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use rustls::ServerConnection;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower_service::Service;

use super::activity::Activity;
use super::bind::{ListenSocket, Listener, Peer, Spare};
use super::body::BodyError;
use super::connection::run_connection;
use super::guard::Guard;
use super::io::TlsSocket;
use super::{Connection, HttpLimits};
use crate::tls::ACME_TLS;

/// Bytes that hyper holds of one HTTP/1 connection, each way, and of one HTTP/2 stream.
///
/// It bounds what a stalled client costs, and the head of a request with it.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;

/// TLS handshakes under way at a time on one listener; further ones wait within their time. Each
/// holds some 40 KiB and costs a signature.
const HANDSHAKES_MAX: usize = 2_048;

/// Pause after a failed accept, when descriptors or memory have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long connections that the kernel has accepted already are still taken at an orderly end.
const ACCEPT_LAST: Duration = Duration::from_millis(100);
/// Without a new one for so long there are none.
const ACCEPT_LAST_PAUSE: Duration = Duration::from_millis(10);

/// How long an idle HTTP/1 connection is kept at an orderly end: a request that comes meanwhile is
/// answered with `Connection: close`, one that crosses a close would be lost.
const IDLE_GRACE: Duration = Duration::from_secs(2);

/// How far an orderly end has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    Serving,
    /// No new connections; answers under way are finished, and each is the last of its connection.
    Draining {
        idle_until: Instant,
        /// Another process accepts on the same socket.
        has_successor: bool,
    },
    /// Connections are dropped.
    Ended,
}

/// A running listener. Dropping it ends its connections at once; [`Server::shutdown`] is orderly.
#[derive(Debug)]
pub struct Server {
    local_address: Option<SocketAddr>,
    phase: watch::Sender<Phase>,
    slots: Arc<Semaphore>,
    slots_count: u32,
    open: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
    /// None where there was no descriptor left for it.
    spare: Option<Spare>,
}

/// What became of the connections at an orderly end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Drained {
    /// Connections that were dropped because the time was over.
    pub dropped: usize,
}

/// As [`serve`], over TLS.
pub fn serve_tls<S, B>(
    listener: Listener,
    tls: Arc<rustls::ServerConfig>,
    name: &'static str,
    limits: watch::Receiver<HttpLimits>,
    service: S,
) -> Server
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BodyError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BodyError>,
{
    let tls = Handshakes::new(tls);
    start(listener, Some(tls), name, limits, service)
}

/// Serves every connection of `listener` with `service`, on this runtime.
///
/// `name` goes into logs and into each request's [`Connection`]. New `limits` hold for connections
/// that are accepted after them, except for their number.
pub fn serve<S, B>(
    listener: Listener,
    name: &'static str,
    limits: watch::Receiver<HttpLimits>,
    service: S,
) -> Server
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BodyError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BodyError>,
{
    start(listener, None, name, limits, service)
}

fn start<S, B>(
    listener: Listener,
    tls: Option<Handshakes>,
    name: &'static str,
    limits: watch::Receiver<HttpLimits>,
    service: S,
) -> Server
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BodyError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BodyError>,
{
    let slots_count = limits.borrow().connections;
    let slots = Arc::new(Semaphore::new(slots_count as usize));
    let (phase, phase_seen) = watch::channel(Phase::Serving);
    let local_address = listener.local_address();
    let spare = listener.spare().ok();
    let open = Arc::new(AtomicUsize::new(0));
    let acceptor = Acceptor {
        listener,
        tls,
        name,
        limits,
        service,
        phase: phase_seen,
        slots: Arc::clone(&slots),
        is_crowded: Arc::default(),
        open: Arc::clone(&open),
    };
    let accepting = tokio::spawn(acceptor.run());
    Server { local_address, phase, slots, slots_count, open, accepting, spare }
}

impl Server {
    /// The bound address, for TCP.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.local_address
    }

    pub fn connections_open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Tells the open connections, also when the server has moved elsewhere.
    pub fn connection_count(&self) -> impl Fn() -> usize + Send + Sync + use<> {
        let open = Arc::clone(&self.open);
        move || open.load(Ordering::Relaxed)
    }

    /// The listening socket, for another process.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        match &self.spare {
            Some(spare) => spare.socket.try_clone(),
            None => Err(io::Error::other("no descriptor was left for the listening socket")),
        }
    }

    /// Stops accepting, lets answers under way finish for at most `drain`, and drops the rest.
    ///
    /// Connections in the kernel's queue are taken first. Idle HTTP/1 connections are closed after
    /// two seconds; a request that comes before is answered.
    pub async fn shutdown(self, drain: Duration) -> Drained {
        let idle_until = Instant::now() + IDLE_GRACE.min(drain / 2);
        self.drain(drain, Phase::Draining { idle_until, has_successor: false }).await
    }

    /// As [`Self::shutdown`], when another process accepts on the same socket: then there is time,
    /// and idle connections are kept for most of it.
    pub async fn shutdown_replaced(self, drain: Duration) -> Drained {
        if let Some(spare) = &self.spare {
            spare.keep_file();
        }
        let idle_until = Instant::now() + drain.saturating_sub(IDLE_GRACE.min(drain / 2));
        self.drain(drain, Phase::Draining { idle_until, has_successor: true }).await
    }

    async fn drain(mut self, drain: Duration, draining: Phase) -> Drained {
        // A socket that nobody accepts on refuses connections only when its last descriptor is gone.
        self.spare = None;
        self.phase.send_replace(draining);
        let all_closed = async {
            // Connections that are taken at the last moment count.
            let _ = (&mut self.accepting).await;
            self.slots.acquire_many(self.slots_count).await.is_ok()
        };
        let in_time = tokio::time::timeout(drain, all_closed).await.is_ok();
        let dropped = if in_time { 0 } else { self.connections_open() };
        self.phase.send_replace(Phase::Ended);
        Drained { dropped }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.phase.send_replace(Phase::Ended);
        self.accepting.abort();
    }
}

struct Acceptor<S> {
    listener: Listener,
    tls: Option<Handshakes>,
    name: &'static str,
    limits: watch::Receiver<HttpLimits>,
    service: S,
    phase: watch::Receiver<Phase>,
    slots: Arc<Semaphore>,
    /// Whether all slots are taken: idle connections then give way.
    is_crowded: Arc<AtomicBool>,
    open: Arc<AtomicUsize>,
}

impl<S, B> Acceptor<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BodyError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BodyError>,
{
    async fn run(mut self) {
        let mut phase = self.phase.clone();
        if let Some(mut begins) = self.listener.begins.take() {
            tokio::select! {
                // Whoever would begin it is gone: it never does.
                begun = begins.wait_for(|begins| *begins) => if begun.is_err() { return },
                _ = phase.wait_for(|phase| *phase != Phase::Serving) => return,
            }
        }
        let mut number = 0;
        loop {
            let next = tokio::select! {
                next = self.accept() => next,
                _ = phase.wait_for(|phase| *phase != Phase::Serving) => break,
            };
            self.take(next, &mut number).await;
        }
        if matches!(*phase.borrow(), Phase::Draining { has_successor: false, .. }) {
            let end = Instant::now() + ACCEPT_LAST;
            while Instant::now() < end
                && let Ok(next) = tokio::time::timeout(ACCEPT_LAST_PAUSE, self.accept()).await
            {
                self.take(next, &mut number).await;
            }
        }
    }

    async fn take(&mut self, next: io::Result<(Socket, OwnedSemaphorePermit)>, number: &mut u64) {
        match next {
            Ok((socket, slot)) => {
                *number += 1;
                self.spawn(socket, slot, *number);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(listener = self.name, %error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }

    /// Waits for a slot first, so that connections beyond the limit stay in the kernel's queue.
    async fn accept(&mut self) -> io::Result<(Socket, OwnedSemaphorePermit)> {
        let slot = match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(slot) => slot,
            Err(_) => {
                self.is_crowded.store(true, Ordering::Relaxed);
                let slot = Arc::clone(&self.slots).acquire_owned().await;
                self.is_crowded.store(false, Ordering::Relaxed);
                slot.map_err(io::Error::other)?
            }
        };
        let socket = match &self.listener.socket {
            ListenSocket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Socket::Tcp(stream, peer)
            }
            ListenSocket::Unix { listener, .. } => Socket::Unix(listener.accept().await?.0),
        };
        Ok((socket, slot))
    }

    fn spawn(&self, socket: Socket, slot: OwnedSemaphorePermit, number: u64) {
        let peer = match &socket {
            Socket::Tcp(_, peer) => Peer::Tcp(*peer),
            Socket::Unix(_) => Peer::Unix,
        };
        let activity = Arc::new(Activity::new());
        let mut guard = Guard {
            service: self.service.clone(),
            activity,
            limits: *self.limits.borrow(),
            connection: Connection {
                peer,
                listener: self.name,
                number,
                is_encrypted: self.tls.is_some(),
                is_certified: false,
            },
        };
        let tls = self.tls.clone();
        let (phase, is_crowded) = (self.phase.clone(), Arc::clone(&self.is_crowded));
        let open = Open::one_more(&self.open);
        tokio::spawn(async move {
            match socket {
                Socket::Tcp(stream, _) => match tls {
                    None => run_connection(stream, guard, phase, &is_crowded).await,
                    Some(tls) => {
                        if let Some(stream) = tls.shake_hands(stream, &guard, phase.clone()).await {
                            // None is taken that was not checked.
                            let shown = stream.get_ref().1.peer_certificates();
                            guard.connection.is_certified = shown.is_some();
                            run_connection(stream, guard, phase, &is_crowded).await;
                        }
                    }
                },
                Socket::Unix(stream) => run_connection(stream, guard, phase, &is_crowded).await,
            }
            drop((slot, open));
        });
    }
}

/// Counts a connection for as long as it lives.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn one_more(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

enum Socket {
    Tcp(tokio::net::TcpStream, SocketAddr),
    Unix(tokio::net::UnixStream),
}

/// The TLS handshakes of a listener.
#[derive(Clone)]
struct Handshakes {
    acceptor: TlsAcceptor,
    under_way: Arc<Semaphore>,
}

impl Handshakes {
    fn new(settings: Arc<rustls::ServerConfig>) -> Self {
        let under_way = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        Self { acceptor: TlsAcceptor::from(settings), under_way }
    }

    /// Does the handshake within the time that the head of a request may take.
    async fn shake_hands<S>(
        &self,
        stream: TcpStream,
        guard: &Guard<S>,
        mut phase: watch::Receiver<Phase>,
    ) -> Option<TlsStream<TlsSocket>> {
        let activity = &guard.activity;
        let socket = TlsSocket { inner: stream, activity: Arc::clone(activity) };
        let handshake = async {
            let _turn = self.under_way.acquire().await.map_err(io::Error::other)?;
            let limit = |tls: &mut ServerConnection| tls.set_buffer_limit(Some(BUFFER_BYTES));
            self.acceptor.accept_with(socket, limit).await
        };
        let outcome = tokio::select! {
            outcome = tokio::time::timeout(guard.limits.header_timeout, handshake) => outcome,
            _ = phase.wait_for(|phase| *phase == Phase::Ended) => return None,
        };
        let (listener, number) = (guard.connection.listener, guard.connection.number);
        match outcome {
            // An authority has seen what it wanted to see (RFC 8737 3).
            Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(ACME_TLS) => return None,
            Ok(Ok(stream)) => {
                activity.restart();
                return Some(stream);
            }
            Ok(Err(error)) => tracing::debug!(listener, number, %error, "a TLS handshake failed"),
            Err(_) => tracing::debug!(listener, number, "a TLS handshake took too long"),
        }
        None
    }
}

/// Whether an accept failed because of the connection it was about (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
