//! Names of resources below a title, as manifests write them and as the origin reads them.
//!
//! Everything below `/vod/{asset}/` has one of these forms. Manifests of a preset lie in a
//! directory named after it; segments name only how they are packaged, so that presets share them:
//!
//! ```text
//! {preset}/master.m3u8          {preset}/manifest.mpd
//! {preset}/{track}.m3u8         {preset}/{track}.iframes.m3u8      {preset}/{images}.images.m3u8
//! fmp4/{class}/{track}-{revision}/init.mp4 | {n}.m4s | i{n}.m4s | track.mp4
//! mpegts/{class}/{track}[_{track}]-{revision}/{n}.ts | i{n}.ts
//! webvtt/text/{track}-{revision}/{n}.vtt | all.vtt
//! image/image/{images}-{revision}/{n}.jpg
//! ```
//!
//! `{n}` counts from 1. The bytes behind a name that carries a revision never change.

use std::fmt;

use crate::presentation::TrackClass;

/// How media is packaged: the first directory of a segment's name.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Packaging {
    /// Clear CMAF.
    Fmp4,
    /// Clear MPEG-TS.
    MpegTs,
    WebVtt,
    Image,
}

impl Packaging {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fmp4 => "fmp4",
            Self::MpegTs => "mpegts",
            Self::WebVtt => "webvtt",
            Self::Image => "image",
        }
    }
}

/// Directory of one track's segments, relative to the title, without a trailing slash.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SegmentDir<'a> {
    pub packaging: Packaging,
    pub class: TrackClass,
    pub track: &'a str,
    /// Second track of a multiplex: the audio of muxed MPEG-TS.
    pub muxed_with: Option<&'a str>,
    pub revision: &'a str,
}

impl fmt::Display for SegmentDir<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.packaging.as_str(), self.class.as_str(), self.track)?;
        if let Some(other) = self.muxed_with {
            write!(f, "_{other}")?;
        }
        write!(f, "-{}", self.revision)
    }
}
