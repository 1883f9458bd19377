//! One Representation (ISO/IEC 23009-1 5.3.5): what sets a track apart from the others of its
//! Adaptation Set.

use super::descriptor::{write_channels, write_object_audio};
use super::grouping::MeasuredTrack;
use super::period::Period;
use super::segments::{Timeline, write_segment_base};
use super::xml::{Element, XmlWriter};
use crate::presentation::BitRate;
use crate::track::{MediaParams, VideoParams};
use crate::uri::Packaging;

/// Writes the Representation of a track; `timeline` when its set has no common template.
pub(super) fn write_representation(
    xml: &mut XmlWriter,
    period: &Period<'_>,
    track: &MeasuredTrack<'_>,
    timeline: Option<&Timeline<'_>>,
) {
    let info = &track.index.info;
    let dir = track.segment_dir(Packaging::Fmp4, None);
    let mut element = xml.element("Representation");
    element
        .text("id", track.name)
        .number("bandwidth", bandwidth(track.rate))
        .text("codecs", info.codecs());
    match &info.media {
        MediaParams::Video(video) => {
            write_supplemental(&mut element, video);
            write_picture(&mut element, video);
            if let Some(rate) = frame_rate(track) {
                write_frame_rate(&mut element, "frameRate", rate);
            }
        }
        MediaParams::Audio(audio) => {
            element.number("audioSamplingRate", u64::from(audio.sample_rate));
        }
        MediaParams::Text(_) => {}
    }
    element.children(|xml| {
        if let MediaParams::Audio(audio) = &info.media {
            write_channels(xml, audio);
            write_object_audio(xml, audio);
        }
        match &track.head {
            Some(head) => {
                xml.element("BaseURL").content(&format!("../{dir}/track.mp4"));
                write_segment_base(xml, track, head, period.start);
            }
            None => {
                xml.element("BaseURL").content(&format!("../{dir}/"));
                if let Some(timeline) = timeline {
                    timeline.write(xml, period.start);
                }
            }
        }
    });
}

/// Writes the I-frames of a track as a Representation for trick play.
pub(super) fn write_trick_representation(
    xml: &mut XmlWriter,
    period: &Period<'_>,
    track: &MeasuredTrack<'_>,
    timeline: Option<&Timeline<'_>>,
) {
    let MediaParams::Video(video) = &track.index.info.media else { return };
    let rate = BitRate::of_iframes(track, Packaging::Fmp4);
    let mut element = xml.element("Representation");
    element
        .text("id", &format!("{}-iframes", track.name))
        .number("bandwidth", bandwidth(rate))
        .text("codecs", track.index.info.codecs());
    write_supplemental(&mut element, video);
    write_picture(&mut element, video);
    element.text("codingDependency", "false").children(|xml| {
        let dir = track.segment_dir(Packaging::Fmp4, None);
        xml.element("BaseURL").content(&format!("../{dir}/"));
        if let Some(timeline) = timeline {
            timeline.write(xml, period.start);
        }
    });
}

/// `@bandwidth` is an `xs:unsignedInt`, and 0 would divide by zero in players.
fn bandwidth(rate: BitRate) -> u64 {
    rate.peak.clamp(1, u64::from(u32::MAX))
}

fn write_picture(element: &mut Element<'_>, video: &VideoParams) {
    element.number("width", u64::from(video.width)).number("height", u64::from(video.height)).pair(
        "sar",
        pixel_aspect(video),
        ':',
    );
}

/// `dvh1.08.07/db1p` is a codec and the brand it needs (ANSI/SCTE 214-1 5.3).
fn write_supplemental(element: &mut Element<'_>, video: &VideoParams) {
    let Some(supplemental) = &video.supplemental else { return };
    let (codecs, profiles) = supplemental.split_once('/').unwrap_or((supplemental, ""));
    element.text("scte214:supplementalCodecs", codecs);
    if !profiles.is_empty() {
        element.text("scte214:supplementalProfiles", profiles);
    }
}

pub(super) fn pixel_aspect(video: &VideoParams) -> (u64, u64) {
    match video.pixel_aspect {
        (0, _) | (_, 0) => (1, 1),
        (horizontal, vertical) => (horizontal.into(), vertical.into()),
    }
}

/// Frames and the seconds they take; `None` when not known.
pub(super) fn frame_rate(track: &MeasuredTrack<'_>) -> Option<(u64, u64)> {
    let (frames, seconds) = track.index.facts.frame_rate;
    (frames > 0 && seconds > 0).then_some((frames.into(), seconds.into()))
}

pub(super) fn write_frame_rate(element: &mut Element<'_>, name: &str, rate: (u64, u64)) {
    match rate {
        (frames, 1) => element.number(name, frames),
        rate => element.pair(name, rate, '/'),
    };
}
