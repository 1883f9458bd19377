//! Adaptation Sets (ISO/IEC 23009-1 5.3.3): media, trick play, thumbnails.
//!
//! Children stand in the order of the schema: properties and label, then accessibility and roles,
//! then the common template, then Representations. `ContentProtection` has its place between the
//! opening tag and the properties.

use super::descriptor::{
    write_accessibility, write_captions, write_colors, write_descriptor, write_roles,
};
use super::grouping::{AdaptationSet, MeasuredTrack};
use super::offset_ticks;
use super::period::Period;
use super::representation::{
    frame_rate, pixel_aspect, write_frame_rate, write_representation, write_trick_representation,
};
use super::segments::Timeline;
use super::xml::{Element, XmlWriter};
use crate::Timescale;
use crate::presentation::{PresentedImages, PresentedTrack, TrackClass};
use crate::track::{MediaParams, TrackKind, VideoParams};
use crate::uri::{Packaging, SegmentDir};

const TRICK_MODE: &str = "http://dashif.org/guidelines/trickmode";
const THUMBNAIL_TILE: &str = "http://dashif.org/guidelines/thumbnail_tile";
/// `@selectionPriority` of the default; others keep the 1 that the schema gives them.
const DEFAULT_PRIORITY: u64 = 2;

pub(super) fn write_adaptation_set(
    xml: &mut XmlWriter,
    period: &Period<'_>,
    set: &AdaptationSet<'_>,
) {
    let first = set.tracks[0].track;
    let timelines: Vec<_> =
        set.tracks.iter().map(|track| Timeline::of_segments(track.track)).collect();
    let common = common_timeline(&timelines);
    let mut element = xml.element("AdaptationSet");
    write_kind(&mut element, set.id, first);
    if first.index.info.kind() != TrackKind::Video {
        element.text("lang", language(&first.index.info.language));
    }
    if set.tracks.iter().any(|track| track.is_default) {
        element.number("selectionPriority", DEFAULT_PRIORITY);
    }
    write_alignment(&mut element, set, is_aligned(&timelines));
    write_largest_picture(&mut element, &set.tracks);
    element.children(|xml| {
        if let MediaParams::Video(video) = &first.index.info.media {
            write_colors(xml, video);
        }
        if !first.label.is_empty() {
            xml.element("Label").content(first.label);
        }
        // Captions are in every rendition of a picture or in none.
        write_captions(xml, &first.index.facts);
        write_accessibility(xml, first);
        write_roles(xml, first);
        if let Some(common) = common.filter(|_| set.tracks[0].head.is_none()) {
            common.write(xml, period.start);
        }
        for (track, timeline) in set.tracks.iter().zip(&timelines) {
            let own = if common.is_some() { None } else { Some(timeline) };
            write_representation(xml, period, track, own);
        }
    });
}

/// The I-frames of a video set (DASH-IF IOP 4.3, 3.2.9).
pub(super) fn write_trick_mode_set(
    xml: &mut XmlWriter,
    period: &Period<'_>,
    set: &AdaptationSet<'_>,
    id: u64,
) {
    let tracks: Vec<_> = set.tracks.iter().filter(|track| !track.iframes().1.is_empty()).collect();
    let timelines: Vec<_> = tracks.iter().map(|track| Timeline::of_iframes(track.track)).collect();
    let common = common_timeline(&timelines);
    let first = set.tracks[0].track;
    let mut element = xml.element("AdaptationSet");
    write_kind(&mut element, id, first);
    element
        .text("segmentAlignment", if is_aligned(&timelines) { "true" } else { "false" })
        .number("startWithSAP", 1);
    element.children(|xml| {
        write_descriptor(xml, "EssentialProperty", TRICK_MODE, &set.id.to_string());
        if let MediaParams::Video(video) = &first.index.info.media {
            write_colors(xml, video);
        }
        if let Some(common) = common {
            common.write(xml, period.start);
        }
        for (track, timeline) in tracks.iter().zip(&timelines) {
            let own = if common.is_some() { None } else { Some(timeline) };
            write_trick_representation(xml, period, track, own);
        }
    });
}

