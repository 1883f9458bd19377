//! One segment's samples as the sidecar stores them.
//!
//! A block is read for every segment request, so it holds a segment's samples and nothing else,
//! by columns (column.rs), most of which collapse:
//!
//! ```text
//! u32     CRC-32 of what follows
//! varint  sample description index
//! column  n sizes, a bit each at least
//! places  where the samples lie (places.rs)
//! runs    of equal durations: their lengths (runs.rs), then a column of the durations
//! u8      composition offsets: 0 none, 1 stored divided by their greatest common divisor
//!         varint divisor, column of n quotients
//! u8      1 when the first sample is a sync sample
//! runs    alternately sync and not sync: their lengths
//! u8      layout: 0 samples are protected as a whole, 1 subsamples follow
//!         column of n counts, column of clear lengths, a bit each at least, column of protected
//!         lengths but the last of each sample, which is what the sample's size leaves
//! varint  length of the events, the bytes of the events
//! ```
//!
//! The number of samples and the decode time stand in the segment table. Sizes and places come
//! first: of the segment that is another's guide nothing else is read.

use drm::{Subsample, SubsampleMap};

use super::column::{Backing, put_column, read_column};
use super::places::{put_places, read_places};
use super::runs::{put_run_lengths, read_run_lengths, runs};
use super::track_index::{SegmentEntry, SegmentSamples};
use super::wire::{WireReader, put_varint};
use crate::PackageError;
use crate::track::Sample;

/// Bytes of the checksum in front of a block.
const CRC_BYTES: usize = 4;

/// A block with the row of the segment table that it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct StoredBlock<'a> {
    pub entry: &'a SegmentEntry,
    pub bytes: &'a [u8],
}

/// An encoded segment.
pub(super) struct EncodedBlock {
    pub(super) bytes: Vec<u8>,
    /// It can't be read without its guide.
    pub(super) has_guide: bool,
}

/// Encodes one segment. `guide` says where the samples of its guide's segment end; it is empty for
/// a track without one. The layout describes the samples one by one, or is empty.
pub(super) fn encode_block(segment: &SegmentSamples, guide: &[u64]) -> EncodedBlock {
    let samples = &segment.samples;
    let mut out = vec![0; CRC_BYTES];
    let first = samples.first().copied().unwrap_or_default();
    put_varint(&mut out, u64::from(first.description_index));
    put_all(&mut out, Backing::BitEach, samples, |sample| i64::from(sample.size_bytes));
    let has_guide = put_places(&mut out, samples, guide);
    put_durations(&mut out, samples);
    put_composition(&mut out, samples);
    put_sync(&mut out, samples);
    put_layout(&mut out, samples, &segment.layout);
    put_varint(&mut out, segment.events.len() as u64);
    out.extend_from_slice(&segment.events);

    let crc = crc32fast::hash(&out[CRC_BYTES..]);
    out[..CRC_BYTES].copy_from_slice(&crc.to_le_bytes());
    EncodedBlock { bytes: out, has_guide }
}

/// Decodes a block. `guide` is the block of the segment with the same position in the table of the
/// track's guide, for tracks that have one.
///
/// # Errors
/// [`PackageError::CorruptIndex`] when the checksum, a count or a sum does not hold.
pub(super) fn decode_block(
    block: StoredBlock<'_>,
    guide: Option<StoredBlock<'_>>,
) -> Result<SegmentSamples, PackageError> {
    let mut reader = open(block)?;
    decode_payload(block.entry, &mut reader, guide)
}

