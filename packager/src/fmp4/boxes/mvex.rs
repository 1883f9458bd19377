//! `mvex`: says that fragments follow (ISO/IEC 14496-12 8.8.1 to 8.8.3).

use super::TRACK_ID;
use crate::fmp4::box_writer::BoxWriter;

/// Writes `mvex` with the duration of all fragments together, when it is known, and `trex`.
pub(in crate::fmp4) fn write_mvex(w: &mut BoxWriter, fragment_duration: Option<u64>) {
    w.write_box(b"mvex", |w| {
        if let Some(duration) = fragment_duration {
            w.write_full_box(b"mehd", 1, 0, |w| w.u64(duration));
        }
        write_trex(w);
    });
}

/// Defaults of all fragments: the first sample description, and zeros that nothing falls back on,
/// because `trun` spells every field out.
///
/// ```text
/// u32  track_ID
/// u32  default_sample_description_index   1
/// u32  default_sample_duration, default_sample_size, default_sample_flags
/// ```
fn write_trex(w: &mut BoxWriter) {
    w.write_full_box(b"trex", 0, 0, |w| {
        w.u32(TRACK_ID);
        w.u32(1);
        w.zeros::<12>();
    });
}
