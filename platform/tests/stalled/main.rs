//! What a client that takes nothing costs: a segment of megabytes is asked for and not read.

use std::convert::Infallible;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use hyper::body::Incoming;
use platform::http::{HttpLimits, Listener, serve};
use tokio::sync::watch;

const CLIENTS: usize = 200;
const BYTES_PER_CLIENT_MAX: u64 = 100 * 1024;

/// Pieces as a mapped file gives them: parts of memory that all answers share.
const PIECE_BYTES: usize = 256 * 1024;
const PIECES: usize = 20;

type Pieces = futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>;

async fn segment(_: Request<Incoming>) -> Result<Response<StreamBody<Pieces>>, Infallible> {
    static WHOLE: &[u8] = &[7; PIECE_BYTES * PIECES];
    let pieces: Vec<_> =
        WHOLE.chunks(PIECE_BYTES).map(|piece| Ok(Frame::data(Bytes::from_static(piece)))).collect();
    Ok(Response::new(StreamBody::new(futures_util::stream::iter(pieces))))
}

/// Memory of this process that no file backs.
fn anonymous_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn http1() -> Vec<u8> {
    b"GET / HTTP/1.1\r\nHost: test\r\n\r\n".to_vec()
}

/// The preface, settings with this initial window, more window for the connection, and a request
/// (RFC 9113 3.4, 6.5, 6.9, 6.2; the header fields are entries of RFC 7541's static table).
fn http2(window_bytes: u32) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4]);
    bytes.extend(window_bytes.to_be_bytes());
    bytes.extend([0, 0, 4, 8, 0, 0, 0, 0, 0]);
    bytes.extend(0x7000_0000_u32.to_be_bytes());
    // :method GET, :scheme http, :path /, :authority x
    bytes.extend([0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 1, b'x']);
    bytes
}

/// Connects `count` clients that ask and don't read, and lets the server do what it will.
async fn stall(address: SocketAddr, request: &[u8], count: usize) -> Vec<TcpStream> {
    let connect = |_| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request).unwrap();
        stream
    };
    let clients = (0..count).map(connect).collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    clients
}

/// Answers the clients, which must live on: memory that they gave back would hide what others take.
async fn check(name: &str, address: SocketAddr, request: &[u8]) -> Vec<TcpStream> {
    let before = anonymous_bytes();
    let clients = stall(address, request, CLIENTS).await;
    let cost = anonymous_bytes().saturating_sub(before) / CLIENTS as u64;
    eprintln!("{name}: {cost} bytes a stalled client");
    assert!(cost <= BYTES_PER_CLIENT_MAX, "{name}: {cost} bytes a stalled client");
    // They were served and not refused.
    for stream in &clients {
        stream.set_nonblocking(true).unwrap();
        assert!(0 < stream.peek(&mut [0]).unwrap());
    }
    clients
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_client_is_cheap() {
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let (_, limits) = watch::channel(HttpLimits::default());
    let server = serve(listener, "test", limits, tower::service_fn(segment));
    let address = server.local_address().unwrap();
    // The first connections pay for what the process needs once.
    let _first = stall(address, &http1(), 2).await;
    let _second = stall(address, &http2(65_535), 2).await;

    let _http1 = check("HTTP/1.1", address, &http1()).await;
    let _no_window = check("HTTP/2, no window left", address, &http2(65_535)).await;
    let _full = check("HTTP/2, socket full", address, &http2(0x7000_0000)).await;
}
