//! Writes one segment, batch by batch.
//!
//! [`SegmentMuxer`] asks for the bytes of the next units ([`Batch::ranges`]) and turns them into
//! whole packets. It owns its plan and borrows nothing, so that it can wait between batches in a
//! response body; what it holds is some 50 bytes per sample and at most one unfinished packet.

use super::annex_b::HEAD_BYTES_MAX;
use super::batch::{Batch, BatchLimits, Cursor, Piece};
use super::packet::PACKET_BYTES;
use super::plan::{Plan, Unit};
use super::psi;
use super::writer::{Lane, PesWriter};
use crate::track::{Sample, TrackInfo, TrackKind};

const FOREIGN_BATCH: &str = "the batch is of another segment";

/// One track's part of a segment.
#[derive(Clone, Copy, Debug)]
pub struct MuxTrack<'a> {
    pub info: &'a TrackInfo,
    /// The segment's samples, in decode order.
    pub samples: &'a [Sample],
    /// Names the file that sample offsets refer to. Tracks of one file say the same number, and
    /// their bytes are asked for together.
    pub source: u32,
    /// Packets with payload in all earlier segments of the track.
    pub packets_before: u64,
    /// [`super::reorder_ticks`] of the whole track.
    pub reorder_ticks: u32,
}

/// The writer of one segment.
#[derive(Debug)]
pub struct SegmentMuxer {
    units: Vec<Unit>,
    video: Option<Lane>,
    audio: Option<Lane>,
    /// PAT and PMT, until they are written.
    tables: Vec<u8>,
    tables_are_planned: bool,
    planned: Cursor,
    written: Cursor,
    writer: PesWriter,
    has_failed: bool,
}

