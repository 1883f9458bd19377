//! One object in one file.
//!
//! ```text
//! u8 × 8   magic            "STRMOBJ1"
//! u32      version          1
//! u32      meta_bytes       m
//! u64      body_bytes       n
//! u32      block_bytes      65,536
//! u32      checksum         CRC-32C of the 28 bytes before it, of meta and of the table
//! m × u8   meta             key, selecting values, times, status, headers
//! b × u32  table            CRC-32C of each block of the body; b = n / block_bytes, rounded up
//! n × u8   body
//! ```
//!
//! Numbers are little endian. A file is of exactly this length, or it is not an object. Checksums
//! find what a power cut or a dying disk leaves; they are no defence against someone who can write
//! to the folder.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};

use crate::cache::key::CacheKey;
use crate::cache::pieces::Pieces;
use crate::cache::policy::{Policy, SelectingValues, StoredHead};

pub(super) const MAGIC: &[u8; 8] = b"STRMOBJ1";
const VERSION: u32 = 1;
pub const FIXED_BYTES: usize = 32;
pub(super) const BLOCK_BYTES: usize = 64 * 1024;
/// Heads over 32 KiB are not stored; this leaves room for key and selecting values.
pub(super) const META_BYTES_MAX: usize = 128 * 1024;
const FIELDS_MAX: usize = 1024;
/// The year 9999 and its last second (RFC 9110 5.6.7 writes years with four digits).
const MILLIS_MAX: u64 = 253_402_300_799_000;

/// Why a file is no object.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FormatError {
    #[error("the file begins with other bytes than an object does")]
    Magic,
    #[error("version {0} of the format is not read")]
    Version(u32),
    #[error("{what} of {bytes} bytes is more than an object may have")]
    TooLarge { what: &'static str, bytes: u64 },
    #[error("the file has {found} bytes where {expected} are announced")]
    Length { expected: u64, found: u64 },
    #[error("the checksum of {0} differs")]
    Checksum(&'static str),
    #[error("the description ends early or holds what it can't")]
    Meta,
}

/// Lengths out of the first [`FIXED_BYTES`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lengths {
    pub meta_bytes: usize,
    pub body_bytes: u64,
}

impl Lengths {
    /// Checks the lengths against the file's own before anything is reserved for them.
    pub fn parse(
        fixed: &[u8; FIXED_BYTES],
        file_bytes: u64,
        body_bytes_max: u64,
    ) -> Result<Self, FormatError> {
        if &fixed[..8] != MAGIC {
            return Err(FormatError::Magic);
        }
        let u32_at = |at: usize| u32::from_le_bytes(fixed[at..at + 4].try_into().expect("four"));
        let version = u32_at(8);
        if version != VERSION || u32_at(24) as usize != BLOCK_BYTES {
            return Err(FormatError::Version(version));
        }
        let meta_bytes = u32_at(12) as usize;
        let body_bytes = u64::from_le_bytes(fixed[16..24].try_into().expect("eight"));
        if meta_bytes > META_BYTES_MAX {
            return Err(FormatError::TooLarge { what: "a head", bytes: meta_bytes as u64 });
        }
        if body_bytes > body_bytes_max {
            return Err(FormatError::TooLarge { what: "a body", bytes: body_bytes });
        }
        let lengths = Self { meta_bytes, body_bytes };
        if lengths.file_bytes() != file_bytes {
            return Err(FormatError::Length { expected: lengths.file_bytes(), found: file_bytes });
        }
        Ok(lengths)
    }

    pub fn blocks(self) -> usize {
        self.body_bytes.div_ceil(BLOCK_BYTES as u64) as usize
    }

    /// Of meta and table.
    pub fn rest_bytes(self) -> usize {
        self.meta_bytes + self.blocks() * 4
    }

    pub fn file_bytes(self) -> u64 {
        (FIXED_BYTES + self.rest_bytes()) as u64 + self.body_bytes
    }
}

/// What a file says of its object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Meta {
    pub key: CacheKey,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub request_time: SystemTime,
    pub response_time: SystemTime,
    pub selecting: SelectingValues,
    pub purge_stamp: u64,
}

impl Meta {
    pub fn of(key: &CacheKey, head: &StoredHead) -> Self {
        Self {
            key: key.clone(),
            status: head.status,
            headers: head.headers.clone(),
            request_time: head.request_time,
            response_time: head.response_time,
            selecting: head.selecting.clone(),
            purge_stamp: head.purge_stamp,
        }
    }

