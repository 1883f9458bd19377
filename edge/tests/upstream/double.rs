//! An upstream that misbehaves on demand.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What is done with a request once its headers are there.
#[derive(Clone, Debug)]
pub(crate) enum Does {
    /// A whole answer, after a while.
    Answer { status: u16, body: Vec<u8>, after: Duration },
    /// Closes with a reset.
    Reset,
    /// Closes without a byte.
    Close,
    /// Nothing, for ever.
    Hang,
    /// These bytes, then nothing.
    SendAndHang(Vec<u8>),
    /// These bytes, then the end of the connection.
    SendAndClose(Vec<u8>),
    /// These bytes, and the next request is read.
    SendAndStay(Vec<u8>),
    /// These bytes, then one byte at a time with a pause before each.
    Dribble(Vec<u8>, Duration),
    /// These bytes again and again.
    Flood(Vec<u8>),
}

pub(crate) struct Double {
    pub(crate) address: SocketAddr,
    does: Arc<Mutex<Does>>,
    ready: Arc<Mutex<bool>>,
    seen: Arc<Seen>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    /// Requests other than health checks, from their first line to the empty one.
    requests: Mutex<Vec<String>>,
    checks: AtomicUsize,
    connections: AtomicUsize,
    /// Connections that the client closed while an answer was due.
    cancelled: AtomicUsize,
}

pub(crate) fn ok(body: &[u8]) -> Does {
    Does::Answer { status: 200, body: body.to_vec(), after: Duration::ZERO }
}

pub(crate) fn slow(body: &[u8], after_ms: u64) -> Does {
    Does::Answer { status: 200, body: body.to_vec(), after: Duration::from_millis(after_ms) }
}

pub(crate) fn status(status: u16) -> Does {
    Does::Answer { status, body: b"sorry".to_vec(), after: Duration::ZERO }
}

impl Double {
    pub(crate) async fn start(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let does = Arc::new(Mutex::new(does));
        let ready = Arc::new(Mutex::new(true));
        let seen = Arc::new(Seen::default());
        let parts = (Arc::clone(&does), Arc::clone(&ready), Arc::clone(&seen));
        let accepting = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                parts.2.connections.fetch_add(1, Ordering::SeqCst);
                let (does, ready, seen) = parts.clone();
                tokio::spawn(async move { serve(stream, &does, &ready, &seen).await });
            }
        });
        Self { address, does, ready, seen, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn now(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    pub(crate) fn set_ready(&self, is_ready: bool) {
        *self.ready.lock().unwrap() = is_ready;
    }

    /// Takes no more connections.
    pub(crate) fn refuse(&self) {
        self.accepting.abort();
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.requests.lock().unwrap().len()
    }

    pub(crate) fn checks(&self) -> usize {
        self.seen.checks.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn cancelled(&self) -> usize {
        self.seen.cancelled.load(Ordering::SeqCst)
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut stream: TcpStream, does: &Mutex<Does>, ready: &Mutex<bool>, seen: &Seen) {
    while let Some(request) = read_request(&mut stream).await {
        if request.starts_with("GET /ready ") {
            seen.checks.fetch_add(1, Ordering::SeqCst);
            let status = if *ready.lock().unwrap() { 200 } else { 503 };
            let _ = stream.write_all(&answer(status, b"ready")).await;
            continue;
        }
        let is_head = request.starts_with("HEAD ");
        seen.requests.lock().unwrap().push(request);
        let does = does.lock().unwrap().clone();
        if !act(&mut stream, does, is_head, seen).await {
            return;
        }
    }
}

/// True when the next request may come.
async fn act(stream: &mut TcpStream, does: Does, is_head: bool, seen: &Seen) -> bool {
    match does {
        Does::Answer { status, body, after } => {
            let mut gone = [0];
            tokio::select! {
                () = tokio::time::sleep(after) => {}
                _ = stream.read(&mut gone) => {
                    seen.cancelled.fetch_add(1, Ordering::SeqCst);
                    return false;
                }
            }
            let mut bytes = answer(status, &body);
            if is_head {
                bytes.truncate(bytes.len() - body.len());
            }
            stream.write_all(&bytes).await.is_ok()
        }
        Does::Reset => {
            stream.set_zero_linger().unwrap();
            false
        }
        Does::Close => false,
        Does::Hang => hang(stream, seen).await,
        Does::SendAndHang(bytes) => {
            let _ = stream.write_all(&bytes).await;
            hang(stream, seen).await
        }
        Does::SendAndClose(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            false
        }
        Does::SendAndStay(bytes) => stream.write_all(&bytes).await.is_ok(),
        Does::Dribble(bytes, pause) => {
            let _ = stream.write_all(&bytes).await;
            loop {
                tokio::time::sleep(pause).await;
                if stream.write_all(b"x").await.is_err() {
                    return false;
                }
            }
        }
        Does::Flood(bytes) => {
            while stream.write_all(&bytes).await.is_ok() {}
            false
        }
    }
}

async fn hang(stream: &mut TcpStream, seen: &Seen) -> bool {
    let _ = stream.read(&mut [0]).await;
    seen.cancelled.fetch_add(1, Ordering::SeqCst);
    false
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(bytes).unwrap())
}

pub(crate) fn answer(status: u16, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status} Status\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}
