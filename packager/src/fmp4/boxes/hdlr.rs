//! `hdlr`: what a track carries (ISO/IEC 14496-12 8.4.3).

use crate::FourCc;
use crate::fmp4::box_writer::BoxWriter;

/// Writes the handler reference.
///
/// ```text
/// u32  pre_defined
/// u32  handler_type
/// 3 × u32  reserved
/// string  name        UTF-8, NUL at the end
/// ```
pub(in crate::fmp4) fn write_hdlr(w: &mut BoxWriter, handler: FourCc, name: &str) {
    w.write_full_box(b"hdlr", 0, 0, |w| {
        w.zeros::<4>();
        w.four_cc(handler);
        w.zeros::<12>();
        w.c_string(name);
    });
}
