//! Joins the sample tables of `stbl` (ISO/IEC 14496-12 8.5 to 8.7) into samples, in one pass.
//!
//! The tables stay where they are: rows are borrowed from `moov`, and each table has a cursor
//! that moves along as samples come out.

use super::TICKS_MAX;
use super::box_reader::BoxReader;
use super::track_build::Budget;
use crate::track::Sample;
use crate::{FourCc, PackageError};

/// The boxes of `stbl` that tell about samples.
#[derive(Clone, Copy, Default)]
pub(super) struct SampleBoxes<'a> {
    pub stts: Option<BoxReader<'a>>,
    pub ctts: Option<BoxReader<'a>>,
    pub stsc: Option<BoxReader<'a>>,
    /// `stsz` or `stz2`.
    pub sizes: Option<BoxReader<'a>>,
    /// `stco` or `co64`.
    pub chunk_offsets: Option<BoxReader<'a>>,
    pub stss: Option<BoxReader<'a>>,
}

impl SampleBoxes<'_> {
    /// `sample_count` of `stsz` or `stz2`; 0 when neither is there.
    pub(super) fn sample_count(&self) -> Result<u32, PackageError> {
        let Some(mut sizes) = self.sizes else {
            return Ok(0);
        };
        sizes.skip(8)?;
        sizes.u32()
    }
}

/// Reads all samples of a track. Decode times start at 0; `entry_indexes` maps `stsd` entries to
/// the description index of the samples.
pub(super) fn join_samples(
    boxes: &SampleBoxes<'_>,
    track: u32,
    entry_indexes: &[u16],
    budget: &mut Budget,
) -> Result<Vec<Sample>, PackageError> {
    let count = boxes.sample_count()?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let need = |reader: Option<_>, kind| {
        reader.ok_or_else(|| PackageError::MissingTrackBox { track, kind: FourCc::new(kind) })
    };
    budget.take(0, count)?;
    let mut cursor = SampleCursor {
        sizes: Sizes::read(need(boxes.sizes, b"stsz")?, budget)?,
        durations: Runs::read(need(boxes.stts, b"stts")?)?,
        composition_offsets: boxes.ctts.map(Runs::read).transpose()?,
        sync: boxes.stss.map(SyncSamples::read).transpose()?,
        decode_time: 0,
        number: 0,
        track,
        source_len: budget.source_len,
    };
    let mut chunks = Chunks::read(
        need(boxes.stsc, b"stsc")?,
        need(boxes.chunk_offsets, b"stco")?,
        entry_indexes,
    )?;
    let mut samples = Vec::with_capacity(count as usize);
    let mut left = count;
    while left > 0 {
        let Some(chunk) = chunks.next_chunk()? else {
            let sample = count - left + 1;
            let reason = "no chunk holds it";
            return Err(PackageError::InvalidSample { track, sample, reason });
        };
        let in_chunk = chunk.sample_count.min(left);
        left -= in_chunk;
        let mut offset = chunk.offset;
        for _ in 0..in_chunk {
            offset = cursor.push_sample(&mut samples, offset, chunk.description_index)?;
        }
        // A chunk lies in one piece.
        budget.take_media(offset - chunk.offset)?;
    }
    Ok(samples)
}

/// The tables with one row or less per sample, at the next sample.
struct SampleCursor<'a> {
    sizes: Sizes<'a>,
    durations: Runs<'a>,
    composition_offsets: Option<Runs<'a>>,
    sync: Option<SyncSamples<'a>>,
    decode_time: u64,
    /// Of the sample last read, from 1.
    number: u32,
    track: u32,
    source_len: u64,
}

