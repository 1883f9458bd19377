//! Media playlists: segments, I-frames, byte ranges of a single file, and tiled images.
//!
//! Every instant is rounded to a microsecond from the first one presented, and `EXTINF` is the
//! difference of two of them: a playlist of any length ends within half a microsecond of its media.

use std::fmt::Write;
use std::ops::Range;

use super::tag::{AttributeTag, push_number_tag};
use super::{SegmentFormat, SingleFileRanges};
use crate::Timescale;
use crate::presentation::numbers::{MICROS, micros, push_number, push_seconds};
use crate::presentation::{Presentation, PresentedImages, PresentedTrack, TrackClass};
use crate::track::TrackKind;
use crate::uri::{Packaging, SegmentDir, TrackVersion, segment_extension};

/// Bytes of one segment's lines, beside its directory: enough for `EXTINF` and a number.
const SEGMENT_LINES_LEN: usize = 40;
const HEADER_LEN: usize = 320;

/// Media playlist of a track, or of a video multiplexed with `muxed_with`.
pub fn write_media_playlist(
    track: &PresentedTrack<'_>,
    muxed_with: Option<&PresentedTrack<'_>>,
    format: SegmentFormat,
) -> String {
    let packaging = format.packaging(track);
    let dir = format!("../{}/", segment_dir(track, muxed_with, packaging));
    let entries = track.entries();
    let spans = segment_spans(track);
    let mut out = playlist_buffer(entries.len(), dir.len());
    let is_fmp4 = packaging == Packaging::Fmp4;
    let header = Header {
        version: if is_fmp4 { 6 } else { 3 },
        first_number: track.first_number(),
        tags: independence(track),
    };
    header.write(&mut out, spans.clone());
    if is_fmp4 {
        AttributeTag::open(&mut out, "EXT-X-MAP").quoted("URI", &format!("{dir}init.mp4")).close();
    }
    let extension = segment_extension(packaging);
    write_numbered(&mut out, spans, &dir, track.first_number(), extension);
    out.push_str(END);
    out
}

/// Media playlist of a track as byte ranges of `track.mp4`.
pub fn write_single_file_playlist(
    track: &PresentedTrack<'_>,
    ranges: &dyn SingleFileRanges,
) -> String {
    let file = format!("../{}/track.mp4", segment_dir(track, None, Packaging::Fmp4));
    let spans = segment_spans(track);
    let mut out = playlist_buffer(track.entries().len(), file.len() + 32);
    let header =
        Header { version: 6, first_number: track.first_number(), tags: independence(track) };
    header.write(&mut out, spans.clone());
    let init = ranges.init_range();
    AttributeTag::open(&mut out, "EXT-X-MAP")
        .quoted("URI", &file)
        .quoted("BYTERANGE", &format!("{}@{}", range_len(&init), init.start))
        .close();
    for (span, segment) in spans.zip(track.segments.clone()) {
        let Some(range) = ranges.segment_range(segment) else { break };
        push_extinf(&mut out, span);
        push_number_tag(&mut out, "EXT-X-BYTERANGE", range_len(&range));
        // The offset belongs to the line just ended.
        out.pop();
        out.push('@');
        push_number(&mut out, range.start);
        out.push('\n');
        out.push_str(&file);
        out.push('\n');
    }
    out.push_str(END);
    out
}

/// I-frame playlist of a video track (RFC 8216 4.3.3.6): every frame lasts until the next.
pub fn write_iframe_playlist(track: &PresentedTrack<'_>, format: SegmentFormat) -> String {
    let packaging = format.packaging(track);
    let dir = format!("../{}/", segment_dir(track, None, packaging));
    let (first_number, frames) = track.iframes();
    let starts = frames.iter().map(|frame| frame.time);
    let origin = frames.first().map_or(0, |frame| frame.time);
    let spans = spans(starts, origin, track.end_time().ticks, track.index.timescale());
    let mut out = playlist_buffer(frames.len(), dir.len());
    let is_fmp4 = packaging == Packaging::Fmp4;
    let header = Header {
        version: if is_fmp4 { 5 } else { 4 },
        first_number,
        tags: "#EXT-X-I-FRAMES-ONLY\n",
    };
    header.write(&mut out, spans.clone());
    if is_fmp4 {
        AttributeTag::open(&mut out, "EXT-X-MAP").quoted("URI", &format!("{dir}init.mp4")).close();
    }
    write_numbered(&mut out, spans, &format!("{dir}i"), first_number, segment_extension(packaging));
    out.push_str(END);
    out
}

