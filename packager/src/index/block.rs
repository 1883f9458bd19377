//! One segment's samples as the sidecar stores them.
//!
//! A block is read for every segment request, so it holds a segment's samples and nothing else,
//! by columns, most of which collapse:
//!
//! ```text
//! u32     CRC-32 of what follows
//! varint  sample description index
//! varint  offset of the first sample in the media object
//! n ×     varint size
//! runs    (varint length, varint duration) until n samples are covered
//! u8      composition offsets: 0 none, 1 stored divided by their greatest common divisor
//!         varint divisor, n × signed quotient
//! runs    varint lengths, alternately sync and not sync, beginning with sync
//! runs    (varint length, signed gap): samples that lie back to back, then the bytes between
//!         them and the next
//! u8      layout: 0 samples are protected as a whole, 1 subsamples follow
//!         n × (varint count, count × varint clear, count − 1 × varint protected); the last
//!         protected length is what the sample's size leaves
//! varint  length of the events, the bytes of the events
//! ```
//!
//! The number of samples and the decode time stand in the segment table.

use drm::{Subsample, SubsampleMap};

use super::track_index::{SegmentEntry, SegmentSamples};
use super::wire::{WireReader, put_signed, put_varint};
use crate::PackageError;
use crate::track::Sample;

/// Bytes of the checksum in front of a block.
const CRC_BYTES: usize = 4;

/// Encodes one segment. `layout` describes the samples one by one, or is empty.
pub(super) fn encode_block(segment: &SegmentSamples) -> Vec<u8> {
    let samples = &segment.samples;
    let mut out = vec![0; CRC_BYTES];
    let first = samples.first().copied().unwrap_or_default();
    put_varint(&mut out, u64::from(first.description_index));
    put_varint(&mut out, first.offset_bytes);
    for sample in samples {
        put_varint(&mut out, u64::from(sample.size_bytes));
    }
    put_durations(&mut out, samples);
    put_composition(&mut out, samples);
    put_sync(&mut out, samples);
    put_gaps(&mut out, samples);
    put_layout(&mut out, samples, &segment.layout);
    put_varint(&mut out, segment.events.len() as u64);
    out.extend_from_slice(&segment.events);

    let crc = crc32fast::hash(&out[CRC_BYTES..]);
    out[..CRC_BYTES].copy_from_slice(&crc.to_le_bytes());
    out
}

/// Decodes the block of `entry`.
///
/// # Errors
/// [`PackageError::CorruptIndex`] when the checksum, a count or a sum does not hold.
pub(super) fn decode_block(
    entry: &SegmentEntry,
    block: &[u8],
) -> Result<SegmentSamples, PackageError> {
    let offset = entry.block_offset_bytes;
    let Some((crc, payload)) = block.split_first_chunk::<CRC_BYTES>() else {
        return Err(PackageError::CorruptIndex { offset, reason: "a block is too short" });
    };
    if crc32fast::hash(payload) != u32::from_le_bytes(*crc) {
        return Err(PackageError::CorruptIndex { offset, reason: "a block's checksum is wrong" });
    }
    let mut reader = WireReader::new(payload, offset + CRC_BYTES as u64);
    decode_payload(entry, &mut reader)
}

fn decode_payload(
    entry: &SegmentEntry,
    reader: &mut WireReader<'_>,
) -> Result<SegmentSamples, PackageError> {
    let count = entry.sample_count as usize;
    let description_index = u16::try_from(reader.varint()?)
        .map_err(|_| reader.error("the sample description index exceeds 16 bits"))?;
    let first_offset = reader.varint()?;
    // Each sample has at least the byte of its size, so a lying count can't reserve more.
    if count > reader.left() {
        return Err(reader.error("the block is shorter than its samples"));
    }
    let mut samples = Vec::with_capacity(count);
    for _ in 0..count {
        let size_bytes = reader.u32()?;
        samples.push(Sample { size_bytes, description_index, ..Sample::default() });
    }
    read_durations(reader, &mut samples, entry.decode_time)?;
    read_composition(reader, &mut samples)?;
    read_sync(reader, &mut samples)?;
    read_gaps(reader, &mut samples, first_offset)?;
    let layout = read_layout(reader, &samples)?;
    let events_len = reader.u32()? as usize;
    let events = reader.take(events_len)?.to_vec();

    let media_bytes: u64 = samples.iter().map(|sample| u64::from(sample.size_bytes)).sum();
    if media_bytes != entry.media_bytes || events.len() != entry.event_bytes as usize {
        return Err(reader.error("the block and the segment table disagree"));
    }
    Ok(SegmentSamples { samples, layout, events })
}

