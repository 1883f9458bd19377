//! Transport packets of 188 bytes (ISO/IEC 13818-1 2.4.3.2).
//!
//! ```text
//! 47 | error, start, priority, PID (13) | scrambling (2), adaptation (1), payload (1), counter (4)
//! [adaptation field: length, flags, PCR (6), stuffing ff…] [payload]
//! ```
//!
//! A PES packet starts in a packet of its own. Its bytes are appended as they come, each copied
//! once from the source into place; the last packet is filled up by stuffing in its adaptation
//! field, for which its payload moves back.

use super::clock;

pub const PACKET_BYTES: usize = 188;
pub(super) const PAYLOAD_BYTES: usize = PACKET_BYTES - HEADER_BYTES;

/// Bytes of the adaptation field that carries a PCR: length, flags, PCR.
pub(super) const CLOCK_FIELD_BYTES: usize = 8;

const HEADER_BYTES: usize = 4;
const SYNC_BYTE: u8 = 0x47;
const START_INDICATOR: u8 = 0x40;
const HAS_ADAPTATION: u8 = 0x20;
const HAS_PAYLOAD: u8 = 0x10;
const PCR_FLAG: u8 = 0x10;
const RANDOM_ACCESS_INDICATOR: u8 = 0x40;

/// The packets of one PID: what their headers say and where the continuity counter stands.
#[derive(Debug)]
pub(super) struct PacketStream {
    /// Of the next packet with payload, start indicator clear.
    header: [u8; HEADER_BYTES],
}

impl PacketStream {
    /// `packets_before` counts the packets with payload that earlier segments carried.
    pub(super) fn new(pid: u16, packets_before: u64) -> Self {
        let counter = (packets_before & 0xf) as u8;
        Self { header: [SYNC_BYTE, (pid >> 8) as u8, pid as u8, HAS_PAYLOAD | counter] }
    }

    fn next_header(&mut self) -> [u8; HEADER_BYTES] {
        let header = self.header;
        self.header[3] = header[3] & 0xf0 | header[3].wrapping_add(1) & 0x0f;
        header
    }

    /// Appends a packet that carries the clock of decode time `decode` and nothing else. It
    /// repeats the counter of the packet before it (ISO/IEC 13818-1 2.4.3.3).
    pub(super) fn write_clock(&self, out: &mut Vec<u8>, decode: i64) {
        let start = out.len();
        let last_counter = self.header[3].wrapping_sub(1) & 0x0f;
        out.extend([self.header[0], self.header[1], self.header[2], HAS_ADAPTATION | last_counter]);
        out.extend([(PACKET_BYTES - HEADER_BYTES - 1) as u8, PCR_FLAG]);
        out.extend(clock::pcr(decode));
        out.resize(start + PACKET_BYTES, 0xff);
    }
}

/// The clock that the first packet of a picture carries.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClockField {
    pub(super) decode: i64,
    pub(super) is_random_access: bool,
}

/// The packet being filled, if any. One PES packet is open at a time.
#[derive(Debug, Default)]
pub(super) struct OpenPacket {
    /// Payload bytes that still fit; 0 when no packet is open.
    room_bytes: usize,
    /// Bytes of its adaptation field.
    adaptation_bytes: usize,
}

impl OpenPacket {
    /// Starts a PES packet; its header is the first thing to be written to it.
    pub(super) fn start_pes(
        &mut self,
        out: &mut Vec<u8>,
        stream: &mut PacketStream,
        clock: Option<ClockField>,
    ) {
        let mut header = stream.next_header();
        header[1] |= START_INDICATOR;
        self.adaptation_bytes = 0;
        if clock.is_some() {
            header[3] |= HAS_ADAPTATION;
            self.adaptation_bytes = CLOCK_FIELD_BYTES;
        }
        out.extend_from_slice(&header);
        if let Some(clock) = clock {
            let random_access = if clock.is_random_access { RANDOM_ACCESS_INDICATOR } else { 0 };
            out.extend([CLOCK_FIELD_BYTES as u8 - 1, PCR_FLAG | random_access]);
            out.extend(clock::pcr(clock.decode));
        }
        self.room_bytes = PAYLOAD_BYTES - self.adaptation_bytes;
    }

