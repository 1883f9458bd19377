//! What QUIC owes strangers and bad networks (RFC 9000): proofs of address, bounded answers, moves,
//! loss, and the end of what is forgotten.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Buf;
use platform::http::HttpLimits;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ConnectionError, Endpoint};
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use tokio::net::UdpSocket;

use crate::client::{FOREVER, ask, connect, get, h3_client};
use crate::network::{Network, Weather};
use crate::server::{LARGE_BYTES, Running, counted, short_limits, start};

/// Handshakes under way from which on addresses have to be proven.
const WITHOUT_RETRY: usize = 128;

/// A datagram before a path has shown that it takes larger ones (RFC 9000 14).
const DATAGRAM_BYTES: usize = 1_200;

fn patient() -> HttpLimits {
    HttpLimits {
        connections: 1_000,
        header_timeout: FOREVER,
        request_timeout: FOREVER,
        write_stall: FOREVER,
        ..short_limits()
    }
}

/// First datagrams of clients that then say no more.
struct Strangers(Endpoint);

impl Strangers {
    fn new(running: &Running) -> Self {
        // A short key share: the ClientHello fits into one datagram.
        let kx_groups = vec![kx_group::X25519];
        let provider = rustls::crypto::CryptoProvider { kx_groups, ..default_provider() };
        let tls = QuicClientConfig::try_from(running.client_tls_by(provider)).unwrap();
        let mut endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
        Self(endpoint)
    }

    async fn first_datagram(&self) -> Vec<u8> {
        let sink = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let _connecting = self.0.connect(sink.local_addr().unwrap(), "localhost").unwrap();
        let mut buffer = vec![0; 2048];
        let len = tokio::time::timeout(FOREVER, sink.recv(&mut buffer)).await.unwrap().unwrap();
        buffer.truncate(len);
        buffer
    }
}

/// Sends a datagram from an address of its own, and gives back the socket.
async fn send(running: &Running, datagram: &[u8]) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(running.server.local_address()).await.unwrap();
    socket.send(datagram).await.unwrap();
    socket
}

async fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 2048];
    let received = tokio::time::timeout(FOREVER, socket.recv(&mut buffer)).await;
    buffer.truncate(received.expect("no answer").unwrap());
    buffer
}

/// RFC 9000 8.1.2: while many handshakes hang, newcomers get a Retry, which keeps nothing in memory;
/// whoever really is where it says gets in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_are_proven_while_many_handshakes_hang() {
    let running = start(patient());
    let strangers = Strangers::new(&running);
    let mut sockets = Vec::new();
    for number in 0..WITHOUT_RETRY + 40 {
        let socket = send(&running, &strangers.first_datagram().await).await;
        let answer = receive(&socket).await;
        // Long header and type (RFC 9000 17.2): 0 Initial, 3 Retry. The bit between is greased
        // (RFC 9287).
        let expected = if number < WITHOUT_RETRY { 0x80 } else { 0xb0 };
        assert_eq!(answer[0] & 0xb0, expected, "stranger {number}");
        sockets.push(socket);
    }
    assert_eq!(running.server.connections_open(), WITHOUT_RETRY);
    let (_endpoint, mut requests) = h3_client(&running).await;
    assert_eq!(ask(&mut requests, get("/a")).await.unwrap().1, b"GET /a localhost");
}

/// RFC 9000 8.1: an address that proved nothing gets three times what came from it, however long the
/// handshake waits and however often the server tries again. quinn looks before a datagram, whatever
/// its size, and so may go beyond by less than one.
#[tokio::test]
async fn strangers_get_three_times_what_they_send() {
    let running = start(patient());
    let first = Strangers::new(&running).first_datagram().await;
    let socket = send(&running, &first).await;
    let (since, mut received_bytes, mut datagrams) = (Instant::now(), 0, 0);
    while let Some(left) = Duration::from_secs(4).checked_sub(since.elapsed()) {
        let mut buffer = [0; 2048];
        let Ok(len) = tokio::time::timeout(left, socket.recv(&mut buffer)).await else { break };
        received_bytes += len.unwrap();
        datagrams += 1;
    }
    assert!(1_200 <= first.len() && 2 <= datagrams, "{datagrams} of {received_bytes} bytes");
    let limit = 3 * first.len() + DATAGRAM_BYTES;
    assert!(received_bytes < limit, "{received_bytes} for {}", first.len());
}

