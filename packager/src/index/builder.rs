//! Builds a track's index while its samples are read, once each, in decode order.
//!
//! The builder says which bytes of the source the next sample has; whoever owns the file reads
//! them. From each sample it learns the subsample layout, how its codec lets a viewer enter, what
//! captions it carries and what it will take in MPEG-TS.

use std::iter::Peekable;
use std::ops::Range;
use std::sync::Arc;
use std::vec::IntoIter;

use super::block::encode_block;
use super::event::TrackEvent;
use super::packed::place_segment;
use super::places::TrackPlaces;
use super::sidecar::{BlockPlace, MediaIdentity, Sidecar, write_sidecar};
use super::track_index::{IFrameEntry, SegmentEntry, SegmentSamples, TrackFacts, TrackIndex};
use crate::PackageError;
use crate::codec::{RandomAccess, SampleScanner};
use crate::plan::{CutList, segment_boundaries};
use crate::track::{Sample, SampleTable, TrackInfo, TrackKind};
use crate::ts::{TrackSizer, reorder_ticks};

/// Trick play shows at most one picture for each of so many milliseconds of content.
const IFRAME_SPACING_MS: u64 = 1_000;

/// I-frames of a track: six days of one each second. Their rows stay resident.
const IFRAMES_MAX: usize = 1 << 19;

/// Turns a track's samples into its index.
pub struct IndexBuilder {
    table: SampleTable,
    ranges: Vec<Range<usize>>,
    /// In the order of their samples; those of the closed segments are gone.
    events: Peekable<IntoIter<TrackEvent>>,
    scanner: SampleScanner,
    /// `None` for codecs that MPEG-TS does not carry.
    sizer: Option<TrackSizer>,
    index: TrackIndex,
    next_sample: usize,
    segment: SegmentSamples,
    blocks: Blocks,
    /// For tracks whose blocks are not packed.
    guide: Option<Arc<TrackPlaces>>,
    /// Some block can't be read without it.
    guide_is_needed: bool,
    ts_packets: u64,
}

/// Where finished blocks go.
enum Blocks {
    /// Behind the table of the sidecar, one after another.
    Sidecar(Vec<u8>),
    /// Into the media object, which has `end_bytes` so far; `finished` waits to be taken.
    Media { end_bytes: u64, finished: Option<Vec<u8>> },
}

impl IndexBuilder {
    /// Plans the segments of a track along `cuts`.
    ///
    /// # Errors
    /// [`PackageError::IncompatibleRenditions`] when the track can't be cut there.
    pub fn new(
        name: &str,
        info: TrackInfo,
        table: SampleTable,
        mut events: Vec<TrackEvent>,
        cuts: &CutList,
    ) -> Result<Self, PackageError> {
        let mut ranges = segment_boundaries(name, &info, &table, cuts)?;
        let follows_every_cut = drop_inner_gaps(&mut ranges);
        events.sort_by_key(|event| event.before_sample);
        let facts = TrackFacts {
            sample_count: u32::try_from(table.len()).map_err(|_| PackageError::LimitExceeded {
                what: "samples in a track",
                max: u64::from(u32::MAX),
            })?,
            frame_rate: frame_rate(&info, &table),
            reorder_ticks: reorder_ticks(&table.samples),
            ..TrackFacts::default()
        };
        Ok(Self {
            scanner: SampleScanner::new(&info),
            sizer: TrackSizer::new(&info, facts.reorder_ticks).filter(|_| follows_every_cut),
            index: TrackIndex {
                facts,
                segments: Vec::with_capacity(ranges.len()),
                iframes: Vec::new(),
                end_time: table.end_time(),
                info,
            },
            ranges,
            events: events.into_iter().peekable(),
            table,
            next_sample: 0,
            segment: SegmentSamples::default(),
            blocks: Blocks::Sidecar(Vec::new()),
            guide: None,
            guide_is_needed: false,
            ts_packets: 0,
        })
    }

