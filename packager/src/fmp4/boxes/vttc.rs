//! `vttc` and `vtte`: what a WebVTT sample consists of (ISO/IEC 14496-30 7.4).

use crate::fmp4::box_writer::BoxWriter;
use crate::text::Cue;

/// Writes an empty sample: no cue is active.
pub(in crate::fmp4) fn write_vtte(w: &mut BoxWriter) {
    w.write_box(b"vtte", |_| ());
}

/// Writes one active cue. Strings are UTF-8 to the end of their box.
///
/// ```text
/// vsid   i32 source_ID      when the cue is in more than one sample
/// iden   cue identifier     when it has one
/// ctim   the sample's start on the cue's clock, `hh:mm:ss.ttt`, when the text has time stamps in it
/// sttg   cue settings       when it has some
/// payl   cue text
/// ```
pub(in crate::fmp4) fn write_vttc(
    w: &mut BoxWriter,
    cue: &Cue,
    source_id: Option<i32>,
    current_time_ms: Option<u64>,
) {
    w.write_box(b"vttc", |w| {
        if let Some(source_id) = source_id {
            w.write_box(b"vsid", |w| w.i32(source_id));
        }
        if let Some(id) = cue.id.as_deref().filter(|id| !id.is_empty()) {
            w.write_box(b"iden", |w| w.bytes(id.as_bytes()));
        }
        if let Some(time_ms) = current_time_ms {
            w.write_box(b"ctim", |w| w.bytes(time_stamp(time_ms).as_bytes()));
        }
        if !cue.settings.is_empty() {
            w.write_box(b"sttg", |w| w.bytes(cue.settings.as_bytes()));
        }
        w.write_box(b"payl", |w| w.bytes(cue.payload.as_bytes()));
    });
}

/// A WebVTT time stamp (W3C WebVTT 4.2).
fn time_stamp(time_ms: u64) -> String {
    let (seconds, milliseconds) = (time_ms / 1_000, time_ms % 1_000);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    format!("{:02}:{:02}:{seconds:02}.{milliseconds:03}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::time_stamp;

    #[test]
    fn time_stamps_count_hours_without_end() {
        assert_eq!(time_stamp(0), "00:00:00.000");
        assert_eq!(time_stamp(3_723_004), "01:02:03.004");
        assert_eq!(time_stamp(360_000_000), "100:00:00.000");
    }
}
