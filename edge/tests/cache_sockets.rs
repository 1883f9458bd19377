//! The cache between a real server in front and raw sockets behind: what viewers see when an origin
//! misbehaves on the wire.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use edge::cache::{Cache, CacheMetrics, Settings};
use edge::fetch::{Fetch, FetchBody, FetchError};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One connection a request, over hyper's client.
#[derive(Clone)]
struct Http1(SocketAddr);

fn invalid(reason: &impl ToString) -> FetchError {
    FetchError::Invalid { upstream: "o".to_owned(), reason: reason.to_string() }
}

impl Fetch for Http1 {
    async fn fetch(&self, request: Request<()>) -> Result<Response<FetchBody>, FetchError> {
        let unreachable = |error: std::io::Error| FetchError::Unreachable {
            upstream: "o".to_owned(),
            reason: error.to_string(),
        };
        let stream = TcpStream::connect(self.0).await.map_err(unreachable)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| invalid(&error))?;
        tokio::spawn(connection);
        let request = request.map(|()| Empty::<Bytes>::new());
        let response = sender.send_request(request).await.map_err(|error| invalid(&error))?;
        Ok(response.map(|body| body.map_err(|error| invalid(&error)).boxed_unsync()))
    }
}

/// Serves a cache whose origin answers every connection with these bytes, and then closes it or
/// keeps it open for ever.
async fn serve(answer: &'static [u8], closes: bool) -> SocketAddr {
    let origin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = Http1(origin.local_addr().unwrap());
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = origin.accept().await {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(answer).await;
            if !closes {
                kept.push(stream);
            }
        }
    });
    let settings = Settings {
        fetch_timeout: Duration::from_millis(500),
        idle_timeout: Duration::from_millis(500),
        ..Settings::default()
    };
    let cache = Cache::open(upstream, settings, CacheMetrics::default());
    let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = front.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = front.accept().await {
            let cache = cache.clone();
            let service =
                hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                    let cache = cache.clone();
                    async move {
                        let request = request.map(drop);
                        Ok::<_, FetchError>(cache.answer(request, SystemTime::now()).await)
                    }
                });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    address
}

/// Everything that a viewer gets until the connection closes.
async fn ask(address: SocketAddr, lines: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET /seg.m4s HTTP/1.1\r\nHost: cdn.example\r\nConnection: close\r\n{lines}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset is an end, too.
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer))
        .await
        .expect("an end in bounded time");
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or("")
}

#[tokio::test]
async fn a_good_origin_is_asked_once() {
    let answer = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\nhello";
    let address = serve(answer, true).await;
    let first = ask(address, "").await;
    assert!(first.ends_with("\r\n\r\nhello") && first.contains("fwd=uri-miss"), "{first}");
    let second = ask(address, "Range: bytes=1-2\r\n").await;
    assert!(second.ends_with("\r\n\r\nel") && second.contains("StreamVerse;hit"), "{second}");
    assert_eq!(status(&second), "206");
}

#[tokio::test]
async fn an_origin_that_breaks_off_breaks_the_transfer_off() {
    let half = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 100\r\n\r\nhalf";
    let chunked = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n\
        Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    for (answer, closes) in
        [(&half[..], true), (&half[..], false), (&chunked[..], true), (&chunked[..], false)]
    {
        let address = serve(answer, closes).await;
        for _ in 0..2 {
            let broken = ask(address, "").await;
            assert_eq!(status(&broken), "200");
            assert!(broken.contains("half"));
            // Neither of the announced length nor with the last chunk.
            let body = broken.split("\r\n\r\n").nth(1).unwrap();
            assert!(body.len() < 100 && !broken.ends_with("0\r\n\r\n"), "{broken}");
            assert!(broken.contains("fwd=uri-miss"), "never from the cache: {broken}");
        }
    }
}

#[tokio::test]
async fn what_is_no_http_is_502_and_silence_is_504() {
    let garbage = b"\x00\xff no HTTP at all \r\n\r\n";
    let two_lengths = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello";
    for (answer, closes, expected) in [
        (&garbage[..], true, "502"),
        (&b""[..], true, "502"),
        (&b""[..], false, "504"),
        (&b"HTTP/1.1 200 OK\r\nCache-"[..], false, "504"),
        (&two_lengths[..], true, "502"),
    ] {
        let address = serve(answer, closes).await;
        let began = Instant::now();
        let answer = ask(address, "").await;
        assert_eq!(status(&answer), expected, "{answer}");
        assert!(answer.contains("cache-status: StreamVerse;fwd=uri-miss"));
        assert!(answer.contains("cache-control: no-store"));
        assert!(began.elapsed() < Duration::from_secs(3));
    }
}

#[tokio::test]
async fn an_origin_that_is_not_there_is_502() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let cache = Cache::open(Http1(free), Settings::default(), CacheMetrics::default());
    let request = Request::get("/a").header("host", "cdn.example").body(()).unwrap();
    let answer = cache.answer(request, SystemTime::now()).await;
    assert_eq!(answer.status().as_u16(), 502);
}
