//! The same listener over TLS: both protocols, the same limits, an orderly end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::client::conn::http1;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::tls::Tls;

struct Running {
    server: Server,
    tls: Tls,
    _data: tempfile::TempDir,
}

fn start_tls(limits: HttpLimits) -> Running {
    let data = tempfile::tempdir().unwrap();
    let tls = Tls::open(&crate::config::Tls::default(), data.path()).unwrap();
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let (_, limits) = watch::channel(limits);
    let server = serve_tls(listener, tls.over_tcp(), "test", limits, tower::service_fn(answer));
    Running { server, tls, _data: data }
}

impl Running {
    fn connector(&self, protocols: &[&[u8]]) -> TlsConnector {
        let chain = &self.tls.certificates()[0].chain;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(chain).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        TlsConnector::from(Arc::new(client))
    }

    async fn connect(&self, protocols: &[&[u8]]) -> TlsStream<TcpStream> {
        let name = ServerName::try_from("localhost").unwrap();
        self.connector(protocols).connect(name, connect(&self.server).await).await.unwrap()
    }

    async fn http2(&self) -> http2::SendRequest<Empty<Bytes>> {
        let stream = self.connect(&[b"h2", b"http/1.1"]).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let io = TokioIo::new(stream);
        let (client, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        client
    }

    async fn http1(&self) -> http1::SendRequest<Empty<Bytes>> {
        let io = TokioIo::new(self.connect(&[b"http/1.1"]).await);
        let (client, connection) = http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

fn request_to(path: &str) -> Request<Empty<Bytes>> {
    Request::get(path).header("host", "test").body(Empty::new()).unwrap()
}

#[tokio::test]
async fn both_protocols_are_served_over_tls() {
    let running = start_tls(short_limits());
    let mut client = running.http1().await;
    let answer = client.send_request(request_to("/large")).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(body.len() == LARGE_BYTES && body.iter().all(|byte| *byte == 7));
    let mut client = running.http2().await;
    let answer = client.send_request(request("/large")).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(body.len() == LARGE_BYTES && body.iter().all(|byte| *byte == 7));
}

#[tokio::test]
async fn smuggling_is_refused_over_tls() {
    let running = start_tls(short_limits());
    let mut stream = running.connect(&[b"http/1.1"]).await;
    let bytes = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello";
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = vec![0; 1024];
    let read = timeout(FOREVER, stream.read(&mut answer)).await.unwrap().unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

/// A handshake that never comes, and one that stops in the middle, are given up in time.
#[tokio::test]
async fn slow_handshakes_are_closed() {
    for bytes in [&b""[..], b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", b"GET / HTTP/1.1\r\n\r\n"]
    {
        let running = start_tls(short_limits());
        let mut stream = connect(&running.server).await;
        stream.write_all(bytes).await.unwrap();
        let since = Instant::now();
        read_until(&mut stream, "").await;
        assert!(since.elapsed() < 3 * short_limits().header_timeout + GRACE);
    }
}

/// Silence, a trickled head and an idle connection end as they do without TLS.
#[tokio::test]
async fn slow_and_idle_clients_are_closed_over_tls() {
    let limits = short_limits();
    for (bytes, min) in [
        ("", limits.header_timeout),
        ("GET / HTTP/1.1\r\nHost:", limits.header_timeout),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", limits.keep_alive),
    ] {
        let running = start_tls(limits);
        let mut stream = running.connect(&[b"http/1.1"]).await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let since = Instant::now();
        let mut answer = Vec::new();
        let _ = timeout(FOREVER, stream.read_to_end(&mut answer)).await.unwrap();
        let waited = since.elapsed();
        // A handshake takes some of a connection's first time.
        assert!(min / 2 <= waited && waited < 3 * min + GRACE, "{waited:?} for {bytes:?}");
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_dropped_over_tls() {
    let running = start_tls(short_limits());
    let mut stream = running.connect(&[b"http/1.1"]).await;
    stream.write_all(get("/large").as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let since = Instant::now();
    while running.server.connections_open() != 0 || since.elapsed() < Duration::from_millis(100) {
        assert!(since.elapsed() < FOREVER, "the connection is still open");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(short_limits().write_stall <= since.elapsed());
}

#[tokio::test]
async fn a_client_that_takes_slowly_is_served_over_tls() {
    let running = start_tls(short_limits());
    let mut stream = running.connect(&[b"http/1.1"]).await;
    stream.write_all(get("/large").as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut buffer = vec![0; 1 << 20];
    let since = Instant::now();
    while since.elapsed() < 4 * short_limits().write_stall {
        timeout(FOREVER, stream.read_exact(&mut buffer)).await.unwrap().unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(running.server.connections_open(), 1);
}

/// Sets of headers that never end (CVE-2024-28182 and its like) close the connection.
#[tokio::test]
async fn a_flood_of_continuations_closes_the_connection() {
    let running = start_tls(HttpLimits { header_timeout: FOREVER, ..short_limits() });
    let mut stream = running.connect(&[b"h2"]).await;
    // Preface, SETTINGS, HEADERS without END_HEADERS.
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    bytes.extend_from_slice(b"\0\0\x01\x01\0\0\0\0\x01\x82");
    stream.write_all(&bytes).await.unwrap();
    // Each brings a header of 1 KiB that was not indexed.
    let mut continuation = b"\0\x04\x06\x09\0\0\0\0\x01\x00\x01a\x7f\x81\x07".to_vec();
    continuation.resize(9 + 0x406, b'b');
    let mut sent = 0;
    while sent < 10_000 && stream.write_all(&continuation).await.is_ok() {
        if stream.flush().await.is_err() {
            break;
        }
        sent += 1;
    }
    assert!(sent < 10_000, "all frames were taken");
}

/// Requests without a pause while the server goes: none that was begun fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_under_load_fails_no_request() {
    let running = start_tls(short_limits());
    let served = Arc::new(AtomicUsize::new(0));
    let mut loads = Vec::new();
    for number in 0..8 {
        let served = Arc::clone(&served);
        let path = if number % 2 == 0 { "/" } else { "/slow" };
        if number < 4 {
            let mut client = running.http2().await;
            loads.push(tokio::spawn(async move {
                while client.ready().await.is_ok() {
                    match client.send_request(self::request(path)).await {
                        Ok(answer) => {
                            assert_eq!(answer.status(), 200);
                            answer.into_body().collect().await.unwrap();
                            served.fetch_add(1, Ordering::Relaxed);
                        }
                        // Not taken, or never sent: the client may ask elsewhere.
                        Err(error) => {
                            let text = format!("{error:?}");
                            assert!(
                                error.is_canceled()
                                    || text.contains("GoAway")
                                    || text.contains("REFUSED"),
                                "{text}"
                            );
                            break;
                        }
                    }
                }
            }));
        } else {
            let mut client = running.http1().await;
            loads.push(tokio::spawn(async move {
                while client.ready().await.is_ok() {
                    match client.send_request(request_to(path)).await {
                        Ok(answer) => {
                            assert_eq!(answer.status(), 200);
                            answer.into_body().collect().await.unwrap();
                            served.fetch_add(1, Ordering::Relaxed);
                        }
                        // The server closed between two requests: nothing of it was answered.
                        Err(error) => {
                            assert!(
                                error.is_canceled()
                                    || error.is_closed()
                                    || error.is_incomplete_message(),
                                "{error:?}"
                            );
                            break;
                        }
                    }
                }
            }));
        }
    }
    sleep(Duration::from_millis(400)).await;
    assert_eq!(running.server.shutdown(FOREVER).await, Drained { dropped: 0 });
    for load in loads {
        timeout(FOREVER, load).await.unwrap().unwrap();
    }
    assert!(20 < served.load(Ordering::Relaxed));
}
