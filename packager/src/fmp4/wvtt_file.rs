//! A WebVTT track made from cues as one file: the segments of [`wvtt_segment`] behind a `sidx`.

use super::single_file::SingleFile;
use super::wvtt_segment::wvtt_segment;
use crate::PackageError;
use crate::index::TrackIndex;
use crate::text::Cue;

/// Bytes of all segments together. The subtitles of a film take less than one megabyte; cues that
/// stay for the whole title are repeated in every segment.
pub const WVTT_FILE_BYTES_MAX: u64 = 64 << 20;

/// Lays out the file of a track of cues; `index` has its segments, in milliseconds, and `cues` are
/// sorted by start. Segment `n` (from 0) is [`wvtt_segment`] number `n + 1`. The file ends with the
/// first segment that lasts no time: it lies behind the title's end.
///
/// # Errors
/// [`PackageError::LimitExceeded`] beyond [`WVTT_FILE_BYTES_MAX`], and what [`wvtt_segment`] and
/// [`SingleFile::new`] refuse.
pub fn wvtt_single_file(index: &TrackIndex, cues: &[Cue]) -> Result<SingleFile, PackageError> {
    let mut segment_bytes = Vec::with_capacity(index.segments.len());
    let mut total = 0;
    let mut active: Vec<Cue> = Vec::new();
    let mut upcoming = cues;
    for (at, number) in (0..index.segments.len()).zip(1..) {
        let (start_ms, end_ms) = (index.segment_start(at), index.segment_start(at + 1));
        if end_ms <= start_ms {
            break;
        }
        // Only those near the segment are looked at: a long title has many of both.
        active.retain(|cue| cue.end_ms > start_ms);
        let (started, later) =
            upcoming.split_at(upcoming.partition_point(|cue| cue.start_ms < end_ms));
        active.extend(started.iter().filter(|cue| cue.end_ms > start_ms).cloned());
        upcoming = later;
        let bytes = wvtt_segment(number, start_ms, end_ms, &active)?.len() as u64;
        total += bytes;
        if total > WVTT_FILE_BYTES_MAX {
            let what = "bytes of text in one file";
            return Err(PackageError::LimitExceeded { what, max: WVTT_FILE_BYTES_MAX });
        }
        segment_bytes.push(bytes);
    }
    SingleFile::of_segments(index, &segment_bytes)
}

#[cfg(test)]
mod tests;
