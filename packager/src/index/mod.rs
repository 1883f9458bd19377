//! The index of a track: one segment table that feeds both manifests and segments.

mod block;
mod builder;
mod column;
mod event;
mod packed;
mod places;
mod runs;
mod sidecar;
mod track_index;
mod wire;

pub use block::StoredBlock;
pub use builder::IndexBuilder;
pub use event::TrackEvent;
pub use places::TrackPlaces;
pub use sidecar::{
    BlockPlace, HEADER_BYTES, MediaIdentity, Sidecar, SidecarHeader, segment_samples,
};
pub use track_index::{IFrameEntry, SegmentEntry, SegmentSamples, TrackFacts, TrackIndex};
