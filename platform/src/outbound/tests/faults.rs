//! One try, and what can be wrong with its answer.

use std::time::{Duration, Instant};

use http::HeaderValue;
use http::header::{AUTHORIZATION, HOST, LOCATION};

use super::server::{Answer, Server, ok, raw};
use super::*;
use crate::resilience::Deadline;

/// What a call is told about each kind of answer, and in how many tries.
async fn check(answer: Answer, expected: &str) {
    let mut server = Server::start(move |_| answer.clone()).await;
    let outbound = outbound();
    let peer = peer(&outbound, |settings| {
        settings.retries_max = 0;
        settings.response_bytes_max = 1_000;
        settings.first_byte_timeout = Duration::from_millis(300);
        settings.total_timeout = Duration::from_millis(600);
    });
    let began = Instant::now();
    let outcome = peer.send(Call::get(server.uri("/"))).await;
    let word = match &outcome {
        Ok(reply) => format!("{} {}", reply.status.as_u16(), reply.body.len()),
        Err(error) => error.outcome().to_owned(),
    };
    assert_eq!(word, expected, "{:?}", outcome.map(|reply| reply.status));
    assert!(began.elapsed() < Duration::from_secs(10), "{word}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn wrong_answers_are_told_apart() {
    let announced = |length: u64, body: &str| {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}")
    };
    check(ok("fine"), "200 4").await;
    check(Answer::Reset, "broken").await;
    check(raw(""), "broken").await;
    check(raw("HTTP/1.1 200 OK\r\ncontent-"), "broken").await;
    check(raw("220 mail.example.org ESMTP\r\n"), "invalid").await;
    check(raw(&announced(100, "short")), "broken").await;
    check(raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n"), "broken")
        .await;
    check(raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), "broken").await;
    check(raw("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello"), "invalid")
        .await;
    check(raw("HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello"), "invalid").await;
    check(raw(&format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(40_000))), "invalid").await;
    check(Answer::Stall(Vec::new()), "timeout").await;
    check(Answer::Stall(b"HTTP/1.1 200".to_vec()), "timeout").await;
    check(Answer::Stall(announced(100, "short").into()), "timeout").await;
    check(raw(&announced(1_001, &"x".repeat(1_001))), "too_large").await;
    check(raw(&announced(u64::from(u32::MAX), "x")), "too_large").await;
    let chunk = format!("{:x}\r\n{}\r\n", 400, "x".repeat(400));
    let endless =
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}", chunk.repeat(9));
    check(Answer::Stall(endless.into()), "too_large").await;
    check(Answer::Endless(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()), "invalid").await;
    check(Answer::Endless(b"HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n".to_vec()), "invalid")
        .await;
}

