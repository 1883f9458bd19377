//! What a manifest is written from: a selection of tracks with the names their URLs use.
//!
//! HLS and DASH read the same value, so they can't disagree about what exists, when it plays or
//! where it lies. Advertisement stitching edits this model, never the text of a manifest.

mod bit_rate;
pub(crate) mod numbers;
mod packaged_size;

use std::ops::Range;

use crate::index::{IFrameEntry, SegmentEntry, TrackIndex};
use crate::track::TrackKind;
use crate::uri::{Packaging, SegmentDir, TrackVersion};
use crate::{MediaTime, Timescale};

pub use bit_rate::BitRate;
pub(crate) use bit_rate::durations;

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

impl Presentation<'_> {
    /// The earliest instant presented: where clipping begins, else where the title does.
    pub fn start_time(&self) -> MediaTime {
        let starts = self.presented().map(|track| track.start_time());
        starts.min().unwrap_or(Timescale::MILLIS.ticks(0))
    }

    /// Where the last video or audio segment presented ends; text counts only when alone.
    pub fn end_time(&self) -> MediaTime {
        let is_text = |track: &&PresentedTrack<'_>| track.index.info.kind() == TrackKind::Text;
        let media = self.presented().filter(|track| !is_text(track));
        let end = media.map(|track| track.end_time()).max();
        end.or_else(|| self.presented().map(|track| track.end_time()).max())
            .unwrap_or(Timescale::MILLIS.ticks(0))
    }

    fn presented(&self) -> impl Iterator<Item = &PresentedTrack<'_>> {
        self.tracks.iter().filter(|track| !track.entries().is_empty())
    }
}

impl<'a> PresentedTrack<'a> {
    /// The segments presented, as the table has them; empty when the range lies outside of it.
    pub fn entries(&self) -> &[SegmentEntry] {
        self.index.segments.get(self.segments.clone()).unwrap_or_default()
    }

    /// Directory of the track's segments, with the audio that they carry besides, if any.
    pub fn segment_dir(
        &self,
        packaging: Packaging,
        muxed_with: Option<TrackVersion<'a>>,
    ) -> SegmentDir<'a> {
        let Self { class, name: track, revision, .. } = *self;
        SegmentDir { packaging, class, track, revision, muxed_with }
    }

    /// Number of the first segment presented, counted from 1 over the whole track.
    pub fn first_number(&self) -> u64 {
        self.segments.start as u64 + 1
    }

    pub fn start_time(&self) -> MediaTime {
        self.index.timescale().ticks(self.index.segment_start(self.segments.start))
    }

    pub fn end_time(&self) -> MediaTime {
        self.index.timescale().ticks(self.index.segment_start(self.segments.end))
    }

    /// The I-frames inside the segments presented, and the number of the first (from 1).
    pub fn iframes(&self) -> (u64, &[IFrameEntry]) {
        let all = &self.index.iframes;
        let (start, end) = (self.start_time().ticks, self.end_time().ticks);
        let first = all.partition_point(|frame| frame.time < start);
        let last = all.partition_point(|frame| frame.time < end).max(first);
        (first as u64 + 1, &all[first..last])
    }
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

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Audio, Self::Sd, Self::Hd, Self::Uhd, Self::Text, Self::Image]
            .into_iter()
            .find(|class| class.as_str() == text)
    }

    pub fn is_video(self) -> bool {
        matches!(self, Self::Sd | Self::Hd | Self::Uhd)
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
        self.tile_count.div_ceil(self.tiles_per_file())
    }

    /// Pictures in one sprite file, at least 1.
    pub fn tiles_per_file(&self) -> u64 {
        (u64::from(self.columns) * u64::from(self.rows)).max(1)
    }

    /// Milliseconds that a full sprite file stands for.
    pub fn file_duration_ms(&self) -> u64 {
        self.tiles_per_file().saturating_mul(self.tile_duration_ms)
    }

    /// Bits per second when every file is as large as the largest, rounded up.
    pub fn bandwidth(&self) -> u64 {
        let bits = u128::from(self.file_bytes_max) * 8 * 1_000;
        let file_ms = u128::from(self.file_duration_ms()).max(1);
        u64::try_from(bits.div_ceil(file_ms)).unwrap_or(u64::MAX)
    }
}
