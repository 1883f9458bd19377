//! Text tracks: subtitles and captions, from whatever they come in to WebVTT.
//!
//! Side files ([`parse_text_file`]) and samples of MP4 tracks ([`SampleTextReader`]) become a
//! [`CueTrack`]. The asset keeps that as one canonical WebVTT file ([`write_stored`]), and
//! segments are cut from it on request ([`write_segment`]).
//!
//! Input is bounded by [`limits`]; a reader leaves out what it can't read where players do the
//! same, and says so ([`Skipped`]).

mod boxes;
mod cue;
mod encoding;
pub mod limits;
mod lines;
mod markup;
mod parsed;
mod sample;
mod segment;
mod side_file;
mod srt;
mod store;
mod timestamp;
mod tx3g;
mod webvtt;
mod wvtt;

pub use cue::{Cue, CueTrack};
pub use parsed::{ParsedText, Skipped};
pub use sample::{SampleTextReader, TextSample};
pub use segment::{MPEGTS_ORIGIN_FMP4, MPEGTS_ORIGIN_TS, write_segment, write_whole};
pub use side_file::{SideFile, parse_side_file_name};
pub use srt::parse_srt;
pub use store::{parse_text_file, read_stored, write_stored};
pub(crate) use webvtt::{parse_cues_with_lines, write_cue};
pub use webvtt::{parse_webvtt, write_webvtt};