    pub fn into_head(self, policy: &Policy) -> StoredHead {
        let times = (self.request_time, self.response_time);
        StoredHead::new(self.status, self.headers, times, self.selecting, self.purge_stamp, policy)
    }
}

/// Everything in front of the body. `None` when the head is too large for the format.
pub fn encode_front(meta: &Meta, body: &Pieces) -> Option<Vec<u8>> {
    let meta = encode_meta(meta)?;
    let table = block_checksums(body);
    let mut front = Vec::with_capacity(FIXED_BYTES + meta.len() + table.len() * 4);
    front.extend_from_slice(MAGIC);
    front.extend_from_slice(&VERSION.to_le_bytes());
    front.extend_from_slice(&u32::try_from(meta.len()).ok()?.to_le_bytes());
    front.extend_from_slice(&body.len_bytes().to_le_bytes());
    front.extend_from_slice(&(BLOCK_BYTES as u32).to_le_bytes());
    let mut rest = meta;
    rest.extend(table.iter().flat_map(|sum| sum.to_le_bytes()));
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&front), &rest);
    front.extend_from_slice(&checksum.to_le_bytes());
    front.extend_from_slice(&rest);
    Some(front)
}

/// Reads what lies between the first [`FIXED_BYTES`] and the body: meta and the blocks' checksums.
pub fn parse_rest(
    fixed: &[u8; FIXED_BYTES],
    lengths: Lengths,
    rest: &[u8],
) -> Result<(Meta, Vec<u32>), FormatError> {
    let checksum = u32::from_le_bytes(fixed[28..].try_into().expect("four"));
    if crc32c::crc32c_append(crc32c::crc32c(&fixed[..28]), rest) != checksum {
        return Err(FormatError::Checksum("the head"));
    }
    let Some((meta, table)) = rest.split_at_checked(lengths.meta_bytes) else {
        return Err(FormatError::Meta);
    };
    let table = table.as_chunks().0.iter().map(|sum| u32::from_le_bytes(*sum)).collect();
    let meta = parse_meta(meta).ok_or(FormatError::Meta)?;
    Ok((meta, table))
}

/// CRC-32C of each block, however the bytes are cut into pieces.
fn block_checksums(body: &Pieces) -> Vec<u32> {
    let mut sums = Vec::new();
    let (mut sum, mut filled) = (0, 0);
    for part in body.iter() {
        let mut part = &part[..];
        while !part.is_empty() {
            let (head, tail) = part.split_at(part.len().min(BLOCK_BYTES - filled));
            sum = crc32c::crc32c_append(sum, head);
            filled += head.len();
            part = tail;
            if filled == BLOCK_BYTES {
                sums.push(sum);
                (sum, filled) = (0, 0);
            }
        }
    }
    if filled > 0 {
        sums.push(sum);
    }
    sums
}

/// u16 status · u64 request and response time in ms · u64 stamp · key · fields varied by · headers.
/// Texts are a u32 of length and bytes; lists a u16 of count; an absent value has length `u32::MAX`.
fn encode_meta(meta: &Meta) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(&meta.status.as_u16().to_le_bytes());
    for time in [meta.request_time, meta.response_time] {
        out.extend_from_slice(&millis(time).to_le_bytes());
    }
    out.extend_from_slice(&meta.purge_stamp.to_le_bytes());
    let text = |out: &mut Vec<u8>, bytes: Option<&[u8]>| {
        out.extend_from_slice(&bytes.map_or(u32::MAX, |bytes| bytes.len() as u32).to_le_bytes());
        out.extend_from_slice(bytes.unwrap_or_default());
    };
    text(&mut out, Some(meta.key.as_str().as_bytes()));
    out.extend_from_slice(&u16::try_from(meta.selecting.len()).ok()?.to_le_bytes());
    for (name, value) in &meta.selecting {
        text(&mut out, Some(name.as_str().as_bytes()));
        text(&mut out, value.as_deref());
    }
    out.extend_from_slice(&u16::try_from(meta.headers.len()).ok()?.to_le_bytes());
    for (name, value) in &meta.headers {
        text(&mut out, Some(name.as_str().as_bytes()));
        text(&mut out, Some(value.as_bytes()));
    }
    (out.len() <= META_BYTES_MAX && meta.headers.len() <= FIELDS_MAX).then_some(out)
}

