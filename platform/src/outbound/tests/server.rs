//! A server that answers with exactly the bytes it is told to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Uri;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What is done with one request.
#[derive(Clone)]
pub(super) enum Answer {
    /// These bytes; the connection stays.
    Bytes(Vec<u8>),
    /// These bytes, and the connection ends.
    Last(Vec<u8>),
    /// These bytes, and silence.
    Stall(Vec<u8>),
    /// These bytes over and over.
    Endless(Vec<u8>),
    /// The connection is reset.
    Reset,
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) connections: Arc<AtomicUsize>,
    requests: mpsc::UnboundedReceiver<String>,
}

pub(super) fn ok(body: &str) -> Answer {
    let length = body.len();
    Answer::Bytes(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}").into())
}

pub(super) fn raw(bytes: &str) -> Answer {
    Answer::Last(bytes.as_bytes().to_vec())
}

impl Server {
    pub(super) async fn start(answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0", answer).await
    }

    /// `answer` gets the number of the request, from 0.
    pub(super) async fn start_at(
        address: &str,
        answer: impl Fn(usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::unbounded_channel();
        let (answer, count) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (answer, count, sender) = (answer.clone(), count.clone(), sender.clone());
                tokio::spawn(async move {
                    serve(stream, &*answer, &count, &sender).await;
                });
            }
        });
        Self { address, connections, requests }
    }

    pub(super) fn uri(&self, path: &str) -> Uri {
        format!("http://{}{path}", self.address).parse().unwrap()
    }

    /// The requests so far, heads and bodies as they came.
    pub(super) fn requests(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.requests.try_recv().ok()).collect()
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: &(impl Fn(usize) -> Answer + ?Sized),
    count: &AtomicUsize,
    sender: &mpsc::UnboundedSender<String>,
) {
    while let Some(request) = read_request(&mut stream).await {
        let _ = sender.send(request);
        match answer(count.fetch_add(1, Ordering::SeqCst)) {
            Answer::Bytes(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Answer::Last(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Answer::Stall(bytes) => {
                let _ = stream.write_all(&bytes).await;
                tokio::time::sleep(Duration::from_secs(60)).await;
                return;
            }
            Answer::Endless(bytes) => while stream.write_all(&bytes).await.is_ok() {},
            Answer::Reset => {
                // Closed with a linger of nothing, a socket sends a reset.
                let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
                return;
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let (mut head_end, mut length) = (None, 0);
    loop {
        if head_end.is_none()
            && let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n")
        {
            head_end = Some(end + 4);
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let announced = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            length = announced.map_or(0, |length| length.parse().unwrap());
        }
        if head_end.is_some_and(|end| end + length <= bytes.len()) {
            return Some(String::from_utf8_lossy(&bytes).into_owned());
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
