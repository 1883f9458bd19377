//! Moves samples from the source's clock to the output timeline.
//!
//! The edit list says which media time is shown when (ISO/IEC 14496-12 8.6.6). Players of segments
//! see no edit list, so what it says must be true of the samples themselves: those that are never
//! shown go, and the others carry the times at which they are shown. Throughout, the *presented
//! time* of a sample is decode time plus composition offset, moved by the edit; the track starts
//! at `lead`.
//!
//! - Sound frames that lie at least half before the start are dropped; one that lies less than
//!   half before it starts with the track and is shortened, so that all others keep their time.
//! - Pictures that are decoded only because the first one shown refers to them last one tick each
//!   at the very start. Where that is too much for the timescale, the timescale is refined.
//! - Pictures presented before the first sync sample would need pictures from before it: dropped.
//! - The end of the edit drops samples from the back, as far as nothing shown is decoded later.
//!
//! Then one constant moves all decode times so that the first sample is decoded when it is
//! presented; composition offsets turn negative where reordering wants it (`trun` version 1).

use super::PREROLL_SAMPLES_MAX;
use super::edit_list::{Edit, EditLimit};
use crate::PackageError;
use crate::track::{Sample, TrackKind};

/// What became of the samples.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Retimed {
    /// What the timescale is to be multiplied by; the samples' times are already.
    pub timescale_factor: u32,
    /// Indexes of the samples that are gone, in order.
    dropped: Dropped,
    kept: usize,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Dropped {
    in_front: usize,
    inside: Vec<usize>,
}

impl Retimed {
    /// Where the sample that had `index`, or the first after it that is left, is now.
    pub(super) fn place_of(&self, index: usize) -> usize {
        let inside = self.dropped.inside.partition_point(|&dropped| dropped < index);
        let place = index.saturating_sub(self.dropped.in_front).saturating_sub(inside);
        place.min(self.kept.saturating_sub(1))
    }
}

/// Applies `edit` to the samples of `track`. `None` when it presents none of them.
///
/// # Errors
/// [`PackageError::UnsupportedTrack`] when there is no sync sample to start on, or one too far
/// away; [`PackageError::InvalidSample`] when a time leaves the range of its field.
pub(super) fn apply_edit(
    samples: &mut Vec<Sample>,
    edit: &Edit,
    kind: TrackKind,
    track: u32,
) -> Result<Option<Retimed>, PackageError> {
    // The parsers keep all of these below TICKS_MAX, so that sums stay inside i64.
    let lead = edit.lead_ticks.cast_signed();
    let clock = Clock { lead, shift: lead - edit.media_time.cast_signed() };
    let scan = Scan::of(samples, clock);
    if samples.is_empty() || scan.media_end <= lead {
        return Ok(None);
    }
    if let Some(limit) = edit.limit {
        cut_end(samples, clock, limit, scan.media_end);
    }
    // Sound and text without any sync sample have muddled flags: each sample stands alone. Sound
    // with true sync samples (xHE-AAC) is decoded from one of them, like pictures.
    let has_no_flags = kind != TrackKind::Video && scan.sync_count == 0;
    let is_all_sync = has_no_flags || scan.sync_count == scan.count;
    let first = match kind {
        TrackKind::Audio if is_all_sync => first_sound_frame(samples, clock),
        _ => first_sync_sample(samples, clock, &scan, has_no_flags),
    };
    let Some(first) = first else {
        if scan.sync_count == 0 && !has_no_flags {
            let reason = "none of its samples is a sync sample".to_owned();
            return Err(PackageError::UnsupportedTrack { track, reason });
        }
        return Ok(None);
    };
    let starts_exactly = scan.at_lead == Some(first)
        && scan.at_lead_count == 1
        && clock.presented(&samples[first]) == lead;
    let early = if starts_exactly {
        EarlySamples::NONE
    } else {
        EarlySamples::of(samples, clock, first, scan.media_end, track)?
    };
    let mut writer = Writer::new(clock, &early, first, clock.presented(&samples[first]), track);
    writer.sets_sync = has_no_flags;
    writer.write(samples)?;
    Ok(Some(Retimed {
        timescale_factor: early.timescale_factor,
        dropped: Dropped { in_front: first, inside: writer.dropped },
        kept: samples.len(),
    }))
}

/// From the source's clock to the output timeline, in ticks of the source.
#[derive(Clone, Copy)]
struct Clock {
    lead: i64,
    /// Output minus source.
    shift: i64,
}

impl Clock {
    fn presented(self, sample: &Sample) -> i64 {
        self.decoded(sample) + i64::from(sample.composition_offset_ticks)
    }

