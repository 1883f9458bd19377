//! Where the samples of a segment lie, by the chunks that they form in the file.
//!
//! In a finely muxed file a track's chunk holds a frame or two, and the bytes before the next chunk
//! are samples of other tracks: as many bits as their sizes have, which are in the index already.
//! So a track of sound counts along the pictures of its file: a chunk lies where picture 5 ended,
//! and that is said in a bit or two. The pictures are the *guide* of the track. A guide has none
//! itself; to read one segment takes its own block and at most one more.
//!
//! ```text
//! varint  offset of the first sample in the media object
//! u8      0 no guide, 1 a guide
//! lengths of the chunks in samples (runs.rs)
//! column  with a guide, for each chunk after the first: guide samples that ended since the one
//!         before it
//! column  for each chunk after the first: signed bytes between its start and the end of what
//!         lies before it: its track's sample before, or the last guide sample that ended
//! u32     with a guide: CRC-32 of the offsets of all samples, 64 bits each, little-endian
//! ```
//!
//! The guide of a segment is the segment with the same position in the guide's table. Chunks
//! before its first sample and behind its last are found from the track's own samples.

use std::ops::Range;

use super::column::{Backing, put_column, read_column};
use super::runs::{put_run_lengths, read_run_lengths};
use super::wire::{WireReader, put_varint};
use crate::PackageError;
use crate::track::{Sample, SampleTable};

/// Where the samples of a track end, for tracks of the same file to count along.
#[derive(Debug)]
pub struct TrackPlaces {
    source_track_id: u32,
    ends: Vec<u64>,
    ranges: Vec<Range<usize>>,
}

impl TrackPlaces {
    pub(super) fn new(source_track_id: u32, table: &SampleTable, ranges: &[Range<usize>]) -> Self {
        let ends = table.samples.iter().map(end_of).collect();
        Self { source_track_id, ends, ranges: ranges.to_vec() }
    }

    /// Its `track_ID` in the file.
    pub(super) fn source_track_id(&self) -> u32 {
        self.source_track_id
    }

    /// Where the samples of segment `index` end.
    pub(super) fn segment(&self, index: usize) -> &[u64] {
        self.ranges.get(index).and_then(|range| self.ends.get(range.clone())).unwrap_or_default()
    }

    /// How many chunks of `table` begin where a sample of this track ends.
    pub(super) fn chunks_behind(&self, table: &SampleTable) -> usize {
        let chunks = table.samples.chunk_by(lies_behind).filter_map(<[Sample]>::first);
        chunks.filter(|sample| self.ends.binary_search(&sample.offset_bytes).is_ok()).count()
    }
}

/// Offsets come from tables whose samples lie inside a file, and what is encoded of a damaged one
/// only has to come back as it was: sums wrap.
fn end_of(sample: &Sample) -> u64 {
    sample.offset_bytes.wrapping_add(u64::from(sample.size_bytes))
}

fn lies_behind(before: &Sample, after: &Sample) -> bool {
    end_of(before) == after.offset_bytes
}

/// Guide samples that end at `offset` or before.
fn ended(guide: &[u64], offset: u64) -> usize {
    guide.partition_point(|&end| end <= offset)
}

/// End of what lies before a chunk: the track's sample before it, or a guide sample behind that.
fn border(before: u64, guide: &[u64], ended: usize) -> u64 {
    let guide_end = ended.checked_sub(1).and_then(|last| guide.get(last));
    guide_end.map_or(before, |&end| end.max(before))
}

/// Appends the places of a segment's samples, by the way that takes fewer bytes. `true` when that
/// is along the guide.
pub(super) fn put_places(out: &mut Vec<u8>, samples: &[Sample], guide: &[u64]) -> bool {
    let plain = places(samples, &[]);
    // A file with its samples in no order has nothing to count along.
    let guided = (guide.is_sorted() && !guide.is_empty()).then(|| places(samples, guide));
    match guided.filter(|guided| guided.len() < plain.len()) {
        Some(guided) => {
            out.extend_from_slice(&guided);
            true
        }
        None => {
            out.extend_from_slice(&plain);
            false
        }
    }
}

