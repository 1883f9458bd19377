//! The sidecar: a track's index as a file.
//!
//! ```text
//!  0  8   "SVINDEX" and the format version, 2
//!  8  u32 bytes of the head          12  u32 bytes of the segment table
//! 16  u32 CRC-32 of the head         20  u32 CRC-32 of the table
//! 24  u64 bytes of the media object  32  16  first bytes of its digest
//! 48  u64 bytes of the blocks here   56  u32 zero
//! 60  u32 CRC-32 of bytes 0 to 59
//! 64  head: track description and facts (postcard)
//!     segment table: counts, then a row a segment, then a row an I-frame (varints)
//!     blocks, one a segment with samples, in order (block.rs), unless the media object has them
//! ```
//!
//! Integers are little-endian. The fixed header, head and table are read once and stay resident;
//! a request reads one block. With [`BlockPlace::Media`] the blocks stand in the media object,
//! each right before its segment's samples, so that one ranged read brings both.
//!
//! A sidecar may name a *guide*: another track of the same file that its blocks count along
//! (places.rs). To decode a block takes the guide's block of the segment with the same position.

use serde::{Deserialize, Serialize};

use super::block::{StoredBlock, decode_block};
use super::track_index::{IFrameEntry, SegmentEntry, SegmentSamples, TrackFacts, TrackIndex};
use super::wire::{WireReader, put_varint};
use crate::PackageError;
use crate::track::TrackInfo;

/// Bytes of the fixed header.
pub const HEADER_BYTES: usize = 64;
const MAGIC: [u8; 7] = *b"SVINDEX";
/// Sidecars of another format are stale: they are made anew from the media.
const FORMAT: u8 = 2;
/// Head and table of the largest track that is accepted: 16 million samples at a row of 40 bytes
/// for each second of them stay far below.
const RESIDENT_BYTES_MAX: u32 = 64 << 20;

/// Decode times fit signed integers, and the last sample has a duration beyond that: sums of a few
/// spans stay inside 64 bits.
const END_TIME_MAX: u64 = (1 << 63) + (u32::MAX as u64);

/// Where the blocks of a track lie.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum BlockPlace {
    /// In the sidecar, behind the table.
    Sidecar,
    /// In the media object, each before its segment's samples.
    Media,
}

/// What the fixed header of a sidecar says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SidecarHeader {
    pub head_bytes: u32,
    pub table_bytes: u32,
    pub block_bytes: u64,
    pub media: MediaIdentity,
    head_crc: u32,
    table_crc: u32,
}

/// The object that a track's sample offsets refer to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MediaIdentity {
    pub len_bytes: u64,
    /// First 16 bytes of the BLAKE3 digest.
    pub digest: [u8; 16],
}

#[derive(Serialize, Deserialize)]
struct Head {
    info: TrackInfo,
    facts: TrackFacts,
    end_time: u64,
    block_place: BlockPlace,
    guide: Option<u32>,
}

impl SidecarHeader {
    /// Reads the first [`HEADER_BYTES`] of a sidecar.
    ///
    /// # Errors
    /// [`PackageError::StaleIndex`] for an index of another version, which is to be built anew, and
    /// [`PackageError::CorruptIndex`] for anything else and for a wrong checksum.
    pub fn parse(bytes: &[u8]) -> Result<Self, PackageError> {
        let corrupt = |offset, reason| PackageError::CorruptIndex { offset, reason };
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(corrupt(bytes.len() as u64, "the header is cut short"));
        };
        let Some(&[found, ..]) = header.strip_prefix(&MAGIC) else {
            return Err(corrupt(0, "not an index"));
        };
        if found != FORMAT {
            return Err(PackageError::StaleIndex { found, wanted: FORMAT });
        }
        let u32_at = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if crc32fast::hash(&header[..60]) != u32_at(60) {
            return Err(corrupt(60, "the header's checksum is wrong"));
        }
        let digest = header[32..48].try_into().expect("sixteen bytes were taken");
        let parsed = Self {
            head_bytes: u32_at(8),
            table_bytes: u32_at(12),
            head_crc: u32_at(16),
            table_crc: u32_at(20),
            media: MediaIdentity { len_bytes: u64_at(24), digest },
            block_bytes: u64_at(48),
        };
        if parsed.head_bytes.max(parsed.table_bytes) > RESIDENT_BYTES_MAX {
            return Err(corrupt(8, "head or table is larger than any track needs"));
        }
        Ok(parsed)
    }

    /// Bytes of header, head and table: what is read once and stays resident.
    pub fn resident_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.head_bytes) + u64::from(self.table_bytes)
    }

    fn write(&self) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[..7].copy_from_slice(&MAGIC);
        header[7] = FORMAT;
        header[8..12].copy_from_slice(&self.head_bytes.to_le_bytes());
        header[12..16].copy_from_slice(&self.table_bytes.to_le_bytes());
        header[16..20].copy_from_slice(&self.head_crc.to_le_bytes());
        header[20..24].copy_from_slice(&self.table_crc.to_le_bytes());
        header[24..32].copy_from_slice(&self.media.len_bytes.to_le_bytes());
        header[32..48].copy_from_slice(&self.media.digest);
        header[48..56].copy_from_slice(&self.block_bytes.to_le_bytes());
        let crc = crc32fast::hash(&header[..60]);
        header[60..].copy_from_slice(&crc.to_le_bytes());
        header
    }
}

