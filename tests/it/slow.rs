//! Slow and hostile connections: hundreds that never finish what they began, each ended within
//! seconds, while others are served and memory stays where it was.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use platform::config::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::Client;
use crate::server::Server;
use crate::tools;
use crate::viewers::{client_tls, connect_http3, connect_tls, quic_endpoint};

const CONNECTIONS: usize = 300;

/// How long a head may take in these tests, and by when every slow connection has to be gone: the
/// goodbye of an idle connection takes five seconds at most, then comes a busy machine.
const HEADER_SECONDS: &str = "1";
const GONE_AFTER: Duration = Duration::from_secs(20);

/// Between two bytes of a slow client.
const TRICKLE: Duration = Duration::from_millis(250);

/// What all of them together may cost. A TLS connection of rustls holds some 40 KiB.
const GROWTH_BYTES_MAX: u64 = 48 << 20;

fn server(name: &str) -> (PathBuf, Server) {
    let data = tools::folder(name).join("data");
    let limits = [
        ("STREAMVERSE__LIMITS__HEADER_TIMEOUT_SECONDS", HEADER_SECONDS),
        ("STREAMVERSE__LIMITS__KEEP_ALIVE_SECONDS", "3"),
        ("STREAMVERSE__LOG__LEVEL", "debug"),
    ];
    let server = Server::start_with(&data, &[], &limits);
    // The first connection of each kind costs what all later ones share.
    server.client().get("/health");
    (data, server)
}

/// Resident memory that is the process's own.
fn memory_bytes(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process_id()));
    let status = status.expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kilobytes.and_then(|number| number.trim().parse::<u64>().ok()).expect("a number") << 10
}

/// Somebody else, who asks all the time; the longest that an answer took.
struct Others {
    is_over: Arc<AtomicBool>,
    asking: std::thread::JoinHandle<(usize, Duration, u64)>,
}

impl Others {
    fn start(server: &Server) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, address) = (is_over.clone(), server.media);
        let status = format!("/proc/{}/status", server.process_id());
        let asking = std::thread::spawn(move || {
            let (mut count, mut longest, mut peak) = (0, Duration::ZERO, 0);
            while !over.load(Ordering::Relaxed) {
                let since = Instant::now();
                // A new connection each time: those are what slow ones could take.
                Client::new(address).get("/health");
                longest = longest.max(since.elapsed());
                count += 1;
                let text = std::fs::read_to_string(&status).unwrap_or_default();
                let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
                let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
                let bytes = kilobytes.and_then(|number| number.trim().parse::<u64>().ok());
                peak = peak.max(bytes.unwrap_or(0) << 10);
                std::thread::sleep(Duration::from_millis(50));
            }
            (count, longest, peak)
        });
        Self { is_over, asking }
    }

    /// Checks that they were served and what the server held at its peak.
    #[track_caller]
    fn end(self, before_bytes: u64) {
        self.is_over.store(true, Ordering::Relaxed);
        let (count, longest, peak) = self.asking.join().expect("all were answered");
        let grown = peak.saturating_sub(before_bytes);
        eprintln!("{count} others, the longest {longest:?}; {} KiB more", grown >> 10);
        assert!(5 < count && longest < Duration::from_secs(5), "{count} answers, {longest:?}");
        assert!(grown < GROWTH_BYTES_MAX, "{grown} bytes more");
    }
}

/// Opens connections to `address`, sends `begin` and then `drip` bit by bit on each, and checks
/// that the server ends all of them in time.
#[track_caller]
fn check_tcp(server: &Server, address: SocketAddr, begin: &[u8], drip: &[u8]) {
    let before = memory_bytes(server);
    let others = Others::start(server);
    let since = Instant::now();
    let connect = |_| {
        let mut stream = TcpStream::connect(address).expect("the server listens");
        let _ = stream.write_all(begin);
        stream.set_nonblocking(true).expect("a mode");
        stream
    };
    let mut open: Vec<TcpStream> = (0..CONNECTIONS).map(connect).collect();
    let mut drops = drip.iter().cycle();
    while !open.is_empty() {
        assert!(since.elapsed() < GONE_AFTER, "{} are still open", open.len());
        let drop = drops.next().copied();
        open.retain_mut(|stream| {
            let mut buffer = [0; 1024];
            match stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
            drop.is_none_or(|drop| {
                !matches!(stream.write(&[drop]), Err(error) if error.kind() != ErrorKind::WouldBlock)
            })
        });
        std::thread::sleep(TRICKLE);
    }
    eprintln!("all gone after {:?}", since.elapsed());
    others.end(before);
}

