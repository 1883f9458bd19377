//! MPEG-DASH: static manifests (ISO/IEC 23009-1, DASH-IF Interoperability Points).
//!
//! A manifest is written straight from a [`Presentation`] in one pass. It lies in `{preset}/`, so
//! that every Representation names its directory below `../` as its `BaseURL`, and Representations
//! with equal tables share one `SegmentTemplate` in their Adaptation Set.
//!
//! Times stay in the timescale of each track. A Period starts at the earliest instant presented:
//! `@presentationTimeOffset` is that instant in ticks of the track.

mod adaptation_set;
mod descriptor;
mod grouping;
mod period;
mod representation;
mod segments;
mod xml;

use std::ops::Range;

use crate::presentation::numbers::{MICROS, push_number, push_padded};
use crate::presentation::{Presentation, PresentedTrack};
use crate::track::MediaParams;
use crate::{MediaTime, Timescale};

use period::{Period, write_period};
use xml::XmlWriter;

/// How a manifest is written.
#[derive(Clone, Copy)]
pub struct MpdOptions<'a> {
    pub addressing: Addressing<'a>,
    /// Offer I-frames as Adaptation Sets for trick play; only with numbered segments.
    pub trick_mode: bool,
}

/// How segments are found.
#[derive(Clone, Copy)]
pub enum Addressing<'a> {
    /// `$Number$` and a `SegmentTimeline`: profile `isoff-live`.
    Numbered,
    /// Byte ranges of `track.mp4` through its segment index: profile `isoff-on-demand`. A track
    /// for which the function has no answer is left out.
    SingleFile(&'a dyn Fn(&PresentedTrack<'_>) -> Option<SingleFileHead>),
}

/// The front of a single-file track, in bytes from the start of the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SingleFileHead {
    /// `ftyp` and `moov`.
    pub init: Range<u64>,
    /// `sidx`.
    pub index: Range<u64>,
}

const LIVE_PROFILE: &str = "urn:mpeg:dash:profile:isoff-live:2011";
const ON_DEMAND_PROFILE: &str = "urn:mpeg:dash:profile:isoff-on-demand:2011";

/// Writes the manifest of `presentation`, which lies in `{preset}/`.
pub fn write_mpd(presentation: &Presentation<'_>, options: &MpdOptions<'_>) -> String {
    let period = Period { presentation, options, start: presentation.start_time() };
    let mut xml = XmlWriter::new(period.len_estimate());
    let mut root = xml.element("MPD");
    root.text("xmlns", "urn:mpeg:dash:schema:mpd:2011");
    if presentation.tracks.iter().any(has_supplemental_codecs) {
        root.text("xmlns:scte214", "urn:scte:dash:scte214-extensions");
    }
    let profile = match options.addressing {
        Addressing::Numbered => LIVE_PROFILE,
        Addressing::SingleFile(_) => ON_DEMAND_PROFILE,
    };
    let longest = duration(presentation.longest_segment_micros());
    root.text("profiles", profile)
        .text("type", "static")
        .text("mediaPresentationDuration", &duration(duration_micros(presentation)))
        // `@bandwidth` is a peak over whole segments: with the longest of them in the buffer, a
        // channel of that rate never runs dry (ISO/IEC 23009-1 5.3.5.4).
        .text("minBufferTime", &longest)
        .text("maxSegmentDuration", &longest)
        .children(|xml| write_period(xml, &period, 0));
    xml.finish()
}

fn has_supplemental_codecs(track: &PresentedTrack<'_>) -> bool {
    matches!(&track.index.info.media, MediaParams::Video(video) if video.supplemental.is_some())
}

/// From the earliest start to the latest end, to the nearest microsecond.
fn duration_micros(presentation: &Presentation<'_>) -> u64 {
    span_micros(presentation.start_time(), presentation.end_time())
}

/// `end - start` in microseconds, rounded once: both on the product of their timescales.
fn span_micros(start: MediaTime, end: MediaTime) -> u64 {
    let (from, to) = (u128::from(start.timescale.get()), u128::from(end.timescale.get()));
    let ticks = (u128::from(end.ticks) * from).saturating_sub(u128::from(start.ticks) * to);
    let per_second = from * to;
    let (seconds, rest) = (ticks / per_second, ticks % per_second);
    let fraction = (rest * u128::from(MICROS) + per_second / 2) / per_second;
    u64::try_from(seconds * u128::from(MICROS) + fraction).unwrap_or(u64::MAX)
}

/// `xs:duration` of microseconds, as `PT6.006S`.
fn duration(micros: u64) -> String {
    let mut out = String::from("PT");
    push_number(&mut out, micros / MICROS);
    if !micros.is_multiple_of(MICROS) {
        out.push('.');
        push_padded(&mut out, micros % MICROS, 6);
        out.truncate(out.trim_end_matches('0').len());
    }
    out.push('S');
    out
}

/// `instant` in ticks of `timescale`, to the nearest: `@presentationTimeOffset`.
fn offset_ticks(instant: MediaTime, timescale: Timescale) -> u64 {
    instant.rescale_round(timescale).map_or(0, |time| time.ticks)
}
