//! Writes fragmented MP4 as CMAF wants it (ISO/IEC 14496-12, ISO/IEC 23000-19).
//!
//! Everything in front of the media bytes is computed from the index: an init segment from
//! [`TrackInfo`](crate::track::TrackInfo), a segment's header from its samples, a single file's
//! head from the segment table. The media bytes themselves never pass through here, except for
//! WebVTT, whose samples are made from cues. Lengths are known before anything is written:
//! [`SegmentShape`] gives them from one row of the segment table.
//!
//! A track is always track 1 of its own file, and times are those of the index: no edit list is
//! written, and `trun` version 1 carries negative composition offsets.

mod box_writer;
mod boxes;
mod brands;
mod iframe;
mod init_segment;
mod language;
mod media_segment;
mod sample_runs;
mod single_file;
mod wvtt_file;
mod wvtt_segment;

pub use boxes::wvtt::wvtt_sample_entry;
pub use iframe::iframe_sample;
pub use init_segment::init_segment;
pub use media_segment::{MediaSegment, SAMPLES_PER_SEGMENT_MAX, SegmentShape, segment_header_len};
pub use sample_runs::media_runs;
pub use single_file::{Part, Parts, SingleFile};
pub use wvtt_file::{WVTT_FILE_BYTES_MAX, wvtt_single_file};
pub use wvtt_segment::{WVTT_SEGMENT_BYTES_MAX, wvtt_segment};