    /// Appends bytes of the PES packet, opening packets as they fill.
    #[inline]
    pub(super) fn write(&mut self, out: &mut Vec<u8>, stream: &mut PacketStream, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(bytes.len().min(self.room_bytes));
        out.extend_from_slice(head);
        self.room_bytes -= head.len();
        if rest.is_empty() {
            return;
        }
        self.adaptation_bytes = 0;
        let (full, tail) = rest.as_chunks::<PAYLOAD_BYTES>();
        for payload in full {
            out.extend_from_slice(&stream.next_header());
            out.extend_from_slice(payload);
        }
        if !tail.is_empty() {
            out.extend_from_slice(&stream.next_header());
            out.extend_from_slice(tail);
            self.room_bytes = PAYLOAD_BYTES - tail.len();
        }
    }

    /// Ends the PES packet: what room is left becomes stuffing in the adaptation field.
    pub(super) fn finish_pes(&mut self, out: &mut Vec<u8>) {
        let room = std::mem::take(&mut self.room_bytes);
        let adaptation = std::mem::take(&mut self.adaptation_bytes);
        if room == 0 {
            return;
        }
        let start = out.len() + room - PACKET_BYTES;
        let field = start + HEADER_BYTES;
        out.resize(start + PACKET_BYTES, 0xff);
        out.copy_within(field + adaptation..start + PACKET_BYTES - room, field + adaptation + room);
        out[start + 3] |= HAS_ADAPTATION;
        out[field] = (adaptation + room - 1) as u8;
        if adaptation == 0 {
            // A field of length 0 is a single byte; a longer one has a byte of flags, all clear.
            if let [flags, stuffing @ ..] = &mut out[field + 1..field + room] {
                *flags = 0;
                stuffing.fill(0xff);
            }
        } else {
            out[field + adaptation..field + adaptation + room].fill(0xff);
        }
    }

    /// Takes the bytes of a packet that is still open off the end of `out`, so that only whole
    /// packets leave; the caller puts them back in front of what follows.
    pub(super) fn take_partial(&self, out: &mut Vec<u8>) -> Vec<u8> {
        match self.room_bytes {
            0 => Vec::new(),
            room => out.split_off(out.len() + room - PACKET_BYTES),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pes(clock: bool, len: usize) -> Vec<u8> {
        let (mut out, mut open) = (Vec::new(), OpenPacket::default());
        let mut stream = PacketStream::new(0x100, 15);
        let field = ClockField { decode: 45_000, is_random_access: true };
        open.start_pes(&mut out, &mut stream, clock.then_some(field));
        open.write(&mut out, &mut stream, &vec![0xab; len]);
        open.finish_pes(&mut out);
        out
    }

    #[test]
    fn stuffing_fills_the_last_packet() {
        for (len, adaptation) in [(184, None), (183, Some(0)), (182, Some(1)), (10, Some(173))] {
            let out = pes(false, len);
            assert_eq!(out.len(), PACKET_BYTES, "{len}");
            assert_eq!(out[3], if adaptation.is_some() { 0x3f } else { 0x1f });
            if let Some(adaptation) = adaptation {
                assert_eq!(usize::from(out[4]), adaptation);
                assert!(adaptation == 0 || out[5] == 0);
                assert!(out[6.min(5 + adaptation)..5 + adaptation].iter().all(|b| *b == 0xff));
            }
            assert!(out[PACKET_BYTES - len..].iter().all(|byte| *byte == 0xab));
        }
    }

    #[test]
    fn the_clock_shares_its_field_with_stuffing() {
        let out = pes(true, 100);
        assert_eq!(out[..12], [0x47, 0x41, 0, 0x3f, 83, 0x50, 0, 0, 0, 0, 0x7e, 0]);
        assert!(out[12..88].iter().all(|byte| *byte == 0xff));
        assert!(out[88..].iter().all(|byte| *byte == 0xab));
        assert_eq!(pes(true, 176).len(), PACKET_BYTES);
    }

    #[test]
    fn counters_go_on_and_clocks_do_not_advance_them() {
        let out = pes(true, 176 + 184 + 1);
        assert_eq!([out[3], out[191], out[379]], [0x3f, 0x10, 0x31]);
        let mut clock = Vec::new();
        PacketStream::new(0x101, 16).write_clock(&mut clock, 45_000);
        assert_eq!(clock[..6], [0x47, 0x01, 0x01, 0x2f, 183, 0x10]);
        assert_eq!(clock.len(), PACKET_BYTES);
    }
}