/// Lengths of the runs of equal `key`s.
fn runs<T, K: PartialEq>(items: &[T], key: impl Fn(&T) -> K) -> impl Iterator<Item = (usize, K)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let first = key(items.get(at)?);
        let len = items[at..].iter().take_while(|item| key(item) == first).count();
        at += len;
        Some((len, first))
    })
}

fn put_durations(out: &mut Vec<u8>, samples: &[Sample]) {
    for (len, duration) in runs(samples, |sample| sample.duration_ticks) {
        put_varint(out, len as u64);
        put_varint(out, u64::from(duration));
    }
}

fn read_durations(
    reader: &mut WireReader<'_>,
    samples: &mut [Sample],
    mut decode_time: u64,
) -> Result<(), PackageError> {
    let mut rest = samples;
    while !rest.is_empty() {
        let run = read_run(reader, rest.len())?;
        let duration_ticks = reader.u32()?;
        let (covered, after) = rest.split_at_mut(run);
        for sample in covered {
            sample.decode_time = decode_time;
            sample.duration_ticks = duration_ticks;
            decode_time = decode_time
                .checked_add(u64::from(duration_ticks))
                .ok_or_else(|| reader.error("time overflows"))?;
        }
        rest = after;
    }
    Ok(())
}

fn put_composition(out: &mut Vec<u8>, samples: &[Sample]) {
    let offsets = || samples.iter().map(|sample| i64::from(sample.composition_offset_ticks));
    let divisor = offsets().fold(0, |divisor, value| gcd(divisor, value.unsigned_abs()));
    out.push(u8::from(divisor != 0));
    if divisor != 0 {
        put_varint(out, divisor);
        for offset in offsets() {
            put_signed(out, offset / divisor as i64);
        }
    }
}

fn read_composition(
    reader: &mut WireReader<'_>,
    samples: &mut [Sample],
) -> Result<(), PackageError> {
    if !read_flag(reader)? {
        return Ok(());
    }
    let divisor = i64::from(reader.u32()?);
    for sample in samples {
        let offset = reader.signed()?.checked_mul(divisor);
        let offset = offset.and_then(|offset| i32::try_from(offset).ok());
        sample.composition_offset_ticks =
            offset.ok_or_else(|| reader.error("a composition offset exceeds 32 bits"))?;
    }
    Ok(())
}

fn put_sync(out: &mut Vec<u8>, samples: &[Sample]) {
    if samples.first().is_some_and(|sample| !sample.is_sync) {
        put_varint(out, 0);
    }
    for (len, _) in runs(samples, |sample| sample.is_sync) {
        put_varint(out, len as u64);
    }
}

fn read_sync(reader: &mut WireReader<'_>, samples: &mut [Sample]) -> Result<(), PackageError> {
    let mut rest = samples;
    let mut is_sync = true;
    let mut is_first = true;
    while !rest.is_empty() {
        let run = if is_first { reader.u32()? as usize } else { read_run(reader, rest.len())? };
        if run > rest.len() {
            return Err(reader.error("a run is longer than the segment"));
        }
        let (covered, after) = rest.split_at_mut(run);
        for sample in covered {
            sample.is_sync = is_sync;
        }
        rest = after;
        is_sync = !is_sync;
        is_first = false;
    }
    Ok(())
}