/// Bytes behind an answer are not the answer to the next request.
#[tokio::test]
async fn what_is_left_over_is_no_answer() {
    let mut server = Server::start(|number| match number {
        0 => Answer::Bytes(
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"
                .to_vec(),
        ),
        _ => ok("second"),
    })
    .await;
    let outbound = outbound();
    let peer = peer(&outbound, |_| {});
    assert_eq!(peer.send(Call::get(server.uri("/a"))).await.unwrap().body, "ok");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(peer.send(Call::get(server.uri("/b"))).await.unwrap().body, "second");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_long_answer_can_be_cut_instead() {
    let server = Server::start(|_| {
        Answer::Endless(format!("HTTP/1.1 500 Oops\r\n\r\n{}", "x".repeat(9_000)).into())
    })
    .await;
    let outbound = outbound();
    let peer = peer(&outbound, |_| {});
    let call = Call::post(server.uri("/"), "text/plain", "hello").cut_answer_at(100);
    let reply = peer.send(call).await.unwrap();
    assert!(reply.is_cut && reply.body.len() == 100 && reply.is_failure());
    let server = Server::start(|_| ok("all of it")).await;
    let reply = peer.send(Call::get(server.uri("/")).cut_answer_at(100)).await.unwrap();
    assert!(!reply.is_cut && reply.body == "all of it");
}

#[tokio::test]
async fn a_request_says_who_it_is_from() {
    let mut server = Server::start(|_| ok("")).await;
    let outbound = outbound();
    let peer = peer(&outbound, |settings| settings.tells_deadline = true);
    let mut incoming = http::HeaderMap::new();
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    incoming.insert("traceparent", HeaderValue::from_static(traceparent));
    incoming.insert("x-request-id", HeaderValue::from_static("the-id"));
    let call = Call::post(server.uri("/path?query"), "text/plain", "body");
    CallContext::read(&incoming).scope(peer.send(call)).await.unwrap();
    let request = server.requests().remove(0);
    assert!(request.starts_with("POST /path?query HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\nbody"), "{request}");
    for expected in [
        &format!("{HOST}: {}\r\n", server.address),
        "content-type: text/plain\r\n",
        "x-request-id: the-id\r\n",
        &traceparent[..36],
        "accept-encoding: identity\r\n",
        "user-agent: streamverse/",
        "x-timeout-ms: 29",
    ] {
        assert!(request.contains(expected), "{expected} in {request}");
    }
}

#[tokio::test]
async fn redirects_are_off_bounded_and_shed_what_is_secret() {
    let mut second = Server::start(|_| ok("second")).await;
    let to = second.uri("/end").to_string();
    let mut first = Server::start(move |_| {
        raw(&format!("HTTP/1.1 302 Found\r\n{LOCATION}: {to}\r\ncontent-length: 0\r\n\r\n"))
    })
    .await;
    let outbound = outbound();
    let call =
        || Call::get(first.uri("/")).header(AUTHORIZATION, HeaderValue::from_static("secret"));
    let off = peer(&outbound, |_| {});
    assert_eq!(off.send(call()).await.unwrap().status, 302);
    let follows = peer(&outbound, |settings| {
        settings.redirects = Redirects::SameScheme { hops_max: 3 };
    });
    assert_eq!(follows.send(call()).await.unwrap().body, "second");
    assert!(first.requests().iter().all(|request| request.contains("authorization: secret")));
    let request = second.requests().remove(0);
    assert!(!request.contains("secret") && request.contains("user-agent"), "{request}");

    let mut looping = Server::start(|_| {
        raw("HTTP/1.1 307 Again\r\nlocation: ?again\r\ncontent-length: 0\r\n\r\n")
    })
    .await;
    let error = follows.send(Call::get(looping.uri("/"))).await.unwrap_err();
    assert!(error.to_string().contains("more than 3 times"), "{error}");
    assert_eq!(looping.requests().len(), 4);
}

/// A caller that is impatient says nothing about the peer.
#[tokio::test]
async fn a_callers_deadline_is_kept_and_blames_nobody() {
    let mut server = Server::start(|_| Answer::Stall(Vec::new())).await;
    let outbound = outbound();
    let peer = peer(&outbound, |settings| {
        settings.breaker =
            Some(crate::resilience::breaker::BreakerSettings { failures: 1, ..Default::default() });
    });
    let now = Instant::now();
    let deadline = Deadline::after(now, Duration::from_millis(200));
    let error = peer.send(Call::get(server.uri("/")).until(deadline)).await.unwrap_err();
    assert_eq!(error.outcome(), "deadline");
    assert!(now.elapsed() < Duration::from_secs(5));
    assert_eq!(peer.breaker_state(), BreakerState::Closed);
    assert_eq!(server.requests().len(), 1);
    let context = CallContext { deadline: Some(deadline), ..CallContext::default() };
    let error = context.scope(peer.send(Call::get(server.uri("/")))).await.unwrap_err();
    assert_eq!(error.outcome(), "deadline");
    assert_eq!(server.requests().len(), 0, "nobody waits for it");
}
