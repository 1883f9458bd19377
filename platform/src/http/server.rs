//! The accept loop, the life of a connection, and the orderly end of both.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConnection;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower_service::Service;

use super::activity::{Activity, Verdict};
use super::bind::{Listener, Peer};
use super::body::BodyError;
use super::guard::Guard;
use super::io::{GuardedIo, TlsSocket, Transport};
use super::streams::StreamExecutor;
use super::{Connection, HttpLimits};
use crate::tls::ACME_TLS;

/// Bytes that hyper holds of one HTTP/1 connection, each way, and of one HTTP/2 stream.
///
/// It bounds what a stalled client costs, and the head of a request with it.
const BUFFER_BYTES: usize = 64 * 1024;

/// Receive windows of HTTP/2: requests have small bodies or none.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;

/// Streams that a client may open and reset before we have looked at them (CVE-2023-44487), and
/// streams that it may make us reset (CVE-2025-8671); beyond these the connection is closed.
const RESETS_PENDING_MAX: usize = 32;
const RESETS_LOCAL_MAX: usize = 256;

/// TLS handshakes under way at a time on one listener; further ones wait within their time. Each
/// holds some 40 KiB and costs a signature.
const HANDSHAKES_MAX: usize = 2_048;

/// How long an idle connection may take to say goodbye before it is dropped.
const GOODBYE: Duration = Duration::from_secs(5);

/// Pause after a failed accept, when descriptors or memory have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How far an orderly end has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Serving,
    /// No new connections or requests; answers under way are finished.
    Draining,
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
    Server { local_address, phase, slots, slots_count, open, accepting }
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

    /// Stops accepting, lets answers under way finish for at most `drain`, and drops the rest.
    pub async fn shutdown(self, drain: Duration) -> Drained {
        self.phase.send_replace(Phase::Draining);
        let all_closed = self.slots.acquire_many(self.slots_count);
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
        let mut number = 0;
        let mut phase = self.phase.clone();
        loop {
            let next = tokio::select! {
                next = self.accept() => next,
                _ = phase.wait_for(|phase| *phase != Phase::Serving) => return,
            };
            match next {
                Ok((socket, slot)) => {
                    number += 1;
                    self.spawn(socket, slot, number);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(listener = self.name, %error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
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
        let socket = match &self.listener {
            Listener::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Socket::Tcp(stream, peer)
            }
            Listener::Unix { listener, .. } => Socket::Unix(listener.accept().await?.0),
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

/// Runs one connection to its end.
async fn run_connection<T, S, B>(
    stream: T,
    guard: Guard<S>,
    mut phase: watch::Receiver<Phase>,
    is_crowded: &AtomicBool,
) where
    T: Transport,
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BodyError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BodyError>,
{
    let (activity, limits) = (Arc::clone(&guard.activity), guard.limits);
    let (listener, number) = (guard.connection.listener, guard.connection.number);
    let io = TokioIo::new(GuardedIo::new(stream, Arc::clone(&activity)));
    let builder = builder(&limits, &activity);
    let mut connection = pin!(builder.serve_connection(io, guard));

    let tick = tick(&limits);
    let mut is_leaving = false;
    let mut goodbye = pin!(tokio::time::sleep(Duration::MAX));
    loop {
        tokio::select! {
            outcome = connection.as_mut() => {
                if let Err(error) = outcome {
                    tracing::debug!(listener, number, %error, "a connection ended early");
                }
                return;
            }
            () = tokio::time::sleep(tick) => {
                activity.end_stalled_streams(&limits);
                match activity.judge(&limits, is_crowded.load(Ordering::Relaxed)) {
                    Verdict::GoesOn => {}
                    Verdict::Idle if is_leaving => {}
                    Verdict::Idle => {
                        is_leaving = true;
                        connection.as_mut().graceful_shutdown();
                        goodbye.as_mut().reset(tokio::time::Instant::now() + GOODBYE);
                    }
                    Verdict::Drop(reason) => {
                        tracing::debug!(listener, number, reason, "dropped a connection");
                        return;
                    }
                }
            }
            () = goodbye.as_mut(), if is_leaving => return,
            _ = phase.changed() => match *phase.borrow_and_update() {
                Phase::Serving => {}
                Phase::Draining => connection.as_mut().graceful_shutdown(),
                Phase::Ended => return,
            },
        }
    }
}

fn builder(limits: &HttpLimits, activity: &Arc<Activity>) -> auto::Builder<StreamExecutor> {
    let mut builder = auto::Builder::new(StreamExecutor { activity: Arc::clone(activity) });
    builder
        .http1()
        .timer(TokioTimer::new())
        // The connection's own timer does this, and tells idle from slow.
        .header_read_timeout(None)
        .max_buf_size(BUFFER_BYTES)
        .writev(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_per_connection)
        .max_header_list_size(limits.header_bytes)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(BUFFER_BYTES)
        .max_pending_accept_reset_streams(RESETS_PENDING_MAX)
        .max_local_error_reset_streams(RESETS_LOCAL_MAX);
    builder
}

/// How often a connection is judged: a quarter of its shortest limit, from 50 ms to 5 s.
fn tick(limits: &HttpLimits) -> Duration {
    let shortest = limits.header_timeout.min(limits.keep_alive).min(limits.write_stall);
    (shortest / 4).clamp(Duration::from_millis(50), Duration::from_secs(5))
}