/// Bytes between the end of each sample and the start of the next; wraps like the offsets do.
fn gap_after(pair: &[Sample]) -> i64 {
    let end = pair[0].offset_bytes.wrapping_add(u64::from(pair[0].size_bytes));
    pair[1].offset_bytes.wrapping_sub(end) as i64
}

fn put_gaps(out: &mut Vec<u8>, samples: &[Sample]) {
    let mut run = 1;
    for pair in samples.windows(2) {
        let gap = gap_after(pair);
        if gap != 0 {
            put_varint(out, run);
            put_signed(out, gap);
            run = 0;
        }
        run += 1;
    }
    if !samples.is_empty() {
        put_varint(out, run);
        put_signed(out, 0);
    }
}

fn read_gaps(
    reader: &mut WireReader<'_>,
    samples: &mut [Sample],
    first_offset: u64,
) -> Result<(), PackageError> {
    let mut rest = samples;
    let mut offset = first_offset;
    while !rest.is_empty() {
        let run = read_run(reader, rest.len())?;
        let gap = reader.signed()?;
        let (covered, after) = rest.split_at_mut(run);
        for sample in covered {
            sample.offset_bytes = offset;
            offset = offset
                .checked_add(u64::from(sample.size_bytes))
                .ok_or_else(|| reader.error("an offset overflows"))?;
        }
        offset =
            offset.checked_add_signed(gap).ok_or_else(|| reader.error("an offset overflows"))?;
        rest = after;
    }
    Ok(())
}

fn put_layout(out: &mut Vec<u8>, samples: &[Sample], layout: &SubsampleMap) {
    let has_layout = (0..samples.len()).any(|index| !layout.sample(index).is_empty());
    out.push(u8::from(has_layout));
    if !has_layout {
        return;
    }
    for index in 0..samples.len() {
        let subsamples = layout.sample(index);
        put_varint(out, subsamples.len() as u64);
        for (position, subsample) in subsamples.iter().enumerate() {
            put_varint(out, u64::from(subsample.clear_bytes));
            if position + 1 < subsamples.len() {
                put_varint(out, u64::from(subsample.protected_bytes));
            }
        }
    }
}

fn read_layout(
    reader: &mut WireReader<'_>,
    samples: &[Sample],
) -> Result<SubsampleMap, PackageError> {
    let mut layout = SubsampleMap::default();
    if !read_flag(reader)? {
        return Ok(layout);
    }
    let mut subsamples = Vec::new();
    for sample in samples {
        subsamples.clear();
        let count = reader.u32()? as usize;
        if count > reader.left() {
            return Err(reader.error("the block is shorter than its subsamples"));
        }
        let mut left = sample.size_bytes;
        for position in 0..count {
            let clear_bytes = reader.u32()?;
            let after_clear = left.checked_sub(clear_bytes);
            let after_clear =
                after_clear.ok_or_else(|| reader.error("subsamples exceed their sample"))?;
            let protected_bytes = if position + 1 < count { reader.u32()? } else { after_clear };
            left = after_clear
                .checked_sub(protected_bytes)
                .ok_or_else(|| reader.error("subsamples exceed their sample"))?;
            subsamples.push(Subsample { clear_bytes, protected_bytes });
        }
        layout.push_sample(subsamples.iter().copied());
    }
    Ok(layout)
}

/// The length of a run of at least one and at most `left` samples.
fn read_run(reader: &mut WireReader<'_>, left: usize) -> Result<usize, PackageError> {
    let run = reader.u32()? as usize;
    if run == 0 || run > left {
        return Err(reader.error("a run does not fit the segment"));
    }
    Ok(run)
}

fn read_flag(reader: &mut WireReader<'_>) -> Result<bool, PackageError> {
    match reader.take(1)?[0] {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(reader.error("a flag is neither 0 nor 1")),
    }
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
pub(super) mod tests;