/// A sidecar as it was read: the index, and where its blocks lie.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sidecar {
    pub index: TrackIndex,
    pub block_place: BlockPlace,
    pub media: MediaIdentity,
    /// `track_ID` of the guide in the media object; `None` when every block can be read alone.
    pub guide: Option<u32>,
}

impl Sidecar {
    /// Reads the resident part: the first [`SidecarHeader::resident_bytes`] of the file.
    ///
    /// # Errors
    /// [`PackageError::CorruptIndex`] naming the byte where the file stops making sense, and
    /// [`PackageError::StaleIndex`] for an index of another version.
    pub fn parse(bytes: &[u8]) -> Result<Self, PackageError> {
        let header = SidecarHeader::parse(bytes)?;
        let head_end = HEADER_BYTES + header.head_bytes as usize;
        let table_end = head_end + header.table_bytes as usize;
        let (Some(head), Some(table)) =
            (bytes.get(HEADER_BYTES..head_end), bytes.get(head_end..table_end))
        else {
            let offset = bytes.len() as u64;
            return Err(PackageError::CorruptIndex { offset, reason: "the table is cut short" });
        };
        let corrupt =
            |offset: usize, reason| PackageError::CorruptIndex { offset: offset as u64, reason };
        if crc32fast::hash(head) != header.head_crc {
            return Err(corrupt(HEADER_BYTES, "the head's checksum is wrong"));
        }
        if crc32fast::hash(table) != header.table_crc {
            return Err(corrupt(head_end, "the table's checksum is wrong"));
        }
        let head: Head = postcard::from_bytes(head)
            .map_err(|_| corrupt(HEADER_BYTES, "the head is not readable"))?;

        let mut reader = WireReader::new(table, head_end as u64);
        let segment_count = reader.u32()? as usize;
        let iframe_count = reader.u32()? as usize;
        let segments = read_segments(&mut reader, segment_count, &head, table_end as u64)?;
        let iframes = read_iframes(&mut reader, iframe_count)?;
        check_head(&head, &segments).map_err(|reason| corrupt(HEADER_BYTES, reason))?;
        let index = TrackIndex {
            info: head.info,
            facts: head.facts,
            segments,
            iframes,
            end_time: head.end_time,
        };
        let (block_place, guide) = (head.block_place, head.guide);
        Ok(Self { index, block_place, media: header.media, guide })
    }
}

/// Writes header, head, table and, with [`BlockPlace::Sidecar`], the blocks.
///
/// `blocks` holds the encoded block of each segment that has samples, one after another; the
/// lengths stand in the entries. Places of blocks are computed for the sidecar and taken from the
/// entries for the media object.
pub(super) fn write_sidecar(sidecar: &Sidecar, blocks: &[u8]) -> Vec<u8> {
    let Sidecar { index, block_place, media, guide } = sidecar;
    let (block_place, media, guide) = (*block_place, *media, *guide);
    let head = Head {
        info: index.info.clone(),
        facts: index.facts,
        end_time: index.end_time,
        block_place,
        guide,
    };
    let head = postcard::to_stdvec(&head).expect("plain data always serialises into memory");
    let table = write_table(index, block_place);
    let header = SidecarHeader {
        head_bytes: head.len() as u32,
        table_bytes: table.len() as u32,
        head_crc: crc32fast::hash(&head),
        table_crc: crc32fast::hash(&table),
        media,
        block_bytes: blocks.len() as u64,
    };
    let mut out = Vec::with_capacity(HEADER_BYTES + head.len() + table.len() + blocks.len());
    out.extend_from_slice(&header.write());
    out.extend_from_slice(&head);
    out.extend_from_slice(&table);
    out.extend_from_slice(blocks);
    out
}

/// Reads the samples of a segment from the bytes of its block. `guide` is what the sidecar's guide
/// has at the same position, its block empty where it has no samples there.
///
/// # Errors
/// [`PackageError::CorruptIndex`] when a block does not hold what its table says, or lies elsewhere
/// than its guide says.
pub fn segment_samples(
    block: StoredBlock<'_>,
    guide: Option<StoredBlock<'_>>,
) -> Result<SegmentSamples, PackageError> {
    if block.entry.sample_count == 0 {
        return Ok(SegmentSamples::default());
    }
    decode_block(block, guide)
}

