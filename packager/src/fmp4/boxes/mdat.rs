//! `mdat`: the header in front of the media (ISO/IEC 14496-12 8.1.1).

use crate::fmp4::box_writer::{BOX_BYTES, BoxWriter};

/// Bytes of the header in front of `media_bytes`: 8, or 16 with a 64-bit size.
pub(in crate::fmp4) fn mdat_header_bytes(media_bytes: u64) -> u64 {
    if compact_size(media_bytes).is_some() { BOX_BYTES } else { BOX_BYTES + 8 }
}

/// Writes the header of an `mdat` whose `media_bytes` are sent by someone else.
///
/// ```text
/// u32  size         of the whole box; 1 when it takes more than 32 bits
/// u32  "mdat"
/// u64  largesize    only when size is 1
/// ```
pub(in crate::fmp4) fn write_mdat_header(w: &mut BoxWriter, media_bytes: u64) {
    match compact_size(media_bytes) {
        Some(size) => {
            w.u32(size);
            w.bytes(b"mdat");
        }
        None => {
            w.u32(1);
            w.bytes(b"mdat");
            w.u64(BOX_BYTES + 8 + media_bytes);
        }
    }
}

fn compact_size(media_bytes: u64) -> Option<u32> {
    u32::try_from(media_bytes.checked_add(BOX_BYTES)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(media_bytes: u64, expected: &[u8]) {
        let mut out = Vec::new();
        write_mdat_header(&mut BoxWriter::new(&mut out), media_bytes);
        assert_eq!(out, expected);
        assert_eq!(out.len() as u64, mdat_header_bytes(media_bytes));
    }

    #[test]
    fn the_size_turns_64_bit_where_32_end() {
        check(0, b"\0\0\0\x08mdat");
        check(0xffff_fff7, b"\xff\xff\xff\xffmdat");
        check(0xffff_fff8, b"\0\0\0\x01mdat\0\0\0\x01\0\0\0\x08");
    }
}
