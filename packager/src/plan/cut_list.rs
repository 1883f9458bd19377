//! The cut list of a title: one list of instants at which every rendition starts a segment.
//!
//! Cuts lie on key frames that all video renditions have in common. Audio and text follow: audio
//! at the frame border nearest to the cut, text at the cut itself. The list is frozen with the
//! title, so that a rendition added later gets the same segments or is refused.

use std::num::NonZeroU64;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::track::{SampleTable, TrackInfo, TrackKind};
use crate::{MediaTime, PackageError, Timescale};

/// Renditions whose common key frames lie further apart than this many target durations can't be
/// switched between in reasonable time.
const COMMON_GAP_TARGETS_MAX: u64 = 2;

/// Starts of segments. Segment `n` (from 0) lasts from cut `n` to cut `n + 1`, the last one to the
/// end of the title.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct CutList {
    pub timescale: Timescale,
    /// Ticks, strictly increasing, the first one 0.
    pub cuts: Vec<u64>,
}

impl CutList {
    pub fn len(&self) -> usize {
        self.cuts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.cuts.is_empty()
    }

    pub fn cut(&self, index: usize) -> Option<MediaTime> {
        self.cuts.get(index).map(|&ticks| self.timescale.ticks(ticks))
    }

    /// Index of the segment that `time` falls into.
    pub fn segment_at(&self, time: MediaTime) -> usize {
        self.cuts.partition_point(|&cut| self.timescale.ticks(cut) <= time).saturating_sub(1)
    }
}

/// Presentation times at which a video track can be entered.
#[derive(Clone, Debug)]
pub struct SyncTimes {
    /// How errors name the track.
    pub name: String,
    pub timescale: Timescale,
    /// Ticks, increasing.
    pub times: Vec<u64>,
    /// Those of `times` at which another sample entry takes over: segments have one each, so a
    /// cut is needed here whatever the grid says.
    pub required: Vec<u64>,
    pub end_time: u64,
    /// Half the shortest frame, in ticks: key frames of two renditions that lie closer than this
    /// show the same picture.
    pub tolerance_ticks: u64,
}

impl SyncTimes {
    pub fn of(name: String, info: &TrackInfo, table: &SampleTable) -> Self {
        let sync = table.samples.iter().filter(|sample| sample.is_sync);
        let changes = table.samples.windows(2).filter(|pair| {
            pair[1].is_sync && pair[0].description_index != pair[1].description_index
        });
        let shortest = table
            .samples
            .iter()
            .map(|sample| sample.duration_ticks)
            .filter(|&duration| duration > 1)
            .min();
        Self {
            name,
            timescale: info.timescale,
            times: sync.map(|sample| sample.presentation_time()).collect(),
            required: changes.map(|pair| pair[1].presentation_time()).collect(),
            end_time: table.end_time(),
            tolerance_ticks: u64::from(shortest.unwrap_or(0) / 2),
        }
    }

    /// Whether the track can be entered at `time`.
    fn contains(&self, time: MediaTime) -> bool {
        let Some(MediaTime { ticks: wanted, .. }) = time.rescale_round(self.timescale) else {
            return false;
        };
        let next = self.times.partition_point(|&sync| sync < wanted);
        let near = |index: usize| {
            self.times.get(index).is_some_and(|sync| sync.abs_diff(wanted) <= self.tolerance_ticks)
        };
        near(next) || next.checked_sub(1).is_some_and(near)
    }
}

/// Plans the cuts of a title.
///
/// A segment closes at the first common key frame on or after the next multiple of `target`,
/// counted from the start of the title: one long GOP delays one boundary, and the following ones
/// return to the grid. Without video, and past the end of the video as far as `end` reaches, cuts
/// stand on the grid itself.
///
/// # Errors
/// [`PackageError::IncompatibleRenditions`] names the instants between which several renditions
/// have no key frame in common; [`PackageError::LimitExceeded`] is for more than [`CUTS_MAX`] cuts.
pub fn plan_cuts(
    video: &[SyncTimes],
    target: MediaTime,
    end: MediaTime,
) -> Result<CutList, PackageError> {
    let Some((reference, others)) = video.split_first() else {
        return grid(target, end);
    };
    let timescale = reference.timescale;
    let ticks = |time: MediaTime| time.rescale_floor(timescale).map_or(u64::MAX, |time| time.ticks);
    let target_ticks = NonZeroU64::new(ticks(target)).unwrap_or(NonZeroU64::MIN);

    let common = reference
        .times
        .iter()
        .copied()
        .filter(|&time| others.iter().all(|other| other.contains(timescale.ticks(time))));
    let mut cuts = vec![0];
    for time in common {
        let last = cuts[cuts.len() - 1];
        // Key frames that are presented in another order than they are decoded in go back.
        if time <= last {
            continue;
        }
        let is_required = reference.required.binary_search(&time).is_ok();
        if time / target_ticks > last / target_ticks || is_required {
            push_cut(&mut cuts, time)?;
        }
    }
    if !others.is_empty() {
        refuse_wide_gaps(reference, &cuts, target_ticks)?;
    }
    extend_past_video(&mut cuts, reference.end_time, ticks(end), target_ticks.get())?;
    Ok(CutList { timescale, cuts })
}

/// Cuts at multiples of the target.
fn grid(target: MediaTime, end: MediaTime) -> Result<CutList, PackageError> {
    let timescale = target.timescale;
    let end_ticks = end.rescale_ceil(timescale).map_or(u64::MAX, |time| time.ticks);
    let step = target.ticks.max(1);
    let count = end_ticks.div_ceil(step).max(1);
    if count > CUTS_MAX {
        return Err(too_many_cuts());
    }
    Ok(CutList { timescale, cuts: (0..count).map(|index| index * step).collect() })
}

