//! Names of resources below a title, as manifests write them and as the origin reads them.
//!
//! Everything below `/vod/{asset}/` has one of these forms. Manifests of a preset lie in a
//! directory named after it; segments name only how they are packaged, so that presets share them:
//!
//! ```text
//! {preset}/master.m3u8          {preset}/manifest.mpd
//! {preset}/{track}[_{track}].m3u8   {preset}/{track}.iframes.m3u8   {preset}/{images}.images.m3u8
//! fmp4/{class}/{track}-{revision}/init.mp4 | {n}.m4s | i{n}.m4s | track.mp4
//! mpegts/{class}/{track}-{revision}/{n}.ts | i{n}.ts
//! mpegts/{class}/{track}_{track}-{revision}_{revision}/{n}.ts
//! webvtt/text/{track}-{revision}/{n}.vtt | all.vtt
//! webvtt-ts/text/{track}-{revision}/{n}.vtt
//! image/image/{images}-{revision}/{n}.jpg
//! thumbnails.vtt                poster.jpg
//! ```
//!
//! `{n}` counts from 1, without leading zeros. The bytes behind a name that carries a revision
//! never change. Reading is strict: whatever [`ResourceName::parse`] accepts prints as it was
//! read, so that one resource has one name in every cache.

mod parse;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::presentation::TrackClass;

pub use parse::is_track_name;

/// Longest name of a preset, a track or a set of images, in bytes.
pub const NAME_LEN_MAX: usize = 32;
/// Longest revision, in hexadecimal digits: 256 bits.
pub const REVISION_LEN_MAX: usize = 64;

/// How media is packaged: the first directory of a segment's name.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Packaging {
    /// Clear CMAF.
    Fmp4,
    /// Clear MPEG-TS.
    MpegTs,
    /// Cues on the timeline of CMAF.
    WebVtt,
    /// Cues on the clock of MPEG-TS, which runs ten seconds ahead.
    WebVttTs,
    Image,
}

impl Packaging {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fmp4 => "fmp4",
            Self::MpegTs => "mpegts",
            Self::WebVtt => "webvtt",
            Self::WebVttTs => "webvtt-ts",
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
    pub revision: &'a str,
    /// Second track of a multiplex: the audio of muxed MPEG-TS.
    pub muxed_with: Option<TrackVersion<'a>>,
}

/// A track at one revision.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TrackVersion<'a> {
    pub track: &'a str,
    pub revision: &'a str,
}

impl fmt::Display for SegmentDir<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (packaging, class) = (self.packaging.as_str(), self.class.as_str());
        let Self { track, revision, .. } = self;
        match self.muxed_with {
            None => write!(f, "{packaging}/{class}/{track}-{revision}"),
            Some(audio) => write!(
                f,
                "{packaging}/{class}/{track}_{}-{revision}_{}",
                audio.track, audio.revision
            ),
        }
    }
}

/// One resource of a title: what stands after `/vod/{asset}/`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResourceName<'a> {
    /// HLS multivariant playlist.
    Multivariant {
        preset: &'a str,
    },
    /// DASH manifest.
    Mpd {
        preset: &'a str,
    },
    /// HLS media playlist.
    Playlist {
        preset: &'a str,
        playlist: PlaylistName<'a>,
    },
    /// Anything that holds samples, cues or pictures.
    Media {
        dir: SegmentDir<'a>,
        file: MediaFile<'a>,
    },
    /// WebVTT index of the thumbnails, for web players.
    Thumbnails,
    Poster,
}

/// An HLS media playlist of a preset.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PlaylistName<'a> {
    /// Segments of a track, multiplexed with those of another in muxed MPEG-TS.
    Track {
        track: &'a str,
        muxed_with: Option<&'a str>,
    },
    IFrames {
        track: &'a str,
    },
    Images {
        images: &'a str,
    },
}

impl fmt::Display for PlaylistName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Track { track, muxed_with: None } => write!(f, "{track}.m3u8"),
            Self::Track { track, muxed_with: Some(other) } => write!(f, "{track}_{other}.m3u8"),
            Self::IFrames { track } => write!(f, "{track}.iframes.m3u8"),
            Self::Images { images } => write!(f, "{images}.images.m3u8"),
        }
    }
}

/// A file in a [`SegmentDir`]. The packaging of the directory decides which of them exist.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MediaFile<'a> {
    /// CMAF header.
    Init,
    /// Media segment, counted from 1.
    Segment(u64),
    /// One sync sample by itself, counted from 1.
    IFrame(u64),
    /// The whole track as one file with a segment index.
    SingleFile,
    /// All cues of a track as one WebVTT file.
    WholeText,
    /// Sprite of thumbnails, counted from 1, with its extension: `jpg`, `png` or `webp`.
    Image { number: u64, extension: &'a str },
}

impl fmt::Display for ResourceName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dir, file) = match self {
            Self::Multivariant { preset } => return write!(f, "{preset}/master.m3u8"),
            Self::Mpd { preset } => return write!(f, "{preset}/manifest.mpd"),
            Self::Playlist { preset, playlist } => return write!(f, "{preset}/{playlist}"),
            Self::Thumbnails => return f.write_str("thumbnails.vtt"),
            Self::Poster => return f.write_str("poster.jpg"),
            Self::Media { dir, file } => (dir, file),
        };
        let extension = segment_extension(dir.packaging);
        match file {
            MediaFile::Init => write!(f, "{dir}/init.mp4"),
            MediaFile::SingleFile => write!(f, "{dir}/track.mp4"),
            MediaFile::WholeText => write!(f, "{dir}/all.vtt"),
            MediaFile::Segment(number) => write!(f, "{dir}/{number}.{extension}"),
            MediaFile::IFrame(number) => write!(f, "{dir}/i{number}.{extension}"),
            MediaFile::Image { number, extension } => write!(f, "{dir}/{number}.{extension}"),
        }
    }
}

/// Extension of numbered segments in a packaging; sprites carry their own.
pub fn segment_extension(packaging: Packaging) -> &'static str {
    match packaging {
        Packaging::Fmp4 => "m4s",
        Packaging::MpegTs => "ts",
        Packaging::WebVtt | Packaging::WebVttTs => "vtt",
        Packaging::Image => "jpg",
    }
}