    /// Where the samples lie, for [`Self::beside`] of other tracks in the same file. To be asked
    /// before a sample was handled, of a track that has no guide itself.
    pub fn places(&self) -> TrackPlaces {
        TrackPlaces::new(self.index.info.source_track_id, &self.table, &self.ranges)
    }

    /// Lets the blocks count along that track of the same file behind whose samples most of this
    /// one's chunks lie, where that takes fewer bytes. The samples of a packed track lie in a row,
    /// so that there is nothing to count.
    #[must_use]
    pub fn beside(mut self, others: &[Arc<TrackPlaces>]) -> Self {
        self.guide = match others {
            [only] => Some(only.clone()),
            _ => others.iter().max_by_key(|places| places.chunks_behind(&self.table)).cloned(),
        };
        self
    }

    /// Makes the track a packed one: its samples are copied into a media object of its own, each
    /// segment's block right before them ([`BlockPlace::Media`]).
    ///
    /// The caller writes that object. It keeps the bytes it gives to [`Self::handle_sample`], and
    /// when [`Self::take_block`] then answers, it appends the block, and after it what it kept.
    #[must_use]
    pub fn packed(mut self) -> Self {
        self.blocks = Blocks::Media { end_bytes: 0, finished: None };
        self
    }

    /// The block of the segment that the last sample completed, for a packed track.
    pub fn take_block(&mut self) -> Option<Vec<u8>> {
        match &mut self.blocks {
            Blocks::Sidecar(_) => None,
            Blocks::Media { finished, .. } => finished.take(),
        }
    }

    /// The sample whose bytes [`Self::handle_sample`] wants next; `None` when all were read.
    pub fn next_sample(&self) -> Option<&Sample> {
        self.table.samples.get(self.next_sample)
    }

    /// Takes the bytes of the next sample.
    ///
    /// # Errors
    /// [`PackageError::InvalidSample`] names the sample that its codec's rules refuse;
    /// [`PackageError::LimitExceeded`] is for a track with more I-frames than any has.
    pub fn handle_sample(&mut self, bytes: &[u8]) -> Result<(), PackageError> {
        let Some(&sample) = self.table.samples.get(self.next_sample) else {
            return Ok(());
        };
        self.open_segments();
        self.scan(&sample, bytes)?;
        self.segment.samples.push(sample);
        self.next_sample += 1;
        if self.ranges.get(self.index.segments.len()).is_some_and(|r| r.end == self.next_sample) {
            self.close_segment();
        }
        Ok(())
    }

    /// Samples read so far, of how many.
    pub fn progress(&self) -> (usize, usize) {
        (self.next_sample, self.table.len())
    }

    /// The finished index and its sidecar, with the blocks in it unless the track is packed.
    /// `media` is what the sample offsets refer to: the source, or the packed object.
    pub fn finish(mut self, media: MediaIdentity) -> (TrackIndex, Vec<u8>) {
        while self.index.segments.len() < self.ranges.len() {
            self.close_segment();
        }
        self.measure_bitrates();
        self.index.facts.fits_ts = self.sizer.is_some();
        if self.sizer.is_none() {
            self.forget_ts_sizes();
        }
        let (block_place, blocks) = match &self.blocks {
            Blocks::Sidecar(blocks) => (BlockPlace::Sidecar, blocks.as_slice()),
            Blocks::Media { .. } => (BlockPlace::Media, &[][..]),
        };
        let guide = self.guide.as_ref().filter(|_| self.guide_is_needed);
        let guide = guide.map(|places| places.source_track_id());
        let sidecar = Sidecar { index: self.index, block_place, media, guide };
        let bytes = write_sidecar(&sidecar, blocks);
        (sidecar.index, bytes)
    }

    /// Closes segments that have no samples, so that the open one holds the next sample.
    fn open_segments(&mut self) {
        while self
            .ranges
            .get(self.index.segments.len())
            .is_some_and(|range| range.end <= self.next_sample)
        {
            self.close_segment();
        }
    }