/// RFC 9000 6: a version that nobody knows is answered with those that are served, and nothing kept.
#[tokio::test]
async fn unknown_versions_are_told_the_known_ones() {
    let running = start(short_limits());
    let mut packet = b"\xc0\x1a\x2a\x3a\x4a\x08destination".to_vec();
    packet.truncate(6 + 8);
    packet.extend_from_slice(b"\x05ahead");
    packet.resize(1_200, 0);
    let answer = receive(&send(&running, &packet).await).await;
    assert!(answer.len() < packet.len() && answer[0] & 0x80 != 0, "{answer:?}");
    let rest =
        answer[1..].strip_prefix(b"\0\0\0\0\x05ahead\x08destinat").expect("ids change places");
    assert!(
        rest.len() % 4 == 0 && rest.chunks(4).any(|version| version == [0, 0, 0, 1]),
        "{rest:?}"
    );
    assert_eq!(running.server.connections_open(), 0);
    // A version of one's own is no way to be sent more than one sends, either.
    let short = &packet[..40];
    let socket = send(&running, short).await;
    let mut buffer = [0; 2048];
    let limit = Duration::from_millis(300);
    if let Ok(len) = tokio::time::timeout(limit, socket.recv(&mut buffer)).await {
        assert!(len.unwrap() <= 3 * short.len());
    }
}

/// RFC 9000 9: a client whose address changes goes on, in the middle of an answer, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_moves_goes_on() {
    let running = start(patient());
    let (endpoint, mut requests) = h3_client(&running).await;
    let mut stream = requests.send_request(get("/large")).await.unwrap();
    stream.finish().await.unwrap();
    assert_eq!(stream.recv_response().await.unwrap().status(), 200);
    let (mut received, mut moves) = (0, 0);
    while let Some(data) = tokio::time::timeout(FOREVER, stream.recv_data()).await.unwrap().unwrap()
    {
        received += data.remaining();
        if moves < 3 && (moves + 1) * LARGE_BYTES / 5 < received {
            moves += 1;
            endpoint.rebind(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
        }
    }
    assert_eq!((received, moves), (LARGE_BYTES, 3));
    endpoint.rebind(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    assert_eq!(ask(&mut requests, get("/a")).await.unwrap().1, b"GET /a localhost");
    assert_eq!(running.server.connections_open(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_are_whole_over_a_bad_network() {
    let running = start(patient());
    let network = Network::start(running.server.local_address()).await;
    network.set(Weather {
        delay: Duration::from_millis(1),
        loss_percent: 4,
        reorder_percent: 15,
        ..Weather::default()
    });
    let tls = QuicClientConfig::try_from(running.client_tls()).unwrap();
    let mut endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
    let connection = endpoint.connect(network.address(), "localhost").unwrap().await.unwrap();
    let quic = h3_quinn::Connection::new(connection.clone());
    let (mut driver, requests) = h3::client::new(quic).await.unwrap();
    tokio::spawn(async move { std::future::poll_fn(|context| driver.poll_close(context)).await });
    let expected = counted();
    let bodies = (0..3).map(|_| {
        let mut requests = requests.clone();
        tokio::spawn(async move { ask(&mut requests, get("/counted")).await.unwrap().1 })
    });
    for body in bodies.collect::<Vec<_>>() {
        let body = tokio::time::timeout(3 * FOREVER, body).await.expect("no end").unwrap();
        assert!(body == expected, "{} bytes of {}", body.len(), expected.len());
    }
    assert!(0 < connection.stats().path.lost_packets, "the network lost nothing");
}

/// RFC 9000 10.3: a client whose connection the server has forgotten is told so, and need not wait
/// until it gives up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_connection_is_reset() {
    let running = start(HttpLimits { keep_alive: Duration::from_millis(300), ..patient() });
    let network = Network::start(running.server.local_address()).await;
    let tls = QuicClientConfig::try_from(running.client_tls()).unwrap();
    let mut endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
    let connection = endpoint.connect(network.address(), "localhost").unwrap().await.unwrap();
    let quic = h3_quinn::Connection::new(connection.clone());
    let (_driver, mut requests) = h3::client::new(quic).await.unwrap();
    assert_eq!(ask(&mut requests, get("/a")).await.unwrap().1, b"GET /a localhost");
    // The server's goodbye gets lost.
    network.set(Weather { is_server_mute: true, ..Weather::default() });
    let since = Instant::now();
    while running.server.connections_open() != 0 {
        assert!(since.elapsed() < FOREVER, "the server does not forget");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(connection.close_reason().is_none());
    network.set(Weather::default());
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(&[0x21; 600]).await.unwrap();
    let end = tokio::time::timeout(FOREVER, connection.closed()).await.expect("no reset");
    assert!(matches!(end, ConnectionError::Reset), "{end}");
}

/// The same from a client that the server never knew: garbage is not answered at all.
#[tokio::test]
async fn garbage_is_not_answered() {
    let running = start(short_limits());
    for first in [0x00, 0x40, 0x7f, 0x80, 0xc0, 0xff] {
        let mut garbage = vec![0xa5; 1_200];
        garbage[0] = first;
        // Of version 1, where the header is long.
        garbage[1..5].copy_from_slice(&[0, 0, 0, 1]);
        let socket = send(&running, &garbage).await;
        let mut buffer = [0; 2048];
        let limit = Duration::from_millis(100);
        let received = tokio::time::timeout(limit, socket.recv(&mut buffer)).await;
        assert!(received.is_err(), "{first:#x}: {received:?}");
    }
    let (_endpoint, connection) = connect(&running).await;
    connection.close(0_u32.into(), b"");
}
