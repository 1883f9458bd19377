//! `mdhd` and `elng`: a track's clock and language (ISO/IEC 14496-12 8.4.2, 8.4.6).

use crate::Timescale;
use crate::fmp4::box_writer::BoxWriter;
use crate::fmp4::language::PackedLanguage;

/// Writes the media header, version 0.
///
/// ```text
/// u32  creation_time, modification_time   0
/// u32  timescale
/// u32  duration                           0: all samples are in fragments
/// u16  language                           1 bit of padding, 3 × 5 bits of ISO 639-2/T
/// u16  pre_defined
/// ```
pub(in crate::fmp4) fn write_mdhd(
    w: &mut BoxWriter,
    timescale: Timescale,
    language: PackedLanguage,
) {
    w.write_full_box(b"mdhd", 0, 0, |w| {
        w.zeros::<8>();
        w.u32(timescale.get());
        w.u32(0);
        w.u16(language.bits());
        w.zeros::<2>();
    });
}

/// Writes a BCP 47 tag that `mdhd` has no room for.
pub(in crate::fmp4) fn write_elng(w: &mut BoxWriter, tag: &str) {
    w.write_full_box(b"elng", 0, 0, |w| w.c_string(tag));
}