/// Segments of a title: 36 hours of one second each, or nine days of six. A media playlist then has
/// about ten megabytes.
pub const CUTS_MAX: u64 = 1 << 17;

fn too_many_cuts() -> PackageError {
    PackageError::LimitExceeded { what: "segments in a title", max: CUTS_MAX }
}

fn push_cut(cuts: &mut Vec<u64>, time: u64) -> Result<(), PackageError> {
    if cuts.len() as u64 >= CUTS_MAX {
        return Err(too_many_cuts());
    }
    cuts.push(time);
    Ok(())
}

/// Audio or text may go on after the last picture, in segments of the target duration.
fn extend_past_video(
    cuts: &mut Vec<u64>,
    video_end: u64,
    title_end: u64,
    target_ticks: u64,
) -> Result<(), PackageError> {
    let mut next = video_end.max(cuts[cuts.len() - 1].saturating_add(target_ticks));
    while next.saturating_add(target_ticks / 2) < title_end {
        push_cut(cuts, next)?;
        next = next.saturating_add(target_ticks);
    }
    Ok(())
}

fn refuse_wide_gaps(
    reference: &SyncTimes,
    cuts: &[u64],
    target_ticks: NonZeroU64,
) -> Result<(), PackageError> {
    let limit = target_ticks.get().saturating_mul(COMMON_GAP_TARGETS_MAX);
    let ends = cuts.iter().skip(1).copied().chain([reference.end_time]);
    for (&start, end) in cuts.iter().zip(ends) {
        if end.saturating_sub(start) > limit {
            let seconds = |ticks| reference.timescale.ticks(ticks).as_seconds();
            return Err(PackageError::IncompatibleRenditions {
                reason: format!(
                    "they have no key frame in common between {:.3} s and {:.3} s; encode them \
                     with the same closed GOP and without scene-cut key frames",
                    seconds(start),
                    seconds(end),
                ),
            });
        }
    }
    Ok(())
}

/// Which samples of a track each segment holds: one range of sample indexes a cut, tiling the
/// track, empty where the track has nothing between two cuts.
///
/// # Errors
/// [`PackageError::IncompatibleRenditions`] when a video track has no key frame at a cut, or when
/// the sample description changes inside a segment.
pub fn segment_boundaries(
    name: &str,
    info: &TrackInfo,
    table: &SampleTable,
    cuts: &CutList,
) -> Result<Vec<Range<usize>>, PackageError> {
    let samples = &table.samples;
    let sync = SyncTimes::of(name.to_owned(), info, table);
    let mut starts = Vec::with_capacity(cuts.len() + 1);
    let mut first = 0;
    for index in 0..cuts.len() {
        let cut = cuts.timescale.ticks(cuts.cuts[index]);
        let cut_ticks = cut.rescale_round(info.timescale).map_or(u64::MAX, |time| time.ticks);
        if index > 0 {
            first = match info.kind() {
                TrackKind::Video => video_start(&sync, table, first, cut_ticks)?,
                _ => first + nearest_start(&samples[first..], cut_ticks),
            };
        }
        starts.push(first);
    }
    starts.push(samples.len());
    let ranges: Vec<_> = starts.windows(2).map(|pair| pair[0]..pair[1]).collect();
    refuse_changing_description(name, info, table, &ranges)?;
    Ok(ranges)
}

/// First sample, from `from` on, whose start lies nearer to the cut than that of the one before.
fn nearest_start(samples: &[crate::track::Sample], cut_ticks: u64) -> usize {
    samples.partition_point(|sample| {
        sample.decode_time + u64::from(sample.duration_ticks) / 2 < cut_ticks
    })
}

fn video_start(
    sync: &SyncTimes,
    table: &SampleTable,
    from: usize,
    cut_ticks: u64,
) -> Result<usize, PackageError> {
    let samples = &table.samples;
    if cut_ticks >= sync.end_time.saturating_sub(sync.tolerance_ticks) {
        return Ok(samples.len());
    }
    let earliest = cut_ticks.saturating_sub(sync.tolerance_ticks);
    let found = (from..samples.len())
        .find(|&index| samples[index].is_sync && samples[index].presentation_time() >= earliest);
    if let Some(index) = found
        && samples[index].presentation_time() <= cut_ticks + sync.tolerance_ticks
    {
        return Ok(index);
    }
    // A rendition that starts late has nothing before its first key frame.
    if samples.first().is_some_and(|sample| sample.presentation_time() > cut_ticks) {
        return Ok(0);
    }
    Err(PackageError::IncompatibleRenditions {
        reason: format!(
            "{} has no key frame at {:.3} s, where the title is cut",
            sync.name,
            sync.timescale.ticks(cut_ticks).as_seconds()
        ),
    })
}

fn refuse_changing_description(
    name: &str,
    info: &TrackInfo,
    table: &SampleTable,
    ranges: &[Range<usize>],
) -> Result<(), PackageError> {
    for range in ranges {
        let samples = &table.samples[range.clone()];
        for pair in samples.windows(2) {
            if pair[0].description_index != pair[1].description_index {
                let seconds = info.timescale.ticks(pair[1].decode_time).as_seconds();
                return Err(PackageError::IncompatibleRenditions {
                    reason: format!(
                        "{name} changes its sample description at {seconds:.3} s, which is not \
                         where a segment starts"
                    ),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
