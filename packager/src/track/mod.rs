//! What a manifest and an init segment need to know about a track, and its samples.

mod info;
mod sample;

pub use info::{
    AacConfig, AudioCodec, AudioParams, ColorInfo, MediaParams, TextCodec, TextParams, TrackInfo,
    TrackKind, VideoCodec, VideoParams, VideoRange,
};
pub use sample::{Sample, SampleTable};