    fn scan(&mut self, sample: &Sample, bytes: &[u8]) -> Result<(), PackageError> {
        let invalid = |reason| PackageError::InvalidSample {
            track: self.index.info.source_track_id,
            sample: self.next_sample as u32 + 1,
            reason,
        };
        let layout = &mut self.segment.layout;
        let facts = self.scanner.scan(bytes, sample.description_index, layout).map_err(invalid)?;
        // What a transport stream refuses, CMAF may still carry.
        if self.sizer.as_mut().is_some_and(|sizer| sizer.push(sample, bytes).is_err()) {
            self.sizer = None;
        }
        let starts_segment = self.segment.samples.is_empty();
        self.index.facts.open_gop |= starts_segment && facts.random_access == RandomAccess::Open;
        self.index.facts.cea608_channels |= facts.cea608_channels;
        self.index.facts.cea708_services |= facts.cea708_services;
        self.offer_iframe(sample)
    }

    fn offer_iframe(&mut self, sample: &Sample) -> Result<(), PackageError> {
        if self.index.info.kind() != TrackKind::Video || !sample.is_sync {
            return Ok(());
        }
        let time = sample.presentation_time();
        let spacing = u64::from(self.index.timescale().get()) * IFRAME_SPACING_MS / 1_000;
        // Half a spacing of grace keeps 1.001 s GOPs from losing every other picture.
        let due = |last: &IFrameEntry| time >= last.time + spacing - spacing / 8;
        if self.index.iframes.last().is_none_or(due) {
            if self.index.iframes.len() >= IFRAMES_MAX {
                let max = IFRAMES_MAX as u64;
                return Err(PackageError::LimitExceeded { what: "I-frames in a track", max });
            }
            self.index.iframes.push(IFrameEntry {
                sample: self.next_sample as u32,
                size_bytes: sample.size_bytes,
                offset_bytes: sample.offset_bytes,
                time,
                description_index: sample.description_index,
            });
        }
        Ok(())
    }

    fn close_segment(&mut self) {
        let mut segment = std::mem::take(&mut self.segment);
        let range = self.ranges[self.index.segments.len()].clone();
        while let Some(event) = self.events.next_if(|event| event.before_sample < range.end) {
            segment.events.extend_from_slice(&event.bytes);
        }
        let size = self.sizer.as_mut().map(TrackSizer::finish_segment).unwrap_or_default();
        let samples = &segment.samples;
        let subsamples = (0..samples.len()).map(|index| segment.layout.sample(index).len());
        let mut entry = SegmentEntry {
            decode_time: samples.first().map_or_else(
                || self.table.samples.get(range.start).map_or(self.index.end_time, start),
                start,
            ),
            media_bytes: samples.iter().map(|sample| u64::from(sample.size_bytes)).sum(),
            first_sample: range.start as u32,
            sample_count: samples.len() as u32,
            subsample_count: subsamples.sum::<usize>() as u32,
            event_bytes: segment.events.len() as u32,
            ts_packets: size.packets,
            ts_clock_packets: size.clock_packets,
            ts_packets_before: self.ts_packets,
            ..SegmentEntry::default()
        };
        match &mut self.blocks {
            Blocks::Sidecar(_) if segment.samples.is_empty() => {}
            Blocks::Sidecar(blocks) => {
                let guide = self.guide.as_ref();
                let guide =
                    guide.map_or(&[][..], |places| places.segment(self.index.segments.len()));
                let block = encode_block(&segment, guide);
                self.guide_is_needed |= block.has_guide;
                entry.block_len_bytes = block.bytes.len() as u32;
                blocks.extend_from_slice(&block.bytes);
            }
            Blocks::Media { end_bytes, .. } if segment.samples.is_empty() => {
                entry.block_offset_bytes = *end_bytes;
            }
            Blocks::Media { end_bytes, finished } => {
                let first_iframe =
                    self.index.iframes.partition_point(|iframe| iframe.sample < entry.first_sample);
                let iframes = &mut self.index.iframes[first_iframe..];
                let block = place_segment(&mut entry, &mut segment, iframes, *end_bytes);
                *end_bytes = entry.span().end;
                *finished = Some(block);
            }
        }
        self.ts_packets += u64::from(size.packets);
        self.index.segments.push(entry);
    }