fn parse_meta(bytes: &[u8]) -> Option<Meta> {
    let mut reader = Reader(bytes);
    let status = StatusCode::from_u16(u16::from_le_bytes(reader.array()?)).ok()?;
    let request_time = time(u64::from_le_bytes(reader.array()?))?;
    let response_time = time(u64::from_le_bytes(reader.array()?))?;
    let purge_stamp = u64::from_le_bytes(reader.array()?);
    let key = CacheKey::from_text(std::str::from_utf8(reader.text()??).ok()?)?;
    let mut selecting = Vec::new();
    for _ in 0..reader.count()? {
        let name = HeaderName::from_bytes(reader.text()??).ok()?;
        selecting.push((name, reader.text()?.map(<[u8]>::to_vec)));
    }
    let mut headers = HeaderMap::new();
    for _ in 0..reader.count()? {
        let name = HeaderName::from_bytes(reader.text()??).ok()?;
        headers.append(name, HeaderValue::from_bytes(reader.text()??).ok()?);
    }
    reader.0.is_empty().then_some(Meta {
        key,
        status,
        headers,
        request_time,
        response_time,
        selecting,
        purge_stamp,
    })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn count(&mut self) -> Option<usize> {
        let count = usize::from(u16::from_le_bytes(self.array()?));
        (count <= FIELDS_MAX).then_some(count)
    }

    /// `Some(None)`: the value is absent.
    fn text(&mut self) -> Option<Option<&'a [u8]>> {
        let len = u32::from_le_bytes(self.array()?);
        if len == u32::MAX {
            return Some(None);
        }
        let (head, rest) = self.0.split_at_checked(len as usize)?;
        self.0 = rest;
        Some(Some(head))
    }
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// `None` beyond what an HTTP date can say.
fn time(millis: u64) -> Option<SystemTime> {
    (millis < MILLIS_MAX).then(|| UNIX_EPOCH + Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn meta(header: &str) -> Meta {
        let mut headers = HeaderMap::new();
        headers.append("etag", HeaderValue::from_str(header).unwrap());
        headers.append("cache-tag", HeaderValue::from_static("film"));
        headers.append("cache-tag", HeaderValue::from_static("show"));
        Meta {
            key: CacheKey::new("a.example", "/x?y=1", &["y".to_owned()]).unwrap(),
            status: StatusCode::OK,
            headers,
            request_time: UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
            response_time: UNIX_EPOCH + Duration::from_millis(1_700_000_000_456),
            selecting: vec![(http::header::ACCEPT, None), (http::header::RANGE, Some(vec![1, 2]))],
            purge_stamp: 7,
        }
    }

    fn read(file: &[u8]) -> Result<(Meta, Vec<u32>), FormatError> {
        let fixed = file.first_chunk::<FIXED_BYTES>().ok_or(FormatError::Magic)?;
        let lengths = Lengths::parse(fixed, file.len() as u64, 1 << 30)?;
        parse_rest(fixed, lengths, &file[FIXED_BYTES..FIXED_BYTES + lengths.rest_bytes()])
    }

    #[test]
    fn times_that_no_date_can_say_are_refused() {
        for (millis, is_read) in [(MILLIS_MAX - 1, true), (MILLIS_MAX, false), (u64::MAX, false)] {
            let mut bytes = encode_meta(&meta("a")).unwrap();
            bytes[10..18].copy_from_slice(&millis.to_le_bytes());
            let read = parse_meta(&bytes);
            assert_eq!(read.is_some(), is_read, "{millis}");
            read.map(|meta| meta.into_head(&Policy::default()));
        }
    }

    proptest! {
        #[test]
        fn objects_read_back(header in "[ -~]{0,40}", size in 0..200_000_usize, cut in 1..90_000_usize) {
            let body: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            let pieces: Pieces = body.chunks(cut).map(Bytes::copy_from_slice).collect();
            let written = meta(header.trim());
            let mut file = encode_front(&written, &pieces).unwrap();
            file.extend_from_slice(&body);
            let (found, table) = read(&file).unwrap();
            prop_assert_eq!(found, written);
            let sums: Vec<u32> = body.chunks(BLOCK_BYTES).map(crc32c::crc32c).collect();
            prop_assert_eq!(table, sums);
        }

        /// One flipped bit in front of the body is found; so is every truncation.
        #[test]
        fn damage_is_found(bit in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>()) {
            let mut file = encode_front(&meta("\"a\""), &Pieces::default()).unwrap();
            let short = &file[..cut.index(file.len())];
            prop_assert!(read(short).is_err());
            let bit = bit.index(file.len() * 8);
            file[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(read(&file).is_err());
        }
    }
}
