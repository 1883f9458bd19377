//! Content of requests: the same service behind HTTP/1.1, HTTP/2 and HTTP/3.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use edge::http3::{self, Http3Body};
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use platform::http::{HttpLimits, Listener, bind_udp, read_content, serve};
use platform::tls::Tls;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::client::{FOREVER, Raw, h3_client, read, status};
use crate::server::{Running, short_limits, start};

/// Content that is taken.
const CONTENT_BYTES: usize = 10_000;

fn limits() -> HttpLimits {
    HttpLimits { content_bytes: CONTENT_BYTES as u32, ..short_limits() }
}

/// Answers with what it was sent.
async fn echo<B: Body>(request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, body) = match read_content(request, &limits()).await {
        Ok(request) => (http::StatusCode::OK, request.into_body()),
        Err(error) => (error.status(), error.to_string().into()),
    };
    let mut answer = Response::new(Full::from(body));
    *answer.status_mut() = status;
    Ok(answer)
}

fn pattern(len: usize) -> Bytes {
    (0..len).map(|at| (at % 251) as u8).collect()
}

fn post(content: Bytes) -> Request<Full<Bytes>> {
    Request::post("https://localhost/echo")
        .header("host", "localhost")
        .body(Full::new(content))
        .unwrap()
}

/// Content of these sizes and what becomes of it.
const CASES: [(usize, u16); 4] =
    [(0, 200), (5, 200), (CONTENT_BYTES, 200), (CONTENT_BYTES + 1, 413)];

#[tokio::test]
async fn content_is_echoed_over_http1_and_http2() {
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_address().unwrap();
    let (_, limits) = watch::channel(limits());
    let _server = serve(listener, "test", limits, tower::service_fn(echo::<Incoming>));
    for (len, status) in CASES {
        let content = pattern(len);
        let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (mut client, connection) = http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        let request = Request::post("/echo").header("host", "localhost");
        let request = request.body(Full::new(content.clone())).unwrap();
        let answer = client.send_request(request).await.unwrap();
        assert_eq!(answer.status(), status, "{len} over HTTP/1.1");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(status != 200 || body == content, "{len} over HTTP/1.1");

        let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (mut client, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        let answer = client.send_request(post(content.clone())).await.unwrap();
        assert_eq!(answer.status(), status, "{len} over HTTP/2");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(status != 200 || body == content, "{len} over HTTP/2");
    }
}

/// The echo behind HTTP/3.
fn start_echo() -> Running {
    let data = tempfile::tempdir().unwrap();
    let tls = Tls::open(&platform::config::Tls::default(), data.path()).unwrap();
    let socket = bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
    let (_, limits) = watch::channel(limits());
    let service = tower::service_fn(echo::<Http3Body>);
    let server = http3::serve(socket, None, tls.over_quic(), "test", limits, service).unwrap();
    Running { server, tls, _data: data }
}

#[tokio::test]
async fn content_is_echoed_over_http3() {
    let running = start_echo();
    let (_endpoint, mut requests) = h3_client(&running).await;
    for (len, status) in CASES {
        for (says_length, pieces) in [(true, 1), (false, 1), (true, 7), (false, 7)] {
            let content = pattern(len);
            let mut request = Request::post("https://localhost/echo");
            if says_length {
                request = request.header("content-length", len);
            }
            let mut stream = requests.send_request(request.body(()).unwrap()).await.unwrap();
            for piece in content.chunks(len / pieces + 1) {
                // Refused content is not read to its end.
                let _ = stream.send_data(Bytes::copy_from_slice(piece)).await;
            }
            let _ = stream.finish().await;
            let answer = stream.recv_response().await.unwrap();
            assert_eq!(answer.status(), status, "{len} in {pieces}");
            let mut body = Vec::new();
            while let Some(mut data) = stream.recv_data().await.unwrap() {
                body.extend_from_slice(&data.copy_to_bytes(data.remaining()));
            }
            assert!(status != 200 || body == content, "{len} in {pieces}");
        }
    }
}

/// POST https://localhost/echo with more fields (RFC 9204 Appendix A: 20, 23, 0).
fn post_head(more: &[u8]) -> Vec<u8> {
    let mut section = b"\0\0\xd4\xd7\x50\x09localhost\x51\x05/echo".to_vec();
    section.extend_from_slice(more);
    [&[0x01, u8::try_from(section.len()).unwrap()], &section[..]].concat()
}

/// `content-length: N`, a literal value for entry 4 of the static table.
fn announce(length: &str) -> Vec<u8> {
    let len = u8::try_from(length.len()).unwrap();
    [&[0x54, len], length.as_bytes()].concat()
}

const MESSAGE_ERROR: u64 = 0x10e;
const OK: Option<u8> = Some(0xc0 | 25);

/// RFC 9114 4.1.2: content that isn't as long as was announced is a malformed request.
#[tokio::test]
async fn a_wrong_length_is_malformed() {
    let running = start(short_limits());
    let raw = Raw::new(&running).await;
    let with = |length: &str, rest: &[u8]| [&post_head(&announce(length))[..], rest].concat();
    let answer = raw.exchange(&with("5", b"\0\x05hello")).await.unwrap();
    assert!(status(&answer) == OK && answer.ends_with(b"hello"), "{answer:?}");
    let answer = raw.exchange(&with("5", b"\0\x02he\0\x03llo\x01\x02\0\0")).await.unwrap();
    assert!(status(&answer) == OK && answer.ends_with(b"hello"), "{answer:?}");
    for (length, rest) in [
        ("4", &b"\0\x05hello"[..]),
        ("4", b"\0\x03hel\0\x02lo"),
        ("6", b"\0\x05hello"),
        ("6", b"\0\x03hel\0\x02lo\x01\x02\0\0"),
        ("1", b""),
        ("0", b"\0\x01h"),
    ] {
        assert_eq!(
            raw.exchange(&with(length, rest)).await,
            Err(MESSAGE_ERROR),
            "{length} {rest:?}"
        );
    }
    raw.check_serves().await;
}

/// Content that stops coming is given up, with 408, in the time that a head may take.
#[tokio::test]
async fn stalled_content_is_given_up() {
    let running = start(HttpLimits { request_timeout: FOREVER, ..short_limits() });
    let raw = Raw::new(&running).await;
    let since = Instant::now();
    let (send, receive) =
        raw.stream(&[&post_head(&announce("9"))[..], b"\0\x09hel"].concat()).await;
    let answer = read(receive).await.unwrap();
    assert!(answer.ends_with(b"in time"), "{answer:?}");
    let waited = since.elapsed();
    assert!(
        short_limits().header_timeout <= waited && waited < Duration::from_secs(5),
        "{waited:?}"
    );
    // The rest isn't wanted any more (RFC 9114 4.1).
    let stopped = tokio::time::timeout(FOREVER, send.stopped()).await.unwrap().unwrap();
    assert_eq!(stopped.map(quinn::VarInt::into_inner), Some(0x100));
    raw.check_serves().await;
}

/// A client that gives its request up in the middle of the content is not answered as if it had
/// sent all.
#[tokio::test]
async fn content_that_breaks_off_is_not_whole() {
    let running = start(short_limits());
    let raw = Raw::new(&running).await;
    let (mut send, receive) = raw.stream(&[&post_head(b"")[..], b"\0\x05hello"].concat()).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    send.reset(0x10c_u32.into()).unwrap();
    read(receive).await.expect_err("an answer to half a request");
    raw.check_serves().await;
}
