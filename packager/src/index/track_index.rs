//! The resident part of a track's index, and what one segment's block decodes to.

use std::ops::Range;

use drm::SubsampleMap;
use serde::{Deserialize, Serialize};

use crate::track::{Sample, TrackInfo};
use crate::{MediaTime, Timescale};

/// What stays in memory for a warm track: description, segment table, I-frame table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrackIndex {
    pub info: TrackInfo,
    pub facts: TrackFacts,
    /// In order, tiling the track: each entry starts where the one before it ends.
    pub segments: Vec<SegmentEntry>,
    /// Sync samples offered for trick play, in order; empty for audio and text.
    pub iframes: Vec<IFrameEntry>,
    /// Where the last sample ends, in ticks.
    pub end_time: u64,
}

/// One media segment of one track.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SegmentEntry {
    /// `tfdt` of the segment, in ticks of the track.
    pub decode_time: u64,
    /// Sum of the sample sizes.
    pub media_bytes: u64,
    /// Index of the first sample in the track, from 0.
    pub first_sample: u32,
    pub sample_count: u32,
    /// Entries over all samples in the subsample layout: what `senc` will need.
    pub subsample_count: u32,
    /// `emsg` and `prft` boxes that came with the source and go in front of `moof`.
    pub event_bytes: u32,
    /// 188-byte packets that carry the track's PES in MPEG-TS; 0 when it can't be carried.
    pub ts_packets: u32,
    /// Packets that carry the clock alone, which not every multiplex needs.
    pub ts_clock_packets: u32,
    /// Sum of `ts_packets` over all earlier segments: continuity counters go on from there.
    pub ts_packets_before: u64,
    /// Where the segment's block lies, in the sidecar or in the media object.
    pub block_offset_bytes: u64,
    pub block_len_bytes: u32,
}

/// One sync sample offered as an I-frame.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct IFrameEntry {
    /// Index of the sample in the track, from 0.
    pub sample: u32,
    pub size_bytes: u32,
    pub offset_bytes: u64,
    /// Presentation time in ticks.
    pub time: u64,
    /// Sample entry that describes it, counted from 0.
    pub description_index: u16,
}

/// What reading every sample told about a track.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct TrackFacts {
    pub sample_count: u32,
    /// Frames per second as a reduced fraction: exact where durations are constant, else the mean.
    pub frame_rate: (u32, u32),
    /// Some segment opens on a picture whose leading pictures refer to the segment before.
    pub open_gop: bool,
    /// Bit `n` set: CEA-608 field data of channel CC`n+1` was seen (bits 0 to 3).
    pub cea608_channels: u8,
    /// Bit `n` set: CEA-708 service `n+1` was seen (bits 0 to 5).
    pub cea708_services: u8,
    /// Ticks by which the earliest picture comes before its own decode time, as negative
    /// composition offsets have it: MPEG-TS moves all decode times back by it.
    pub reorder_ticks: u32,
    /// Every sample can be carried in MPEG-TS.
    pub fits_ts: bool,
    /// Bits per second over the whole track.
    pub average_bitrate: u64,
    /// Bits per second of the segment that has most.
    pub peak_bitrate: u64,
}

/// The samples of one segment with their subsample layout.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SegmentSamples {
    pub samples: Vec<Sample>,
    pub layout: SubsampleMap,
    /// `emsg` and `prft` boxes, verbatim, in order.
    pub events: Vec<u8>,
}

impl SegmentEntry {
    /// Bytes of block and samples in the media object of a packed track, where they lie side by
    /// side: what one ranged read brings.
    pub fn span(&self) -> Range<u64> {
        let start = self.block_offset_bytes;
        let block_end = start.saturating_add(u64::from(self.block_len_bytes));
        start..block_end.saturating_add(self.media_bytes)
    }
}

impl TrackIndex {
    pub fn timescale(&self) -> Timescale {
        self.info.timescale
    }

    /// Where segment `index` (from 0) starts; the end of the track for one past the last.
    pub fn segment_start(&self, index: usize) -> u64 {
        self.segments.get(index).map_or(self.end_time, |segment| segment.decode_time)
    }

    /// Ticks that segment `index` lasts: exactly what is between it and the next.
    pub fn segment_duration(&self, index: usize) -> u64 {
        self.segment_start(index + 1).saturating_sub(self.segment_start(index))
    }

    /// The segments that have samples, as a range: a track that starts late or ends early has none
    /// at the cuts before or after.
    pub fn presented_segments(&self) -> Range<usize> {
        let has_samples = |entry: &SegmentEntry| entry.sample_count > 0;
        let start = self.segments.iter().position(has_samples);
        let last = self.segments.iter().rposition(has_samples);
        start.zip(last).map_or(0..0, |(start, last)| start..last + 1)
    }

    /// Ticks that I-frame `index` (from 0) is shown for: up to the next one, or the track's end.
    pub fn iframe_duration(&self, index: usize) -> u64 {
        let time = |index: usize| self.iframes.get(index).map(|iframe| iframe.time);
        let end = time(index + 1).unwrap_or(self.end_time);
        end.saturating_sub(time(index).unwrap_or(end))
    }

    pub fn duration(&self) -> MediaTime {
        self.timescale().ticks(self.end_time)
    }
}