impl SampleCursor<'_> {
    /// Appends the next sample, whose data starts at `offset_bytes`; returns where it ends.
    ///
    /// Fields go from registers into the table: a sample put together first and copied then costs
    /// twice the time.
    #[inline]
    fn push_sample(
        &mut self,
        samples: &mut Vec<Sample>,
        offset_bytes: u64,
        description_index: u16,
    ) -> Result<u64, PackageError> {
        self.number += 1;
        let Some(duration_ticks) = self.durations.next_value() else {
            return Err(self.invalid("`stts` ends before it"));
        };
        let Some(size_bytes) = self.sizes.next_size() else {
            return Err(self.invalid("it has no size"));
        };
        let end = offset_bytes.checked_add(size_bytes.into());
        let Some(end) = end.filter(|&end| end <= self.source_len) else {
            return Err(PackageError::SampleOutsideSource {
                track: self.track,
                sample: self.number,
                offset: offset_bytes,
                size: size_bytes,
                source_len: self.source_len,
            });
        };
        // Version 0 has unsigned offsets, but negative ones are found in it; real offsets don't
        // reach 2^31 ticks. Offsets missing at the end are 0.
        let offset = self.composition_offsets.as_mut().and_then(Runs::next_value).unwrap_or(0);
        samples.push(Sample {
            offset_bytes,
            size_bytes,
            decode_time: self.decode_time,
            duration_ticks,
            composition_offset_ticks: offset.cast_signed(),
            is_sync: self.sync.as_mut().is_none_or(|sync| sync.contains(self.number)),
            description_index,
        });
        // At most 2^24 samples of at most 2^32 ticks.
        self.decode_time += u64::from(duration_ticks);
        debug_assert!(self.decode_time <= TICKS_MAX);
        Ok(end)
    }

    #[cold]
    fn invalid(&self, reason: &'static str) -> PackageError {
        PackageError::InvalidSample { track: self.track, sample: self.number, reason }
    }
}

/// Runs of equal values: `stts` and `ctts`.
struct Runs<'a> {
    rows: std::slice::Iter<'a, [u8; 8]>,
    left: u32,
    value: u32,
}

impl<'a> Runs<'a> {
    fn read(mut table: BoxReader<'a>) -> Result<Self, PackageError> {
        table.full_box()?;
        let count = table.u32()?;
        Ok(Self { rows: table.rows(count)?.iter(), left: 0, value: 0 })
    }

    #[inline]
    fn next_value(&mut self) -> Option<u32> {
        while self.left == 0 {
            let [c0, c1, c2, c3, v0, v1, v2, v3] = *self.rows.next()?;
            self.left = u32::from_be_bytes([c0, c1, c2, c3]);
            self.value = u32::from_be_bytes([v0, v1, v2, v3]);
        }
        self.left -= 1;
        Some(self.value)
    }
}

/// `stsz` (8.7.3.2) and `stz2` (8.7.3.3).
enum Sizes<'a> {
    Equal(u32),
    Wide(std::slice::Iter<'a, [u8; 4]>),
    Half(std::slice::Iter<'a, [u8; 2]>),
    Byte(std::slice::Iter<'a, [u8; 1]>),
    /// Two to a byte, the high half first; the low half that waits.
    Nibble(std::slice::Iter<'a, [u8; 1]>, Option<u8>),
}

impl<'a> Sizes<'a> {
    fn read(mut table: BoxReader<'a>, budget: &mut Budget) -> Result<Self, PackageError> {
        table.full_box()?;
        let size = table.u32()?;
        let count = table.u32()?;
        if &table.kind.0 == b"stz2" {
            return match size & 0xff {
                4 => Ok(Self::Nibble(table.rows(count.div_ceil(2))?.iter(), None)),
                8 => Ok(Self::Byte(table.rows(count)?.iter())),
                16 => Ok(Self::Half(table.rows(count)?.iter())),
                _ => Err(table.invalid("its field size is none of 4, 8 and 16")),
            };
        }
        if size == 0 {
            return Ok(Self::Wide(table.rows(count)?.iter()));
        }
        if !budget.take_unlisted(count, size) {
            return Err(table.invalid("its samples would not fit into the file"));
        }
        Ok(Self::Equal(size))
    }

    #[inline]
    fn next_size(&mut self) -> Option<u32> {
        match self {
            Self::Equal(size) => Some(*size),
            Self::Wide(rows) => rows.next().copied().map(u32::from_be_bytes),
            Self::Half(rows) => rows.next().copied().map(u16::from_be_bytes).map(u32::from),
            Self::Byte(rows) => rows.next().map(|&[byte]| u32::from(byte)),
            Self::Nibble(rows, waiting) => {
                if let Some(low) = waiting.take() {
                    return Some(low.into());
                }
                let &[byte] = rows.next()?;
                *waiting = Some(byte & 15);
                Some(u32::from(byte >> 4))
            }
        }
    }
}

/// `stss` (8.6.2): numbers of sync samples, in order.
struct SyncSamples<'a> {
    rows: std::slice::Iter<'a, [u8; 4]>,
    next: Option<u32>,
}

impl<'a> SyncSamples<'a> {
    fn read(mut table: BoxReader<'a>) -> Result<Self, PackageError> {
        table.full_box()?;
        let count = table.u32()?;
        let rows = table.rows(count)?;
        if rows.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(table.invalid("its sample numbers don't increase"));
        }
        let mut rows = rows.iter();
        let next = rows.next().copied().map(u32::from_be_bytes);
        Ok(Self { rows, next })
    }

    #[inline]
    /// Whether sample `number` is listed. Numbers must be asked for in order.
    fn contains(&mut self, number: u32) -> bool {
        while self.next.is_some_and(|next| next < number) {
            self.next = self.rows.next().copied().map(u32::from_be_bytes);
        }
        self.next == Some(number)
    }
}

/// `stsc` (8.7.4) over `stco` or `co64` (8.7.5).
struct Chunks<'a> {
    stsc: BoxReader<'a>,
    rows: std::slice::Iter<'a, [u8; 12]>,
    run: ChunkRun,
    /// First chunk of the run after this, from 1; `None` when this is the last.
    next_first: Option<u32>,
    offsets: ChunkOffsets<'a>,
    /// Of the chunk last read, from 1.
    number: u32,
    entry_indexes: &'a [u16],
}

