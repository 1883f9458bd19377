//! What is sent again, how often, and when nothing is sent at all.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{HeaderValue, Method, Uri};

use super::server::{Answer, Server, ok, raw};
use super::*;
use crate::resilience::breaker::BreakerSettings;

async fn tries_of(answer: Answer, call: impl Fn(Uri) -> Call) -> usize {
    let mut server = Server::start(move |_| answer.clone()).await;
    let outbound = outbound();
    let peer = peer(&outbound, |_| {});
    let _ = peer.send(call(server.uri("/"))).await;
    server.requests().len()
}

#[tokio::test]
async fn only_what_may_arrive_twice_is_sent_again() {
    let post = |uri| Call::post(uri, "text/plain", "x");
    let keyed = |uri| post(uri).header(IDEMPOTENCY_KEY, HeaderValue::from_static("k"));
    let unavailable = || raw("HTTP/1.1 503 Later\r\ncontent-length: 0\r\n\r\n");
    for fault in [
        Answer::Reset,
        raw(""),
        unavailable(),
        raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx"),
    ] {
        assert_eq!(tries_of(fault.clone(), Call::get).await, 4);
        assert_eq!(tries_of(fault.clone(), |uri| Call::new(Method::DELETE, uri)).await, 4);
        assert_eq!(tries_of(fault.clone(), post).await, 1);
        assert_eq!(tries_of(fault, keyed).await, 4);
    }
    for fault in [
        ok(""),
        raw("HTTP/1.1 500 Oops\r\n\r\n"),
        raw("HTTP/1.1 404 No\r\n\r\n"),
        raw("nonsense\r\n\r\n"),
    ] {
        assert_eq!(tries_of(fault, Call::get).await, 1);
    }
}

#[tokio::test]
async fn an_answer_that_comes_at_last_is_the_answer() {
    let mut server = Server::start(|number| match number {
        0 => Answer::Reset,
        1 => raw("HTTP/1.1 503 Later\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n"),
        _ => ok("at last"),
    })
    .await;
    let outbound = outbound();
    let peer = peer(&outbound, |_| {});
    assert_eq!(peer.send(Call::get(server.uri("/"))).await.unwrap().body, "at last");
    assert_eq!(server.requests().len(), 3);
    let text = metrics(&outbound);
    for line in [
        "streamverse_resilience_retries_total{service=\"test\"} 2",
        "streamverse_outbound_attempts_total{peer=\"test\",outcome=\"ok\"} 1",
        "streamverse_outbound_attempts_total{peer=\"test\",outcome=\"broken\"} 1",
        "streamverse_outbound_attempts_total{peer=\"test\",outcome=\"server_error\"} 1",
        "streamverse_resilience_calls_in_flight{service=\"test\"} 0",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

/// A request that never left is sent again whatever it does.
#[tokio::test]
async fn a_refused_connection_is_tried_again() {
    let server = Server::start(|_| ok("")).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = taken.local_addr().unwrap();
    drop(taken);
    let outbound = outbound();
    let peer = peer(&outbound, |_| {});
    let uri: Uri = format!("http://{free}/").parse().unwrap();
    let error = peer.send(Call::post(uri, "text/plain", "x")).await.unwrap_err();
    assert!(matches!(error, CallError::Unreachable { .. }), "{error}");
    assert!(!error.was_sent());
    let text = metrics(&outbound);
    assert!(text.contains("outcome=\"unreachable\"} 4"), "{text}");
    drop(server);
}

#[tokio::test]
async fn an_outage_is_not_multiplied() {
    let mut server = Server::start(|_| raw("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")).await;
    let outbound = outbound();
    let peer = peer(&outbound, |_| {});
    for _ in 0..100 {
        assert_eq!(peer.send(Call::get(server.uri("/"))).await.unwrap().status, 503);
    }
    let seen = server.requests().len();
    assert!((110..=121).contains(&seen), "100 calls, 10 saved up, 10 of 100: {seen}");
    let text = metrics(&outbound);
    assert!(text.contains("retry_budget_exhausted_total{service=\"test\"}"), "{text}");
}

#[tokio::test]
async fn a_peer_that_fails_is_left_alone() {
    let mut server = Server::start(|number| match number {
        0..5 => raw("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"),
        _ => ok("well again"),
    })
    .await;
    let outbound = outbound();
    let peer = peer(&outbound, |settings| {
        let open = Duration::from_millis(500);
        settings.breaker = Some(BreakerSettings { open, ..BreakerSettings::default() });
    });
    for _ in 0..5 {
        assert_eq!(peer.send(Call::get(server.uri("/"))).await.unwrap().status, 500);
    }
    let error = peer.send(Call::get(server.uri("/"))).await.unwrap_err();
    assert_eq!(error.outcome(), "breaker_open");
    assert!(error.retry_after().is_some_and(|wait| !wait.is_zero()));
    assert_eq!(outbound.states(), [("test".to_owned(), BreakerState::Open)]);
    assert_eq!(server.requests().len(), 5);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(peer.send(Call::get(server.uri("/"))).await.unwrap().body, "well again");
    assert_eq!(outbound.states(), [("test".to_owned(), BreakerState::Closed)]);
    assert!(metrics(&outbound).contains("breaker_opened_total{service=\"test\"} 1"));
}

#[tokio::test]
async fn places_are_few_and_connections_kept() {
    let server = Server::start(|number| match number {
        0 => Answer::Stall(Vec::new()),
        _ => ok(""),
    })
    .await;
    let outbound = outbound();
    let peer = peer(&outbound, |settings| {
        (settings.calls_max, settings.queue_max) = (1, 0);
    });
    let slow = tokio::spawn({
        let (peer, uri) = (peer.clone(), server.uri("/"));
        async move { peer.send(Call::get(uri)).await }
    });
    while server.connections.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let error = peer.send(Call::get(server.uri("/"))).await.unwrap_err();
    assert_eq!(error.outcome(), "overloaded");
    slow.abort();
    assert!(slow.await.unwrap_err().is_cancelled());
    let text = metrics(&outbound);
    assert!(text.contains("outcome=\"cancelled\"} 1"), "{text}");
    for _ in 0..10 {
        peer.send(Call::get(server.uri("/"))).await.unwrap();
    }
    // The one that stalled, and one for the rest.
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}