fn places(samples: &[Sample], guide: &[u64]) -> Vec<u8> {
    let mut out = Vec::new();
    let first = samples.first().map_or(0, |sample| sample.offset_bytes);
    put_varint(&mut out, first);
    out.push(u8::from(!guide.is_empty()));
    let chunks: Vec<&[Sample]> = samples.chunk_by(lies_behind).collect();
    let lengths: Vec<usize> = chunks.iter().map(|chunk| chunk.len()).collect();
    put_run_lengths(&mut out, &lengths);

    let mut passed = Vec::with_capacity(chunks.len());
    let mut gaps = Vec::with_capacity(chunks.len());
    let mut position = ended(guide, first);
    for pair in chunks.windows(2) {
        let (Some(before), Some(after)) = (pair[0].last(), pair[1].first()) else {
            continue;
        };
        // A chunk that lies further back stands at the same position.
        let next = ended(guide, after.offset_bytes).max(position);
        passed.push((next - position) as i64);
        position = next;
        let border = border(end_of(before), guide, position);
        gaps.push(after.offset_bytes.wrapping_sub(border) as i64);
    }
    if !guide.is_empty() {
        put_column(&mut out, Backing::Free, &passed);
    }
    put_column(&mut out, Backing::Free, &gaps);
    if !guide.is_empty() {
        out.extend_from_slice(&checksum(samples).to_le_bytes());
    }
    out
}

/// Fills in the offsets of samples whose sizes are known. `guide` answers where the samples of the
/// guide's segment end; it is asked for only when the block was written along it.
pub(super) fn read_places(
    reader: &mut WireReader<'_>,
    samples: &mut [Sample],
    guide: impl FnOnce() -> Result<Vec<u64>, PackageError>,
) -> Result<(), PackageError> {
    let first = reader.varint()?;
    let has_guide = reader.flag()?;
    let lengths = read_run_lengths(reader, samples.len())?;
    let guide = if has_guide { guide()? } else { Vec::new() };
    let mut starts = vec![Chunk::default(); lengths.len()];
    if let Some(start) = starts.first_mut() {
        *start = Chunk { passed: ended(&guide, first), gap: 0 };
    }
    let later = starts.get_mut(1..).unwrap_or_default();
    if has_guide {
        let reason = "a chunk lies behind more samples than its guide has";
        let mut left = guide.len();
        read_column(reader, Backing::Free, later.iter_mut(), reason, |chunk, value| {
            chunk.passed = usize::try_from(value).ok()?;
            left = left.checked_sub(chunk.passed)?;
            Some(())
        })?;
    }
    read_column(reader, Backing::Free, later.iter_mut(), "", |chunk, value| {
        chunk.gap = value;
        Some(())
    })?;
    line_up(samples, &lengths, &starts, first, &guide)
        .ok_or_else(|| reader.error("an offset overflows"))?;
    if has_guide && checksum(samples) != reader.u32_le()? {
        return Err(reader.error("the samples do not lie where their guide says"));
    }
    Ok(())
}

#[derive(Clone, Copy, Default)]
struct Chunk {
    passed: usize,
    gap: i64,
}

/// `None` when an offset leaves 64 bits.
fn line_up(
    mut samples: &mut [Sample],
    lengths: &[usize],
    chunks: &[Chunk],
    first: u64,
    guide: &[u64],
) -> Option<()> {
    let mut offset = first;
    let mut position = 0;
    for (index, (&length, chunk)) in lengths.iter().zip(chunks).enumerate() {
        position += chunk.passed;
        if index > 0 {
            offset = border(offset, guide, position).checked_add_signed(chunk.gap)?;
        }
        let (covered, rest) = samples.split_at_mut(length);
        for sample in covered {
            sample.offset_bytes = offset;
            offset = offset.checked_add(u64::from(sample.size_bytes))?;
        }
        samples = rest;
    }
    Some(())
}

fn checksum(samples: &[Sample]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let mut bytes = [0; 512];
    for group in samples.chunks(bytes.len() / 8) {
        for (place, sample) in bytes.as_chunks_mut().0.iter_mut().zip(group) {
            *place = sample.offset_bytes.to_le_bytes();
        }
        hasher.update(&bytes[..group.len() * 8]);
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests;