impl SegmentMuxer {
    /// Plans the segment with this number, counted from 1, which the counters of PAT and PMT
    /// follow.
    ///
    /// # Errors
    /// Tracks that can't be carried, and samples whose times, sizes or places make no sense:
    /// those that [`super::TrackSizer`] refuses, as far as their table shows it.
    pub fn new(
        video: Option<MuxTrack<'_>>,
        audio: Option<MuxTrack<'_>>,
        segment_number: u64,
    ) -> Result<Self, &'static str> {
        let mut plan = Plan::default();
        let video_lane =
            video.as_ref().map(|track| Lane::new(track, psi::VIDEO_PID)).transpose()?;
        let audio_lane =
            audio.as_ref().map(|track| Lane::new(track, psi::AUDIO_PID)).transpose()?;
        if let (Some(track), Some(lane)) = (&video, &video_lane) {
            plan.add_video(track, &lane.stream)?;
        }
        // A segment in which the video has no picture, past its end, has audio alone.
        let audio_brings_clock = plan.is_empty();
        if let (Some(track), Some(lane)) = (&audio, &audio_lane) {
            plan.add_audio(track, &lane.stream, audio_brings_clock)?;
        }
        let [video_stream, audio_stream] =
            [&video_lane, &audio_lane].map(|lane| lane.as_ref().map(|lane| &lane.stream));
        let clock_is_audio = audio_brings_clock && audio_lane.is_some();
        let clock_pid = if clock_is_audio { psi::AUDIO_PID } else { psi::VIDEO_PID };
        let mut tables = Vec::with_capacity(psi::PACKETS as usize * PACKET_BYTES);
        psi::write_tables(&mut tables, video_stream, audio_stream, clock_pid, segment_number);
        Ok(Self {
            units: plan.into_units(),
            video: video_lane,
            audio: audio_lane,
            tables,
            tables_are_planned: false,
            planned: Cursor::default(),
            written: Cursor::default(),
            writer: PesWriter::default(),
            has_failed: false,
        })
    }

    /// What to read next; `None` after the end. Several batches may be asked for ahead, and are
    /// written in the order they came.
    pub fn next_batch(&mut self, limits: BatchLimits) -> Option<Batch> {
        let start = self.planned;
        if start.unit == self.units.len() && self.tables_are_planned {
            return None;
        }
        self.tables_are_planned = true;
        let limit = limits.bytes.max(HEAD_BYTES_MAX as u32);
        let (mut pieces, mut wanted) = (Vec::new(), Vec::new());
        let mut room = limit;
        while let Some(unit) = self.units.get(self.planned.unit) {
            let cursor = self.planned;
            let (source, offset_bytes, size_bytes) = self.place(unit);
            let left = size_bytes - cursor.at_bytes;
            // What opens a picture is looked for in its first bytes, which stay together.
            let is_split = left > room;
            let must_wait = cursor.at_bytes == 0 && (room as usize) < HEAD_BYTES_MAX;
            if room == 0 || is_split && (must_wait || size_bytes as usize <= HEAD_BYTES_MAX) {
                break;
            }
            let len = left.min(room);
            pieces.push(Piece::new(cursor, len));
            wanted.push((source, offset_bytes + u64::from(cursor.at_bytes)));
            // Small units still fill a packet.
            room = room.saturating_sub(len.max(PACKET_BYTES as u32));
            self.planned = match is_split {
                true => Cursor { at_bytes: cursor.at_bytes + len, ..cursor },
                false => Cursor { unit: cursor.unit + 1, at_bytes: 0 },
            };
        }
        Some(Batch::new((start, self.planned), pieces, &wanted, limits.gap_bytes))
    }

    /// Appends the packets of a batch to `out`; `data` holds the bytes of its ranges, in their
    /// order.
    ///
    /// # Errors
    /// The data are not those asked for, or not what the index promised (NAL units that don't tile
    /// their sample). The muxer then refuses every further batch; `out` may hold a part.
    pub fn write_batch(
        &mut self,
        batch: &Batch,
        data: &[&[u8]],
        out: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        if self.has_failed || batch.start != self.written {
            return Err("batches are written once, in the order they came");
        }
        self.has_failed = true;
        let expected = batch.ranges().iter().map(|range| range.bytes.end - range.bytes.start);
        if !expected.eq(data.iter().map(|bytes| bytes.len() as u64)) {
            return Err("the data are not of the ranges asked for");
        }
        out.reserve(batch_bytes_max(&batch.pieces));
        out.append(&mut self.tables);
        self.writer.resume(out);
        for piece in &batch.pieces {
            let bytes = batch.bytes(piece, data).ok_or("the data are too short")?;
            self.write_piece(piece, bytes, out)?;
        }
        self.writer.suspend(out);
        self.written = batch.end;
        self.has_failed = false;
        Ok(())
    }

    fn write_piece(
        &mut self,
        piece: &Piece,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        let unit = self.units.get(piece.cursor.unit).ok_or(FOREIGN_BATCH)?;
        let lane = match unit.kind() {
            TrackKind::Video => &mut self.video,
            _ => &mut self.audio,
        };
        let lane = lane.as_mut().ok_or(FOREIGN_BATCH)?;
        match unit {
            Unit::Clock { decode, .. } => {
                lane.packets.write_clock(out, *decode);
                Ok(())
            }
            Unit::Picture(picture) => {
                self.writer.write_picture(lane, picture, piece.cursor.at_bytes, bytes, out)
            }
            Unit::Audio { frame, place } => {
                self.writer.write_audio(lane, frame, *place, bytes, out)
            }
        }
    }

    /// Source, first byte and size of a unit's bytes.
    fn place(&self, unit: &Unit) -> (u32, u64, u32) {
        let (frame, lane) = match unit {
            Unit::Clock { .. } => return (0, 0, 0),
            Unit::Picture(picture) => (&picture.frame, &self.video),
            Unit::Audio { frame, .. } => (frame, &self.audio),
        };
        (lane.as_ref().map_or(0, |lane| lane.source), frame.offset_bytes, frame.size_bytes)
    }
}

/// Appends a segment of one sync sample alone, for I-frame playlists (RFC 8216 4.3.3.6); `payload`
/// is its bytes. Its length is known beforehand from a [`TrackSizer`](super::TrackSizer) that saw
/// this sample.
///
/// # Errors
/// Those of [`SegmentMuxer::new`] and [`SegmentMuxer::write_batch`].
pub fn write_iframe_segment(
    info: &TrackInfo,
    reorder_ticks: u32,
    sample: &Sample,
    payload: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let samples = std::slice::from_ref(sample);
    let track = MuxTrack { info, samples, source: 0, packets_before: 0, reorder_ticks };
    let mut muxer = SegmentMuxer::new(Some(track), None, 1)?;
    while let Some(batch) = muxer.next_batch(BatchLimits { bytes: u32::MAX, gap_bytes: 0 }) {
        let data = if batch.ranges().is_empty() { &[][..] } else { &[payload][..] };
        muxer.write_batch(&batch, data, out)?;
    }
    Ok(())
}

/// Room for a batch's packets: an estimate that saves growing, not a limit.
fn batch_bytes_max(pieces: &[Piece]) -> usize {
    let packets = |piece: &Piece| piece.len_bytes as usize / (PACKET_BYTES - 4) + 2;
    (psi::PACKETS as usize + pieces.iter().map(packets).sum::<usize>()) * PACKET_BYTES
}
