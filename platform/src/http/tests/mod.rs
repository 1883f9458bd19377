//! Real sockets, short limits.

use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::*;

mod leaving;
mod smuggling;
mod tls;

/// Longer than any wait below; a test that needs it has failed.
const FOREVER: Duration = Duration::from_secs(20);

/// Body of `/large`: more than all buffers between server and client hold.
const LARGE_BYTES: usize = 64 << 20;

type TestBody = BoxBody<Bytes, Infallible>;

fn short_limits() -> HttpLimits {
    HttpLimits {
        connections: 64,
        header_bytes: 2_048,
        header_timeout: Duration::from_millis(300),
        keep_alive: Duration::from_millis(600),
        request_timeout: Duration::from_millis(400),
        write_stall: Duration::from_millis(500),
        ..HttpLimits::default()
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<TestBody>, &'static str> {
    let body = match request.uri().path() {
        "/large" => Full::new(Bytes::from_static(&[7; LARGE_BYTES])).boxed(),
        "/never" => std::future::pending().await,
        "/slow" => {
            sleep(Duration::from_millis(250)).await;
            Full::from("slow").boxed()
        }
        "/broken" => return Err("broken on purpose"),
        _ => {
            let connection = request.extensions().get::<Connection>().unwrap();
            Full::from(format!("{} {}", connection.listener, connection.number)).boxed()
        }
    };
    Ok(Response::new(body))
}

fn start(limits: HttpLimits) -> Server {
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let (_, limits) = watch::channel(limits);
    serve(listener, "test", limits, tower::service_fn(answer))
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.local_address().unwrap()).await.unwrap()
}

/// Sends `request` and reads until the server closes or `until` was seen.
async fn exchange(stream: &mut TcpStream, request: &str, until: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    read_until(stream, until).await
}

async fn read_until(stream: &mut TcpStream, until: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while until.is_empty() || !text.contains(until) {
        let read = timeout(FOREVER, stream.read(&mut buffer)).await.expect("no answer");
        match read {
            Ok(0) | Err(_) => break,
            Ok(bytes) => text.push_str(&String::from_utf8_lossy(&buffer[..bytes])),
        }
    }
    text
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")
}

async fn http2_client(
    server: &Server,
) -> (http2::SendRequest<Empty<Bytes>>, tokio::task::JoinHandle<hyper::Result<()>>) {
    let io = TokioIo::new(connect(server).await);
    let (client, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    (client, tokio::spawn(connection))
}

fn request(path: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("http://test{path}")).body(Empty::new()).unwrap()
}

async fn text(answer: Response<Incoming>) -> String {
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn http1_and_http2_share_a_socket() {
    let server = start(short_limits());
    let mut stream = connect(&server).await;
    let first = exchange(&mut stream, &get("/"), "test 1").await;
    assert!(first.starts_with("HTTP/1.1 200 OK\r\n"), "{first}");
    let again = exchange(&mut stream, &get("/"), "test 1").await;
    assert!(again.ends_with("test 1"), "{again}");

    let (mut client, _connection) = http2_client(&server).await;
    let answer = client.send_request(request("/")).await.unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_2);
    assert_eq!(text(answer).await, "test 2");
    assert_eq!(server.connections_open(), 2);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let server = start(HttpLimits { connections: 1, ..short_limits() });
    let mut first = connect(&server).await;
    exchange(&mut first, &get("/"), "test 1").await;
    let mut second = connect(&server).await;
    second.write_all(get("/").as_bytes()).await.unwrap();
    let waiting = timeout(Duration::from_millis(200), read_until(&mut second, "test 2")).await;
    assert!(waiting.is_err(), "the second connection was served: {waiting:?}");
    drop(first);
    assert!(read_until(&mut second, "test 2").await.ends_with("test 2"));
}

/// Idle connections give way when all are taken, long before their own time is over.
#[tokio::test]
async fn idle_connections_give_way() {
    let server = start(HttpLimits { connections: 2, keep_alive: 10 * FOREVER, ..short_limits() });
    let (mut first, mut second) = (connect(&server).await, connect(&server).await);
    exchange(&mut first, &get("/"), "test 1").await;
    exchange(&mut second, &get("/"), "test 2").await;
    let mut third = connect(&server).await;
    let answer = exchange(&mut third, &get("/"), "test 3").await;
    assert!(answer.ends_with("test 3"), "{answer}");
}

