//! What a manifest is written from: a selection of tracks with the names their URLs use.
//!
//! HLS and DASH read the same value, so they can't disagree about what exists, when it plays or
//! where it lies. Advertisement stitching edits this model, never the text of a manifest.

use std::ops::Range;

use crate::index::TrackIndex;

/// A title, or the part of one that a viewer asked for.
#[derive(Clone, Debug)]
pub struct Presentation<'a> {
    /// Video first, then audio, then text; within a kind in order of preference.
    pub tracks: Vec<PresentedTrack<'a>>,
    pub images: Vec<PresentedImages<'a>>,
}

/// One track of a presentation.
#[derive(Clone, Debug)]
pub struct PresentedTrack<'a> {
    pub index: &'a TrackIndex,
    /// Unique in the title and stable: `v1`, `a2`, `t1`.
    pub name: &'a str,
    pub class: TrackClass,
    /// Changes whenever the bytes behind the track's URLs would (hexadecimal).
    pub revision: &'a str,
    /// Segments presented, as indexes from 0 into the table; all of them without clipping.
    pub segments: Range<usize>,
    /// Shown to the viewer: `English`, `Kommentar`.
    pub label: &'a str,
    pub role: TrackRole,
    /// The one to play when the viewer has no preference.
    pub is_default: bool,
    /// Accessibility: described video for the blind, captions for the deaf, easy language.
    pub accessibility: &'a [Accessibility],
}

/// The directory a track's segments lie in, which tokens may limit.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, PartialOrd, Ord)]
pub enum TrackClass {
    Audio,
    /// Up to 576 lines.
    Sd,
    /// Up to 1080 lines.
    Hd,
    Uhd,
    Text,
    Image,
}

impl TrackClass {
    /// Class of a picture by its shorter side, so that portrait video counts like landscape.
    pub fn of_video(width: u16, height: u16) -> Self {
        match width.min(height) {
            0..=576 => Self::Sd,
            577..=1080 => Self::Hd,
            _ => Self::Uhd,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Sd => "sd",
            Self::Hd => "hd",
            Self::Uhd => "uhd",
            Self::Text => "text",
            Self::Image => "image",
        }
    }
}

/// `urn:mpeg:dash:role:2011` (ISO/IEC 23009-1 5.8.5.5).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TrackRole {
    #[default]
    Main,
    Alternate,
    Commentary,
    Dub,
    Subtitle,
    Caption,
    ForcedSubtitle,
    Description,
}

/// Maps to HLS `CHARACTERISTICS` and DASH `Accessibility`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Accessibility {
    /// `public.accessibility.describes-video`; `urn:tva:metadata:cs:AudioPurposeCS:2007` 1.
    DescribesVideo,
    /// `public.accessibility.transcribes-spoken-dialog` and `describes-music-and-sound`;
    /// AudioPurposeCS 2.
    HardOfHearing,
    /// `public.easy-to-read`.
    EasyToRead,
}

/// A set of thumbnail sprites: every file tiles `columns` × `rows` pictures.
#[derive(Clone, Debug)]
pub struct PresentedImages<'a> {
    pub name: &'a str,
    pub revision: &'a str,
    /// Of one tile, in pixels.
    pub tile_width: u32,
    pub tile_height: u32,
    pub columns: u32,
    pub rows: u32,
    /// Milliseconds that one tile stands for.
    pub tile_duration_ms: u64,
    /// Pictures in all files together.
    pub tile_count: u64,
    /// `jpg`, `png` or `webp`, as the files are named.
    pub extension: &'a str,
    /// Bytes of the largest file, for bandwidth figures.
    pub file_bytes_max: u64,
}

impl PresentedImages<'_> {
    /// Number of sprite files.
    pub fn file_count(&self) -> u64 {
        self.tile_count.div_ceil(u64::from(self.columns) * u64::from(self.rows))
    }
}
