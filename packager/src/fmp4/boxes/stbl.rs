//! `stbl`: sample descriptions, and sample tables that are empty because every sample is in a
//! fragment (ISO/IEC 14496-12 8.5; ISO/IEC 23000-19 7.5.9).

use crate::fmp4::box_writer::BoxWriter;

/// Writes the sample table of a fragmented track.
///
/// ```text
/// stsd   entry_count and the entries
/// stts   entry_count 0
/// stsc   entry_count 0
/// stsz   sample_size 0, sample_count 0
/// stco   entry_count 0
/// ```
pub(in crate::fmp4) fn write_stbl<'e>(
    w: &mut BoxWriter,
    entries: impl ExactSizeIterator<Item = &'e [u8]>,
) {
    w.write_box(b"stbl", |w| {
        write_stsd(w, entries);
        w.write_full_box(b"stts", 0, 0, |w| w.u32(0));
        w.write_full_box(b"stsc", 0, 0, |w| w.u32(0));
        w.write_full_box(b"stsz", 0, 0, |w| w.zeros::<8>());
        w.write_full_box(b"stco", 0, 0, |w| w.u32(0));
    });
}

/// Sample entries as whole boxes, headers included (8.5.2).
fn write_stsd<'e>(w: &mut BoxWriter, entries: impl ExactSizeIterator<Item = &'e [u8]>) {
    w.write_full_box(b"stsd", 0, 0, |w| {
        w.u32(entries.len() as u32);
        entries.for_each(|entry| w.bytes(entry));
    });
}