fn write_table(index: &TrackIndex, block_place: BlockPlace) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, index.segments.len() as u64);
    put_varint(&mut out, index.iframes.len() as u64);
    let mut time = 0;
    let mut block_end = 0;
    for entry in &index.segments {
        put_varint(&mut out, entry.decode_time - time);
        time = entry.decode_time;
        for value in [
            entry.sample_count,
            entry.subsample_count,
            entry.event_bytes,
            entry.ts_packets,
            entry.ts_clock_packets,
            entry.block_len_bytes,
        ] {
            put_varint(&mut out, u64::from(value));
        }
        put_varint(&mut out, entry.media_bytes);
        if block_place == BlockPlace::Media {
            put_varint(&mut out, entry.block_offset_bytes.wrapping_sub(block_end));
            block_end = entry.block_offset_bytes.wrapping_add(u64::from(entry.block_len_bytes));
        }
    }
    let mut previous = IFrameEntry::default();
    for iframe in &index.iframes {
        put_varint(&mut out, u64::from(iframe.sample - previous.sample));
        put_varint(&mut out, u64::from(iframe.size_bytes));
        put_varint(&mut out, iframe.time - previous.time);
        put_varint(&mut out, iframe.offset_bytes.wrapping_sub(previous.offset_bytes));
        put_varint(&mut out, u64::from(iframe.description_index));
        previous = *iframe;
    }
    out
}

/// Bytes that the shortest row of a segment takes.
const SEGMENT_ROW_BYTES_MIN: usize = 8;
const IFRAME_ROW_BYTES_MIN: usize = 5;

fn read_segments(
    reader: &mut WireReader<'_>,
    count: usize,
    head: &Head,
    table_end: u64,
) -> Result<Vec<SegmentEntry>, PackageError> {
    if count > reader.left() / SEGMENT_ROW_BYTES_MIN {
        return Err(reader.error("the table is shorter than its segments"));
    }
    let mut segments = Vec::with_capacity(count);
    let mut entry = SegmentEntry::default();
    let mut block_end = match head.block_place {
        BlockPlace::Sidecar => table_end,
        BlockPlace::Media => 0,
    };
    for _ in 0..count {
        let first_sample = entry.first_sample.checked_add(entry.sample_count);
        let decode_time = entry.decode_time.checked_add(reader.varint()?);
        let (Some(first_sample), Some(decode_time)) = (first_sample, decode_time) else {
            return Err(reader.error("samples or time overflow"));
        };
        if decode_time > head.end_time {
            return Err(reader.error("a segment starts after the end of its track"));
        }
        entry = SegmentEntry {
            decode_time,
            first_sample,
            ts_packets_before: entry.ts_packets_before + u64::from(entry.ts_packets),
            sample_count: reader.u32()?,
            subsample_count: reader.u32()?,
            event_bytes: reader.u32()?,
            ts_packets: reader.u32()?,
            ts_clock_packets: reader.u32()?,
            block_len_bytes: reader.u32()?,
            media_bytes: reader.varint()?,
            block_offset_bytes: block_end,
        };
        if head.block_place == BlockPlace::Media {
            entry.block_offset_bytes = block_end.wrapping_add(reader.varint()?);
        }
        let end = entry.block_offset_bytes.checked_add(u64::from(entry.block_len_bytes));
        block_end = end.ok_or_else(|| reader.error("a block lies beyond 64 bits"))?;
        if entry.media_bytes > u64::from(entry.sample_count) * u64::from(u32::MAX) {
            return Err(reader.error("a segment has more bytes than its samples can"));
        }
        segments.push(entry);
    }
    Ok(segments)
}

/// What writers build on beyond the form of the head.
fn check_head(head: &Head, segments: &[SegmentEntry]) -> Result<(), &'static str> {
    let last = segments.last().copied().unwrap_or_default();
    if last.first_sample.checked_add(last.sample_count) != Some(head.facts.sample_count) {
        return Err("the table has another number of samples than the head");
    }
    if head.end_time > END_TIME_MAX {
        return Err("the track ends beyond reason");
    }
    if head.facts.frame_rate.1 == 0 {
        return Err("the frame rate has no denominator");
    }
    let entries = &head.info.sample_entries;
    if entries.len() > usize::from(u16::MAX) || entries.iter().any(|entry| entry.len() < 8) {
        return Err("a sample entry is no box");
    }
    Ok(())
}

fn read_iframes(
    reader: &mut WireReader<'_>,
    count: usize,
) -> Result<Vec<IFrameEntry>, PackageError> {
    if count > reader.left() / IFRAME_ROW_BYTES_MIN {
        return Err(reader.error("the table is shorter than its I-frames"));
    }
    let mut iframes = Vec::with_capacity(count);
    let mut iframe = IFrameEntry::default();
    for _ in 0..count {
        let sample = iframe.sample.checked_add(reader.u32()?);
        let size_bytes = reader.u32()?;
        let time = iframe.time.checked_add(reader.varint()?);
        let offset_bytes = iframe.offset_bytes.wrapping_add(reader.varint()?);
        if offset_bytes.checked_add(size_bytes.into()).is_none() {
            return Err(reader.error("an I-frame lies beyond 64 bits"));
        }
        let description_index = u16::try_from(reader.varint()?).ok();
        let (Some(sample), Some(time), Some(description_index)) = (sample, time, description_index)
        else {
            return Err(reader.error("samples, time or descriptions overflow"));
        };
        iframe = IFrameEntry { sample, size_bytes, offset_bytes, time, description_index };
        iframes.push(iframe);
    }
    Ok(iframes)
}

#[cfg(test)]
mod tests;
