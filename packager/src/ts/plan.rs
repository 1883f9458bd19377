//! The order of a segment: pictures, audio PES packets and clock packets by decode time.

use super::clock::{Clock, PCR_INTERVAL_MAX, SampleTimes, clock_packets_between};
use super::media_segment::MuxTrack;
use super::pes::AudioGroup;
use super::stream::ElementaryStream;
use crate::track::{Sample, TrackKind};

/// One thing to write.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    /// A packet with the clock alone, for this decode time, among the packets of this kind.
    Clock {
        decode: i64,
        kind: TrackKind,
    },
    Picture(Picture),
    /// One frame of audio.
    Audio {
        frame: Frame,
        place: AudioPlace,
    },
}

impl Unit {
    pub(super) fn kind(&self) -> TrackKind {
        match self {
            Self::Clock { kind, .. } => *kind,
            Self::Picture(_) => TrackKind::Video,
            Self::Audio { .. } => TrackKind::Audio,
        }
    }
}

/// One access unit: one PES packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picture {
    pub(super) frame: Frame,
    pub(super) times: SampleTimes,
    pub(super) is_sync: bool,
}

/// Where an audio frame stands in its PES packet.
#[derive(Clone, Copy, Debug)]
pub(super) enum AudioPlace {
    /// It opens one that carries `bytes` of frames.
    First {
        presentation: i64,
        bytes: u32,
    },
    Later,
}

/// Where a sample's bytes lie and how they are framed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) offset_bytes: u64,
    pub(super) size_bytes: u32,
    pub(super) description_index: u16,
}

/// All units of one segment in order.
#[derive(Debug, Default)]
pub(super) struct Plan {
    units: Vec<Timed>,
}

/// `time` orders units of both tracks: decode time, unwrapped, at 90 kHz. The frames of one PES
/// packet share the time of its first.
#[derive(Debug)]
struct Timed {
    time: i64,
    unit: Unit,
}

impl Plan {
    /// Adds the pictures of a video track, and the clock packets that long ones want after them.
    pub(super) fn add_video(
        &mut self,
        track: &MuxTrack<'_>,
        stream: &ElementaryStream,
    ) -> Result<(), &'static str> {
        if stream.kind != TrackKind::Video {
            return Err("the track given as video holds none");
        }
        let clock = Clock { timescale: track.info.timescale, reorder_ticks: track.reorder_ticks };
        for sample in track.samples.iter().filter(|sample| sample.size_bytes > 0) {
            stream.framing(sample.description_index)?;
            let times = clock.times(sample)?;
            let frame = Frame::new(sample)?;
            let picture = Picture { frame, times, is_sync: sample.is_sync };
            self.push(times.decode, Unit::Picture(picture));
            self.add_clocks(TrackKind::Video, times.decode, times.decode_end);
        }
        Ok(())
    }

    /// Adds the PES packets of an audio track, each after its clock packet if audio brings it.
    pub(super) fn add_audio(
        &mut self,
        track: &MuxTrack<'_>,
        stream: &ElementaryStream,
        brings_clock: bool,
    ) -> Result<(), &'static str> {
        if stream.kind != TrackKind::Audio {
            return Err("the track given as audio holds none");
        }
        let clock = Clock { timescale: track.info.timescale, reorder_ticks: track.reorder_ticks };
        let mut open: Option<(AudioGroup, usize)> = None;
        for sample in track.samples.iter().filter(|sample| sample.size_bytes > 0) {
            let framing = stream.framing(sample.description_index)?;
            let frame = Frame::new(sample)?;
            let bytes = framing.audio_frame_bytes(sample.size_bytes)?;
            let alone = clock.audio_frame(sample, bytes, framing.cadence())?;
            let joined = open.as_mut().filter(|(group, _)| group.admits(&alone, clock.timescale));
            if let Some((group, _)) = joined {
                group.join(&alone);
                self.push(group.times.decode, Unit::Audio { frame, place: AudioPlace::Later });
                continue;
            }
            self.close_group(open.take(), brings_clock);
            if brings_clock {
                let decode = alone.times.decode;
                self.push(decode, Unit::Clock { decode, kind: TrackKind::Audio });
            }
            open = Some((alone, self.units.len()));
            let place = AudioPlace::First { presentation: alone.times.presentation, bytes };
            self.push(alone.times.decode, Unit::Audio { frame, place });
        }
        self.close_group(open, brings_clock);
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// The units in the order they are written.
    pub(super) fn into_units(mut self) -> Vec<Unit> {
        // Stable: equal times keep their order within a track, and video comes first.
        self.units.sort_by_key(|timed| timed.time);
        self.units.into_iter().map(|timed| timed.unit).collect()
    }

    /// Writes into a group's first frame what is known once its last has come.
    fn close_group(&mut self, open: Option<(AudioGroup, usize)>, brings_clock: bool) {
        let Some((group, first)) = open else { return };
        if let Some(Timed {
            unit: Unit::Audio { place: AudioPlace::First { bytes, .. }, .. },
            ..
        }) = self.units.get_mut(first)
        {
            *bytes = group.bytes;
        }
        if brings_clock {
            self.add_clocks(TrackKind::Audio, group.times.decode, group.times.decode_end);
        }
    }

    /// Adds the clock packets that are wanted after `start` and before `end`.
    fn add_clocks(&mut self, kind: TrackKind, start: i64, end: i64) {
        for n in 1..=clock_packets_between(start, end) {
            let decode = start + n as i64 * PCR_INTERVAL_MAX;
            self.push(decode, Unit::Clock { decode, kind });
        }
    }

    fn push(&mut self, time: i64, unit: Unit) {
        self.units.push(Timed { time, unit });
    }
}

impl Frame {
    fn new(sample: &Sample) -> Result<Self, &'static str> {
        if sample.offset_bytes.checked_add(u64::from(sample.size_bytes)).is_none() {
            return Err("the sample lies beyond any file");
        }
        Ok(Self {
            offset_bytes: sample.offset_bytes,
            size_bytes: sample.size_bytes,
            description_index: sample.description_index,
        })
    }
}
