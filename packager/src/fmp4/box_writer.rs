//! Writes ISO BMFF boxes (ISO/IEC 14496-12 4.2).
//!
//! A box starts with its own size, known only once its children are written. `write_box` leaves
//! four bytes, runs the body, then fills the size in, so that the calls nest exactly as the boxes
//! do and a wrong size cannot be expressed.

use crate::FourCc;

/// Bytes of a box header: size and type.
pub(super) const BOX_BYTES: u64 = 8;
/// Bytes of a full box header: size, type, version and flags.
pub(super) const FULL_BOX_BYTES: u64 = 12;

pub(super) struct BoxWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> BoxWriter<'a> {
    /// Appends to `out`; what is there already stays.
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    pub(super) fn write_box(&mut self, kind: &[u8; 4], body: impl FnOnce(&mut Self)) {
        let start = self.out.len();
        self.u32(0);
        self.bytes(kind);
        body(self);
        // Metadata only: the media of an `mdat` bypasses this writer, a segment holds at most
        // SAMPLES_PER_SEGMENT_MAX samples of 16 bytes, and text at most WVTT_SEGMENT_BYTES_MAX.
        let size = u32::try_from(self.out.len() - start).expect("metadata box below 4 GiB");
        self.out[start..start + 4].copy_from_slice(&size.to_be_bytes());
    }

    /// A box with a version byte and 24 flag bits.
    pub(super) fn write_full_box(
        &mut self,
        kind: &[u8; 4],
        version: u8,
        flags: u32,
        body: impl FnOnce(&mut Self),
    ) {
        debug_assert!(flags < 1 << 24);
        self.write_box(kind, |w| {
            w.u32(u32::from(version) << 24 | flags);
            body(w);
        });
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn four_cc(&mut self, code: FourCc) {
        self.bytes(&code.0);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Reserved fields and those that are zero by definition.
    pub(super) fn zeros<const N: usize>(&mut self) {
        self.bytes(&[0; N]);
    }

    /// UTF-8 with a closing NUL; what follows a NUL inside `text` is left out, since a reader
    /// would stop there and take the rest for the next field.
    pub(super) fn c_string(&mut self, text: &str) {
        let end = text.find('\0').unwrap_or(text.len());
        self.bytes(&text.as_bytes()[..end]);
        self.bytes(&[0]);
    }

    /// Bytes in the buffer, those that were there before included.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// Makes room for `count` more bytes.
    pub(super) fn reserve(&mut self, count: usize) {
        self.out.reserve(count);
    }
}

#[cfg(test)]
mod tests {
    use super::BoxWriter;

    #[test]
    fn sizes_are_filled_in_from_the_inside_out() {
        let mut out = b"before".to_vec();
        BoxWriter::new(&mut out).write_box(b"moof", |w| {
            w.write_full_box(b"mfhd", 1, 0x000203, |w| w.u32(7));
        });
        let expected =
            [b"before".as_slice(), b"\0\0\0\x18moof", b"\0\0\0\x10mfhd\x01\x00\x02\x03\0\0\0\x07"];
        assert_eq!(out, expected.concat());
    }

    #[test]
    fn a_string_ends_at_its_first_nul() {
        let mut out = Vec::new();
        BoxWriter::new(&mut out).c_string("ab\0cd");
        assert_eq!(out, b"ab\0");
    }
}
