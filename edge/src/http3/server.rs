//! The endpoint: who is let in, and the orderly end of all.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_lc_rs::{hkdf, hmac};
use http::Response;
use http_body::Body;
use platform::http::{Connection, Drained, HttpLimits, Peer};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connecting, ConnectionError, Endpoint, EndpointConfig, Incoming, Runtime, TokioRuntime,
    TransportConfig, VarInt,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tower_service::Service;

use super::Phase;
use super::connection::{self, Serving};
use super::error::Code;
use super::request::Http3Request;
use super::succession::{ConnectionIds, Elder, HandshakesUnderWay, Lineage, SharedSocket};
use super::writer::SEND_WINDOW_BYTES_MIN;

/// Handshakes under way from which on a client has to show that its address is its own (RFC 9000
/// 8.1.2), which costs it a round trip.
const HANDSHAKES_WITHOUT_RETRY: usize = 128;

/// Handshakes under way at a time; further ones are refused.
const HANDSHAKES_MAX: usize = 2_048;

/// Packets of connections that were not looked at: how many, and their bytes.
const INCOMING_MAX: usize = 4_096;
const INCOMING_BYTES: u64 = 64 << 10;
const INCOMING_BYTES_TOTAL: u64 = 32 << 20;

/// Receive windows: requests are small, and nothing else is kept.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 512 << 10;

/// Unidirectional streams of a client: three of HTTP/3 and some grease.
const UNI_STREAMS_MAX: u32 = 8;

/// Handshake messages that are kept out of order. A client's fit twice, with a post-quantum key.
const CRYPTO_BYTES: usize = 16 << 10;

/// Round trip that is assumed before one is measured.
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// How long the last packets may take to leave at the end.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A running HTTP/3 listener. Dropping it ends its connections at once; [`Server::shutdown`] is
/// orderly.
#[derive(Debug)]
pub struct Server {
    endpoint: Endpoint,
    socket: Arc<SharedSocket>,
    /// The socket once more, for another process; none where no descriptor was left.
    spare: Option<UdpSocket>,
    lineage: Lineage,
    local_address: SocketAddr,
    phase: watch::Sender<Phase>,
    open: watch::Sender<usize>,
    accepting: JoinHandle<()>,
}

/// What another process handed over, whose connections go on.
#[derive(Debug)]
pub struct Inherited {
    /// Of this process.
    pub lineage: Lineage,
    pub elders: Vec<Elder>,
}

/// What another process needs to take over.
#[derive(Debug)]
pub struct Estate {
    pub socket: OwnedFd,
    /// Of that process.
    pub lineage: Lineage,
    pub elders: Vec<Elder>,
}

/// Serves HTTP/3 on `socket` with `service`, on this runtime.
///
/// `name` goes into logs and each request's [`Connection`]. New `limits` hold for connections that
/// are accepted after them, except for `connections` and `streams_per_connection`.
///
/// With `inherited`, nothing is read from the socket before [`Server::begin`].
///
/// # Errors
/// When the socket or the settings of TLS don't serve QUIC.
pub fn serve<S, B>(
    socket: UdpSocket,
    inherited: Option<Inherited>,
    tls: Arc<platform::tls::ServerConfig>,
    name: &'static str,
    limits: watch::Receiver<HttpLimits>,
    service: S,
) -> io::Result<Server>
where
    S: Service<Http3Request, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: std::fmt::Display + Send,
{
    let local_address = socket.local_addr()?;
    let takes_early_data = tls.max_early_data_size != 0;
    let mut settings = settings(tls, &limits.borrow())?;
    let spare = socket.try_clone().ok();
    let reads = inherited.is_none();
    let (lineage, elders) = match inherited {
        Some(inherited) => (inherited.lineage, inherited.elders),
        None => (Lineage::first(), Vec::new()),
    };
    // A token that a Retry gave is taken by whichever process its packet comes to.
    let token_salt = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]);
    settings.token_key(Arc::new(token_salt.extract(&lineage.key_for("handshake token"))));
    let ids = ConnectionIds::new(&lineage);
    let socket = TokioRuntime.wrap_udp_socket(socket)?;
    let socket = Arc::new(SharedSocket::new(socket, ids, elders, reads));
    let endpoint = Endpoint::new_with_abstract_socket(
        endpoint_config(&lineage),
        Some(settings),
        Arc::clone(&socket) as _,
        Arc::new(TokioRuntime),
    )?;
    let (phase, phase_seen) = watch::channel(Phase::Serving);
    let connections_max = limits.borrow().connections as usize;
    let open = watch::Sender::new(0);
    let acceptor = Acceptor {
        endpoint: endpoint.clone(),
        socket: Arc::clone(&socket),
        name,
        connections_max,
        takes_early_data,
        limits,
        service,
        phase: phase_seen,
        open: open.clone(),
        handshakes: Arc::default(),
    };
    let accepting = tokio::spawn(acceptor.run());
    Ok(Server { endpoint, socket, spare, lineage, local_address, phase, open, accepting })
}

