//! Reads progressive and fragmented MP4 and QuickTime files into tracks with complete sample
//! tables on the output timeline.
//!
//! The path of a file: [`MovieReader`] walks the top level and asks for `moov` and each `moof`;
//! `moov` gives the tracks and, through `stbl`, their progressive samples; each `moof` appends
//! samples; at the end `timeline` applies the edit lists and moves fragmented titles to 0.
//!
//! Nothing here believes a number: every table is borrowed from bytes that are present, every
//! sample lies inside the source, and the named maxima below bound what a file can cost.

mod box_reader;
mod check;
mod edit_list;
mod finish;
mod fragment;
mod language;
mod movie;
mod movie_box;
mod movie_reader;
mod sample_entries;
mod sample_join;
#[cfg(test)]
mod test_writer;
mod timeline;
mod track_box;
mod track_build;

pub use check::{TableFault, check_table};
pub use movie::{Encryption, EventBox, Movie, SkippedTrack, SourceTrack};
pub use movie_reader::{MovieReader, Step, read_movie};

/// Largest `moov`: a day of 60 fps video with audio takes about 90 MiB.
const MOOV_BYTES_MAX: u64 = 256 << 20;
/// Largest `moof`: ten minutes of 60 fps video and audio in one fragment take about 1 MiB.
const MOOF_BYTES_MAX: u64 = 64 << 20;
/// Largest `ftyp`, `emsg` or `prft`.
const SMALL_BOX_BYTES_MAX: u64 = 1 << 20;
/// All `emsg` and `prft` boxes of a file together.
const EVENT_BYTES_MAX: u64 = 64 << 20;
/// Boxes on the top level: a day of chunks of four boxes each, every 40 ms.
const TOP_LEVEL_BOXES_MAX: u64 = 1 << 23;
const TRACKS_MAX: u64 = 64;
/// Samples of one track: 77 hours at 60 fps.
const TRACK_SAMPLES_MAX: u64 = 1 << 24;
/// Samples of all tracks of a file: 1 GiB of tables.
const MOVIE_SAMPLES_MAX: u64 = 1 << 25;
/// Sample entries of one track.
const SAMPLE_ENTRIES_MAX: u32 = 64;
/// Bytes of all sample entries of one track, which every init segment repeats.
const SAMPLE_ENTRY_BYTES_MAX: usize = 4 << 20;
/// Rows of one edit list; those that are honoured have a handful.
const EDITS_MAX: u32 = 1 << 16;
/// How often the bytes of a file may serve as samples. Tracks and samples may share media, but a
/// table that names the whole file again and again would have it read a million times.
const MEDIA_REPEATS_MAX: u64 = 8;
/// Children of one container box: some writers give every sample a `trun` of its own.
const CHILDREN_MAX: u32 = 1 << 16;
/// Samples decoded only to reach a picture in the middle of a group of pictures: a minute at
/// 60 fps.
const PREROLL_SAMPLES_MAX: usize = 4096;
/// Bound on every time and shift, in ticks: sums of a few of them stay inside `i64`.
const TICKS_MAX: u64 = 1 << 60;
