//! What a client may not do, and what it costs when it does.

use std::time::{Duration, Instant};

use crate::client::{FOREVER, GET_ROOT, Raw, is_ok, read, status};
use crate::server::{Running, short_limits, start};

const FRAME_UNEXPECTED: u64 = 0x105;
const FRAME_ERROR: u64 = 0x106;
const EXCESSIVE_LOAD: u64 = 0x107;
const ID_ERROR: u64 = 0x108;
const SETTINGS_ERROR: u64 = 0x109;
const MISSING_SETTINGS: u64 = 0x10a;
const MESSAGE_ERROR: u64 = 0x10e;

/// A section whose frame is small and whose fields are large.
#[tokio::test]
async fn an_oversized_section_is_answered_431() {
    let running = start(short_limits());
    let raw = Raw::new(&running).await;
    let mut section = vec![0, 0];
    section.resize(300, 0xc1);
    let request = [&[0x01, 0x41, 0x2c][..], &section].concat();
    let answer = raw.exchange(&request).await.unwrap();
    assert_eq!(status(&answer), Some(0x5f), "{answer:x?}");
    raw.check_serves().await;
}

/// Fields that trickle in are given up; the connection serves on.
#[tokio::test]
async fn slow_fields_end_their_stream() {
    let running = start(short_limits());
    let raw = Raw::new(&running).await;
    let began = Instant::now();
    let (mut send, receive) = raw.stream(&GET_ROOT[..1]).await;
    let trickle = async {
        for byte in &GET_ROOT[1..] {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if send.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
    };
    let (code, ()) = tokio::join!(read(receive), trickle);
    assert_eq!(code, Err(0x10c));
    assert!(short_limits().header_timeout <= began.elapsed());
    raw.check_serves().await;
}

/// A client that takes nothing loses its stream alone.
#[tokio::test]
async fn a_stalled_stream_is_reset_alone() {
    let running = start(short_limits());
    let raw = Raw::new(&running).await;
    let (_send, receive) = raw.stream(b"\x01\x17\0\0\xd1\xd7\x50\x09localhost\x51\x06/large").await;
    tokio::time::sleep(short_limits().write_stall + Duration::from_millis(400)).await;
    assert_eq!(read(receive).await, Err(0x10c));
    raw.check_serves().await;
}

/// Opening and resetting, as often as a client can, closes the connection.
#[tokio::test]
async fn a_flood_of_resets_closes_the_connection() {
    let running = start(short_limits());
    let raw = Raw::new(&running).await;
    let mut opened = 0;
    while opened < 20_000 {
        let Ok((mut send, mut receive)) = raw.quic.open_bi().await else { break };
        let _ = send.write_all(GET_ROOT).await;
        let _ = send.reset(0x10c_u32.into());
        let _ = receive.stop(0x10c_u32.into());
        opened += 1;
    }
    assert_eq!(raw.end().await, EXCESSIVE_LOAD);
    assert!(opened < 20_000);
}

#[tokio::test]
async fn a_flood_of_priority_updates_closes_the_connection() {
    let running = start(short_limits());
    let mut raw = Raw::new(&running).await;
    for _ in 0..100 {
        raw.control.write_all(b"\x80\x0f\x07\x00\x04\x00u=1").await.unwrap();
    }
    raw.check_serves().await;
    let flood = b"\x80\x0f\x07\x00\x04\x00u=1".repeat(100);
    for _ in 0..1_000 {
        if raw.control.write_all(&flood).await.is_err() {
            break;
        }
    }
    assert_eq!(raw.end().await, EXCESSIVE_LOAD);
}

/// Requests that a connection may bring, and the code it ends with.
#[tokio::test]
async fn faults_on_request_streams_end_the_connection() {
    for (bytes, code) in [
        // Content, or a control frame, before the fields.
        (&b"\x00\x01a"[..], FRAME_UNEXPECTED),
        (b"\x04\x00", FRAME_UNEXPECTED),
        (b"\x07\x01\x00", FRAME_UNEXPECTED),
        (b"\x05\x01\x00", FRAME_UNEXPECTED),
        (b"\x06\x00", FRAME_UNEXPECTED),
        (b"\x80\x0f\x07\x00\x01\x00", FRAME_UNEXPECTED),
        // A frame that the stream's end cuts.
        (b"\x01\x10\0\0", FRAME_ERROR),
        (b"\x40", FRAME_ERROR),
        // Garbage for QPACK, and a dynamic table that isn't there.
        (b"\x01\x03\xff\xff\xff", 0x200),
        (b"\x01\x03\0\0\x80", 0x200),
        (b"\x01\x03\x02\0\x80", 0x200),
        (b"\x01\x00", 0x200),
    ] {
        let running = start(short_limits());
        let raw = Raw::new(&running).await;
        let (mut send, _receive) = raw.stream(bytes).await;
        let _ = send.finish();
        assert_eq!(raw.end().await, code, "{bytes:x?}");
    }
}

#[tokio::test]
async fn frames_after_the_trailers_end_the_connection() {
    let running = start(short_limits());
    let raw = Raw::new(&running).await;
    let request = [GET_ROOT, b"\x01\x02\0\0", b"\x00\x01a"].concat();
    // The answer may be complete before the frame is seen.
    let (_send, _receive) = raw.stream(&request).await;
    let ended = tokio::time::timeout(Duration::from_secs(2), raw.end()).await;
    assert!(ended.is_err() || ended == Ok(FRAME_UNEXPECTED), "{ended:?}");
}

/// Malformed requests end their stream alone (RFC 9114 4.1.2).
#[tokio::test]
async fn malformed_requests_are_reset() {
    let running = start(short_limits());
    let raw = Raw::new(&running).await;
    for section in [
        &b"\0\0\xd1\xd7\xc1"[..],
        b"\0\0\xd1\xd7\xc1\x50\x01a\x50\x01a",
        b"\0\0\xd1\xd1\xd7\xc1\x50\x01a",
        b"\0\0\xd7\xc1\x50\x01a",
        b"\0\0\xd1\xd7\xc1\x50\x01a\x23X-A\x01b",
        b"\0\0\xd1\xd7\xc1\x50\x01a\x22te\x04gzip",
        // content-length: 3, and no content.
        b"\0\0\xd1\xd7\xc1\x50\x01a\x54\x013",
    ] {
        let request = [&[0x01, u8::try_from(section.len()).unwrap()], section].concat();
        assert_eq!(raw.exchange(&request).await, Err(MESSAGE_ERROR), "{section:x?}");
    }
    // A stream that ends without a request.
    assert_eq!(raw.exchange(b"").await, Err(0x10d));
    raw.check_serves().await;
}

/// What the client's control stream may not say, after its type.
#[tokio::test]
async fn faults_on_the_control_stream_end_the_connection() {
    let settings = |frame: &[u8]| [b"\x00\x04\x00", frame].concat();
    for (bytes, code) in [
        (b"\x00\x07\x01\x00".to_vec(), MISSING_SETTINGS),
        (b"\x00\x04\x02\x02\x00".to_vec(), SETTINGS_ERROR),
        (b"\x00\x04\x04\x06\x01\x06\x01".to_vec(), SETTINGS_ERROR),
        (settings(b"\x04\x00"), FRAME_UNEXPECTED),
        (settings(b"\x00\x00"), FRAME_UNEXPECTED),
        (settings(b"\x01\x00"), FRAME_UNEXPECTED),
        (settings(b"\x08\x00"), FRAME_UNEXPECTED),
        (settings(b"\x03\x01\x00"), ID_ERROR),
        (settings(b"\x07\x01\x04\x07\x01\x08"), ID_ERROR),
        (settings(b"\x0d\x01\x04\x0d\x01\x03"), ID_ERROR),
        (settings(b"\x07\x02\x04\x00"), FRAME_ERROR),
        (settings(b"\x80\x0f\x07\x00\x01\x01"), ID_ERROR),
        (settings(b"\x80\x0f\x07\x01\x01\x00"), ID_ERROR),
        (settings(b"\x80\x0f\x07\x00\xc0\0\0\0\x40\0\0\0"), EXCESSIVE_LOAD),
    ] {
        let running = start(short_limits());
        let mut raw = Raw::without_settings(&running).await;
        raw.control.write_all(&bytes).await.unwrap();
        assert_eq!(raw.end().await, code, "{bytes:x?}");
    }
}

/// What other unidirectional streams may not say, their types first.
#[tokio::test]
async fn faults_on_other_streams_end_the_connection() {
    for (bytes, code) in [
        (&b"\x01\x00"[..], 0x103),
        (b"\x00\x04\x00", 0x103),
        (b"\x02\x3f\xe1\x1f", 0x201),
        (b"\x02\xc0\x01a", 0x201),
        (b"\x03\x81", 0x202),
        (b"\x03\x01", 0x202),
    ] {
        let running = start(short_limits());
        let raw = Raw::new(&running).await;
        raw.check_serves().await;
        let _stream = raw.uni(bytes).await;
        assert_eq!(raw.end().await, code, "{bytes:x?}");
    }
    let running = start(short_limits());
    let raw = Raw::new(&running).await;
    let (_encoder, _decoder) = (raw.uni(b"\x02\x20").await, raw.uni(b"\x03\x44\x7f\x81\x01").await);
    raw.check_serves().await;
}

#[tokio::test]
async fn a_closed_critical_stream_ends_the_connection() {
    for kind in [b"\x02", b"\x03"] {
        let running = start(short_limits());
        let raw = Raw::new(&running).await;
        raw.uni(kind).await.finish().unwrap();
        assert_eq!(raw.end().await, 0x104);
    }
    let running: Running = start(short_limits());
    let mut raw = Raw::new(&running).await;
    raw.control.finish().unwrap();
    assert_eq!(raw.end().await, 0x104);
}

/// Random bytes on request and other streams: the server answers or closes, and serves the next.
#[tokio::test]
async fn noise_harms_nobody_else() {
    let running = start(short_limits());
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut noise = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (0..seed % 200)
            .map(|index| (seed.rotate_left(index as u32 * 7) & 0xff) as u8)
            .collect::<Vec<_>>()
    };
    let other = Raw::new(&running).await;
    for round in 0..60 {
        let raw = Raw::new(&running).await;
        let bytes = noise();
        if round % 2 == 0 {
            let Ok(mut stream) = raw.quic.open_uni().await else { continue };
            let _ = stream.write_all(&bytes).await;
            let _ = stream.finish();
        } else {
            let Ok((mut send, mut receive)) = raw.quic.open_bi().await else { continue };
            let _ = send.write_all(&bytes).await;
            let _ = send.finish();
            let _ =
                tokio::time::timeout(FOREVER, receive.read_to_end(1 << 20)).await.expect("no end");
        }
    }
    assert!(is_ok(&other.exchange(GET_ROOT).await.unwrap()));
}
