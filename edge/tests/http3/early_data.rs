//! Requests before the end of the handshake (RFC 8446 2.3, RFC 8470).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request};
use platform::config;
use platform::http::HttpLimits;
use quinn::Endpoint;
use quinn::crypto::rustls::QuicClientConfig;

use crate::client::{FOREVER, Requests, ask, get};
use crate::network::{Network, Weather};
use crate::server::{ONCE, Running, short_limits, start_with};

/// A client that keeps its sessions, and reaches the server over a network of its own.
struct Client {
    endpoint: Endpoint,
    network: Network,
}

impl Client {
    async fn new(running: &Running) -> Self {
        let mut tls = running.client_tls();
        tls.enable_early_data = true;
        let tls = QuicClientConfig::try_from(tls).unwrap();
        let mut endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
        let network = Network::start(running.server.local_address()).await;
        // A round trip to tell early data by from what comes after.
        network.set(Weather { delay: Duration::from_millis(50), ..Weather::default() });
        Self { endpoint, network }
    }

    async fn requests(connection: quinn::Connection) -> Requests {
        let quic = h3_quinn::Connection::new(connection);
        let (mut driver, requests) = h3::client::new(quic).await.unwrap();
        tokio::spawn(
            async move { std::future::poll_fn(|context| driver.poll_close(context)).await },
        );
        requests
    }

    /// A connection that makes a session to come back with.
    async fn visit(&self) {
        let connecting = self.endpoint.connect(self.network.address(), "localhost").unwrap();
        let connection = connecting.await.unwrap();
        let mut requests = Self::requests(connection.clone()).await;
        assert_eq!(ask(&mut requests, get("/early")).await.unwrap().1, b"false");
        // The ticket comes after the client's last word of the handshake, and may cross the answer.
        tokio::time::sleep(Duration::from_millis(300)).await;
        connection.close(0x100_u32.into(), b"");
    }

    /// Comes back without waiting for the server; fails where no ticket allows it.
    fn come_back(&self) -> Result<(quinn::Connection, quinn::ZeroRttAccepted), quinn::Connecting> {
        self.endpoint.connect(self.network.address(), "localhost").unwrap().into_0rtt()
    }
}

fn running(early_data: bool) -> Running {
    let limits = HttpLimits { header_timeout: FOREVER, ..short_limits() };
    start_with(limits, &config::Tls { early_data, ..config::Tls::default() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn safe_requests_are_answered_before_the_handshake_is_done() {
    let running = running(true);
    let client = Client::new(&running).await;
    client.visit().await;
    let (connection, _accepted) = client.come_back().unwrap_or_else(|_| panic!("no session"));
    let mut requests = Client::requests(connection).await;
    let (answer, body) = ask(&mut requests, get("/early")).await.unwrap();
    assert_eq!((answer.status().as_u16(), &body[..]), (200, &b"true"[..]));
}

/// POST, and GET that announces content, are not even handed to the service before that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_requests_wait_for_the_handshake() {
    for (method, length) in [(Method::POST, None), (Method::DELETE, None), (Method::GET, Some("3"))]
    {
        let running = running(true);
        let client = Client::new(&running).await;
        client.visit().await;
        let (connection, accepted) = client.come_back().unwrap_or_else(|_| panic!("no session"));
        let mut requests = Client::requests(connection).await;
        let mut request = Request::builder().method(&method).uri("https://localhost/early");
        if let Some(length) = length {
            request = request.header("content-length", length);
        }
        let mut stream = requests.send_request(request.body(()).unwrap()).await.unwrap();
        if length.is_some() {
            stream.send_data(Bytes::from_static(b"abc")).await.unwrap();
        }
        stream.finish().await.unwrap();
        assert_eq!(stream.recv_response().await.unwrap().status(), 200);
        let body = stream.recv_data().await.unwrap().map(|mut data| {
            use bytes::Buf;
            data.copy_to_bytes(data.remaining())
        });
        assert_eq!(body.as_deref(), Some(&b"false"[..]), "{method}");
        assert!(accepted.await, "{method}: early data was not taken");
    }
}

/// A ticket is taken once (RFC 8446 8.1): who records a first flight and sends it again is answered as
/// a stranger, and the request in it is not looked at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_flight_is_answered_once() {
    let running = running(true);
    let client = Client::new(&running).await;
    client.visit().await;
    client.network.record();
    let (connection, accepted) = client.come_back().unwrap_or_else(|_| panic!("no session"));
    let mut requests = Client::requests(connection.clone()).await;
    assert_eq!(ask(&mut requests, get("/once")).await.unwrap().1, b"1");
    assert!(accepted.await);
    // Long headers: the first flight, and what ends the handshake.
    let mut flight = client.network.recorded();
    flight.retain(|datagram| datagram[0] & 0x80 != 0);
    assert!(2 <= flight.len(), "{}", flight.len());
    connection.close(0x100_u32.into(), b"");
    let since = Instant::now();
    while running.server.connections_open() != 0 {
        assert!(since.elapsed() < FOREVER, "the connection is still open");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // What is known of its ids lingers for some round trips.
    tokio::time::sleep(Duration::from_secs(2)).await;

    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for datagram in &flight {
        socket.send_to(datagram, running.server.local_address()).await.unwrap();
    }
    let mut answer = [0; 2048];
    let received = tokio::time::timeout(FOREVER, socket.recv(&mut answer)).await;
    // The start of another handshake.
    assert!(received.expect("no answer").unwrap() > 0 && answer[0] & 0xb0 == 0x80);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(ONCE.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_early_data_is_taken_unless_it_is_configured() {
    let running = running(false);
    let client = Client::new(&running).await;
    client.visit().await;
    assert!(client.come_back().is_err(), "the ticket allows early data");
}
