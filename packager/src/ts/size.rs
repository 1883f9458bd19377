//! Sizes of segments, counted at ingest and added up when a segment is asked for.

use super::clock::{Clock, clock_packets_between};
use super::packet::PACKET_BYTES;
use super::pes::{self, AudioGroup};
use super::psi;
use super::stream::{ElementaryStream, Framing};
use crate::track::{Sample, TrackInfo, TrackKind};

/// What one track takes in one segment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TrackSize {
    /// Transport packets with payload: those that continuity counters count.
    pub packets: u32,
    /// Transport packets that carry the clock alone: in a video track where a picture outlasts
    /// the interval between PCRs; in an audio track those before each PES packet, which are
    /// written only where no video brings the clock.
    pub clock_packets: u32,
}

/// A limit far above any segment that keeps both counts of [`TrackSize`] in range.
const PACKETS_PER_SEGMENT_MAX: u64 = 1 << 31;

/// Bytes of a segment of these tracks, tables included.
pub fn segment_len_bytes(video: Option<TrackSize>, audio: Option<TrackSize>) -> u64 {
    let video = video.unwrap_or_default();
    let audio = audio.unwrap_or_default();
    let clock_packets = if video.packets > 0 { video.clock_packets } else { audio.clock_packets };
    let packets = u64::from(video.packets) + u64::from(audio.packets) + u64::from(clock_packets);
    (psi::PACKETS + packets) * PACKET_BYTES as u64
}

/// Counts the packets of a track while its samples are read for the first time.
#[derive(Debug)]
pub struct TrackSizer {
    stream: ElementaryStream,
    clock: Clock,
    packets: u64,
    clock_packets: u64,
    /// The audio frames that still wait for company.
    group: Option<AudioGroup>,
}

impl TrackSizer {
    /// `reorder_ticks` is that of the whole track ([`super::reorder_ticks`]). `None` when the
    /// track's codec has no place in a transport stream.
    pub fn new(info: &TrackInfo, reorder_ticks: u32) -> Option<Self> {
        let stream = ElementaryStream::new(info)?;
        let clock = Clock { timescale: info.timescale, reorder_ticks };
        Some(Self { stream, clock, packets: 0, clock_packets: 0, group: None })
    }

    /// Counts the next sample of the segment; `payload` is its bytes.
    ///
    /// # Errors
    /// What makes it unfit for a transport stream: NAL units that don't tile the sample, frames
    /// too long, times out of range. The track then can't be carried.
    pub fn push(&mut self, sample: &Sample, payload: &[u8]) -> Result<(), &'static str> {
        if payload.len() != sample.size_bytes as usize {
            return Err("the payload is not as long as its sample");
        }
        if payload.is_empty() {
            return Ok(());
        }
        match self.stream.framing(sample.description_index)? {
            Framing::AnnexB(framing) => {
                let times = self.clock.times(sample)?;
                let preface = framing.preface(payload, sample.is_sync);
                let bytes = framing.preface_bytes(&preface) + framing.stream_bytes(payload)?;
                self.packets += pes::picture_packets(&times, bytes);
                self.clock_packets += clock_packets_between(times.decode, times.decode_end);
            }
            framing => {
                let bytes = framing.audio_frame_bytes(sample.size_bytes)?;
                let cadence = framing.cadence();
                self.push_frame(self.clock.audio_frame(sample, bytes, cadence)?);
            }
        }
        if self.packets.max(self.clock_packets) > PACKETS_PER_SEGMENT_MAX {
            return Err("the segment has more packets than 32 bits count");
        }
        Ok(())
    }

    /// What the samples since the last call take, as a segment of their own.
    pub fn finish_segment(&mut self) -> TrackSize {
        self.close_group();
        // `push` keeps both below PACKETS_PER_SEGMENT_MAX, and a last group adds a few at most.
        let count = |packets: &mut u64| u32::try_from(std::mem::take(packets)).unwrap_or(u32::MAX);
        TrackSize {
            packets: count(&mut self.packets),
            clock_packets: count(&mut self.clock_packets),
        }
    }

    /// `Video` or `Audio`.
    pub fn kind(&self) -> TrackKind {
        self.stream.kind
    }

    fn push_frame(&mut self, frame: AudioGroup) {
        let timescale = self.clock.timescale;
        match &mut self.group {
            Some(group) if group.admits(&frame, timescale) => group.join(&frame),
            _ => {
                self.close_group();
                self.group = Some(frame);
            }
        }
    }

    fn close_group(&mut self) {
        if let Some(group) = self.group.take() {
            self.packets += pes::audio_packets(group.bytes);
            self.clock_packets +=
                1 + clock_packets_between(group.times.decode, group.times.decode_end);
        }
    }
}
