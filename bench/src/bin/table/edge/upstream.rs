//! The origin behind every edge under test: bodies made of their path, a thread a connection.
//!
//! | path | answer |
//! | --- | --- |
//! | `/vod/big/…` | 4 MiB |
//! | `/vod/small/…` | 2 KiB |
//! | `/vod/miss…/…` | 64 KiB |
//! | `/vod/slow…/…` | 2 MiB in 40 pieces over 2 s |

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use bench::process::pin_thread;
use bench::swarm::Wanted;

use crate::CLIENT_CORE;

pub(super) const SLOW: Duration = Duration::from_secs(2);
const SLOW_PIECES: usize = 40;

pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    fetches: Fetches,
}

type Fetches = Arc<Mutex<HashMap<String, usize>>>;

/// The bytes behind a path.
pub(super) fn body(path: &str) -> Vec<u8> {
    let mut bytes = vec![0; body_bytes(path)];
    blake3::Hasher::new().update(path.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn body_bytes(path: &str) -> usize {
    match path.split('/').nth(2).unwrap_or_default() {
        "big" => 4 << 20,
        "small" => 2 << 10,
        title if title.starts_with("miss") => 64 << 10,
        title if title.starts_with("slow") => 2 << 20,
        _ => 0,
    }
}

/// Segments of a title, as an edge without tokens is asked for them.
pub(super) fn segments(title: &str, count: usize) -> Vec<Wanted> {
    (0..count).map(|number| wanted(format!("/vod/{title}/fmp4/hd/{number}.m4s"))).collect()
}

pub(super) fn wanted(target: String) -> Wanted {
    let body_bytes = Some(body_bytes(&target) as u64);
    Wanted { target, body_bytes }
}

impl Upstream {
    /// Serves until the process ends.
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let fetches = Fetches::default();
        let seen = Arc::clone(&fetches);
        thread::spawn(move || {
            // Threads made from here on stay beside the client, off the server's core.
            let _ = pin_thread(CLIENT_CORE);
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&seen);
                thread::spawn(move || serve(stream, &seen));
            }
        });
        Ok(Self { address, fetches })
    }

    /// Fetches of all paths together, checks of health left out.
    pub(super) fn total(&self) -> usize {
        let fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        fetches.iter().filter(|(path, _)| *path != "/ready").map(|(_, count)| count).sum()
    }

    /// How often a path was asked for.
    pub(super) fn fetches(&self, path: &str) -> usize {
        let fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        fetches.get(path).copied().unwrap_or(0)
    }
}

fn serve(stream: TcpStream, fetches: &Fetches) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let mut stream = stream;
    loop {
        let request = lines.next()?.ok()?;
        while !lines.next()?.ok()?.is_empty() {}
        let path = request.split(' ').nth(1)?;
        let path = path.split('?').next()?;
        let mut counts = fetches.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(path.to_owned()).or_insert(0) += 1;
        drop(counts);
        let body = if path == "/ready" { b"ready\n".to_vec() } else { body(path) };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nContent-Type: video/mp4\r\n\
             Cache-Control: public, max-age=86400, immutable\r\nETag: \"{:016x}\"\r\n\r\n",
            body.len(),
            body.iter().take(8).fold(0_u64, |tag, byte| tag << 8 | u64::from(*byte)),
        );
        if !path.starts_with("/vod/slow") {
            stream.write_all(&[head.as_bytes(), &body].concat()).ok()?;
            continue;
        }
        stream.write_all(head.as_bytes()).ok()?;
        for piece in body.chunks(body.len().div_ceil(SLOW_PIECES)) {
            stream.write_all(piece).ok()?;
            thread::sleep(SLOW / SLOW_PIECES as u32);
        }
    }
}
