//! Ten thousand viewers of one cold segment, through the whole program: one fetch, and nobody waits for
//! its end.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::double::{Double, Then, head, noise};
use crate::edge_faults::{edge, until_hit};
use crate::tools;

/// Over HTTP/2 many viewers share a connection, so that file descriptors suffice.
const CONNECTIONS_H2: usize = 100;
const STREAMS_EACH: usize = 90;
const CONNECTIONS_H1: usize = 1_000;
const VIEWERS: usize = CONNECTIONS_H2 * STREAMS_EACH + CONNECTIONS_H1;
const PATH: &str = "/vod/title/1.m4s";
/// A failure to answer is told before a test's machine loses patience.
const BOUND: Duration = Duration::from_secs(120);

type Gate = Arc<(Mutex<bool>, Condvar)>;

/// What a viewer tells of its answer: whether it joined another's fetch.
async fn watch(
    response: Result<http::Response<hyper::body::Incoming>, hyper::Error>,
    whole: Arc<Vec<u8>>,
    begun: Arc<Semaphore>,
) -> bool {
    let response = response.expect("it is answered");
    assert_eq!(response.status(), 200);
    let how = response.headers()["cache-status"].to_str().expect("it is text").to_owned();
    let mut body = response.into_body();
    let mut found = Vec::with_capacity(whole.len());
    while let Some(frame) = body.frame().await {
        if found.is_empty() {
            begun.add_permits(1);
        }
        found.extend_from_slice(&frame.expect("it is whole").into_data().unwrap_or_default());
    }
    assert!(found == *whole);
    how.contains(";collapsed")
}

fn request(address: SocketAddr) -> Request<Empty<Bytes>> {
    let uri = format!("http://{address}{PATH}");
    Request::get(uri).header("host", address.to_string()).body(Empty::new()).expect("it is good")
}

#[test]
fn ten_thousand_viewers_of_a_cold_segment_cost_one_fetch() {
    let folder = tools::folder("edge-flood");
    let whole = Arc::new(noise(60_000));
    let gate: Gate = Arc::default();
    let (served, held) = (whole.clone(), gate.clone());
    let double = Double::start(move |_, _, stream| {
        head(stream, "200 OK", &["Cache-Control: max-age=600"], served.len());
        let _ = stream.write_all(&served[..1_000]);
        let mut is_open = held.0.lock().expect("nobody panics with it");
        while !*is_open {
            is_open = held.1.wait(is_open).expect("nobody panics with it");
        }
        let _ = stream.write_all(&served[1_000..]);
        Then::Keep
    });
    // The double holds its bytes until every viewer has its first one.
    let patience = "[fetch]\nidle_timeout_seconds = 110.0\nfirst_byte_timeout_seconds = 110.0\n\
                    hedge = false\n[limits]\nwrite_stall_seconds = 110.0\n";
    let server = edge(&folder, &double, patience);
    let address = server.media;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let collapsed = runtime.expect("a runtime can be built").block_on(async {
        let begun = Arc::new(Semaphore::new(0));
        let mut viewers = Vec::with_capacity(VIEWERS);
        for _ in 0..CONNECTIONS_H2 {
            let socket = TcpStream::connect(address).await.expect("it listens");
            let (sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket))
                    .await
                    .expect("it speaks HTTP/2");
            tokio::spawn(connection);
            for _ in 0..STREAMS_EACH {
                let (mut sender, whole, begun) = (sender.clone(), whole.clone(), begun.clone());
                viewers.push(tokio::spawn(async move {
                    watch(sender.send_request(request(address)).await, whole, begun).await
                }));
            }
        }
        for _ in 0..CONNECTIONS_H1 {
            let (whole, begun) = (whole.clone(), begun.clone());
            viewers.push(tokio::spawn(async move {
                let socket = TcpStream::connect(address).await.expect("it listens");
                let (mut sender, connection) =
                    hyper::client::conn::http1::handshake(TokioIo::new(socket))
                        .await
                        .expect("it speaks HTTP/1.1");
                tokio::spawn(connection);
                watch(sender.send_request(request(address)).await, whole, begun).await
            }));
        }
        // Everyone has a first byte while the upstream has sent no second piece.
        let all = begun.acquire_many(VIEWERS as u32);
        drop(tokio::time::timeout(BOUND, all).await.expect("followers wait for the end").unwrap());
        *gate.0.lock().expect("nobody panics with it") = true;
        gate.1.notify_all();
        let mut collapsed = 0;
        for viewer in viewers {
            let is_collapsed = tokio::time::timeout(BOUND, viewer).await.expect("in time");
            collapsed += usize::from(is_collapsed.expect("no viewer panics"));
        }
        collapsed
    });
    assert_eq!((double.count(PATH), collapsed), (1, VIEWERS - 1));
    until_hit(&mut server.client(), PATH, &whole);
    assert_eq!(double.count(PATH), 1);
}