/// Connects, sends `bytes`, and checks that the server closes between `min` and three times that.
async fn check_closed_after(bytes: &str, min: Duration) {
    let server = start(short_limits());
    let mut stream = connect(&server).await;
    let since = Instant::now();
    let answer = exchange(&mut stream, bytes, "").await;
    let waited = since.elapsed();
    assert!(min <= waited && waited < 3 * min + GRACE, "{waited:?} for {bytes:?}, got {answer}");
}

/// Room for a busy machine.
const GRACE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn silent_slow_and_idle_clients_are_closed() {
    let limits = short_limits();
    let whole = get("/");
    tokio::join!(
        check_closed_after("", limits.header_timeout),
        check_closed_after("GET / HTTP/1.1\r\nHost:", limits.header_timeout),
        check_closed_after(&whole, limits.keep_alive),
    );
}

#[tokio::test]
async fn large_headers_are_refused() {
    let server = start(short_limits());
    for size in [2_100, 60_000, 200_000] {
        let mut stream = connect(&server).await;
        let head = format!("GET / HTTP/1.1\r\nHost: test\r\nX: {}\r\n\r\n", "x".repeat(size));
        // The server may close while the head is still being sent.
        let _ = stream.write_all(head.as_bytes()).await;
        let answer = read_until(&mut stream, "\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{size}: {answer}");
    }
    let (mut client, _connection) = http2_client(&server).await;
    let mut large = request("/");
    large.headers_mut().insert("x", "x".repeat(2_100).parse().unwrap());
    let answer = client.send_request(large).await.unwrap();
    assert_eq!(answer.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[tokio::test]
async fn late_and_failed_answers_have_a_status() {
    let server = start(short_limits());
    let mut stream = connect(&server).await;
    let late = exchange(&mut stream, &get("/never"), "too long\n").await;
    assert!(
        late.starts_with("HTTP/1.1 503 ") && late.contains("cache-control: no-store"),
        "{late}"
    );
    let broken = exchange(&mut stream, &get("/broken"), "answered\n").await;
    assert!(broken.starts_with("HTTP/1.1 500 ") && !broken.contains("purpose"), "{broken}");
    assert!(exchange(&mut stream, &get("/"), "test 1").await.ends_with("test 1"));
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_dropped() {
    let server = start(short_limits());
    let mut stream = connect(&server).await;
    stream.write_all(get("/large").as_bytes()).await.unwrap();
    let since = Instant::now();
    while server.connections_open() != 0 || since.elapsed() < Duration::from_millis(100) {
        assert!(since.elapsed() < FOREVER, "the connection is still open");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(short_limits().write_stall <= since.elapsed());
}

#[tokio::test]
async fn a_client_that_takes_slowly_is_served() {
    let server = start(short_limits());
    let mut stream = connect(&server).await;
    stream.write_all(get("/large").as_bytes()).await.unwrap();
    let mut buffer = vec![0; 1 << 20];
    let since = Instant::now();
    let mut received = 0;
    // Four times the stall limit, with pauses below it.
    while since.elapsed() < 4 * short_limits().write_stall {
        received += timeout(FOREVER, stream.read(&mut buffer)).await.unwrap().unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    assert!(0 < received && received < LARGE_BYTES);
    assert_eq!(server.connections_open(), 1);
}

/// A stream whose window is never opened is reset; its connection serves on.
#[tokio::test]
async fn a_stalled_http2_stream_is_reset_alone() {
    let server = start(short_limits());
    let (mut client, _connection) = http2_client(&server).await;
    let stalled = client.send_request(request("/large")).await.unwrap();
    let since = Instant::now();
    while since.elapsed() < 3 * short_limits().write_stall {
        let answer = client.send_request(request("/")).await.unwrap();
        assert_eq!(text(answer).await, "test 1");
        sleep(Duration::from_millis(100)).await;
    }
    let error = timeout(FOREVER, stalled.into_body().collect()).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("error reading a body"), "{error}");
    let answer = client.send_request(request("/")).await.unwrap();
    assert_eq!(text(answer).await, "test 1");
}

#[tokio::test]
async fn http2_bodies_arrive_whole() {
    let server = start(short_limits());
    let (mut client, _connection) = http2_client(&server).await;
    let answer = client.send_request(request("/large")).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body.len(), LARGE_BYTES);
    assert!(body.iter().all(|byte| *byte == 7));
}

#[tokio::test]
async fn http2_answers_to_head_bring_no_content() {
    let server = start(short_limits());
    let (mut client, _connection) = http2_client(&server).await;
    // Of the service, and refusals of the listener itself.
    for (path, status, length) in
        [("/", 200, 6), ("/large", 200, LARGE_BYTES), ("/broken", 500, 34)]
    {
        let mut request = request(path);
        *request.method_mut() = http::Method::HEAD;
        let answer = client.send_request(request).await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.headers()["content-length"], length.to_string(), "{path}");
        let body = answer.into_body().collect().await.expect("an answer in due form");
        assert!(body.to_bytes().is_empty(), "{path}");
    }
}

#[tokio::test]
async fn shutdown_finishes_what_is_under_way() {
    let server = start(short_limits());
    let address = server.local_address().unwrap();
    let mut stream = connect(&server).await;
    stream.write_all(get("/slow").as_bytes()).await.unwrap();
    let mut idle = connect(&server).await;
    exchange(&mut idle, &get("/"), "test 2").await;
    sleep(Duration::from_millis(50)).await;

    let (drained, answer) =
        tokio::join!(server.shutdown(FOREVER), read_until(&mut stream, "\r\n\r\nslow"));
    assert_eq!(drained, Drained { dropped: 0 });
    assert!(answer.ends_with("\r\n\r\nslow"), "{answer}");
    assert_eq!(read_until(&mut idle, "").await, "");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn shutdown_ends_at_its_deadline() {
    let server = start(HttpLimits { write_stall: FOREVER, ..short_limits() });
    let mut stream = connect(&server).await;
    stream.write_all(get("/large").as_bytes()).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    let since = Instant::now();
    let drained = server.shutdown(Duration::from_millis(200)).await;
    assert_eq!(drained, Drained { dropped: 1 });
    assert!(since.elapsed() < GRACE);
}

#[tokio::test]
async fn a_unix_socket_is_for_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    std::fs::write(&path, "left over").unwrap();
    let listener = Listener::unix(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let (_, limits) = watch::channel(short_limits());
    let server = serve(listener, "admin", limits, tower::service_fn(answer));
    let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("admin 1"), "{answer}");
    server.shutdown(FOREVER).await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let server = start(short_limits());
    let address = server.local_address().unwrap();
    let error = Listener::tcp(address).unwrap_err().to_string();
    assert!(error.contains(&address.to_string()) && error.contains("another process"), "{error}");
}

/// Rapid reset (CVE-2023-44487): streams that are opened and reset at once close the connection
/// long before they cost anything.
#[tokio::test]
async fn a_flood_of_resets_closes_the_connection() {
    const STREAMS: usize = 20_000;
    let server = start(short_limits());
    let (client, connection) = h2::client::handshake(connect(&server).await).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut opened = 0;
    while opened < STREAMS {
        let Ok(mut ready) = client.clone().ready().await else { break };
        let request = Request::get("http://test/slow").body(()).unwrap();
        let Ok((_, mut stream)) = ready.send_request(request, true) else { break };
        stream.send_reset(h2::Reason::CANCEL);
        opened += 1;
        if opened.is_multiple_of(64) {
            tokio::task::yield_now().await;
        }
    }
    drop(client);
    let error = timeout(FOREVER, connection).await.unwrap().unwrap().unwrap_err();
    assert!(opened < STREAMS, "all streams were taken");
    let is_calm = error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM);
    assert!(is_calm || error.is_io(), "{error}");
}
