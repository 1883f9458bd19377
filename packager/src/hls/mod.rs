//! HTTP Live Streaming: multivariant and media playlists (RFC 8216, draft-pantos-hls-rfc8216bis).
//!
//! Playlists are written straight from a [`Presentation`](crate::presentation::Presentation), in
//! one pass and without a model in between. They lie in `{preset}/`, so that media is found below
//! `../`. Versions are the lowest that allow what the playlist holds (RFC 8216 7):
//!
//! | version | wanted by |
//! | --- | --- |
//! | 3 | decimal `EXTINF` |
//! | 4 | `EXT-X-BYTERANGE`, `EXT-X-I-FRAMES-ONLY` |
//! | 5 | `EXT-X-MAP` in an I-frame playlist |
//! | 6 | `EXT-X-MAP` in any other playlist |
//! | 7 | `INSTREAM-ID` with `SERVICE` |

mod media_playlist;
mod multivariant;
mod renditions;
mod start_date;
mod tag;

use std::ops::Range;

use crate::fmp4::SingleFile;
use crate::presentation::{Presentation, PresentedTrack};
use crate::track::{MediaParams, TextCodec, TrackKind};
use crate::uri::Packaging;

pub use media_playlist::{
    write_iframe_playlist, write_image_playlist, write_media_playlist, write_single_file_playlist,
};
pub use multivariant::{MultivariantOptions, write_multivariant};
pub use start_date::{insert_start_date, wants_start_dates};

/// What carries video and audio.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SegmentFormat {
    /// CMAF, always demuxed.
    Fmp4,
    /// MPEG-TS; muxed where a title has exactly one audio track.
    MpegTs,
}

impl SegmentFormat {
    /// How a track is packaged in playlists of this format. Cues of WebVTT lie in `.vtt` files,
    /// TTML documents in fragments, whatever carries the rest.
    pub fn packaging(self, track: &PresentedTrack<'_>) -> Packaging {
        match (&track.index.info.media, self) {
            (MediaParams::Text(text), Self::Fmp4) if text.codec == TextCodec::WebVtt => {
                Packaging::WebVtt
            }
            (MediaParams::Text(text), Self::MpegTs) if text.codec == TextCodec::WebVtt => {
                Packaging::WebVttTs
            }
            (MediaParams::Text(_), _) | (_, Self::Fmp4) => Packaging::Fmp4,
            (_, Self::MpegTs) => Packaging::MpegTs,
        }
    }
}

/// Where the parts of a single-file track lie.
pub trait SingleFileRanges {
    /// Bytes of `ftyp` and `moov`, from the start of the file.
    fn init_range(&self) -> Range<u64>;
    /// Bytes of a segment, `moof` to the end of `mdat`, by its index (from 0) in the table. `None`
    /// past the last.
    fn segment_range(&self, segment: usize) -> Option<Range<u64>>;
}

impl SingleFileRanges for SingleFile {
    fn init_range(&self) -> Range<u64> {
        self.init_range()
    }

    fn segment_range(&self, segment: usize) -> Option<Range<u64>> {
        self.segment_range(segment)
    }
}

/// The audio that the segments of every video carry: MPEG-TS with exactly one audio track.
pub fn muxed_audio<'p>(
    presentation: &'p Presentation<'_>,
    format: SegmentFormat,
) -> Option<&'p PresentedTrack<'p>> {
    let has_video = tracks_of(presentation, TrackKind::Video).next().is_some();
    let mut audio = tracks_of(presentation, TrackKind::Audio);
    let only = audio.next().filter(|_| audio.next().is_none())?;
    (format == SegmentFormat::MpegTs && has_video).then_some(only)
}

/// Tracks of one kind that present at least one segment.
fn tracks_of<'p>(
    presentation: &'p Presentation<'_>,
    kind: TrackKind,
) -> impl Iterator<Item = &'p PresentedTrack<'p>> {
    presentation
        .tracks
        .iter()
        .filter(move |track| track.index.info.kind() == kind && !track.entries().is_empty())
}
