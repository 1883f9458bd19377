//! `trun`: the samples of a fragment (ISO/IEC 14496-12 8.8.8).

use crate::fmp4::box_writer::{BoxWriter, FULL_BOX_BYTES};
use crate::track::Sample;

/// `sample_depends_on` 2: needs no other sample (ISO/IEC 14496-12 8.8.3.1).
const SYNC_SAMPLE: u32 = 0x0200_0000;
/// `sample_depends_on` 1 and `sample_is_non_sync_sample`.
const NON_SYNC_SAMPLE: u32 = 0x0101_0000;

/// `data-offset-present`, and duration, size, flags and composition offset for each sample.
const FLAGS: u32 = 0x00_0f01;
const ROW_BYTES: usize = 16;

pub(in crate::fmp4) fn trun_bytes(sample_count: u32) -> u64 {
    FULL_BOX_BYTES + 4 + 4 + ROW_BYTES as u64 * u64::from(sample_count)
}

/// Writes a track run: the samples of one fragment in decode order, version 1.
///
/// ```text
/// u32  sample_count             n
/// i32  data_offset              bytes from the first byte of `moof` to the first sample
/// n ×  u32  sample_duration     ticks of the track timescale
///      u32  sample_size         bytes as stored, encrypted or clear
///      u32  sample_flags        8.8.3.1
///      i32  composition_offset  ticks, presentation minus decode; signed in version 1
/// ```
///
/// `data_offset` counts from `moof` because `tfhd` sets `default-base-is-moof`. Every field is
/// written for every sample: one layout to read and test, and a length that follows from the
/// number of samples alone.
pub(in crate::fmp4) fn write_trun(w: &mut BoxWriter, samples: &[Sample], data_offset_bytes: i32) {
    w.write_full_box(b"trun", 1, FLAGS, |w| {
        w.u32(samples.len() as u32);
        w.i32(data_offset_bytes);
        w.reserve(samples.len() * ROW_BYTES);
        for sample in samples {
            w.bytes(&row(sample));
        }
    });
}

/// Built on the stack and appended at once: four appends per sample cost three times as much.
fn row(sample: &Sample) -> [u8; ROW_BYTES] {
    let flags = if sample.is_sync { SYNC_SAMPLE } else { NON_SYNC_SAMPLE };
    let mut row = [0; ROW_BYTES];
    row[0..4].copy_from_slice(&sample.duration_ticks.to_be_bytes());
    row[4..8].copy_from_slice(&sample.size_bytes.to_be_bytes());
    row[8..12].copy_from_slice(&flags.to_be_bytes());
    row[12..16].copy_from_slice(&sample.composition_offset_ticks.to_be_bytes());
    row
}
