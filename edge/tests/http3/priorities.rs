//! Which answer of a connection goes first (RFC 9218), seen from the client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::client::{FOREVER, Raw};
use crate::server::{LARGE_BYTES, short_limits, start};

/// GET /large with a `priority` field: a literal name of 8 letters, 0 0 1 N H length(3) = 7 + 1.
fn large(priority: &str) -> Vec<u8> {
    let mut section = b"\0\0\xd1\xd7\x50\x09localhost\x51\x06/large\x27\x01priority".to_vec();
    section.push(u8::try_from(priority.len()).unwrap());
    section.extend_from_slice(priority.as_bytes());
    [&[0x01, u8::try_from(section.len()).unwrap()], &section[..]].concat()
}

/// Sends `update` on the control stream, asks for two large bodies, with `first` and with `second`,
/// and gives back how much of the first had come when the second was whole.
async fn first_when_second_is_whole(first: &str, second: &str, update: &[u8]) -> usize {
    let running = start(short_limits());
    let mut raw = Raw::new(&running).await;
    if !update.is_empty() {
        raw.control.write_all(update).await.unwrap();
        // Streams may overtake each other.
        raw.check_serves().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (mut send, mut receive) = raw.stream(&large(first)).await;
    send.finish().unwrap();
    let (mut send, other) = raw.stream(&large(second)).await;
    send.finish().unwrap();
    // Until now nothing is read: what the first can be ahead is the window of a stream.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let received = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&received);
    let reading = tokio::spawn(async move {
        while let Some(chunk) = receive.read_chunk(1 << 20, true).await.unwrap() {
            count.fetch_add(chunk.bytes.len(), Ordering::Relaxed);
        }
    });
    let whole = crate::client::read(other).await.unwrap();
    assert!(LARGE_BYTES < whole.len());
    let so_far = received.load(Ordering::Relaxed);
    tokio::time::timeout(FOREVER, reading).await.unwrap().unwrap();
    assert!(LARGE_BYTES < received.load(Ordering::Relaxed));
    so_far
}

/// The second overtakes the first in one of three tries: a client that is not run for a while reads
/// neither, and then the server rightly sends whichever has room. Without priorities the first is
/// whole each time.
async fn check_overtakes(first: &str, second: &str, update: &[u8]) {
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(first_when_second_is_whole(first, second, update).await);
        if seen.last().is_some_and(|so_far| *so_far < LARGE_BYTES / 4 * 3) {
            return;
        }
    }
    panic!("of the first had come {seen:?} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn urgent_answers_overtake() {
    check_overtakes("u=7", "u=0", b"").await;
}

/// A frame overrules the request's own field, before its stream opens, too (RFC 9218 7): stream 4,
/// which asks to go first, is to wait for stream 8.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_overrules_the_field() {
    check_overtakes("u=0", "u=3", b"\x80\x0f\x07\x00\x04\x04u=7").await;
}

/// An urgent answer whose client reads nothing of it keeps no other from going out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_urgent_answer_stops_no_other() {
    let running = start(platform::http::HttpLimits { write_stall: FOREVER, ..short_limits() });
    let raw = Raw::new(&running).await;
    let (_send, stalled) = raw.stream(&large("u=0")).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let whole = raw.exchange(&large("u=7")).await.unwrap();
    assert!(LARGE_BYTES < whole.len());
    drop(stalled);
}

/// Asks for two large bodies of one priority, and gives back how much of the second had come when the
/// first was whole.
async fn second_when_first_is_whole(priority: &str) -> usize {
    let running = start(short_limits());
    let raw = Raw::new(&running).await;
    let (mut send, first) = raw.stream(&large(priority)).await;
    send.finish().unwrap();
    let (mut send, mut receive) = raw.stream(&large(priority)).await;
    send.finish().unwrap();
    let received = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&received);
    let reading = tokio::spawn(async move {
        while let Some(chunk) = receive.read_chunk(1 << 20, true).await.unwrap() {
            count.fetch_add(chunk.bytes.len(), Ordering::Relaxed);
        }
    });
    let mut first_bytes = 0;
    let mut first = first;
    while let Some(chunk) = first.read_chunk(1 << 20, true).await.unwrap() {
        first_bytes += chunk.bytes.len();
    }
    assert!(LARGE_BYTES < first_bytes);
    let so_far = received.load(Ordering::Relaxed);
    tokio::time::timeout(FOREVER, reading).await.unwrap().unwrap();
    assert!(LARGE_BYTES < received.load(Ordering::Relaxed));
    so_far
}

/// RFC 9218 10: answers that are of no use in parts go one after the other, in the order of their
/// requests; others share. In one of three tries, since a client that is not run for a while reads
/// neither.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_one_urgency_go_one_after_the_other_unless_they_are_incremental() {
    let mut seen = Vec::new();
    for _ in 0..3 {
        let (whole, parts) =
            (second_when_first_is_whole("u=3").await, second_when_first_is_whole("u=3, i").await);
        seen.push((whole, parts));
        if whole < LARGE_BYTES / 4 && LARGE_BYTES / 2 < parts {
            return;
        }
    }
    panic!("of the second had come {seen:?}, of {LARGE_BYTES}");
}