    fn decoded(self, sample: &Sample) -> i64 {
        sample.decode_time.cast_signed() + self.shift
    }
}

/// What one pass over all samples tells.
struct Scan {
    /// Where the last picture ends, in presentation.
    media_end: i64,
    /// The sample on screen when the track starts.
    at_lead: Option<usize>,
    /// How many are presented at that sample's time.
    at_lead_count: usize,
    sync_count: usize,
    count: usize,
}

impl Scan {
    fn of(samples: &[Sample], clock: Clock) -> Self {
        let mut media_end = i64::MIN;
        let mut at_lead = None;
        let mut at_lead_count = 0;
        let mut sync_count = 0;
        let mut latest = i64::MIN;
        for (index, sample) in samples.iter().enumerate() {
            let presented = clock.presented(sample);
            sync_count += usize::from(sample.is_sync);
            media_end = media_end.max(presented + i64::from(sample.duration_ticks));
            if presented <= clock.lead && presented >= latest {
                if presented > latest {
                    (latest, at_lead, at_lead_count) = (presented, Some(index), 0);
                }
                at_lead_count += 1;
            }
        }
        Self { media_end, at_lead, at_lead_count, sync_count, count: samples.len() }
    }
}

/// Drops samples from the back that are presented at or after the end of the edit.
///
/// An edit that ends within a tick of its clock from the media's end means all of it.
fn cut_end(samples: &mut Vec<Sample>, clock: Clock, limit: EditLimit, media_end: i64) {
    let end = clock.lead + limit.duration_ticks.cast_signed();
    if media_end <= end.saturating_add(limit.tolerance_ticks.cast_signed()) {
        return;
    }
    let kept = samples.iter().rposition(|sample| clock.presented(sample) < end);
    samples.truncate(kept.map_or(0, |last| last + 1));
}

/// The first frame of which more than half is heard.
fn first_sound_frame(samples: &[Sample], clock: Clock) -> Option<usize> {
    samples.iter().position(|sample| {
        let unheard = clock.lead - clock.presented(sample);
        unheard <= 0 || unheard * 2 < i64::from(sample.duration_ticks)
    })
}

/// The sync sample that decoding must start on for the picture on screen at the start.
///
/// A sync sample that comes before a picture in decoding and after it in presentation is no place
/// to start for it: the picture may refer to what lies before (ISO/IEC 14496-12 3.1, leading
/// samples). Where nothing can be decoded at the start, the track starts late, on its first sync
/// sample.
fn first_sync_sample(
    samples: &[Sample],
    clock: Clock,
    scan: &Scan,
    has_no_flags: bool,
) -> Option<usize> {
    let is_sync = |sample: &Sample| sample.is_sync || has_no_flags;
    let before = scan.at_lead.filter(|&index| index < samples.len()).and_then(|at_lead| {
        let shown = clock.presented(&samples[at_lead]);
        let is_start = |sample: &Sample| is_sync(sample) && clock.presented(sample) <= shown;
        samples[..=at_lead].iter().rposition(is_start)
    });
    before.or_else(|| samples.iter().position(is_sync))
}

/// Samples presented up to the start of the track: they need times of their own.
struct EarlySamples {
    /// (index, presented time on the refined timescale), by index.
    times: Vec<(usize, i64)>,
    timescale_factor: u32,
}

impl EarlySamples {
    const NONE: Self = Self { times: Vec::new(), timescale_factor: 1 };

    fn of(
        samples: &[Sample],
        clock: Clock,
        first: usize,
        media_end: i64,
        track: u32,
    ) -> Result<Self, PackageError> {
        let start = clock.presented(&samples[first]);
        let mut early = Vec::new();
        let mut next = media_end;
        if start <= clock.lead {
            for (index, sample) in samples.iter().enumerate().skip(first) {
                let presented = clock.presented(sample);
                if presented > clock.lead {
                    next = next.min(presented);
                } else if presented >= start {
                    early.push((presented, index));
                }
                if early.len() > PREROLL_SAMPLES_MAX {
                    let reason = format!(
                        "its edit list starts more than {PREROLL_SAMPLES_MAX} samples after the \
                         sync sample that decoding must start on"
                    );
                    return Err(PackageError::UnsupportedTrack { track, reason });
                }
            }
        }
        if let [(presented, _)] = early[..]
            && presented == clock.lead
        {
            early.clear();
        }
        early.sort_unstable();
        let hidden = early.len().saturating_sub(1) as u64;
        // What is hidden takes at most a quarter of the first picture's time. The next picture is
        // presented after the start and the media ends after it, so there is time to share.
        let shared = next.saturating_sub(clock.lead).max(1).cast_unsigned();
        let factor = (hidden * 4).div_ceil(shared).max(1);
        let timescale_factor = u32::try_from(factor).unwrap_or(u32::MAX);
        let lead = clock.lead.saturating_mul(timescale_factor.into());
        let mut times = early
            .iter()
            .zip(0..)
            .map(|(&(_, index), rank)| (index, lead.saturating_add(rank)))
            .collect::<Vec<_>>();
        times.sort_unstable();
        Ok(Self { times, timescale_factor })
    }
}

