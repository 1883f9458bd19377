//! Unidirectional streams: the control stream each way, and the two of QPACK (RFC 9114 6.2).

use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;
use quinn::{ReadError, RecvStream};

use super::error::{Code, Fault};
use super::frame::{Event, FrameHeader, FrameReader, VARINT_MAX, VarintReader, kind, read_varint};
use super::settings;
use super::state::State;

/// Stream types (RFC 9114 6.2, RFC 9204 4.2).
pub(super) const CONTROL_STREAM: u64 = 0x0;
const PUSH_STREAM: u64 = 0x1;
pub(super) const QPACK_ENCODER_STREAM: u64 = 0x2;
pub(super) const QPACK_DECODER_STREAM: u64 = 0x3;

/// Bytes taken from a stream at a time. Each costs a client a part of its budget, so that even a
/// frame that never ends is paid for.
const READ_BYTES: usize = 4 * 1024;

/// Payload of a control frame that is kept. Settings are the longest.
const PAYLOAD_BYTES_MAX: u64 = 1024;

/// Which critical streams have been opened.
#[derive(Debug, Default)]
pub(super) struct Critical(AtomicU8);

impl Critical {
    /// Notes the stream of this type; false when it is the second.
    fn open(&self, kind: u64) -> bool {
        let bit = 1 << kind;
        self.0.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }
}

/// Serves a client's unidirectional stream to its end.
pub(super) async fn serve(stream: RecvStream, state: &State) -> Result<(), Fault> {
    let mut reader = UniReader { stream, unread: Bytes::new(), state };
    let mut number = VarintReader::default();
    let kind = loop {
        if let Some(kind) = number.read(&mut reader.unread) {
            break kind;
        }
        if !reader.fill().await? {
            // A stream that ends before its type means nothing (RFC 9114 6.2).
            return Ok(());
        }
    };
    match kind {
        PUSH_STREAM => {
            let reason = "a client can't push";
            Err(Fault::connection(Code::STREAM_CREATION_ERROR, reason))
        }
        CONTROL_STREAM | QPACK_ENCODER_STREAM | QPACK_DECODER_STREAM => {
            if !state.critical.open(kind) {
                let reason = "a critical stream is opened twice";
                return Err(Fault::connection(Code::STREAM_CREATION_ERROR, reason));
            }
            let outcome = match kind {
                CONTROL_STREAM => reader.control().await,
                QPACK_ENCODER_STREAM => reader.qpack_encoder().await,
                _ => reader.qpack_decoder().await,
            };
            outcome.and_then(|()| {
                let reason = "a critical stream is closed";
                Err(Fault::connection(Code::CLOSED_CRITICAL_STREAM, reason))
            })
        }
        _ => {
            // Unknown types are not read (RFC 9114 6.2).
            let _ = reader.stream.stop(Code::STREAM_CREATION_ERROR.to_varint());
            Ok(())
        }
    }
}

struct UniReader<'a> {
    stream: RecvStream,
    unread: Bytes,
    state: &'a State,
}

impl UniReader<'_> {
    /// Reads on; false at the end, be it a reset.
    async fn fill(&mut self) -> Result<bool, Fault> {
        self.state.spend_control()?;
        match self.stream.read_chunk(READ_BYTES, true).await {
            Ok(Some(chunk)) => {
                self.unread = chunk.bytes;
                Ok(true)
            }
            Ok(None) | Err(ReadError::Reset(_)) => Ok(false),
            Err(_) => Err(Fault::Gone),
        }
    }

    /// The control stream (RFC 9114 6.2.1, 7.2).
    async fn control(&mut self) -> Result<(), Fault> {
        let mut frames = FrameReader::default();
        let mut client = Client::default();
        let mut current = None;
        let mut payload = Vec::new();
        loop {
            let Some(event) = frames.read(&mut self.unread) else {
                if !self.fill().await? {
                    return Ok(());
                }
                continue;
            };
            match event {
                Event::Frame(header) => {
                    self.state.spend_control()?;
                    client.check_order(header)?;
                    current = is_read(header)?.then_some(header.kind);
                }
                Event::Payload { bytes, is_last } => {
                    let Some(kind) = current else { continue };
                    payload.extend_from_slice(&bytes);
                    if is_last {
                        client.take(kind, std::mem::take(&mut payload).into(), self.state)?;
                    }
                }
            }
        }
    }

    /// The client's encoder (RFC 9204 4.3): with a table of capacity 0 it can do nothing but say so.
    async fn qpack_encoder(&mut self) -> Result<(), Fault> {
        loop {
            // Set Dynamic Table Capacity, 0 0 1 capacity(5), to zero.
            if self.unread.iter().any(|byte| *byte != 0x20) {
                let reason = "there is no dynamic table to fill";
                return Err(Fault::connection(Code::QPACK_ENCODER_STREAM_ERROR, reason));
            }
            if !self.fill().await? {
                return Ok(());
            }
        }
    }

    /// The client's decoder (RFC 9204 4.4): we insert nothing, so it may only cancel streams.
    async fn qpack_decoder(&mut self) -> Result<(), Fault> {
        // Whether the number of a Stream Cancellation goes on (RFC 7541 5.1).
        let mut goes_on = false;
        loop {
            for byte in &self.unread {
                let is_cancellation = byte & 0xc0 == 0x40;
                if !goes_on && !is_cancellation {
                    let reason = "there is nothing to acknowledge";
                    return Err(Fault::connection(Code::QPACK_DECODER_STREAM_ERROR, reason));
                }
                goes_on = if goes_on { byte & 0x80 != 0 } else { byte & 0x3f == 0x3f };
            }
            if !self.fill().await? {
                return Ok(());
            }
        }
    }
}