/// Ids and resets that the processes on a socket have in common: the newest ends connections of
/// those that are gone (RFC 9000 10.3).
fn endpoint_config(lineage: &Lineage) -> EndpointConfig {
    let reset_key = lineage.key_for("stateless reset");
    let mut config = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &reset_key)));
    let ids = ConnectionIds::new(lineage);
    config.cid_generator(move || Box::new(ids.clone()));
    config
}

impl Server {
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    pub fn connections_open(&self) -> usize {
        *self.open.borrow()
    }

    /// Tells the open connections, also when the server has moved elsewhere.
    pub fn connection_count(&self) -> impl Fn() -> usize + Send + Sync + use<> {
        let open = self.open.subscribe();
        move || *open.borrow()
    }

    /// What another process needs to read the socket in place of this one.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn estate(&self) -> io::Result<Estate> {
        let Some(spare) = &self.spare else {
            return Err(io::Error::other("no descriptor was left for the UDP socket"));
        };
        Ok(Estate {
            socket: spare.try_clone()?.into(),
            lineage: self.lineage.next(),
            elders: self.socket.ways()?,
        })
    }

    /// Reads the socket from now on. `handshakes` is what [`Self::step_aside`] told in the process
    /// that read it before.
    pub fn begin(&self, handshakes: &[HandshakesUnderWay]) {
        self.socket.begin(handshakes);
    }

    /// Reads the socket no more: another process does, by the [`Self::estate`] that it got, and
    /// passes on what belongs to connections of this one.
    pub fn step_aside(&self) -> Vec<HandshakesUnderWay> {
        self.socket.step_aside()
    }

    /// Nobody took over after all.
    pub fn step_back(&self) {
        self.socket.step_back();
    }

    /// As [`Self::shutdown`], when another process reads the socket. Handshakes that were under way
    /// are finished.
    pub async fn shutdown_replaced(self, drain: Duration) -> Drained {
        self.socket.forget_elders();
        self.shutdown(drain).await
    }

    /// Takes no new connections, tells clients to go (RFC 9114 5.2), lets requests under way finish
    /// for at most `drain`, and drops the rest.
    pub async fn shutdown(self, drain: Duration) -> Drained {
        self.phase.send_replace(Phase::Draining);
        let mut open = self.open.subscribe();
        let all_closed = open.wait_for(|open| *open == 0);
        let in_time = tokio::time::timeout(drain, all_closed).await.is_ok();
        let dropped = if in_time { 0 } else { self.connections_open() };
        self.phase.send_replace(Phase::Ended);
        self.endpoint.close(Code::NO_ERROR.to_varint(), b"");
        // A close that gets lost is found out by the client's own idle time.
        let _ = tokio::time::timeout(LAST_WORDS, self.endpoint.wait_idle()).await;
        Drained { dropped }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.phase.send_replace(Phase::Ended);
        self.accepting.abort();
        self.endpoint.close(Code::NO_ERROR.to_varint(), b"");
    }
}

fn settings(
    tls: Arc<platform::tls::ServerConfig>,
    limits: &HttpLimits,
) -> io::Result<quinn::ServerConfig> {
    let crypto = QuicServerConfig::try_from(tls).map_err(io::Error::other)?;
    let mut transport = TransportConfig::default();
    // A client may be silent for as long as it waits for an answer.
    let idle = limits.keep_alive.max(limits.request_timeout);
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(limits.streams_per_connection))
        .max_concurrent_uni_streams(VarInt::from_u32(UNI_STREAMS_MAX))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES_MIN)
        .crypto_buffer_size(CRYPTO_BYTES)
        .initial_rtt(INITIAL_RTT)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(idle.try_into().map_err(io::Error::other)?));
    let mut settings = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    settings
        .transport_config(Arc::new(transport))
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(INCOMING_BYTES_TOTAL);
    Ok(settings)
}

struct Acceptor<S> {
    endpoint: Endpoint,
    socket: Arc<SharedSocket>,
    name: &'static str,
    connections_max: usize,
    takes_early_data: bool,
    limits: watch::Receiver<HttpLimits>,
    service: S,
    phase: watch::Receiver<Phase>,
    open: watch::Sender<usize>,
    handshakes: Arc<AtomicUsize>,
}

