//! The index of a track: one segment table that feeds both manifests and segments.

mod track_index;

pub use track_index::{IFrameEntry, SegmentEntry, SegmentSamples, TrackFacts, TrackIndex};
