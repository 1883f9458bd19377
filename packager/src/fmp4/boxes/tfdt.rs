//! `tfdt`: when a fragment starts (ISO/IEC 14496-12 8.8.12).

use crate::fmp4::box_writer::{BoxWriter, FULL_BOX_BYTES};

pub(in crate::fmp4) const TFDT_BYTES: u64 = FULL_BOX_BYTES + 8;

/// Writes the decode time of the first sample, in ticks; version 1, 64 bits wide, always.
pub(in crate::fmp4) fn write_tfdt(w: &mut BoxWriter, decode_time: u64) {
    w.write_full_box(b"tfdt", 1, 0, |w| w.u64(decode_time));
}