impl<S, B> Acceptor<S>
where
    S: Service<Http3Request, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: std::fmt::Display + Send,
{
    async fn run(self) {
        let mut number = 0;
        while let Some(incoming) = self.endpoint.accept().await {
            if let Some(incoming) = self.admit(incoming) {
                number += 1;
                self.spawn(incoming, number);
            }
        }
    }

    /// Lets a client in, asks it to prove its address, or refuses it.
    fn admit(&self, incoming: Incoming) -> Option<Incoming> {
        let handshakes = self.handshakes.load(Ordering::Relaxed);
        let is_full = self.connections_max <= *self.open.borrow() || HANDSHAKES_MAX <= handshakes;
        // What another process passes on had begun here.
        let is_taken = *self.phase.borrow() == Phase::Serving || self.socket.is_aside();
        if is_full || !is_taken {
            incoming.refuse();
            return None;
        }
        let is_suspect = HANDSHAKES_WITHOUT_RETRY <= handshakes;
        if is_suspect && !incoming.remote_address_validated() && incoming.may_retry() {
            // Can't fail: it may.
            let _ = incoming.retry();
            return None;
        }
        Some(incoming)
    }

    fn spawn(&self, incoming: Incoming, number: u64) {
        let peer = Peer::Udp(incoming.remote_address());
        let open = Open::one_more(&self.open);
        let handshake = Handshake::one_more(&self.handshakes);
        let (seen, connections_max) = (self.open.subscribe(), self.connections_max);
        let (confirmed, is_confirmed) = watch::channel(false);
        let name = self.name;
        let serving = Serving {
            service: self.service.clone(),
            limits: *self.limits.borrow(),
            connection: Connection {
                peer,
                listener: name,
                number,
                is_encrypted: true,
                is_certified: false,
            },
            is_confirmed,
            phase: self.phase.clone(),
            is_crowded: Box::new(move || connections_max <= *seen.borrow()),
        };
        let shaking = Shaking { name, number, handshake, confirmed };
        let takes_early_data = self.takes_early_data;
        tokio::spawn(async move {
            match incoming.accept() {
                Ok(connecting) if takes_early_data => {
                    shaking.serve_early(connecting, serving).await
                }
                Ok(connecting) => shaking.serve(connecting, serving).await,
                Err(error) => shaking.failed(&error),
            }
            drop(open);
        });
    }
}

/// A handshake under way, and who wants to know when it is done.
struct Shaking {
    name: &'static str,
    number: u64,
    handshake: Handshake,
    confirmed: watch::Sender<bool>,
}

impl Shaking {
    /// Serves a connection once its handshake is done.
    async fn serve<S, B>(self, connecting: Connecting, mut serving: Serving<S>)
    where
        S: Service<Http3Request, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: std::fmt::Display + Send,
    {
        match tokio::time::timeout(serving.limits.header_timeout, connecting).await {
            Ok(Ok(quic)) => {
                drop(self.handshake);
                self.confirmed.send_replace(true);
                // None is taken that was not checked.
                serving.connection.is_certified = quic.peer_identity().is_some();
                connection::run(quic, serving).await;
            }
            Ok(Err(error)) => self.failed(&error),
            Err(_) => self.late(),
        }
    }

    /// Serves a connection from the client's hello on. What comes before the end of the handshake is
    /// early data, and is told from other data by its streams.
    async fn serve_early<S, B>(self, mut connecting: Connecting, serving: Serving<S>)
    where
        S: Service<Http3Request, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: std::fmt::Display + Send,
    {
        let limit = serving.limits.header_timeout;
        // A hello with a post-quantum share takes two packets. Before the second the client's limits
        // aren't known, and quinn would not notice when they are.
        match tokio::time::timeout(limit, connecting.handshake_data()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return self.failed(&error),
            Err(_) => return self.late(),
        }
        let (quic, done) = match connecting.into_0rtt() {
            Ok(both) => both,
            Err(connecting) => return self.serve(connecting, serving).await,
        };
        let shaken = quic.clone();
        tokio::spawn(async move {
            let is_in_time = tokio::time::timeout(limit, done).await.is_ok();
            match shaken.close_reason() {
                Some(error) => self.failed(&error),
                None if is_in_time => {
                    self.confirmed.send_replace(true);
                }
                None => {
                    self.late();
                    shaken.close(Code::NO_ERROR.to_varint(), b"");
                }
            }
        });
        connection::run(quic, serving).await;
    }

    fn failed(&self, error: &ConnectionError) {
        let (listener, number) = (self.name, self.number);
        tracing::debug!(listener, number, %error, "a QUIC handshake failed");
    }

    fn late(&self) {
        let (listener, number) = (self.name, self.number);
        tracing::debug!(listener, number, "a QUIC handshake took too long");
    }
}

/// Counts a connection for as long as it lives.
struct Open(watch::Sender<usize>);

impl Open {
    fn one_more(open: &watch::Sender<usize>) -> Self {
        open.send_modify(|open| *open += 1);
        Self(open.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

/// Counts a handshake until it is done.
struct Handshake(Arc<AtomicUsize>);

impl Handshake {
    fn one_more(handshakes: &Arc<AtomicUsize>) -> Self {
        handshakes.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(handshakes))
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
