//! HTTP/3 to upstreams (RFC 9114).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use edge::fetch::FetchError;
use edge::upstream::Upstreams;
use h3::server::RequestStream;
use h3_quinn::BidiStream;
use http::Response;
use platform::config::{Upstream, UpstreamProtocol};
use quinn::crypto::rustls::QuicServerConfig;

use crate::tls::Authority;
use crate::{fast, fetch, upstream};

type Stream = RequestStream<BidiStream<Bytes>, Bytes>;

#[derive(Clone, Copy)]
enum Does {
    Answer { length: Option<&'static str> },
    Reset,
    Hang,
    HangInside,
    LargeHeaders,
    EarlyHints,
}

struct Origin {
    endpoint: quinn::Endpoint,
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

fn origin(authority: &Authority, at: SocketAddr, does: Does) -> Origin {
    let tls = authority.server_config(None, &["h3"]);
    let quic = QuicServerConfig::try_from(tls).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(quic));
    let endpoint = quinn::Endpoint::server(config, at).unwrap();
    let address = endpoint.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let (accepting, counter) = (endpoint.clone(), Arc::clone(&connections));
    tokio::spawn(async move {
        while let Some(incoming) = accepting.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let Ok(connection) = incoming.await else { return };
                let connection = h3_quinn::Connection::new(connection);
                let mut connection: h3::server::Connection<_, Bytes> =
                    h3::server::Connection::new(connection).await.unwrap();
                while let Ok(Some(resolver)) = connection.accept().await {
                    tokio::spawn(async move {
                        let Ok((_, stream)) = resolver.resolve_request().await else { return };
                        act(stream, does).await;
                    });
                }
            });
        }
    });
    Origin { endpoint, address, connections }
}

async fn act(mut stream: Stream, does: Does) {
    let head = |length: Option<&str>| {
        let builder = Response::builder();
        let builder = match length {
            Some(length) => builder.header("content-length", length),
            None => builder,
        };
        builder.body(()).unwrap()
    };
    let hello = Bytes::from_static(b"hello");
    let forever = tokio::time::sleep(Duration::from_secs(10));
    match does {
        Does::Answer { length } => {
            stream.send_response(head(length)).await.unwrap();
            // A peer that found a fault may have stopped the stream by now.
            let _ = stream.send_data(hello).await;
            let _ = stream.finish().await;
        }
        Does::Reset => {
            stream.send_response(head(Some("9"))).await.unwrap();
            stream.send_data(hello).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
            stream.stop_stream(h3::error::Code::H3_INTERNAL_ERROR);
        }
        Does::Hang => forever.await,
        Does::HangInside => {
            stream.send_response(head(Some("9"))).await.unwrap();
            stream.send_data(hello).await.unwrap();
            forever.await;
        }
        Does::LargeHeaders => {
            let response = Response::builder().header("x-large", "x".repeat(200_000));
            let _ = stream.send_response(response.body(()).unwrap()).await;
        }
        Does::EarlyHints => {
            let response = Response::builder().status(103).body(()).unwrap();
            let _ = stream.send_response(response).await;
            forever.await;
        }
    }
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn start(authority: &Authority, address: SocketAddr) -> Upstreams {
    let upstream = Upstream {
        protocol: UpstreamProtocol::H3,
        ca: Some(authority.path("ca.pem")),
        ..upstream(&format!("https://{address}"))
    };
    Upstreams::start(&platform::config::Fetch { attempts_max: 1, ..fast() }, &[upstream]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_share_a_connection() {
    let authority = Authority::new();
    for length in [Some("5"), None] {
        let origin = origin(&authority, loopback(), Does::Answer { length });
        let upstreams = start(&authority, origin.address);
        let requests = (0..50).map(|_| fetch(&upstreams, "/vod/a/1.m4s"));
        for outcome in futures_util::future::join_all(requests).await {
            assert_eq!(outcome.unwrap().body(), b"hello");
        }
        assert_eq!(origin.connections.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_have_their_errors() {
    let authority = Authority::new();
    for (name, does, kind) in [
        ("too short", Does::Answer { length: Some("9") }, "invalid"),
        ("too long", Does::Answer { length: Some("4") }, "invalid"),
        ("no number", Does::Answer { length: Some("five") }, "invalid"),
        ("reset", Does::Reset, "invalid"),
        ("hang", Does::Hang, "timeout"),
        ("hang inside the body", Does::HangInside, "timeout"),
        // This server heeds the limit that it was told, and ends the stream without an answer.
        ("large headers", Does::LargeHeaders, "unreachable"),
        ("early hints", Does::EarlyHints, "invalid"),
    ] {
        let origin = origin(&authority, loopback(), does);
        let error = fetch(&start(&authority, origin.address), "/vod/a/1").await.expect_err(name);
        let found = match error {
            FetchError::Invalid { .. } => "invalid",
            FetchError::Timeout { .. } => "timeout",
            FetchError::Unreachable { .. } => "unreachable",
            FetchError::Overloaded { .. } => "overloaded",
        };
        assert_eq!(found, kind, "{name}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_made_again() {
    let authority = Authority::new();
    let first = origin(&authority, loopback(), Does::Answer { length: Some("5") });
    let address = first.address;
    let upstreams = start(&authority, address);
    fetch(&upstreams, "/vod/a/1.m4s").await.unwrap();
    first.endpoint.close(0_u32.into(), b"");
    first.endpoint.wait_idle().await;
    drop(first);
    let error = fetch(&upstreams, "/vod/a/1.m4s").await.unwrap_err();
    let is_gone = matches!(error, FetchError::Timeout { .. } | FetchError::Unreachable { .. });
    assert!(is_gone, "{error}");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let second = origin(&authority, address, Does::Answer { length: Some("5") });
    assert_eq!(fetch(&upstreams, "/vod/a/1.m4s").await.unwrap().body(), b"hello");
    assert_eq!(second.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_not_believed() {
    let (authority, other) = (Authority::new(), Authority::new());
    let origin = origin(&authority, loopback(), Does::Answer { length: Some("5") });
    let error = fetch(&start(&other, origin.address), "/vod/a/1.m4s").await.unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error}");
}
