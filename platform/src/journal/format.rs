//! The bytes of a segment: pure, little endian, version 1.
//!
//! A segment is a file `{first sequence, 20 digits}.journal`: a header, then records without
//! padding. The header:
//!
//! | offset | bytes | field |
//! | --- | --- | --- |
//! | 0 | 8 | magic, `SVJRNL\r\n` |
//! | 8 | 2 | version, 1 |
//! | 10 | 2 | 0 |
//! | 12 | 4 | salt, random: where the checksums of this segment's records begin |
//! | 16 | 8 | sequence of the first record |
//! | 24 | 8 | when the segment was made, milliseconds since 1970 |
//! | 32 | 4 | 0 |
//! | 36 | 4 | CRC-32 (IEEE 802.3) of the 36 bytes before it |
//!
//! A record:
//!
//! | offset | bytes | field |
//! | --- | --- | --- |
//! | 0 | 4 | CRC-32 of all that follows, begun from the segment's salt |
//! | 4 | 4 | bytes of key and payload together |
//! | 8 | 8 | sequence: one more than that of the record before it |
//! | 16 | 8 | time that the writer gave, milliseconds since 1970 |
//! | 24 | 4 | how many records of its group stand before it |
//! | 28 | 2 | bytes of the key |
//! | 30 | 1 | kind, the writer's own |
//! | 31 | 1 | 0; 1: erased, without key and payload |
//! | 32 | | key, payload |
//!
//! *Why a salt*: a payload comes from outside and may hold the bytes of a record. Whoever looks for
//! the next record behind damaged bytes would take them for one; without the salt they fit by
//! chance only, once in 2^32.
//!
//! *Why the place in the group*: a group is written and synced before the next one is written. A
//! whole record of a later group proves that the bytes before its group were synced, so that damage
//! there is damage, and no write that a crash cut short ([`super::recover`]).

pub(super) const MAGIC: [u8; 8] = *b"SVJRNL\r\n";
pub(super) const VERSION: u16 = 1;
/// In front of the records of a segment.
pub const SEGMENT_HEADER_BYTES: usize = 40;
/// In front of a record's key and payload.
pub const RECORD_HEADER_BYTES: usize = 32;
/// Largest key and payload together that any journal takes.
pub const BODY_BYTES_LIMIT: usize = 1 << 20;
/// Sequences of segments end here, and of records at twice this, so that counting on from one that was
/// read never ends: at a million records a second it takes 146,000 years.
const SEQUENCE_MAX: u64 = 1 << 62;
/// Longest key.
pub const KEY_BYTES_MAX: usize = 1_024;

const ERASED: u8 = 1;

/// The first bytes of a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SegmentHeader {
    pub salt: u32,
    pub first_sequence: u64,
    pub created_ms: u64,
}

/// Why bytes are no header of a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HeaderFault {
    #[error("the header is cut off")]
    Short,
    #[error("it does not begin like a segment of a journal")]
    Magic,
    #[error("it has version {0}, and version {VERSION} is known; use the release that wrote it")]
    Version(u16),
    #[error("the checksum of its header is wrong")]
    Checksum,
    #[error("its records can't have the number {0}")]
    Sequence(u64),
}

impl SegmentHeader {
    pub fn to_bytes(self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.salt.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first_sequence.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.created_ms.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..36]);
        bytes[36..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// # Errors
    /// When the bytes begin with no such header.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let header = bytes.first_chunk::<SEGMENT_HEADER_BYTES>().ok_or(HeaderFault::Short)?;
        if header[..8] != MAGIC {
            return Err(HeaderFault::Magic);
        }
        if crc32fast::hash(&header[..36]) != u32_at(header, 36) {
            return Err(HeaderFault::Checksum);
        }
        let version = u16_at(header, 8);
        if version != VERSION {
            return Err(HeaderFault::Version(version));
        }
        let first_sequence = u64_at(header, 16);
        if !(1..=SEQUENCE_MAX).contains(&first_sequence) {
            return Err(HeaderFault::Sequence(first_sequence));
        }
        Ok(Self { salt: u32_at(header, 12), first_sequence, created_ms: u64_at(header, 24) })
    }
}

/// A record in the bytes of a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecordRef<'a> {
    pub sequence: u64,
    pub time_ms: u64,
    /// Records of its group in front of it.
    pub group_index: u32,
    pub kind: u8,
    pub is_erased: bool,
    pub key: &'a [u8],
    pub payload: &'a [u8],
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RecordFault {
    /// They end in the middle of what may be one.
    Short,
    /// A length or the sequence can't be.
    Size,
    Checksum,
}