/// Image media playlist: sprites of tiles (HLS Image Media Playlist 0.4, `EXT-X-IMAGES-ONLY`).
///
/// The playlist has no offset, so that a clipped presentation is served only from a file that
/// starts with it: see [`image_files`].
pub fn write_image_playlist(
    presentation: &Presentation<'_>,
    images: &PresentedImages<'_>,
) -> String {
    let files = image_files(presentation, images).unwrap_or(0..0);
    let micros_before = |file: u64| {
        let tiles = file.saturating_mul(images.tiles_per_file()).min(images.tile_count);
        tiles.saturating_mul(images.tile_duration_ms).saturating_mul(1_000)
    };
    let spans = files.clone().map(|file| micros_before(file)..micros_before(file + 1));
    let dir = SegmentDir {
        packaging: Packaging::Image,
        class: TrackClass::Image,
        track: images.name,
        revision: images.revision,
        muxed_with: None,
    };
    let mut out = String::new();
    let header = Header { version: 7, first_number: files.start + 1, tags: "#EXT-X-IMAGES-ONLY\n" };
    header.write(&mut out, spans.clone());
    let mut tile = String::new();
    push_seconds(&mut tile, images.tile_duration_ms.saturating_mul(1_000));
    for (span, file) in spans.zip(files) {
        push_extinf(&mut out, span);
        AttributeTag::open(&mut out, "EXT-X-TILES")
            .resolution("RESOLUTION", (images.tile_width.into(), images.tile_height.into()))
            .resolution("LAYOUT", (images.columns.into(), images.rows.into()))
            .plain("DURATION", &tile)
            .close();
        // Writing to a String can't fail.
        let _ = writeln!(out, "../{dir}/{}.{}", file + 1, images.extension);
    }
    out.push_str(END);
    out
}

/// Sprite files (from 0) that cover the presentation; `None` when none starts where it does.
pub(super) fn image_files(
    presentation: &Presentation<'_>,
    images: &PresentedImages<'_>,
) -> Option<Range<u64>> {
    let file_ms = Some(images.file_duration_ms()).filter(|ms| *ms > 0)?;
    let start = presentation.start_time();
    let start_ms = start.rescale_floor(Timescale::MILLIS)?.ticks;
    let is_on_file = Timescale::MILLIS.ticks(start_ms) == start && start_ms.is_multiple_of(file_ms);
    let end_ms = presentation.end_time().rescale_ceil(Timescale::MILLIS)?.ticks;
    let files = start_ms / file_ms..end_ms.div_ceil(file_ms).min(images.file_count());
    (is_on_file && !files.is_empty()).then_some(files)
}

const END: &str = "#EXT-X-ENDLIST\n";

/// The tags in front of the first segment.
struct Header {
    version: u64,
    first_number: u64,
    /// Further tags, each with its line end.
    tags: &'static str,
}

impl Header {
    fn write(&self, out: &mut String, spans: impl Iterator<Item = Range<u64>>) {
        // RFC 8216 4.3.3.1: "The EXTINF duration of each Media Segment in the Playlist file, when
        // rounded to the nearest integer, MUST be less than or equal to the target duration."
        let longest = spans.map(|span| span.end - span.start).max().unwrap_or(0);
        let target = (longest.saturating_add(MICROS / 2) / MICROS).max(1);
        out.push_str("#EXTM3U\n");
        push_number_tag(out, "EXT-X-VERSION", self.version);
        push_number_tag(out, "EXT-X-TARGETDURATION", target);
        push_number_tag(out, "EXT-X-MEDIA-SEQUENCE", self.first_number);
        out.push_str("#EXT-X-PLAYLIST-TYPE:VOD\n");
        out.push_str(self.tags);
    }
}

fn independence(track: &PresentedTrack<'_>) -> &'static str {
    let is_independent = track.index.info.kind() != TrackKind::Text && !track.index.facts.open_gop;
    if is_independent { "#EXT-X-INDEPENDENT-SEGMENTS\n" } else { "" }
}

fn segment_dir<'a>(
    track: &PresentedTrack<'a>,
    muxed_with: Option<&PresentedTrack<'a>>,
    packaging: Packaging,
) -> SegmentDir<'a> {
    let audio =
        muxed_with.map(|audio| TrackVersion { track: audio.name, revision: audio.revision });
    track.segment_dir(packaging, audio)
}

/// Room for a whole playlist, so that writing it never moves it.
fn playlist_buffer(segments: usize, uri_len: usize) -> String {
    String::with_capacity(HEADER_LEN + 2 * uri_len + segments * (uri_len + SEGMENT_LINES_LEN))
}

fn write_numbered(
    out: &mut String,
    spans: impl Iterator<Item = Range<u64>>,
    prefix: &str,
    first_number: u64,
    extension: &str,
) {
    for (span, number) in spans.zip(first_number..) {
        push_extinf(out, span);
        out.push_str(prefix);
        push_number(out, number);
        out.push('.');
        out.push_str(extension);
        out.push('\n');
    }
}

fn push_extinf(out: &mut String, span: Range<u64>) {
    out.push_str("#EXTINF:");
    push_seconds(out, span.end - span.start);
    out.push_str(",\n");
}

/// The segments presented, in microseconds from the first.
fn segment_spans(track: &PresentedTrack<'_>) -> impl Iterator<Item = Range<u64>> + Clone {
    let starts = track.entries().iter().map(|entry| entry.decode_time);
    let (origin, end) = (track.start_time().ticks, track.end_time().ticks);
    spans(starts, origin, end, track.index.timescale())
}

/// From each start to the next, and from the last to `end`, in microseconds from `origin`.
fn spans(
    starts: impl Iterator<Item = u64> + Clone,
    origin: u64,
    end: u64,
    timescale: Timescale,
) -> impl Iterator<Item = Range<u64>> + Clone {
    let ends = starts.skip(1).chain(std::iter::once(end));
    let mut start = 0;
    ends.map(move |end| {
        let end = micros(end.saturating_sub(origin), timescale).max(start);
        std::mem::replace(&mut start, end)..end
    })
}

fn range_len(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}