#[test]
fn heads_that_trickle_over_plain_http() {
    let (_data, server) = server("slow-http");
    check_tcp(&server, server.media, b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"a");
    check_tcp(&server, server.media, b"", b"");
    // h2c: the preface and empty settings, then nothing, or pings without an end.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    check_tcp(&server, server.media, preface, b"");
    check_tcp(&server, server.media, preface, b"\0\0\x08\x06\0\0\0\0\0abcdefgh");
}

#[test]
fn handshakes_of_tls_that_stall() {
    let (_data, server) = server("slow-tls");
    check_tcp(&server, server.https, b"", b"");
    // The head of a ClientHello of 512 bytes, of which the rest comes by and by.
    check_tcp(&server, server.https, b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", b"\0");
}

/// As [`check_tcp`], behind a handshake that speaks `protocol`.
#[track_caller]
fn check_tls(
    server: &Server,
    data: &Path,
    protocol: &[u8],
    begin: &'static [u8],
    drip: &'static [u8],
) {
    let before = memory_bytes(server);
    let others = Others::start(server);
    let tls = client_tls(data, &[protocol]);
    let address = server.https;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().expect("a runtime");
    let since = Instant::now();
    let gone = Arc::new(AtomicUsize::new(0));
    let longest: Arc<Mutex<Duration>> = Arc::default();
    runtime.block_on(async {
        let mut all = Vec::new();
        for _ in 0..CONNECTIONS {
            let (tls, gone, longest) = (tls.clone(), gone.clone(), longest.clone());
            all.push(tokio::spawn(async move {
                let Ok(stream) = connect_tls(address, tls).await else {
                    // The handshake took this client too long on a busy machine.
                    gone.fetch_add(1, Ordering::Relaxed);
                    return;
                };
                let opened = Instant::now();
                let (mut reader, mut writer) = tokio::io::split(stream);
                let dripping = async move {
                    let _ = writer.write_all(begin).await;
                    let _ = writer.flush().await;
                    let mut drops = drip.iter().cycle();
                    loop {
                        tokio::time::sleep(TRICKLE).await;
                        let Some(drop) = drops.next() else { continue };
                        let _ = writer.write_all(&[*drop]).await;
                        let _ = writer.flush().await;
                    }
                };
                let reading = async {
                    let mut buffer = [0; 1024];
                    while let Ok(1..) = reader.read(&mut buffer).await {}
                };
                tokio::select! {
                    () = dripping => {}
                    () = reading => {}
                }
                let mut longest = longest.lock().expect("nobody panics with it");
                *longest = (*longest).max(opened.elapsed());
                gone.fetch_add(1, Ordering::Relaxed);
            }));
        }
        while gone.load(Ordering::Relaxed) < CONNECTIONS && since.elapsed() < 2 * GONE_AFTER {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        all.iter().for_each(tokio::task::JoinHandle::abort);
    });
    assert_eq!(gone.load(Ordering::Relaxed), CONNECTIONS, "some are still open");
    let longest = *longest.lock().expect("nobody panics with it");
    eprintln!("the longest lived for {longest:?}");
    assert!(Duration::ZERO < longest && longest < GONE_AFTER, "{longest:?}");
    others.end(before);
}

#[test]
fn heads_that_trickle_over_tls() {
    let (data, server) = server("slow-https");
    check_tls(&server, &data, b"http/1.1", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"a");
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    check_tls(&server, &data, b"h2", preface, b"");
    // HEADERS without END_HEADERS (RFC 9113 6.2), then a CONTINUATION of 4 KiB byte by byte.
    let headers = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\
        \0\0\x01\x01\x01\0\0\0\x01\x82\0\x10\0\x09\0\0\0\0\x01";
    check_tls(&server, &data, b"h2", headers, b"\x86");
}

/// First datagrams of QUIC connections, each with an id of its own: what a client sends that never
/// answers. They come from quinn, whose server is a socket that only listens.
fn first_flights(data: &Path, count: usize) -> Vec<Vec<Vec<u8>>> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    silent.set_read_timeout(Some(Duration::from_millis(400))).expect("an option");
    let address = silent.local_addr().expect("an address");
    let mut flights = Vec::new();
    for _ in 0..count {
        let tls = client_tls(data, &[b"h3"]);
        let connecting = runtime.block_on(async {
            let endpoint = quic_endpoint(tls);
            let connecting = endpoint.connect(address, "localhost").expect("a name");
            (endpoint, connecting)
        });
        let mut flight: Vec<Vec<u8>> = Vec::new();
        let mut buffer = [0; 2048];
        // A ClientHello with a post-quantum key takes two datagrams, one without takes one.
        let wanted = if flights.is_empty() { usize::MAX } else { first_len(&flights) };
        while flight.len() < wanted {
            let Ok((bytes, _)) = silent.recv_from(&mut buffer) else { break };
            flight.push(buffer[..bytes].to_vec());
            if flights.is_empty() {
                silent.set_read_timeout(Some(Duration::from_millis(50))).expect("an option");
            }
        }
        silent.set_read_timeout(Some(Duration::from_millis(400))).expect("an option");
        drop(connecting);
        // What its end sends is of no interest.
        silent.set_nonblocking(true).expect("a mode");
        std::thread::sleep(Duration::from_millis(2));
        while silent.recv_from(&mut buffer).is_ok() {}
        silent.set_nonblocking(false).expect("a mode");
        flights.push(flight);
    }
    flights
}

fn first_len(flights: &[Vec<Vec<u8>>]) -> usize {
    flights[0].len()
}

#[test]
fn quic_handshakes_that_stay_half_open() {
    let (data, server) = server("slow-quic");
    let flights = first_flights(&data, CONNECTIONS);
    assert!(flights.iter().all(|flight| !flight.is_empty()));
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
    // Once before it counts: quinn's own buffers.
    let ask = |endpoint: &quinn::Endpoint| {
        runtime.block_on(async {
            let since = Instant::now();
            let mut requests = connect_http3(endpoint, server.https).await.expect("a connection");
            let request = http::Request::get("https://localhost/health").body(()).expect("it is");
            let mut stream = requests.send_request(request).await.expect("it is taken");
            stream.finish().await.expect("it ends");
            assert_eq!(stream.recv_response().await.expect("an answer").status(), 200);
            since.elapsed()
        })
    };
    let endpoint = runtime.block_on(async { quic_endpoint(client_tls(&data, &[b"h3"])) });
    ask(&endpoint);
    let before = memory_bytes(&server);
    let others = Others::start(&server);

    let sockets: Vec<UdpSocket> = flights
        .iter()
        .map(|flight| {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
            socket.connect(server.https).expect("an address");
            socket.set_nonblocking(true).expect("a mode");
            for datagram in flight {
                socket.send(datagram).expect("it is sent");
            }
            socket
        })
        .collect();
    let since = Instant::now();
    // A client that answers is served meanwhile, by a Retry more.
    let took = ask(&endpoint);
    assert!(took < Duration::from_secs(5), "{took:?}");
    let log_line = "a QUIC handshake took too long";
    let ended = || server.log().matches(log_line).count();
    let mut retries = vec![false; sockets.len()];
    let retried = |retries: &[bool]| retries.iter().filter(|is_asked| **is_asked).count();
    while since.elapsed() < GONE_AFTER {
        for (socket, is_asked) in sockets.iter().zip(&mut retries) {
            let mut buffer = [0; 2048];
            while let Ok(1..) = socket.recv(&mut buffer) {
                // RFC 9000 17.2.5.
                *is_asked |= buffer[0] & 0xf0 == 0xf0;
            }
        }
        if CONNECTIONS <= ended() + retried(&retries) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let (ended, retried, gone_after) = (ended(), retried(&retries), since.elapsed());
    eprintln!("{ended} timed out, {retried} were asked to retry, after {gone_after:?}");
    // No more than this many cost anything at a time; the others cost a datagram.
    assert!((1..=128).contains(&ended), "{ended}");
    // A flight of two datagrams may meet both.
    assert!(CONNECTIONS <= ended + retried, "{ended} and {retried}");
    ask(&endpoint);
    others.end(before);
}

/// What holds where nothing is configured.
#[test]
fn defaults_end_slow_connections_within_seconds() {
    let limits = Limits::default();
    assert!(limits.header_timeout_seconds <= 10.0);
    assert!(limits.write_stall_seconds <= 30.0);
    assert!(limits.keep_alive_seconds <= 75.0);
    assert!(limits.connections <= 10_000);
}
