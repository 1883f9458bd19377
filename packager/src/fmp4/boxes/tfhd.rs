//! `tfhd`: which track a fragment belongs to (ISO/IEC 14496-12 8.8.7).

use super::TRACK_ID;
use crate::fmp4::box_writer::{BoxWriter, FULL_BOX_BYTES};

pub(in crate::fmp4) const TFHD_BYTES: u64 = FULL_BOX_BYTES + 4 + 4;

/// Offsets count from the first byte of `moof`.
const DEFAULT_BASE_IS_MOOF: u32 = 0x02_0000;
const SAMPLE_DESCRIPTION_INDEX_PRESENT: u32 = 0x00_0002;

/// Writes the track fragment header.
///
/// ```text
/// u32  track_ID                    1
/// u32  sample_description_index    from 1
/// ```
///
/// The description is named even where it is the first, which `trex` has as default: a header's
/// length then depends on nothing that only the samples tell.
pub(in crate::fmp4) fn write_tfhd(w: &mut BoxWriter, description_index: u16) {
    let flags = DEFAULT_BASE_IS_MOOF | SAMPLE_DESCRIPTION_INDEX_PRESENT;
    w.write_full_box(b"tfhd", 0, flags, |w| {
        w.u32(TRACK_ID);
        w.u32(u32::from(description_index) + 1);
    });
}