/// Writes the new times in place and closes the gaps that dropped samples leave.
struct Writer<'a> {
    clock: Clock,
    factor: i64,
    early: std::iter::Peekable<std::slice::Iter<'a, (usize, i64)>>,
    /// One past the last sample that is presented early.
    early_end: usize,
    first: usize,
    /// Presented time of the first sample: others before it can't be decoded.
    start: i64,
    /// Decode times move by this once the early samples are past.
    decode_shift: Option<i64>,
    dropped: Vec<usize>,
    /// Every sample becomes a sync sample.
    sets_sync: bool,
    track: u32,
}

impl<'a> Writer<'a> {
    fn new(clock: Clock, early: &'a EarlySamples, first: usize, start: i64, track: u32) -> Self {
        Self {
            clock,
            factor: early.timescale_factor.into(),
            early_end: early.times.last().map_or(0, |&(index, _)| index + 1),
            early: early.times.iter().peekable(),
            first,
            start,
            decode_shift: None,
            dropped: Vec::new(),
            sets_sync: false,
            track,
        }
    }

    fn write(&mut self, samples: &mut Vec<Sample>) -> Result<(), PackageError> {
        let first_offset = i64::from(samples[self.first].composition_offset_ticks);
        let mut kept = 0;
        for index in self.first..samples.len() {
            let mut sample = samples[index];
            let presented = self.clock.presented(&sample);
            if presented < self.start {
                self.dropped.push(index);
                continue;
            }
            let decode = self.decode_time(index, kept, &sample, first_offset);
            let presented = match self.early.next_if(|(early, _)| *early == index) {
                Some(&(_, time)) => Some(time),
                None => presented.checked_mul(self.factor),
            };
            let (Some(decode), Some(presented)) = (decode, presented) else {
                return Err(self.out_of_range(index));
            };
            debug_assert!(presented >= self.clock.lead && decode >= self.clock.lead);
            sample.is_sync |= self.sets_sync;
            let offset = i32::try_from(presented - decode);
            sample.composition_offset_ticks = offset.map_err(|_| self.out_of_range(index))?;
            sample.decode_time = decode.cast_unsigned();
            if kept > 0 {
                let previous: &mut Sample = &mut samples[kept - 1];
                let duration = u32::try_from(decode - previous.decode_time.cast_signed());
                previous.duration_ticks = duration.map_err(|_| self.out_of_range(index))?;
            }
            samples[kept] = sample;
            kept += 1;
        }
        samples.truncate(kept);
        if let Some(last) = samples.last_mut() {
            let duration = i64::from(last.duration_ticks) * self.factor;
            last.duration_ticks =
                u32::try_from(duration).map_err(|_| self.out_of_range(self.first + kept - 1))?;
        }
        Ok(())
    }

    /// Early samples are decoded a tick apart from the start of the track on; the others follow
    /// as the source has it, at the earliest right after those.
    fn decode_time(
        &mut self,
        index: usize,
        kept: usize,
        sample: &Sample,
        first_offset: i64,
    ) -> Option<i64> {
        let lead = self.clock.lead.checked_mul(self.factor)?;
        if index < self.early_end {
            return lead.checked_add(kept as i64);
        }
        let decoded = self.clock.decoded(sample).checked_mul(self.factor)?;
        let shift = match self.decode_shift {
            Some(shift) => shift,
            None => {
                let mut shift = first_offset.checked_mul(self.factor)?;
                if kept > 0 {
                    let earliest = lead.checked_add(kept as i64)?;
                    shift = shift.max(earliest.checked_sub(decoded)?);
                }
                *self.decode_shift.insert(shift)
            }
        };
        decoded.checked_add(shift)
    }

    fn out_of_range(&self, index: usize) -> PackageError {
        PackageError::InvalidSample {
            track: self.track,
            sample: index as u32 + 1,
            reason: "its times leave the range of their fields on the output timeline",
        }
    }
}

#[cfg(test)]
mod tests;
