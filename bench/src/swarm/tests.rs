//! Every version against the listeners of this repository, over real sockets.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use edge::http3;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use platform::http::{HttpLimits, Listener, bind_udp, serve, serve_tls};
use platform::tls::Tls;
use tokio::sync::watch;

use super::*;

/// Larger than what one packet, record or window of a server holds.
const LARGE_BYTES: usize = 3 << 20;
const VERSIONS: [Version; 5] =
    [Version::Http1, Version::Https1, Version::H2, Version::H2c, Version::H3];

#[derive(Clone, Copy)]
struct Addresses {
    http: SocketAddr,
    https: SocketAddr,
    quic: SocketAddr,
}

impl Addresses {
    fn of(self, version: Version) -> SocketAddr {
        match version {
            Version::Http1 | Version::H2c => self.http,
            Version::Https1 | Version::H2 => self.https,
            Version::H3 => self.quic,
        }
    }
}

fn content(path: &str) -> Option<Bytes> {
    match path {
        "/small" => Some(Bytes::from_static(b"small body")),
        "/large" => Some((0..LARGE_BYTES).map(|at| (at % 251) as u8).collect()),
        "/slow" => Some(Bytes::from_static(b"slow")),
        _ => None,
    }
}

async fn answer<B>(request: Request<B>) -> Result<Response<Full<Bytes>>> {
    if request.uri().path() == "/slow" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let body = content(request.uri().path());
    let mut answer = Response::new(Full::new(body.clone().unwrap_or_default()));
    if body.is_none() {
        *answer.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(answer)
}

/// Serves until the test's process ends.
fn start() -> Addresses {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let data = tempfile::tempdir().unwrap();
            let tls = Tls::open(&platform::config::Tls::default(), data.path()).unwrap();
            let (_sender, limits) = watch::channel(HttpLimits::default());
            let any = "127.0.0.1:0".parse().unwrap();
            let http = Listener::tcp(any).unwrap();
            let https = Listener::tcp(any).unwrap();
            let socket = bind_udp(any).unwrap();
            let addresses = Addresses {
                http: http.local_address().unwrap(),
                https: https.local_address().unwrap(),
                quic: socket.local_addr().unwrap(),
            };
            let service = tower::service_fn(answer);
            let _http = serve(http, "test", limits.clone(), service);
            let service = tower::service_fn(answer);
            let _https = serve_tls(https, tls.over_tcp(), "test", limits.clone(), service);
            let service = tower::service_fn(answer);
            let _quic =
                http3::serve(socket, None, tls.over_quic(), "test", limits, service).unwrap();
            tell.send(addresses).unwrap();
            std::future::pending::<()>().await;
        });
    });
    told.recv().unwrap()
}

fn wanted(target: &str) -> Wanted {
    let body_bytes = content(target).map(|body| body.len() as u64);
    Wanted { target: target.to_owned(), body_bytes }
}

fn swarm(version: Version, addresses: Addresses, wanted: &[Wanted]) -> Swarm<'_> {
    Swarm {
        address: addresses.of(version),
        version,
        wanted,
        connections: 2,
        streams: 3,
        pace: Pace::Closed,
        duration: Duration::from_millis(300),
        core: None,
    }
}

#[test]
fn bodies_come_whole_over_every_version() {
    let addresses = start();
    let all = [wanted("/small"), wanted("/large"), wanted("/small")];
    for version in VERSIONS {
        let mut seen = 0;
        let fetched = swarm(version, addresses, &all).fetch(|wanted, body| {
            assert!(body == content(&wanted.target).unwrap(), "{version:?}");
            seen += 1;
            Ok(())
        });
        fetched.unwrap_or_else(|error| panic!("{version:?}: {error}"));
        assert_eq!(seen, all.len(), "{version:?}");
    }
}

#[test]
fn closed_loops_count_every_answer() {
    let addresses = start();
    let all = [wanted("/small"), wanted("/large")];
    for version in VERSIONS {
        let outcome = swarm(version, addresses, &all).run().unwrap();
        assert_eq!((outcome.bad, outcome.bad_reason.as_deref()), (0, None), "{version:?}");
        let requests = outcome.requests() as u64;
        assert!(requests > 4, "{version:?}: {requests}");
        let least = requests / 2 * (LARGE_BYTES as u64);
        assert!(outcome.body_bytes >= least, "{version:?}");
        assert!(outcome.first_byte_us(1.0) <= outcome.latency_us(1.0), "{version:?}");
    }
}

#[test]
fn other_statuses_and_lengths_are_bad() {
    let addresses = start();
    let short = Wanted { body_bytes: Some(3), ..wanted("/small") };
    for version in VERSIONS {
        for wrong in [wanted("/none"), short.clone()] {
            let all = [wrong];
            let outcome = swarm(version, addresses, &all).run().unwrap();
            assert_eq!(outcome.requests(), 0, "{version:?}");
            assert!(outcome.bad > 0, "{version:?}");
            assert!(swarm(version, addresses, &all).fetch(|_, _| Ok(())).is_err(), "{version:?}");
        }
    }
}

/// Twelve requests under way that take 20 ms make 600 a second at most. At 2,000 a second the queue
/// grows, and latencies count from when requests were due.
#[test]
fn open_loops_count_from_when_requests_were_due() {
    let addresses = start();
    let all = [wanted("/slow")];
    for version in VERSIONS {
        let load = Swarm {
            connections: if version.is_multiplexed() { 4 } else { 12 },
            pace: Pace::Open { requests_per_second: 2_000.0 },
            ..swarm(version, addresses, &all)
        };
        let outcome = load.run().unwrap();
        assert_eq!(outcome.bad, 0, "{version:?}: {:?}", outcome.bad_reason);
        assert_eq!(outcome.requests() as u64 + outcome.unsent, 600, "{version:?}");
        assert!(outcome.unsent > 100, "{version:?}");
        assert!(outcome.latency_us(0.99) > 100_000, "{version:?}");
    }
}

#[test]
fn connections_are_held_while_somebody_looks() {
    let addresses = start();
    for stalls in [false, true] {
        let held = hold_http3(addresses.quic, &wanted("/large"), 3, stalls, None, || 7);
        assert_eq!(held.unwrap(), 7);
    }
}
