//! The orderly end, under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use platform::http::Drained;

use crate::client::{FOREVER, Raw, ask, get, h3_client, is_ok, read};
use crate::server::{short_limits, start};

/// Clients that ask without a pause while the server goes: each request that was begun before the
/// client was told to go is answered whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_fails_no_request() {
    let running = start(short_limits());
    let (answered, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut loads = Vec::new();
    for _ in 0..4 {
        let (endpoint, requests) = h3_client(&running).await;
        for stream in 0..4 {
            let (mut requests, endpoint) = (requests.clone(), endpoint.clone());
            let (answered, failed) = (Arc::clone(&answered), Arc::clone(&failed));
            loads.push(tokio::spawn(async move {
                let path = if stream == 0 { "/slow" } else { "/a" };
                loop {
                    // Beginning a request fails once the client knows of the end.
                    let Ok(mut stream) = requests.send_request(get(path)).await else { break };
                    let answer = async {
                        stream.finish().await?;
                        let answer = stream.recv_response().await?;
                        while stream.recv_data().await?.is_some() {}
                        Ok::<_, h3::error::StreamError>(answer)
                    };
                    match answer.await {
                        Ok(answer) if answer.status() == 200 => {
                            answered.fetch_add(1, Ordering::Relaxed)
                        }
                        outcome => {
                            eprintln!("failed: {outcome:?}");
                            failed.fetch_add(1, Ordering::Relaxed)
                        }
                    };
                }
                drop(endpoint);
            }));
        }
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let began = Instant::now();
    let drained = running.server.shutdown(FOREVER).await;
    for load in loads {
        tokio::time::timeout(FOREVER, load).await.unwrap().unwrap();
    }
    assert_eq!(drained, Drained { dropped: 0 });
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(20 < answered.load(Ordering::Relaxed));
    assert_eq!(failed.load(Ordering::Relaxed), 0);
}

/// Two GOAWAYs (RFC 9114 5.2): one that takes what is on its way, one that names the end.
#[tokio::test]
async fn the_end_is_announced_twice() {
    let running = start(short_limits());
    let raw = Raw::new(&running).await;
    // Ours opens with the type, the settings, then says nothing until the end.
    let mut control = raw.quic.accept_uni().await.unwrap();
    raw.check_serves().await;
    let (mut slow, slow_answer) =
        raw.stream(b"\x01\x16\0\0\xd1\xd7\x50\x09localhost\x51\x05/slow").await;
    slow.finish().unwrap();
    let shutdown = tokio::spawn(running.server.shutdown(FOREVER));
    assert!(is_ok(&read(slow_answer).await.unwrap()));
    let mut said = Vec::new();
    while let Ok(Some(chunk)) = control.read_chunk(4_096, true).await {
        said.extend_from_slice(&chunk.bytes);
    }
    let announced = b"\x07\x08\xff\xff\xff\xff\xff\xff\xff\xfc\x07\x01\x08";
    assert!(said.ends_with(announced), "{said:x?}");
    assert_eq!(raw.end().await, 0x100);
    assert_eq!(shutdown.await.unwrap(), Drained { dropped: 0 });
}

#[tokio::test]
async fn a_drain_ends_at_its_deadline() {
    let running = start(platform::http::HttpLimits { write_stall: FOREVER, ..short_limits() });
    let raw = Raw::new(&running).await;
    let (_send, _receive) =
        raw.stream(b"\x01\x17\0\0\xd1\xd7\x50\x09localhost\x51\x06/large").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    let drained = running.server.shutdown(Duration::from_millis(300)).await;
    assert_eq!(drained, Drained { dropped: 1 });
    assert!(began.elapsed() < Duration::from_secs(3));
    assert_eq!(raw.end().await, 0x100);
}

#[tokio::test]
async fn an_idle_connection_is_told_to_go() {
    let keep_alive = Duration::from_millis(1_200);
    let running = start(platform::http::HttpLimits { keep_alive, ..short_limits() });
    let (_endpoint, mut requests) = h3_client(&running).await;
    ask(&mut requests, get("/a")).await.unwrap();
    let began = Instant::now();
    while running.server.connections_open() != 0 {
        assert!(began.elapsed() < FOREVER);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(keep_alive / 2 < began.elapsed());
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused() {
    let running = start(platform::http::HttpLimits { connections: 1, ..short_limits() });
    let raw = Raw::new(&running).await;
    raw.check_serves().await;
    let (endpoint, tls) =
        (quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()), running.client_tls());
    let mut endpoint = endpoint.unwrap();
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
    let connecting = endpoint.connect(running.server.local_address(), "localhost").unwrap();
    let error = tokio::time::timeout(FOREVER, connecting).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
    raw.check_serves().await;
}
