//! Loads an HTTP/1.1 server: keep-alive connections that walk a list of paths in its order.
//!
//! ```text
//! load ADDRESS LIST CONNECTIONS SECONDS
//! ```
//!
//! `LIST` names a file with one path a line. Bodies are dropped in the kernel (`MSG_TRUNC`, tcp(7)),
//! so that the client is not what limits the run. Every answer has to be a 200 whose body is as
//! long as its `Content-Length`; whatever is not counts as bad. Prints one JSON object.

use std::io::{BufWriter, Error, ErrorKind, Result, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, recv};

/// Longest head of an answer.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Bytes of a body dropped by one call.
const DROP_BYTES: usize = 1 << 20;
/// Silence after which a server counts as broken.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// What one connection saw.
#[derive(Default)]
struct Seen {
    latencies_us: Vec<u64>,
    body_bytes: u64,
    bad: u64,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, list, connections, seconds] = arguments.as_slice() else {
        return Err(wrong("usage: load ADDRESS LIST CONNECTIONS SECONDS"));
    };
    let list = std::fs::read_to_string(list)?;
    let paths: Vec<&str> = list.lines().filter(|line| !line.is_empty()).collect();
    if paths.is_empty() {
        return Err(wrong("the list of paths is empty"));
    }
    let connections: usize = connections.parse().map_err(|_| wrong("CONNECTIONS is a number"))?;
    let seconds: f64 = seconds.parse().map_err(|_| wrong("SECONDS is a number"))?;

    let began = Instant::now();
    let end = began + Duration::from_secs_f64(seconds);
    let next = AtomicUsize::new(0);
    let seen: Vec<Seen> = thread::scope(|scope| {
        let walk = || walk(address, &paths, &next, end);
        let walkers: Vec<_> = (0..connections).map(|_| scope.spawn(walk)).collect();
        let joined = walkers.into_iter().map(|walker| walker.join());
        joined.map(|seen| seen.unwrap_or_else(|_| broken())).collect()
    });
    report(&seen, began.elapsed())
}

/// Asks for one path after the other, of those that all connections share, until time is up.
fn walk(address: &str, paths: &[&str], next: &AtomicUsize, end: Instant) -> Seen {
    let mut seen = Seen::default();
    let mut connection = None;
    let mut buffer = vec![0; DROP_BYTES];
    while Instant::now() < end {
        let path = paths[next.fetch_add(1, Ordering::Relaxed) % paths.len()];
        let began = Instant::now();
        let outcome = match connection.take() {
            Some(stream) => Ok(stream),
            None => connect(address),
        };
        let outcome = outcome.and_then(|stream| {
            let body_bytes = exchange(&stream, address, path, &mut buffer)?;
            Ok((stream, body_bytes))
        });
        match outcome {
            Ok((stream, body_bytes)) => {
                seen.latencies_us.push(began.elapsed().as_micros() as u64);
                seen.body_bytes += body_bytes;
                connection = Some(stream);
            }
            Err(_) => seen.bad += 1,
        }
    }
    seen
}

fn connect(address: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    Ok(stream)
}

/// One request and its whole answer; the length of the body.
fn exchange(mut stream: &TcpStream, address: &str, path: &str, buffer: &mut [u8]) -> Result<u64> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut filled = 0;
    let head_len = loop {
        filled += receive(stream, &mut buffer[filled..HEAD_BYTES_MAX], RecvFlags::empty())?;
        if let Some(at) = buffer[..filled].windows(4).position(|end| end == b"\r\n\r\n") {
            break at + 4;
        }
        if filled == HEAD_BYTES_MAX {
            return Err(wrong("the head of the answer is too long"));
        }
    };
    let body_bytes = body_len(&buffer[..head_len])?;
    let early = (filled - head_len) as u64;
    let mut left = body_bytes.checked_sub(early).ok_or_else(|| wrong("the body is too long"))?;
    while left > 0 {
        let most = left.min(DROP_BYTES as u64) as usize;
        left -= receive(stream, &mut buffer[..most], RecvFlags::TRUNC)? as u64;
    }
    Ok(body_bytes)
}

fn receive(stream: &TcpStream, buffer: &mut [u8], flags: RecvFlags) -> Result<usize> {
    match recv(stream, buffer, flags)? {
        (_, 0) => Err(ErrorKind::UnexpectedEof.into()),
        (_, len) => Ok(len),
    }
}

/// `Content-Length` of an answer with status 200.
fn body_len(head: &[u8]) -> Result<u64> {
    let head = std::str::from_utf8(head).map_err(|_| wrong("the head is no text"))?;
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(wrong("the status is not 200"));
    }
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let length = fields.rfind(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|(_, value)| value.trim().parse().ok());
    length.ok_or_else(|| wrong("the answer has no length"))
}

fn report(seen: &[Seen], wall: Duration) -> Result<()> {
    let mut latencies_us: Vec<u64> =
        seen.iter().flat_map(|seen| seen.latencies_us.iter().copied()).collect();
    latencies_us.sort_unstable();
    let at = |share: f64| {
        let index = (latencies_us.len() as f64 * share) as usize;
        latencies_us.get(index.min(latencies_us.len().saturating_sub(1))).copied().unwrap_or(0)
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    writeln!(
        out,
        "{{\"requests\":{},\"bytes\":{},\"bad\":{},\"wall_ms\":{},\"p50_us\":{},\"p99_us\":{}}}",
        latencies_us.len(),
        seen.iter().map(|seen| seen.body_bytes).sum::<u64>(),
        seen.iter().map(|seen| seen.bad).sum::<u64>(),
        wall.as_millis(),
        at(0.5),
        at(0.99),
    )?;
    out.flush()
}

/// A connection whose thread died.
fn broken() -> Seen {
    Seen { bad: 1, ..Seen::default() }
}

fn wrong(reason: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, reason)
}