/// Checks the checksum of a block; gives a reader of what follows it.
fn open(block: StoredBlock<'_>) -> Result<WireReader<'_>, PackageError> {
    let offset = block.entry.block_offset_bytes;
    let Some((crc, payload)) = block.bytes.split_first_chunk::<CRC_BYTES>() else {
        return Err(PackageError::CorruptIndex { offset, reason: "a block is too short" });
    };
    if crc32fast::hash(payload) != u32::from_le_bytes(*crc) {
        return Err(PackageError::CorruptIndex { offset, reason: "a block's checksum is wrong" });
    }
    Ok(WireReader::new(payload, offset + CRC_BYTES as u64))
}

fn decode_payload(
    entry: &SegmentEntry,
    reader: &mut WireReader<'_>,
    guide: Option<StoredBlock<'_>>,
) -> Result<SegmentSamples, PackageError> {
    let mut samples = read_sizes(entry, reader)?;
    let at_guide = reader.error("a block lacks its guide");
    read_places(reader, &mut samples, || sample_ends(guide.ok_or(at_guide)?))?;
    read_durations(reader, &mut samples, entry.decode_time)?;
    read_composition(reader, &mut samples)?;
    read_sync(reader, &mut samples)?;
    let layout = read_layout(reader, &samples)?;
    let events_len = reader.u32()? as usize;
    let events = reader.take(events_len)?.to_vec();

    let media_bytes: u64 = samples.iter().map(|sample| u64::from(sample.size_bytes)).sum();
    if media_bytes != entry.media_bytes || events.len() != entry.event_bytes as usize {
        return Err(reader.error("the block and the segment table disagree"));
    }
    Ok(SegmentSamples { samples, layout, events })
}

/// Where the samples of a guide's segment end.
fn sample_ends(guide: StoredBlock<'_>) -> Result<Vec<u64>, PackageError> {
    if guide.entry.sample_count == 0 {
        return Ok(Vec::new());
    }
    let mut reader = open(guide)?;
    let mut samples = read_sizes(guide.entry, &mut reader)?;
    let in_row = reader.error("a guide has a guide");
    read_places(&mut reader, &mut samples, || Err(in_row))?;
    // No overflow: the places were summed up.
    let end = |sample: &Sample| sample.offset_bytes + u64::from(sample.size_bytes);
    Ok(samples.iter().map(end).collect())
}

/// Appends a column with a value of each item.
fn put_all<T>(out: &mut Vec<u8>, backing: Backing, items: &[T], value: impl Fn(&T) -> i64) {
    put_column(out, backing, &items.iter().map(value).collect::<Vec<_>>());
}

fn read_sizes(
    entry: &SegmentEntry,
    reader: &mut WireReader<'_>,
) -> Result<Vec<Sample>, PackageError> {
    let count = entry.sample_count as usize;
    let description_index = u16::try_from(reader.varint()?)
        .map_err(|_| reader.error("the sample description index exceeds 16 bits"))?;
    // Each sample has at least the bit of its size, so a lying count can't reserve more.
    if count.div_ceil(8) > reader.left() {
        return Err(reader.error("the block is shorter than its samples"));
    }
    let mut samples = vec![Sample { description_index, ..Sample::default() }; count];
    let reason = "a size exceeds 32 bits";
    read_column(reader, Backing::BitEach, samples.iter_mut(), reason, |sample, value| {
        sample.size_bytes = u32::try_from(value).ok()?;
        Some(())
    })?;
    Ok(samples)
}

fn put_durations(out: &mut Vec<u8>, samples: &[Sample]) {
    let runs = runs(samples, |sample| sample.duration_ticks);
    let lengths: Vec<usize> = runs.iter().map(|run| run.0).collect();
    put_run_lengths(out, &lengths);
    put_all(out, Backing::Free, &runs, |run| i64::from(run.1));
}

fn read_durations(
    reader: &mut WireReader<'_>,
    samples: &mut [Sample],
    mut decode_time: u64,
) -> Result<(), PackageError> {
    let lengths = read_run_lengths(reader, samples.len())?;
    let mut rest = samples;
    let reason = "a duration exceeds 32 bits, or times 64";
    read_column(reader, Backing::Free, lengths.iter(), reason, |&length, value| {
        let duration_ticks = u32::try_from(value).ok()?;
        let (covered, after) = std::mem::take(&mut rest).split_at_mut(length);
        for sample in covered {
            sample.decode_time = decode_time;
            sample.duration_ticks = duration_ticks;
            decode_time = decode_time.checked_add(u64::from(duration_ticks))?;
        }
        rest = after;
        Some(())
    })
}

fn put_composition(out: &mut Vec<u8>, samples: &[Sample]) {
    let offset = |sample: &Sample| i64::from(sample.composition_offset_ticks);
    let magnitudes = samples.iter().map(|sample| offset(sample).unsigned_abs());
    let divisor = magnitudes.fold(0, gcd);
    out.push(u8::from(divisor != 0));
    if divisor != 0 {
        put_varint(out, divisor);
        put_all(out, Backing::Free, samples, |sample| offset(sample) / divisor as i64);
    }
}

fn read_composition(
    reader: &mut WireReader<'_>,
    samples: &mut [Sample],
) -> Result<(), PackageError> {
    if !reader.flag()? {
        return Ok(());
    }
    let divisor = i64::from(reader.u32()?);
    let reason = "a composition offset exceeds 32 bits";
    read_column(reader, Backing::Free, samples.iter_mut(), reason, |sample, value| {
        let offset = value.checked_mul(divisor)?;
        sample.composition_offset_ticks = i32::try_from(offset).ok()?;
        Some(())
    })
}

fn put_sync(out: &mut Vec<u8>, samples: &[Sample]) {
    out.push(u8::from(samples.first().is_some_and(|sample| sample.is_sync)));
    let runs = runs(samples, |sample| sample.is_sync);
    let lengths: Vec<usize> = runs.iter().map(|run| run.0).collect();
    put_run_lengths(out, &lengths);
}

fn read_sync(reader: &mut WireReader<'_>, samples: &mut [Sample]) -> Result<(), PackageError> {
    let mut is_sync = reader.flag()?;
    let mut rest = samples;
    for length in read_run_lengths(reader, rest.len())? {
        let (covered, after) = rest.split_at_mut(length);
        for sample in covered {
            sample.is_sync = is_sync;
        }
        rest = after;
        is_sync = !is_sync;
    }
    Ok(())
}

fn put_layout(out: &mut Vec<u8>, samples: &[Sample], layout: &SubsampleMap) {
    let of_each = || (0..samples.len()).map(|index| layout.sample(index));
    let has_layout = of_each().any(|subsamples| !subsamples.is_empty());
    out.push(u8::from(has_layout));
    if !has_layout {
        return;
    }
    let counts: Vec<i64> = of_each().map(|subsamples| subsamples.len() as i64).collect();
    put_column(out, Backing::Free, &counts);
    let all: Vec<Subsample> = of_each().flatten().copied().collect();
    put_all(out, Backing::BitEach, &all, |subsample| i64::from(subsample.clear_bytes));
    let listed = of_each().filter_map(<[Subsample]>::split_last).flat_map(|(_, listed)| listed);
    let listed: Vec<Subsample> = listed.copied().collect();
    put_all(out, Backing::Free, &listed, |subsample| i64::from(subsample.protected_bytes));
}

fn read_layout(
    reader: &mut WireReader<'_>,
    samples: &[Sample],
) -> Result<SubsampleMap, PackageError> {
    if !reader.flag()? {
        return Ok(SubsampleMap::default());
    }
    let mut counts = vec![0_usize; samples.len()];
    let (mut total, mut listed) = (0_usize, 0_usize);
    let reason = "the block is shorter than its subsamples";
    read_column(reader, Backing::Free, counts.iter_mut(), reason, |count, value| {
        *count = usize::try_from(value).ok()?;
        total = total.checked_add(*count)?;
        listed += count.saturating_sub(1);
        Some(())
    })?;
    // Each has at least a bit; the map counts in 32.
    if total.div_ceil(8) > reader.left() || u32::try_from(total).is_err() {
        return Err(reader.error(reason));
    }
    let clear = read_lengths(reader, Backing::BitEach, total)?;
    let protected = read_lengths(reader, Backing::Free, listed)?;
    let (mut clear, mut protected) = (clear.into_iter(), protected.into_iter());
    let mut layout = SubsampleMap::with_capacity(samples.len(), total);
    let mut subsamples = Vec::new();
    for (sample, count) in samples.iter().zip(counts) {
        subsamples.clear();
        let mut left = sample.size_bytes;
        for (clear_bytes, position) in clear.by_ref().take(count).zip(1..) {
            let after_clear = left.checked_sub(clear_bytes);
            let listed = if position < count { protected.next() } else { after_clear };
            let parts = after_clear.zip(listed);
            let after =
                parts.and_then(|(after, listed)| Some((listed, after.checked_sub(listed)?)));
            let Some((protected_bytes, after)) = after else {
                return Err(reader.error("subsamples exceed their sample"));
            };
            left = after;
            subsamples.push(Subsample { clear_bytes, protected_bytes });
        }
        layout.push_sample(subsamples.iter().copied());
    }
    Ok(layout)
}

fn read_lengths(
    reader: &mut WireReader<'_>,
    backing: Backing,
    count: usize,
) -> Result<Vec<u32>, PackageError> {
    let mut lengths = vec![0; count];
    let reason = "the length of a subsample exceeds 32 bits";
    read_column(reader, backing, lengths.iter_mut(), reason, |length, value| {
        *length = u32::try_from(value).ok()?;
        Some(())
    })?;
    Ok(lengths)
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
pub(super) mod tests;
