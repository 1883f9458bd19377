//! What an orderly client gets.

use http::{Method, Request, StatusCode, Version};

use crate::client::{FOREVER, GET_ROOT, Raw, ask, get, h3_client, is_ok, read};
use crate::server::{LARGE_BYTES, short_limits, start};

#[tokio::test]
async fn requests_are_answered() {
    let running = start(short_limits());
    let (_endpoint, mut requests) = h3_client(&running).await;
    let (answer, body) = ask(&mut requests, get("/a/b?c")).await.unwrap();
    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_3));
    assert_eq!(body, b"GET /a/b localhost");
    assert_eq!(answer.headers()["content-length"], "18");
    assert!(answer.headers().contains_key("date"));
    let (_, body) = ask(&mut requests, get("/large")).await.unwrap();
    assert_eq!(body.len(), LARGE_BYTES);
    assert!(body.iter().all(|byte| *byte == 7));
}

/// A request knows what QUIC has measured of the way to its client.
#[tokio::test]
async fn the_way_to_the_client_is_known() {
    let running = start(short_limits());
    let (_endpoint, mut requests) = h3_client(&running).await;
    let (_, body) = ask(&mut requests, get("/path")).await.unwrap();
    let text = String::from_utf8(body).unwrap();
    let (round_trip_micros, window_bytes) = text.split_once(' ').unwrap();
    // The handshake was a round trip, and began with the initial window of RFC 9002 7.2.
    assert!((1..2_000_000).contains(&round_trip_micros.parse::<u64>().unwrap()), "{text}");
    assert!(2_400 <= window_bytes.parse::<u64>().unwrap(), "{text}");
}

#[tokio::test]
async fn answers_have_a_body_where_their_status_and_method_have() {
    let running = start(short_limits());
    let (_endpoint, mut requests) = h3_client(&running).await;
    for (method, path, status, body) in [
        (Method::HEAD, "/a", 200, ""),
        (Method::OPTIONS, "/a", 200, "OPTIONS /a localhost"),
        (Method::GET, "/none", 304, ""),
        (Method::POST, "/a", 200, "POST /a localhost"),
        (Method::GET, "/never", 503, "the answer took too long\n"),
        (Method::GET, "/broken", 500, "the request could not be answered\n"),
    ] {
        let request = Request::builder().method(&method).uri(format!("https://localhost{path}"));
        let answer = ask(&mut requests, request.body(()).unwrap()).await.unwrap();
        let text = String::from_utf8(answer.1).unwrap();
        assert_eq!((answer.0.status().as_u16(), text.as_str()), (status, body), "{method} {path}");
    }
}

/// Many requests at once, over one connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_share_a_connection() {
    let running = start(short_limits());
    let (_endpoint, requests) = h3_client(&running).await;
    let tasks = (0..300).map(|number| {
        let mut requests = requests.clone();
        tokio::spawn(async move { ask(&mut requests, get(&format!("/{number}"))).await.unwrap().1 })
    });
    for (number, task) in tasks.collect::<Vec<_>>().into_iter().enumerate() {
        assert_eq!(task.await.unwrap(), format!("GET /{number} localhost").into_bytes());
    }
}

/// A client that keeps its side of a stream open gets its answer, and is told that the rest is not
/// needed: by H3_NO_ERROR, since curl takes any other code for a failure.
#[tokio::test]
async fn an_unfinished_request_is_answered_and_stopped_without_error() {
    let running = start(short_limits());
    let raw = Raw::new(&running).await;
    let (send, receive) = raw.stream(GET_ROOT).await;
    assert!(is_ok(&read(receive).await.unwrap()));
    let stopped = tokio::time::timeout(FOREVER, send.stopped()).await.unwrap().unwrap();
    assert_eq!(stopped.map(quinn::VarInt::into_inner), Some(0x100));
}

/// A request that was read to its end is not stopped at all.
#[tokio::test]
async fn a_finished_request_is_not_stopped() {
    let running = start(short_limits());
    let raw = Raw::new(&running).await;
    for _ in 0..50 {
        let (mut send, receive) = raw.stream(GET_ROOT).await;
        send.finish().unwrap();
        assert!(is_ok(&read(receive).await.unwrap()));
        assert_eq!(send.stopped().await.unwrap(), None);
    }
}

/// Content that nobody asked for is passed by, and so are unknown frames (RFC 9114 9).
#[tokio::test]
async fn content_and_grease_are_passed_by() {
    let running = start(short_limits());
    let raw = Raw::new(&running).await;
    let grease = b"\x40\x40\x03abc";
    let mut request = [grease, GET_ROOT, grease].concat();
    request.extend_from_slice(b"\0\x05hello\0\0");
    request.extend_from_slice(b"\x01\x02\0\0");
    assert!(is_ok(&raw.exchange(&request).await.unwrap()));
    let long = [GET_ROOT, b"\0\x80\x10\0\0", &[0; 1 << 20]].concat();
    let (mut send, receive) = raw.stream(GET_ROOT).await;
    let _ = send.write_all(&long[GET_ROOT.len()..]).await;
    assert!(is_ok(&read(receive).await.unwrap()));
    // Streams of unknown types are not read.
    let _unknown = raw.uni(b"\x21hello").await;
    raw.check_serves().await;
}
