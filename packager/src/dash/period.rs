//! One Period (ISO/IEC 23009-1 5.3.2): the Adaptation Sets of a presentation on one clock.

use super::adaptation_set::{write_adaptation_set, write_image_set, write_trick_mode_set};
use super::grouping::{AdaptationSet, adaptation_sets};
use super::xml::XmlWriter;
use super::{Addressing, MpdOptions};
use crate::MediaTime;
use crate::presentation::Presentation;

/// Bytes of a manifest beside its timelines, and of one `S` element.
const FIXED_LEN: usize = 2_048;
const TRACK_LEN: usize = 1_024;
const TIMELINE_ENTRY_LEN: usize = 40;

/// What a Period is written from.
pub(super) struct Period<'p> {
    pub(super) presentation: &'p Presentation<'p>,
    pub(super) options: &'p MpdOptions<'p>,
    /// Instant on the timeline of the media that plays at the start of the Period.
    pub(super) start: MediaTime,
}

impl Period<'_> {
    /// Room for the manifest when no duration repeats and no timeline is shared; short of that it
    /// is written without moving, and the rest of the memory is never touched.
    pub(super) fn len_estimate(&self) -> usize {
        let tracks = self.presentation.tracks.iter();
        let timeline = |count: usize| count * TIMELINE_ENTRY_LEN;
        let lens = tracks.map(|track| TRACK_LEN + timeline(track.entries().len()));
        FIXED_LEN + lens.sum::<usize>()
    }
}

pub(super) fn write_period(xml: &mut XmlWriter, period: &Period<'_>, number: u64) {
    let mut element = xml.element("Period");
    element.text("id", &format!("p{number}")).text("start", "PT0S").children(|xml| {
        let sets = adaptation_sets(period);
        for set in &sets {
            write_adaptation_set(xml, period, set);
        }
        let mut next_id = sets.len() as u64 + 1;
        for set in sets.iter().filter(|set| has_trick_mode(period, set)) {
            write_trick_mode_set(xml, period, set, next_id);
            next_id += 1;
        }
        for images in &period.presentation.images {
            write_image_set(xml, period, images, next_id);
            next_id += 1;
        }
    });
}

/// I-frames are numbered files: profile `isoff-on-demand` has no place for them.
fn has_trick_mode(period: &Period<'_>, set: &AdaptationSet<'_>) -> bool {
    period.options.trick_mode
        && matches!(period.options.addressing, Addressing::Numbered)
        && set.tracks.iter().any(|track| !track.iframes().1.is_empty())
}
