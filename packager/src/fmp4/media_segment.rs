//! Media segments: `styp`, `moof` and the header of `mdat` (ISO/IEC 23000-19 7.3.2).
//!
//! All that comes before the first byte of media is written here, from the samples' sizes and
//! times. The media follows as ranges of the source, see [`media_runs`](super::media_runs()).

use super::box_writer::{BOX_BYTES, BoxWriter};
use super::boxes::ftyp::{styp_bytes, write_styp};
use super::boxes::mdat::{mdat_header_bytes, write_mdat_header};
use super::boxes::mfhd::{MFHD_BYTES, write_mfhd};
use super::boxes::sidx::{REFERENCED_BYTES_MAX, Reference, StreamAccess, sidx_bytes, write_sidx};
use super::boxes::tfdt::{TFDT_BYTES, write_tfdt};
use super::boxes::tfhd::{TFHD_BYTES, write_tfhd};
use super::boxes::trun::{trun_bytes, write_trun};
use crate::Timescale;
use crate::index::SegmentEntry;
use crate::track::Sample;

/// Samples in one segment. `data_offset` in `trun` has 31 bits for a `moof` of 16 bytes a sample;
/// this bound, 97 hours of 48 kHz AAC, keeps far below it.
pub const SAMPLES_PER_SEGMENT_MAX: u32 = 1 << 24;

/// One media segment of one track.
#[derive(Clone, Copy, Debug)]
pub struct MediaSegment<'a> {
    /// `sequence_number`, from 1.
    pub number: u32,
    /// Decode time of the first sample as the segment states it, in ticks.
    pub decode_time: u64,
    /// In decode order, at most [`SAMPLES_PER_SEGMENT_MAX`], all with one `description_index`.
    pub samples: &'a [Sample],
    /// `emsg` and `prft` boxes, whole and in order.
    pub events: &'a [u8],
    /// Puts a `sidx` in front.
    pub index: bool,
    /// Of the track; only `sidx` repeats it.
    pub timescale: Timescale,
}

/// What decides how long a segment's header is. The segment table knows all of it, so a length can
/// be announced before the samples are looked up.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SegmentShape {
    pub sample_count: u32,
    /// Sum of the sample sizes.
    pub media_bytes: u64,
    pub event_bytes: u32,
    /// A `sidx` in front is wanted.
    pub index: bool,
}

/// Bytes in front of the media of a segment: what [`MediaSegment::write_header`] will write.
pub fn segment_header_len(shape: &SegmentShape) -> u64 {
    let index_bytes = if shape.has_sidx() { sidx_bytes(1) } else { 0 };
    styp_bytes(shape.has_sidx()) + index_bytes + shape.lead_bytes()
}

impl MediaSegment<'_> {
    pub fn shape(&self) -> SegmentShape {
        SegmentShape {
            sample_count: self.samples.len() as u32,
            media_bytes: self.samples.iter().map(|sample| u64::from(sample.size_bytes)).sum(),
            event_bytes: self.events.len() as u32,
            index: self.index,
        }
    }

    /// Appends everything in front of the media: `styp`, `sidx` when asked for, the events, `moof`
    /// and the header of `mdat`. As long as [`segment_header_len`] says, always.
    pub fn write_header(&self, out: &mut Vec<u8>) {
        let shape = self.shape();
        debug_assert!(shape.sample_count <= SAMPLES_PER_SEGMENT_MAX);
        out.reserve(segment_header_len(&shape) as usize);

        let mut w = BoxWriter::new(out);
        write_styp(&mut w, shape.has_sidx());
        if shape.has_sidx() {
            self.write_index(&mut w, &shape);
        }
        w.bytes(self.events);
        self.write_moof(&mut w, &shape);
        write_mdat_header(&mut w, shape.media_bytes);
    }

    /// A `sidx` over this segment alone, with the times that `tfdt` and `trun` give.
    fn write_index(&self, w: &mut BoxWriter, shape: &SegmentShape) {
        let mut decode_time = self.decode_time;
        let mut earliest = u64::MAX;
        let mut first = None;
        for sample in self.samples {
            let offset = i64::from(sample.composition_offset_ticks);
            let time = decode_time.saturating_add_signed(offset);
            first = first.or(Some(time));
            earliest = earliest.min(time);
            decode_time = decode_time.saturating_add(u64::from(sample.duration_ticks));
        }
        let is_sync = self.samples.first().is_some_and(|sample| sample.is_sync);
        let access = match first {
            Some(first) if is_sync && first == earliest => StreamAccess::Closed,
            Some(_) if is_sync => StreamAccess::Unknown,
            _ => StreamAccess::None,
        };
        let duration = decode_time - self.decode_time;
        let reference = Reference {
            size_bytes: (shape.lead_bytes() + shape.media_bytes) as u32,
            duration_ticks: u32::try_from(duration).unwrap_or(u32::MAX),
            access,
        };
        write_sidx(w, self.timescale, earliest.min(decode_time), &[reference]);
    }

    fn write_moof(&self, w: &mut BoxWriter, shape: &SegmentShape) {
        let description_index = self.samples.first().map_or(0, |sample| sample.description_index);
        debug_assert!(self.samples.iter().all(|s| s.description_index == description_index));
        let data_offset = shape.moof_bytes() + mdat_header_bytes(shape.media_bytes);

        w.write_box(b"moof", |w| {
            write_mfhd(w, self.number);
            w.write_box(b"traf", |w| {
                write_tfhd(w, description_index);
                write_tfdt(w, self.decode_time);
                write_trun(w, self.samples, data_offset as i32);
            });
        });
    }
}

impl SegmentShape {
    /// Bytes of the whole segment, media included.
    pub fn segment_bytes(&self) -> u64 {
        segment_header_len(self).saturating_add(self.media_bytes)
    }

    /// A segment that outgrows `referenced_size` goes without `sidx`, even if one is wanted.
    fn has_sidx(&self) -> bool {
        self.index && self.lead_bytes().saturating_add(self.media_bytes) <= REFERENCED_BYTES_MAX
    }

    /// What a `sidx` counts as part of the subsegment, apart from the media.
    fn lead_bytes(&self) -> u64 {
        u64::from(self.event_bytes) + self.moof_bytes() + mdat_header_bytes(self.media_bytes)
    }

    fn moof_bytes(&self) -> u64 {
        let traf_bytes = BOX_BYTES + TFHD_BYTES + TFDT_BYTES + trun_bytes(self.sample_count);
        BOX_BYTES + MFHD_BYTES + traf_bytes
    }
}

impl From<&SegmentEntry> for SegmentShape {
    /// The segment as the table describes it, without `sidx`.
    fn from(entry: &SegmentEntry) -> Self {
        Self {
            sample_count: entry.sample_count,
            media_bytes: entry.media_bytes,
            event_bytes: entry.event_bytes,
            index: false,
        }
    }
}

#[cfg(test)]
mod tests;
