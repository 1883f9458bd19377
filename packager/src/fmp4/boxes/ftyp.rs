//! `ftyp` and `styp`: what a file or a segment claims to be (ISO/IEC 14496-12 4.3, 8.16.2).

use crate::FourCc;
use crate::fmp4::box_writer::{BOX_BYTES, BoxWriter};

/// Writes the brands of a file.
///
/// ```text
/// u32  major_brand
/// u32  minor_version      0
/// n ×  u32  compatible_brands
/// ```
pub(in crate::fmp4) fn write_ftyp(w: &mut BoxWriter, major: FourCc, compatible: &[FourCc]) {
    write_brands(w, b"ftyp", major, compatible);
}

/// Writes the brands of a media segment: `msdh` (ISO/IEC 23009-1 6.3.4.2), and `msix` too when a
/// `sidx` follows (6.3.4.3). What kind of track it belongs to is said once, by the init segment.
pub(in crate::fmp4) fn write_styp(w: &mut BoxWriter, with_sidx: bool) {
    let brands = [MEDIA_SEGMENT, INDEXED_SEGMENT];
    write_brands(w, b"styp", MEDIA_SEGMENT, &brands[..brand_count(with_sidx)]);
}

pub(in crate::fmp4) fn styp_bytes(with_sidx: bool) -> u64 {
    BOX_BYTES + 4 + 4 + 4 * brand_count(with_sidx) as u64
}

fn brand_count(with_sidx: bool) -> usize {
    1 + usize::from(with_sidx)
}

fn write_brands(w: &mut BoxWriter, kind: &[u8; 4], major: FourCc, compatible: &[FourCc]) {
    w.write_box(kind, |w| {
        w.four_cc(major);
        w.u32(0);
        compatible.iter().for_each(|brand| w.four_cc(*brand));
    });
}

const MEDIA_SEGMENT: FourCc = FourCc::new(b"msdh");
const INDEXED_SEGMENT: FourCc = FourCc::new(b"msix");