/// Whether a frame's payload is of interest; its length is checked here, before any of it is kept.
fn is_read(header: FrameHeader) -> Result<bool, Fault> {
    let is_known = matches!(
        header.kind,
        kind::SETTINGS
            | kind::GOAWAY
            | kind::MAX_PUSH_ID
            | kind::CANCEL_PUSH
            | kind::PRIORITY_UPDATE_REQUEST
            | kind::PRIORITY_UPDATE_PUSH
    );
    if is_known && PAYLOAD_BYTES_MAX < header.len_bytes {
        return Err(Fault::connection(Code::EXCESSIVE_LOAD, "a control frame is too long"));
    }
    Ok(is_known)
}

/// What a client has said on its control stream.
#[derive(Debug, Default)]
struct Client {
    has_settings: bool,
    push_id_max: Option<u64>,
    goaway: Option<u64>,
}

impl Client {
    /// Which frames may come, and when (RFC 9114 7.2).
    fn check_order(&mut self, header: FrameHeader) -> Result<(), Fault> {
        let is_settings = header.kind == kind::SETTINGS;
        if !self.has_settings && !is_settings {
            let reason = "the first control frame is not SETTINGS";
            return Err(Fault::connection(Code::MISSING_SETTINGS, reason));
        }
        let is_misplaced = matches!(header.kind, kind::DATA | kind::HEADERS | kind::PUSH_PROMISE);
        if (self.has_settings && is_settings) || is_misplaced || kind::is_of_http2(header.kind) {
            let reason = "a frame has no place on the control stream";
            return Err(Fault::connection(Code::FRAME_UNEXPECTED, reason));
        }
        self.has_settings = true;
        Ok(())
    }

    fn take(&mut self, kind: u64, payload: Bytes, state: &State) -> Result<(), Fault> {
        match kind {
            kind::SETTINGS => settings::check(payload),
            kind::PRIORITY_UPDATE_REQUEST => state.update_priority(payload),
            kind::MAX_PUSH_ID => {
                let id = only_number(payload)?;
                if self.push_id_max.is_some_and(|known| id < known) {
                    return Err(Fault::connection(Code::ID_ERROR, "MAX_PUSH_ID goes down"));
                }
                self.push_id_max = Some(id);
                Ok(())
            }
            kind::GOAWAY => {
                let id = only_number(payload)?;
                if self.goaway.is_some_and(|known| known < id) {
                    return Err(Fault::connection(Code::ID_ERROR, "GOAWAY goes up"));
                }
                self.goaway = Some(id);
                Ok(())
            }
            // Both name a push, and none was promised.
            _ => Err(Fault::connection(Code::ID_ERROR, "a frame names a push that isn't there")),
        }
    }
}

/// A payload that is one number.
fn only_number(mut payload: Bytes) -> Result<u64, Fault> {
    let number = read_varint(&mut payload).filter(|number| *number <= VARINT_MAX);
    match number {
        Some(number) if payload.is_empty() => Ok(number),
        _ => Err(Fault::connection(Code::FRAME_ERROR, "a control frame is no single number")),
    }
}
