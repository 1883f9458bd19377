//! `vmhd`, `smhd`, `sthd`, `nmhd`: the media header that goes with each handler.

use crate::fmp4::box_writer::BoxWriter;

/// ISO/IEC 14496-12 12.1.2: `graphicsmode` 0 (copy) and three `opcolor` values; flags are 1 by
/// definition.
pub(in crate::fmp4) fn write_vmhd(w: &mut BoxWriter) {
    w.write_full_box(b"vmhd", 0, 1, |w| w.zeros::<8>());
}

/// ISO/IEC 14496-12 12.2.2: `balance` in the middle, reserved.
pub(in crate::fmp4) fn write_smhd(w: &mut BoxWriter) {
    w.write_full_box(b"smhd", 0, 0, |w| w.zeros::<4>());
}

/// ISO/IEC 14496-12 12.6.2, for handler `subt`.
pub(in crate::fmp4) fn write_sthd(w: &mut BoxWriter) {
    w.write_full_box(b"sthd", 0, 0, |_| ());
}

/// ISO/IEC 14496-12 8.4.5.2, for handler `text` (ISO/IEC 14496-30 5.3).
pub(in crate::fmp4) fn write_nmhd(w: &mut BoxWriter) {
    w.write_full_box(b"nmhd", 0, 0, |_| ());
}
