//! A whole track as one file: init segment, `sidx`, and every segment behind it.
//!
//! This is what DASH on-demand (ISO/IEC 23009-1 8.3) and HLS with `EXT-X-BYTERANGE` ask for. The
//! file exists as a layout only: the head is written here, and any byte range of the rest is a
//! range of segments that are the same bytes as when they are asked for alone, so that one cache
//! serves both forms.

use std::iter::FusedIterator;
use std::ops::Range;

use super::box_writer::BoxWriter;
use super::boxes::sidx::{
    REFERENCED_BYTES_MAX, REFERENCES_MAX, Reference, StreamAccess, write_sidx,
};
use super::init_segment::{init_segment, output_timescale};
use super::media_segment::SegmentShape;
use crate::PackageError;
use crate::index::{SegmentEntry, TrackIndex};

/// The layout of a track's single file. 8 bytes of memory a segment, and the head.
#[derive(Clone, Debug)]
pub struct SingleFile {
    /// Init segment and `sidx`.
    head: Vec<u8>,
    init_bytes: usize,
    /// Where each segment starts in the file, and last where the file ends.
    segment_starts: Vec<u64>,
}

/// A piece of a byte range.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Part {
    /// These bytes of [`SingleFile::head`].
    Head(Range<usize>),
    /// These bytes of segment `index` (from 0), which is [`MediaSegment`](super::MediaSegment)
    /// number `index + 1` without a `sidx` of its own.
    Segment { index: usize, range: Range<u64> },
}

impl SingleFile {
    /// Lays a track out.
    ///
    /// One `sidx` holds everything, a reference a segment. Beyond 65 535 segments (three days of
    /// four seconds each) a reference takes several of them: a `sidx` of `sidx`es would be legal,
    /// but FFmpeg and Shaka Player refuse files that have one.
    ///
    /// # Errors
    /// [`PackageError::LimitExceeded`] when a reference would exceed 2 GiB or 2³² ticks, which
    /// `sidx` can't express.
    pub fn new(index: &TrackIndex) -> Result<Self, PackageError> {
        let bytes = |segment: &SegmentEntry| SegmentShape::from(segment).segment_bytes();
        Self::of_segments(index, &index.segments.iter().map(bytes).collect::<Vec<_>>())
    }

    /// Lays out the first segments of a track, which have so many bytes each, none of them 0.
    ///
    /// # Errors
    /// Those of [`Self::new`].
    pub(super) fn of_segments(
        index: &TrackIndex,
        segment_bytes: &[u64],
    ) -> Result<Self, PackageError> {
        debug_assert!(segment_bytes.len() <= index.segments.len());
        let references = references(index, segment_bytes)?;
        let start_time = index.segment_start(0);

        let mut head = init_segment(&index.info, &index.facts, Some(index.duration()));
        let init_bytes = head.len();
        let timescale = output_timescale(&index.info);
        write_sidx(&mut BoxWriter::new(&mut head), timescale, start_time, &references);

        let mut start = head.len() as u64;
        let mut segment_starts = Vec::with_capacity(segment_bytes.len() + 1);
        segment_starts.push(start);
        for bytes in segment_bytes {
            // Below 2⁶⁴: `references` has checked that every segment is below 2 GiB.
            start += bytes;
            segment_starts.push(start);
        }
        Ok(Self { head, init_bytes, segment_starts })
    }

    /// Init segment and `sidx`: the first bytes of the file.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    pub fn len_bytes(&self) -> u64 {
        self.segment_starts.last().copied().unwrap_or(self.head.len() as u64)
    }

    /// `Initialization@range`, `EXT-X-MAP:BYTERANGE`.
    pub fn init_range(&self) -> Range<u64> {
        0..self.init_bytes as u64
    }

    /// `SegmentBase@indexRange`.
    pub fn index_range(&self) -> Range<u64> {
        self.init_bytes as u64..self.head.len() as u64
    }

    /// Where segment `index` (from 0) lies; `None` past the last.
    pub fn segment_range(&self, index: usize) -> Option<Range<u64>> {
        let start = *self.segment_starts.get(index)?;
        let end = *self.segment_starts.get(index + 1)?;
        Some(start..end)
    }

    /// The parts that `range` of the file consists of, in order and none of them empty. What lies
    /// past the end of the file is left out.
    pub fn locate(&self, range: Range<u64>) -> Parts<'_> {
        Parts { file: self, next: range.start, end: range.end.min(self.len_bytes()) }
    }
}

/// Iterates over the parts of a byte range: [`SingleFile::locate`].
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    file: &'a SingleFile,
    next: u64,
    end: u64,
}

impl Iterator for Parts<'_> {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        if self.next >= self.end {
            return None;
        }
        let start = self.next;
        let head_bytes = self.file.head.len() as u64;
        if start < head_bytes {
            self.next = self.end.min(head_bytes);
            return Some(Part::Head(start as usize..self.next as usize));
        }
        // The starts strictly increase, because a segment has a header at least.
        let index = self.file.segment_starts.partition_point(|at| *at <= start) - 1;
        let segment = self.file.segment_range(index)?;
        self.next = self.end.min(segment.end);
        Some(Part::Segment { index, range: start - segment.start..self.next - segment.start })
    }
}

impl FusedIterator for Parts<'_> {}

/// What the `sidx` says: runs of one or more segments.
fn references(index: &TrackIndex, segment_bytes: &[u64]) -> Result<Vec<Reference>, PackageError> {
    let per_reference = segment_bytes.len().div_ceil(REFERENCES_MAX).max(1);
    let access = if index.facts.open_gop { StreamAccess::Unknown } else { StreamAccess::Closed };
    let starts = (0..).step_by(per_reference);
    segment_bytes
        .chunks(per_reference)
        .zip(starts)
        .map(|(bytes, first)| {
            let end_time = index.segment_start(first + bytes.len());
            let duration = end_time.saturating_sub(index.segment_start(first));
            Ok(Reference {
                size_bytes: referenced_bytes(bytes)?,
                duration_ticks: u32::try_from(duration).map_err(|_| {
                    limit("ticks in a part of an indexed file", u64::from(u32::MAX))
                })?,
                access,
            })
        })
        .collect()
}

fn referenced_bytes(segment_bytes: &[u64]) -> Result<u32, PackageError> {
    segment_bytes
        .iter()
        .try_fold(0_u64, |sum, bytes| sum.checked_add(*bytes))
        .filter(|sum| *sum <= REFERENCED_BYTES_MAX)
        .and_then(|sum| u32::try_from(sum).ok())
        .ok_or_else(|| limit("bytes in a part of an indexed file", REFERENCED_BYTES_MAX))
}

fn limit(what: &'static str, max: u64) -> PackageError {
    PackageError::LimitExceeded { what, max }
}

#[cfg(test)]
mod tests;
