//! Frames: a type, a length, a payload (RFC 9114 7.1), both numbers as QUIC writes them
//! (RFC 9000 16).
//!
//! The reader sees a frame's length before anything of its payload is kept, and whoever uses it
//! decides there: keep it, within a limit of its own, or let it pass by.

use bytes::Bytes;

/// Frame types (RFC 9114 7.2, RFC 9218 7.2).
pub(super) mod kind {
    pub(in crate::http3) const DATA: u64 = 0x0;
    pub(in crate::http3) const HEADERS: u64 = 0x1;
    pub(in crate::http3) const CANCEL_PUSH: u64 = 0x3;
    pub(in crate::http3) const SETTINGS: u64 = 0x4;
    pub(in crate::http3) const PUSH_PROMISE: u64 = 0x5;
    pub(in crate::http3) const GOAWAY: u64 = 0x7;
    pub(in crate::http3) const MAX_PUSH_ID: u64 = 0xd;
    pub(in crate::http3) const PRIORITY_UPDATE_REQUEST: u64 = 0xf_0700;
    pub(in crate::http3) const PRIORITY_UPDATE_PUSH: u64 = 0xf_0701;

    /// Types of HTTP/2 that HTTP/3 has no use for and forbids (RFC 9114 7.2.8).
    pub(in crate::http3) const fn is_of_http2(kind: u64) -> bool {
        matches!(kind, 0x2 | 0x6 | 0x8 | 0x9)
    }
}

/// Longest form of a QUIC number.
const VARINT_BYTES_MAX: usize = 8;

/// Largest QUIC number.
pub(super) const VARINT_MAX: u64 = (1 << 62) - 1;

/// Reads a number that may arrive in pieces.
#[derive(Debug, Default)]
pub(super) struct VarintReader {
    value: u64,
    /// Bytes to come; `None` before the first.
    left: Option<u8>,
}

impl VarintReader {
    /// Takes bytes from the front of `bytes` until the number is complete.
    pub(super) fn read(&mut self, bytes: &mut Bytes) -> Option<u64> {
        while let Some(byte) = bytes.first().copied() {
            *bytes = bytes.slice(1..);
            let left = match self.left {
                // The first two bits say how long the number is.
                None => {
                    self.value = u64::from(byte & 0x3f);
                    (1_u8 << (byte >> 6)) - 1
                }
                Some(left) => {
                    self.value = self.value << 8 | u64::from(byte);
                    left - 1
                }
            };
            if left == 0 {
                self.left = None;
                return Some(std::mem::take(&mut self.value));
            }
            self.left = Some(left);
        }
        None
    }

    /// Whether nothing of a number has been read.
    pub(super) fn is_empty(&self) -> bool {
        self.left.is_none()
    }
}

/// A whole number at the front of `bytes`.
pub(super) fn read_varint(bytes: &mut Bytes) -> Option<u64> {
    VarintReader::default().read(bytes)
}

/// Appends a number in its shortest form. Numbers beyond 62 bits don't occur: callers write ids,
/// lengths of what is in memory, and constants.
pub(super) fn write_varint(value: u64, to: &mut Vec<u8>) {
    let (bytes, prefix) = match value {
        0..0x40 => (1, 0x00),
        0x40..0x4000 => (2, 0x40),
        0x4000..0x4000_0000 => (4, 0x80),
        _ => (VARINT_BYTES_MAX, 0xc0),
    };
    let start = to.len();
    to.extend_from_slice(&value.min(VARINT_MAX).to_be_bytes()[VARINT_BYTES_MAX - bytes..]);
    to[start] |= prefix;
}

/// Appends a frame's type and length.
pub(super) fn write_frame_header(kind: u64, len_bytes: u64, to: &mut Vec<u8>) {
    write_varint(kind, to);
    write_varint(len_bytes, to);
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct FrameHeader {
    pub(super) kind: u64,
    pub(super) len_bytes: u64,
}

/// What the reader came upon.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Event {
    /// A frame begins. Its payload follows as [`Event::Payload`], also when it is empty.
    Frame(FrameHeader),
    /// A part of the payload, and whether it is the last.
    Payload { bytes: Bytes, is_last: bool },
}

/// Splits a stream's bytes into frames, and keeps none of them.
#[derive(Debug, Default)]
pub(super) struct FrameReader {
    number: VarintReader,
    kind: Option<u64>,
    /// Payload to come of the frame being read.
    payload_left: Option<u64>,
}

impl FrameReader {
    /// The next event; `None` when more bytes are needed.
    pub(super) fn read(&mut self, bytes: &mut Bytes) -> Option<Event> {
        if let Some(left) = self.payload_left {
            if bytes.is_empty() && left != 0 {
                return None;
            }
            let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            let part = bytes.split_to(here);
            let left = left - here as u64;
            self.payload_left = (left != 0).then_some(left);
            return Some(Event::Payload { bytes: part, is_last: left == 0 });
        }
        if self.kind.is_none() {
            self.kind = Some(self.number.read(bytes)?);
        }
        let len_bytes = self.number.read(bytes)?;
        self.payload_left = Some(len_bytes);
        self.kind.take().map(|kind| Event::Frame(FrameHeader { kind, len_bytes }))
    }

    /// Whether a stream may end here: between two frames (RFC 9114 7.1).
    pub(super) fn is_between_frames(&self) -> bool {
        self.payload_left.is_none() && self.kind.is_none() && self.number.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 9000 A.1.
    #[test]
    fn numbers_are_read_and_written() {
        for (bytes, value) in [
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..], 151_288_809_941_952_652),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
        ] {
            let mut written = Vec::new();
            write_varint(value, &mut written);
            assert_eq!(written, bytes);
            let mut whole = Bytes::copy_from_slice(bytes);
            assert_eq!(read_varint(&mut whole), Some(value));
            assert!(whole.is_empty());
        }
        // A longer form than needed is a number all the same (RFC 9000 16).
        assert_eq!(read_varint(&mut Bytes::from_static(&[0x40, 0x25])), Some(37));
    }

    #[test]
    fn frames_come_in_any_pieces() {
        let stream = [0x01, 0x02, b'a', b'b', 0x40, 0x21, 0x00, 0x00, 0x03, b'c', b'd', b'e'];
        for size in 1..=stream.len() {
            let mut reader = FrameReader::default();
            let mut seen = Vec::new();
            for piece in stream.chunks(size) {
                let mut piece = Bytes::copy_from_slice(piece);
                while let Some(event) = reader.read(&mut piece) {
                    match event {
                        Event::Frame(header) => seen.push((header, Vec::new())),
                        Event::Payload { bytes, .. } => {
                            seen.last_mut().unwrap().1.extend_from_slice(&bytes);
                        }
                    }
                }
            }
            assert!(reader.is_between_frames());
            let frame = |kind, payload: &[u8]| {
                (FrameHeader { kind, len_bytes: payload.len() as u64 }, payload.to_vec())
            };
            assert_eq!(seen, [frame(1, b"ab"), frame(0x21, b""), frame(0, b"cde")], "by {size}");
        }
    }

    #[test]
    fn a_frame_of_any_length_costs_its_header() {
        let mut reader = FrameReader::default();
        let mut bytes = Bytes::from_static(&[0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        let header = FrameHeader { kind: 1, len_bytes: VARINT_MAX };
        assert_eq!(reader.read(&mut bytes), Some(Event::Frame(header)));
        assert_eq!(reader.read(&mut bytes), None);
        assert!(!reader.is_between_frames());
    }
}