#[derive(Clone, Copy, Default)]
struct ChunkRun {
    samples_per_chunk: u32,
    description_index: u16,
}

enum ChunkOffsets<'a> {
    Narrow(std::slice::Iter<'a, [u8; 4]>),
    Wide(std::slice::Iter<'a, [u8; 8]>),
}

struct Chunk {
    offset: u64,
    sample_count: u32,
    description_index: u16,
}

impl<'a> Chunks<'a> {
    fn read(
        mut stsc: BoxReader<'a>,
        mut offsets: BoxReader<'a>,
        entry_indexes: &'a [u16],
    ) -> Result<Self, PackageError> {
        stsc.full_box()?;
        let count = stsc.u32()?;
        let rows = stsc.rows::<12>(count)?;
        let first_chunk = rows.first().map(first_chunk_of);
        if first_chunk != Some(1) {
            return Err(stsc.invalid("it does not start at the first chunk"));
        }
        if rows.windows(2).any(|pair| first_chunk_of(&pair[0]) >= first_chunk_of(&pair[1])) {
            return Err(stsc.invalid("its chunk numbers don't increase"));
        }
        offsets.full_box()?;
        let count = offsets.u32()?;
        let offsets = if &offsets.kind.0 == b"co64" {
            ChunkOffsets::Wide(offsets.rows(count)?.iter())
        } else {
            ChunkOffsets::Narrow(offsets.rows(count)?.iter())
        };
        Ok(Self {
            stsc,
            rows: rows.iter(),
            run: ChunkRun::default(),
            next_first: first_chunk,
            offsets,
            number: 0,
            entry_indexes,
        })
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk>, PackageError> {
        let offset = match &mut self.offsets {
            ChunkOffsets::Narrow(rows) => {
                rows.next().copied().map(u32::from_be_bytes).map(u64::from)
            }
            ChunkOffsets::Wide(rows) => rows.next().copied().map(u64::from_be_bytes),
        };
        let Some(offset) = offset else {
            return Ok(None);
        };
        self.number += 1;
        if self.next_first == Some(self.number) {
            self.next_run()?;
        }
        let ChunkRun { samples_per_chunk, description_index } = self.run;
        Ok(Some(Chunk { offset, sample_count: samples_per_chunk, description_index }))
    }

    fn next_run(&mut self) -> Result<(), PackageError> {
        let Some(&[_, _, _, _, s0, s1, s2, s3, d0, d1, d2, d3]) = self.rows.next() else {
            return Ok(());
        };
        let description = u32::from_be_bytes([d0, d1, d2, d3]);
        let description_index = entry_index(self.entry_indexes, description).ok_or_else(|| {
            self.stsc.invalid("it names a sample entry that `stsd` does not have")
        })?;
        self.run =
            ChunkRun { samples_per_chunk: u32::from_be_bytes([s0, s1, s2, s3]), description_index };
        self.next_first = self.rows.as_slice().first().map(first_chunk_of);
        Ok(())
    }
}

fn first_chunk_of(row: &[u8; 12]) -> u32 {
    let [f0, f1, f2, f3, ..] = *row;
    u32::from_be_bytes([f0, f1, f2, f3])
}

/// Place of `stsd` entry `number` (from 1) among the entries kept.
pub(super) fn entry_index(entry_indexes: &[u16], number: u32) -> Option<u16> {
    entry_indexes.get(number.checked_sub(1)? as usize).copied()
}

#[cfg(test)]
mod tests;
