//! Extensible priorities (RFC 9218): which answers of a connection go first.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use bytes::Bytes;

use super::error::{Code, Fault};
use super::frame::{VARINT_MAX, read_varint};

/// Priorities kept for streams that are not open yet. RFC 9218 7 wants them kept within reason.
const EARLY_MAX: usize = 64;

/// Distance of two client-initiated bidirectional streams (RFC 9000 2.1).
const STREAM_STEP: u64 = 4;

/// What a `priority` field says (RFC 9218 4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Priority {
    /// 0 goes first, 7 last.
    urgency: u8,
    /// Of use in parts: shares with others of its urgency.
    is_incremental: bool,
}

impl Default for Priority {
    fn default() -> Self {
        Self { urgency: 3, is_incremental: false }
    }
}

impl Priority {
    /// Reads a dictionary (RFC 8941 3.2). Members that are unknown, of a wrong type or out of range
    /// count as absent (RFC 9218 4); the last of two with one name counts.
    pub(super) fn parse(field: &[u8]) -> Self {
        let mut priority = Self::default();
        for member in field.split(|byte| *byte == b',') {
            // Parameters of a member mean nothing here.
            let member = member.split(|byte| *byte == b';').next().unwrap_or_default();
            match member.trim_ascii() {
                [b'u', b'=', digit @ b'0'..=b'7'] => priority.urgency = digit - b'0',
                b"i" | b"i=?1" => priority.is_incremental = true,
                b"i=?0" => priority.is_incremental = false,
                _ => {}
            }
        }
        priority
    }

    /// As quinn counts: higher goes first, equals share.
    fn to_quic(self) -> i32 {
        i32::from(7 - self.urgency) * 2 + i32::from(!self.is_incremental)
    }
}

/// Whether a priority in quinn's count belongs to answers of use in parts.
pub(super) fn is_incremental(quic: i32) -> bool {
    quic % 2 == 0
}

/// The priorities of one connection's streams.
#[derive(Debug, Default)]
pub(super) struct Priorities {
    open: HashMap<u64, Stream>,
    early: HashMap<u64, Priority>,
    /// The lowest stream id that has not been opened.
    next_id: u64,
}

#[derive(Debug)]
struct Stream {
    quic: Arc<AtomicI32>,
    /// A frame spoke: what the request's own field says is older.
    is_updated: bool,
}

impl Priorities {
    /// A stream begins; its writer looks at the number now and then.
    pub(super) fn open(&mut self, id: u64) -> Arc<AtomicI32> {
        self.next_id = self.next_id.max(id + STREAM_STEP);
        let early = self.early.remove(&id);
        let quic = Arc::new(AtomicI32::new(early.unwrap_or_default().to_quic()));
        self.open.insert(id, Stream { quic: Arc::clone(&quic), is_updated: early.is_some() });
        quic
    }

    pub(super) fn close(&mut self, id: u64) {
        self.open.remove(&id);
    }

    /// The request's own `priority` field.
    pub(super) fn requested(&self, id: u64, priority: Priority) {
        if let Some(stream) = self.open.get(&id).filter(|stream| !stream.is_updated) {
            stream.quic.store(priority.to_quic(), Ordering::Relaxed);
        }
    }

    /// A PRIORITY_UPDATE frame for a request (RFC 9218 7.2). `streams_max`: how many streams the
    /// client may have open.
    pub(super) fn update(&mut self, mut payload: Bytes, streams_max: u32) -> Result<(), Fault> {
        let refuse = |code, reason| Err(Fault::connection(code, reason));
        let Some(id) = read_varint(&mut payload) else {
            return refuse(Code::FRAME_ERROR, "a PRIORITY_UPDATE names no stream");
        };
        let limit = self.next_id.saturating_add(u64::from(streams_max) * STREAM_STEP);
        if !id.is_multiple_of(STREAM_STEP) || limit.min(VARINT_MAX) <= id {
            return refuse(Code::ID_ERROR, "a PRIORITY_UPDATE names no request");
        }
        let priority = Priority::parse(&payload);
        if let Some(stream) = self.open.get_mut(&id) {
            stream.is_updated = true;
            stream.quic.store(priority.to_quic(), Ordering::Relaxed);
        } else if self.next_id <= id && self.early.len() < EARLY_MAX {
            self.early.insert(id, priority);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_leniently() {
        for (field, urgency, is_incremental) in [
            ("", 3, false),
            ("u=0", 0, false),
            ("u=5, i", 5, true),
            ("i=?0,u=7", 7, false),
            ("u=1;x=2 , i;y", 1, true),
            ("u=8, i=1", 3, false),
            ("u=-1", 3, false),
            ("u=2, u=6", 6, false),
        ] {
            assert_eq!(Priority::parse(field.as_bytes()), Priority { urgency, is_incremental });
        }
        assert!(is_incremental(Priority::parse(b"u=2, i").to_quic()));
        assert!(!is_incremental(Priority::parse(b"u=2").to_quic()));
        assert!(Priority::parse(b"u=0").to_quic() > Priority::parse(b"u=0, i").to_quic());
        assert!(Priority::parse(b"u=0, i").to_quic() > Priority::parse(b"u=1").to_quic());
    }

    fn update(id: u8, field: &str) -> Bytes {
        [&[id], field.as_bytes()].concat().into()
    }

    #[test]
    fn updates_reach_streams_before_and_after_they_open() {
        let mut priorities = Priorities::default();
        let urgent = Priority::parse(b"u=0").to_quic();
        priorities.update(update(4, "u=0"), 100).unwrap();
        let first = priorities.open(0);
        let second = priorities.open(4);
        assert_eq!(second.load(Ordering::Relaxed), urgent);
        priorities.requested(4, Priority::parse(b"u=7"));
        assert_eq!(second.load(Ordering::Relaxed), urgent);
        priorities.requested(0, Priority::parse(b"u=7"));
        assert_eq!(first.load(Ordering::Relaxed), Priority::parse(b"u=7").to_quic());
        priorities.update(update(0, "u=0"), 100).unwrap();
        assert_eq!(first.load(Ordering::Relaxed), urgent);
        priorities.close(0);
        priorities.update(update(0, "u=1"), 100).unwrap();
        assert_eq!(first.load(Ordering::Relaxed), urgent);
    }

    #[test]
    fn wrong_ids_and_floods_are_bounded() {
        let mut priorities = Priorities::default();
        for id in [1, 2, 3, 60] {
            assert!(priorities.update(update(id, ""), 10).is_err(), "{id}");
        }
        for id in 0..5_000_u32 {
            let payload = (0x8000_0000 | (id * 4)).to_be_bytes().to_vec();
            priorities.update(payload.into(), 10_000).unwrap();
        }
        assert_eq!(priorities.early.len(), EARLY_MAX);
    }
}