/// Sprites of thumbnails (DASH-IF IOP 4.3, 6.2.6). A clipped presentation starts inside the first
/// sprite listed.
pub(super) fn write_image_set(
    xml: &mut XmlWriter,
    period: &Period<'_>,
    images: &PresentedImages<'_>,
    id: u64,
) {
    let file_ms = images.file_duration_ms().max(1);
    let start_ms = offset_ticks(period.start, Timescale::MILLIS);
    let dir = SegmentDir {
        packaging: Packaging::Image,
        class: TrackClass::Image,
        track: images.name,
        revision: images.revision,
        muxed_with: None,
    };
    let media_type = match images.extension {
        "png" => "image/png",
        "webp" => "image/webp",
        _ => "image/jpeg",
    };
    let tiles = format!("{}x{}", images.columns, images.rows);
    let pixels = |tiles: u32, size: u32| u64::from(tiles) * u64::from(size);
    let mut element = xml.element("AdaptationSet");
    element.number("id", id).text("contentType", "image").text("mimeType", media_type);
    element.children(|xml| {
        let mut template = xml.element("SegmentTemplate");
        template.number("timescale", u64::from(Timescale::MILLIS.get()));
        if !start_ms.is_multiple_of(file_ms) {
            template.number("presentationTimeOffset", start_ms % file_ms);
        }
        template
            .number("duration", file_ms)
            .text("media", &format!("$Number$.{}", images.extension))
            .number("startNumber", start_ms / file_ms + 1)
            .empty();
        xml.element("Representation")
            .text("id", images.name)
            .number("bandwidth", images.bandwidth().clamp(1, u64::from(u32::MAX)))
            .number("width", pixels(images.columns, images.tile_width))
            .number("height", pixels(images.rows, images.tile_height))
            .children(|xml| {
                write_descriptor(xml, "EssentialProperty", THUMBNAIL_TILE, &tiles);
                xml.element("BaseURL").content(&format!("../{dir}/"));
            });
    });
}

fn write_kind(element: &mut Element<'_>, id: u64, track: &PresentedTrack<'_>) {
    let (content_type, mime_type) = match track.index.info.kind() {
        TrackKind::Video => ("video", "video/mp4"),
        TrackKind::Audio => ("audio", "audio/mp4"),
        TrackKind::Text => ("text", "application/mp4"),
    };
    element.number("id", id).text("contentType", content_type).text("mimeType", mime_type);
}

/// Alignment, and the type of access point that segments start with: 1 for closed GOPs, 3 where
/// leading pictures refer to the segment before (ISO/IEC 14496-12 Annex I).
fn write_alignment(element: &mut Element<'_>, set: &AdaptationSet<'_>, is_aligned: bool) {
    let is_open = set.tracks.iter().any(|track| track.index.facts.open_gop);
    let (alignment, access) = match set.tracks[0].head {
        None => ("segmentAlignment", "startWithSAP"),
        Some(_) => ("subsegmentAlignment", "subsegmentStartsWithSAP"),
    };
    element
        .text(alignment, if is_aligned { "true" } else { "false" })
        .number(access, if is_open { 3 } else { 1 });
}

/// Renditions of a title share one cut list, so that equal numbers mean equal borders, whatever
/// the timescales round them to.
fn is_aligned(timelines: &[Timeline<'_>]) -> bool {
    timelines.windows(2).all(|pair| pair[0].numbers() == pair[1].numbers())
}

/// The timeline of all, when they have but one.
fn common_timeline<'t, 'p>(timelines: &'t [Timeline<'p>]) -> Option<&'t Timeline<'p>> {
    let (first, others) = timelines.split_first()?;
    others.iter().all(|other| first.is_same(other)).then_some(first)
}

/// `@par`, `@maxWidth`, `@maxHeight`, `@maxFrameRate`.
fn write_largest_picture(element: &mut Element<'_>, tracks: &[MeasuredTrack<'_>]) {
    let pictures = || {
        tracks.iter().filter_map(|track| match &track.index.info.media {
            MediaParams::Video(video) => Some(video),
            _ => None,
        })
    };
    let area = |video: &&VideoParams| u32::from(video.width) * u32::from(video.height);
    let Some(largest) = pictures().max_by_key(area) else { return };
    if let Some(aspect) = picture_aspect(largest) {
        element.pair("par", aspect, ':');
    }
    let width = pictures().map(|video| video.width).max().unwrap_or_default();
    let height = pictures().map(|video| video.height).max().unwrap_or_default();
    element.number("maxWidth", width.into()).number("maxHeight", height.into());
    let rates = tracks.iter().filter_map(frame_rate);
    if let Some(rate) = rates.max_by(|a, b| (a.0 * b.1).cmp(&(b.0 * a.1))) {
        write_frame_rate(element, "maxFrameRate", rate);
    }
}

/// Width to height as shown, reduced.
fn picture_aspect(video: &VideoParams) -> Option<(u64, u64)> {
    let (horizontal, vertical) = pixel_aspect(video);
    let width = u64::from(video.width) * horizontal;
    let height = u64::from(video.height) * vertical;
    let divisor = greatest_common_divisor(width, height);
    (width > 0 && height > 0).then(|| (width / divisor, height / divisor))
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a.max(1) } else { greatest_common_divisor(b, a % b) }
}

/// `@lang` is an `xs:language`: what does not look like one is undetermined.
fn language(tag: &str) -> &str {
    let is_subtag = |text: &str| {
        (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let mut subtags = tag.split('-');
    let is_primary = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let starts_well = subtags.next().is_some_and(|text| is_subtag(text) && is_primary(text));
    if starts_well && subtags.all(is_subtag) { tag } else { "und" }
}