    fn forget_ts_sizes(&mut self) {
        for segment in &mut self.index.segments {
            segment.ts_packets = 0;
            segment.ts_clock_packets = 0;
            segment.ts_packets_before = 0;
        }
    }

    fn measure_bitrates(&mut self) {
        let timescale = u128::from(self.index.timescale().get());
        let bits_per_second = |bytes: u64, ticks: u64| {
            let bits = u128::from(bytes) * 8 * timescale;
            u64::try_from(bits.checked_div(u128::from(ticks)).unwrap_or(0)).unwrap_or(u64::MAX)
        };
        let total: u64 = self.index.segments.iter().map(|segment| segment.media_bytes).sum();
        let ticks = self.index.end_time.saturating_sub(self.table.start_time());
        self.index.facts.average_bitrate = bits_per_second(total, ticks);
        self.index.facts.peak_bitrate = (0..self.index.segments.len())
            .map(|at| {
                bits_per_second(
                    self.index.segments[at].media_bytes,
                    self.index.segment_duration(at),
                )
            })
            .max()
            .unwrap_or(0);
    }
}

/// Drops the cuts that a track has nothing between: a subtitle that stays, a silence. `false` when
/// there were any, so that the track's segments no longer stand side by side with those of others.
/// Cuts before the first sample and after the last one stay, which keeps numbers aligned.
fn drop_inner_gaps(ranges: &mut Vec<Range<usize>>) -> bool {
    let Some(first) = ranges.iter().position(|range| !range.is_empty()) else {
        return true;
    };
    let last = ranges.iter().rposition(|range| !range.is_empty()).unwrap_or(first);
    let before = ranges.len();
    let mut position = 0;
    ranges.retain(|range| {
        let is_inner_gap = range.is_empty() && (first..last).contains(&position);
        position += 1;
        !is_inner_gap
    });
    ranges.len() == before
}

fn start(sample: &Sample) -> u64 {
    sample.decode_time
}

/// Frames per second as a reduced fraction. Constant where nine in ten durations agree, so that a
/// stretched last frame doesn't turn 25 into 24.98; else the mean.
fn frame_rate(info: &TrackInfo, table: &SampleTable) -> (u32, u32) {
    let mut durations: Vec<u32> = table
        .samples
        .iter()
        .map(|sample| sample.duration_ticks)
        .filter(|&ticks| ticks > 1)
        .collect();
    if durations.is_empty() {
        return (0, 1);
    }
    let middle = durations.len() / 2;
    let (_, &mut median, _) = durations.select_nth_unstable(middle);
    let agreeing = durations.iter().filter(|&&ticks| ticks.abs_diff(median) <= 1).count();
    let total: u64 = durations.iter().map(|&ticks| u64::from(ticks)).sum();
    let constant = agreeing * 10 >= durations.len() * 9;
    let exact =
        durations.iter().filter(|&&ticks| ticks == median).count() * 10 >= durations.len() * 9;
    let (frames, ticks) =
        if constant && exact { (1, u64::from(median)) } else { (durations.len() as u64, total) };
    reduce(u128::from(info.timescale.get()) * u128::from(frames), u128::from(ticks))
}

fn reduce(numerator: u128, denominator: u128) -> (u32, u32) {
    let (mut a, mut b) = (numerator, denominator);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let (mut numerator, mut denominator) = (numerator / a.max(1), denominator / a.max(1));
    while numerator.max(denominator) > u128::from(u32::MAX) {
        (numerator, denominator) = (numerator / 2, (denominator / 2).max(1));
    }
    (numerator as u32, denominator as u32)
}
