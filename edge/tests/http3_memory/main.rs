//! What hostile requests cost in memory. The test has a process of its own, so that no other test
//! allocates while it measures.

#[path = "../http3/client.rs"]
#[expect(dead_code, reason = "shared with the other tests")]
mod client;
#[path = "../http3/server.rs"]
mod server;

use std::time::Duration;

use client::{Raw, read, status};
use server::{short_limits, start};

/// Memory of this process that is resident.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = status.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

/// A HEADERS frame that claims a gigabyte is answered at once and kept nowhere, however much of it
/// the client sends, and on however many streams.
#[tokio::test]
async fn a_huge_field_section_costs_nothing() {
    let running = start(short_limits());
    let raw = Raw::new(&running).await;
    raw.check_serves().await;
    let before = resident_bytes();
    let mut streams = Vec::new();
    for _ in 0..50 {
        let (mut send, receive) = raw.stream(b"\x01\xc0\0\0\0\x40\0\0\0").await;
        // The window bounds what is on its way; the answer stops it.
        let sent =
            tokio::time::timeout(Duration::from_millis(50), send.write_all(&[7; 256 << 10])).await;
        let answer = read(receive).await.unwrap();
        // 431 is a literal with the name of index 24.
        assert_eq!(status(&answer), Some(0x5f), "{answer:x?}");
        streams.push((send, sent));
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 1 << 20, "{grown} bytes for {} streams", streams.len());
    raw.check_serves().await;
    a_huge_unknown_frame_ends_the_connection().await;
}

/// The same for frames of unknown types: they are passed by, within a bound.
async fn a_huge_unknown_frame_ends_the_connection() {
    let running = start(short_limits());
    let raw = Raw::new(&running).await;
    let before = resident_bytes();
    let (_send, _receive) = raw.stream(b"\x40\x40\xc0\0\0\0\x40\0\0\0").await;
    assert_eq!(raw.end().await, 0x107);
    assert!(resident_bytes().saturating_sub(before) < 1 << 20);
}