impl<'a> RecordRef<'a> {
    /// The record at the beginning of `bytes`.
    ///
    /// # Errors
    /// When there is none.
    pub fn parse(bytes: &'a [u8], salt: u32) -> Result<Self, RecordFault> {
        let (record, whole) = Self::layout(bytes)?;
        if checksum(&whole[4..], salt) != u32_at(whole, 0) {
            return Err(RecordFault::Checksum);
        }
        Ok(record)
    }

    /// The record at the beginning of `bytes` and all its bytes, checksum unseen.
    pub(super) fn layout(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), RecordFault> {
        let header = bytes.first_chunk::<RECORD_HEADER_BYTES>().ok_or(RecordFault::Short)?;
        let (body_bytes, key_bytes) = (u32_at(header, 4) as usize, usize::from(u16_at(header, 28)));
        let sequence = u64_at(header, 8);
        let is_large = BODY_BYTES_LIMIT < body_bytes || KEY_BYTES_MAX < key_bytes;
        if is_large || body_bytes < key_bytes || 2 * SEQUENCE_MAX < sequence {
            return Err(RecordFault::Size);
        }
        let whole = bytes.get(..RECORD_HEADER_BYTES + body_bytes).ok_or(RecordFault::Short)?;
        let (key, payload) = whole[RECORD_HEADER_BYTES..].split_at(key_bytes);
        let record = Self {
            sequence,
            time_ms: u64_at(header, 16),
            group_index: u32_at(header, 24),
            kind: header[30],
            is_erased: header[31] == ERASED,
            key,
            payload,
        };
        Ok((record, whole))
    }

    /// What it takes in a segment.
    pub fn len_bytes(&self) -> usize {
        RECORD_HEADER_BYTES + self.key.len() + self.payload.len()
    }

    /// The sequence of the first record of its group.
    pub fn group_first(&self) -> u64 {
        self.sequence.saturating_sub(self.group_index.into())
    }

    /// The same place in the journal, with nothing in it.
    pub fn erased(&self) -> Self {
        RecordRef { is_erased: true, key: &[], payload: &[], ..*self }
    }

    /// Writes the record after what `out` holds. The lengths are the caller's to have checked.
    pub fn write(&self, salt: u32, out: &mut Vec<u8>) {
        let at = out.len();
        write_unsealed(out, self.time_ms, self.kind, self.key, self.payload);
        out[at + 31] = if self.is_erased { ERASED } else { 0 };
        seal(&mut out[at..], self.sequence, self.group_index, salt);
    }
}

/// What a record is before its place is known: all but sequence, group and checksum.
pub(super) fn write_unsealed(
    out: &mut Vec<u8>,
    time_ms: u64,
    kind: u8,
    key: &[u8],
    payload: &[u8],
) {
    let mut header = [0; RECORD_HEADER_BYTES];
    header[4..8].copy_from_slice(&((key.len() + payload.len()) as u32).to_le_bytes());
    header[16..24].copy_from_slice(&time_ms.to_le_bytes());
    header[28..30].copy_from_slice(&(key.len() as u16).to_le_bytes());
    header[30] = kind;
    out.extend_from_slice(&header);
    out.extend_from_slice(key);
    out.extend_from_slice(payload);
}

/// Gives a group of unsealed records their places, beginning with sequence `first`.
pub(super) fn seal_group(group: &mut [u8], first: u64, salt: u32) {
    let (mut rest, mut index) = (group, 0_u32);
    while RECORD_HEADER_BYTES <= rest.len() {
        let len_bytes = RECORD_HEADER_BYTES + u32_at(rest, 4) as usize;
        let (record, after) = rest.split_at_mut(len_bytes);
        seal(record, first + u64::from(index), index, salt);
        (rest, index) = (after, index + 1);
    }
}

fn seal(record: &mut [u8], sequence: u64, group_index: u32, salt: u32) {
    record[8..16].copy_from_slice(&sequence.to_le_bytes());
    record[24..28].copy_from_slice(&group_index.to_le_bytes());
    let checksum = checksum(&record[4..], salt);
    record[..4].copy_from_slice(&checksum.to_le_bytes());
}

fn checksum(bytes: &[u8], salt: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(bytes);
    hasher.finalize()
}

/// A sequence that a record at the beginning of `bytes` would have, without a look at its checksum.
pub(super) fn sequence_at(bytes: &[u8]) -> Option<u64> {
    (RECORD_HEADER_BYTES <= bytes.len()).then(|| u64_at(bytes, 8))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
