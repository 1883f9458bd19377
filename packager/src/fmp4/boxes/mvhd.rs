//! `mvhd`: the movie as a whole (ISO/IEC 14496-12 8.2.2).

use super::{IDENTITY_MATRIX, TRACK_ID};
use crate::Timescale;
use crate::fmp4::box_writer::BoxWriter;

/// Writes the movie header, version 0.
///
/// ```text
/// u32  creation_time, modification_time   0: equal sources give equal bytes
/// u32  timescale                          that of the track
/// u32  duration                           0: all samples are in fragments (ISO/IEC 23000-19 7.5.1)
/// i32  rate                               1.0
/// i16  volume                             1.0
/// 10 bytes reserved
/// 9 × i32  matrix                         identity
/// 24 bytes pre_defined
/// u32  next_track_ID
/// ```
pub(in crate::fmp4) fn write_mvhd(w: &mut BoxWriter, timescale: Timescale) {
    w.write_full_box(b"mvhd", 0, 0, |w| {
        w.zeros::<8>();
        w.u32(timescale.get());
        w.u32(0);
        w.u32(0x0001_0000);
        w.u16(0x0100);
        w.zeros::<10>();
        IDENTITY_MATRIX.into_iter().for_each(|value| w.i32(value));
        w.zeros::<24>();
        w.u32(TRACK_ID + 1);
    });
}
