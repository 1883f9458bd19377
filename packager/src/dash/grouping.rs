//! Which tracks are Representations of one Adaptation Set: those a player may switch between.

use super::period::Period;
use super::{Addressing, SingleFileHead};
use crate::presentation::{BitRate, PresentedTrack};
use crate::track::MediaParams;
use crate::uri::Packaging;

/// Tracks that a player switches between, by rising bandwidth. Never empty.
pub(super) struct AdaptationSet<'p> {
    /// `@id`, unique in the Period.
    pub(super) id: u64,
    pub(super) tracks: Vec<MeasuredTrack<'p>>,
}

/// A track with what its Representation states.
pub(super) struct MeasuredTrack<'p> {
    pub(super) track: &'p PresentedTrack<'p>,
    pub(super) rate: BitRate,
    /// Where it lies in its single file, when it is addressed so.
    pub(super) head: Option<SingleFileHead>,
}

impl<'p> std::ops::Deref for MeasuredTrack<'p> {
    type Target = PresentedTrack<'p>;

    fn deref(&self) -> &Self::Target {
        self.track
    }
}

/// The Adaptation Sets of a Period in the order of their first tracks.
pub(super) fn adaptation_sets<'p>(period: &Period<'p>) -> Vec<AdaptationSet<'p>> {
    let mut sets: Vec<AdaptationSet<'p>> = Vec::new();
    for track in &period.presentation.tracks {
        let Some(measured) = measure(track, &period.options.addressing) else { continue };
        match sets.iter_mut().find(|set| is_switchable(set.tracks[0].track, track)) {
            Some(set) => set.tracks.push(measured),
            None => {
                let id = sets.len() as u64 + 1;
                sets.push(AdaptationSet { id, tracks: vec![measured] });
            }
        }
    }
    for set in &mut sets {
        set.tracks.sort_by_key(|track| track.rate.peak);
    }
    sets
}

/// `None` for a track that has nothing to present.
fn measure<'p>(
    track: &'p PresentedTrack<'p>,
    addressing: &Addressing<'_>,
) -> Option<MeasuredTrack<'p>> {
    if track.entries().is_empty() {
        return None;
    }
    let head = match addressing {
        Addressing::Numbered => None,
        Addressing::SingleFile(head_of) => Some(head_of(track)?),
    };
    let rate = BitRate::of_track(track, Packaging::Fmp4);
    Some(MeasuredTrack { track, rate, head })
}

/// Whether a player may go from one track to the other in the midst of playing: same codec family,
/// same language and purpose, same loudspeakers or colours. A text is always on its own.
fn is_switchable(a: &PresentedTrack<'_>, b: &PresentedTrack<'_>) -> bool {
    let is_coded_alike = match (&a.index.info.media, &b.index.info.media) {
        (MediaParams::Video(a), MediaParams::Video(b)) => {
            (a.codec, a.range, a.color) == (b.codec, b.range, b.color)
        }
        (MediaParams::Audio(a), MediaParams::Audio(b)) => {
            (a.codec, a.channels, a.channel_configuration, a.joc_complexity)
                == (b.codec, b.channels, b.channel_configuration, b.joc_complexity)
        }
        _ => false,
    };
    is_coded_alike
        && a.index.info.language == b.index.info.language
        && (a.role, a.label, a.accessibility) == (b.role, b.label, b.accessibility)
}
