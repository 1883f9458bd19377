//! `dinf`: where the media is (ISO/IEC 14496-12 8.7.1, 8.7.2).

use crate::fmp4::box_writer::BoxWriter;

/// Set in `url ` when the media is in the same file, which leaves the box without a location.
const SELF_CONTAINED: u32 = 1;

/// Writes `dinf` with a `dref` of one entry: the media is in this very file.
pub(in crate::fmp4) fn write_dinf(w: &mut BoxWriter) {
    w.write_box(b"dinf", |w| {
        w.write_full_box(b"dref", 0, 0, |w| {
            w.u32(1);
            w.write_full_box(b"url ", 0, SELF_CONTAINED, |_| ());
        });
    });
}
