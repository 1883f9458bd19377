//! `wvtt`: the sample entry of a WebVTT track (ISO/IEC 14496-30 7.5).

use crate::fmp4::box_writer::BoxWriter;

/// The sample entry of a WebVTT track, header included.
///
/// `blocks` are the `STYLE` and `REGION` blocks of the source with an empty line between them, or
/// nothing; they hold for every cue of the track.
///
/// ```text
/// 6 bytes reserved
/// u16  data_reference_index   1
/// vttC                        `WEBVTT` and the blocks, UTF-8 to the end of the box
/// ```
pub fn wvtt_sample_entry(blocks: &str) -> Vec<u8> {
    let mut out = Vec::new();
    BoxWriter::new(&mut out).write_box(b"wvtt", |w| {
        w.zeros::<6>();
        w.u16(1);
        w.write_box(b"vttC", |w| {
            w.bytes(b"WEBVTT");
            if !blocks.is_empty() {
                w.bytes(b"\n\n");
                w.bytes(blocks.as_bytes());
            }
        });
    });
    out
}
