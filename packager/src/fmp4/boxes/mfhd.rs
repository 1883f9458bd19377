//! `mfhd`: the number of a fragment (ISO/IEC 14496-12 8.8.5).

use crate::fmp4::box_writer::{BoxWriter, FULL_BOX_BYTES};

pub(in crate::fmp4) const MFHD_BYTES: u64 = FULL_BOX_BYTES + 4;

pub(in crate::fmp4) fn write_mfhd(w: &mut BoxWriter, sequence_number: u32) {
    w.write_full_box(b"mfhd", 0, 0, |w| w.u32(sequence_number));
}
