//! HTTP/2 with prior knowledge, and its own ways to fail (RFC 9113).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use edge::fetch::FetchError;
use edge::upstream::Upstreams;
use h2::server::SendResponse;
use http::Response;
use platform::config::UpstreamProtocol;
use tokio::net::TcpListener;

use crate::{fast, fetch, upstream};

/// Answers every stream with `answer`; gives the address and the number of connections.
async fn serve(answer: fn(SendResponse<Bytes>)) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                while let Some(Ok((_, respond))) = connection.accept().await {
                    answer(respond);
                }
            });
        }
    });
    (url, connections)
}

fn start(url: &str) -> Upstreams {
    let mut upstream = upstream(url);
    upstream.protocol = UpstreamProtocol::H2;
    Upstreams::start(&platform::config::Fetch { attempts_max: 1, ..fast() }, &[upstream]).unwrap()
}

fn send(mut respond: SendResponse<Bytes>, length: Option<&str>, body: &'static [u8], end: bool) {
    let mut response = Response::builder().status(200);
    if let Some(length) = length {
        response = response.header("content-length", length);
    }
    let mut stream = respond.send_response(response.body(()).unwrap(), false).unwrap();
    // A peer that found a fault has reset the stream by now.
    let _ = stream.send_data(Bytes::from_static(body), end);
    // Kept open, as the library resets what is dropped.
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_secs(10)).await;
        drop((stream, respond));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_share_a_connection() {
    let (url, connections) = serve(|respond| send(respond, Some("5"), b"hello", true)).await;
    let upstreams = start(&url);
    let requests = (0..50).map(|_| fetch(&upstreams, "/vod/a/1.m4s"));
    for outcome in futures_util::future::join_all(requests).await {
        assert_eq!(outcome.unwrap().body(), b"hello");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_may_be_framed_by_its_stream() {
    let (url, _) = serve(|respond| send(respond, None, b"hello", true)).await;
    assert_eq!(fetch(&start(&url), "/vod/a/1.m4s").await.unwrap().body(), b"hello");
}

#[track_caller]
fn check_invalid(name: &str, outcome: Result<Response<Vec<u8>>, FetchError>) {
    match outcome {
        Err(FetchError::Invalid { .. }) => {}
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_about_length_are_found() {
    let (url, _) = serve(|respond| send(respond, Some("9"), b"hello", true)).await;
    check_invalid("too short", fetch(&start(&url), "/vod/a/1.m4s").await);
    let (url, _) = serve(|respond| send(respond, Some("4"), b"hello", true)).await;
    check_invalid("too long", fetch(&start(&url), "/vod/a/1.m4s").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn resets_and_silence_end_in_bounded_time() {
    let (url, _) = serve(|mut respond| {
        let response = Response::builder().header("content-length", "9").body(()).unwrap();
        let mut stream = respond.send_response(response, false).unwrap();
        stream.send_data(Bytes::from_static(b"half"), false).unwrap();
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            stream.send_reset(h2::Reason::INTERNAL_ERROR);
        });
    })
    .await;
    check_invalid("reset", fetch(&start(&url), "/vod/a/1.m4s").await);

    let (url, _) = serve(|respond| send(respond, Some("9"), b"half", false)).await;
    let error = fetch(&start(&url), "/vod/a/1.m4s").await.unwrap_err();
    assert!(matches!(error, FetchError::Timeout { .. }), "{error}");

    let (url, _) = serve(|mut respond| respond.send_reset(h2::Reason::REFUSED_STREAM)).await;
    let error = fetch(&start(&url), "/vod/a/1.m4s").await.unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error}");
}

/// Not counted, as over HTTP/1.1, but over with the time to the first byte.
#[tokio::test(flavor = "multi_thread")]
async fn informational_answers_have_an_end() {
    let (url, _) = serve(|mut respond| {
        tokio::spawn(async move {
            let hints = || Response::builder().status(103).body(()).unwrap();
            while respond.send_informational(hints()).is_ok() {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        });
    })
    .await;
    let error = fetch(&start(&url), "/vod/a/1.m4s").await.unwrap_err();
    assert!(matches!(error, FetchError::Timeout { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_are_bounded() {
    let (url, _) = serve(|mut respond| {
        let response = Response::builder().header("x-large", "x".repeat(200_000));
        let _ = respond.send_response(response.body(()).unwrap(), true);
    })
    .await;
    fetch(&start(&url), "/vod/a/1.m4s").await.unwrap_err();
}
