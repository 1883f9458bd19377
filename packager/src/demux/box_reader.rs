//! A bounds-checked cursor over one box body (ISO/IEC 14496-12 4.2).
//!
//! Borrows, never copies, never panics: a size field that lies ends in a [`PackageError`] that
//! names the box and the byte offset in the source.

use super::CHILDREN_MAX;
use crate::{FourCc, PackageError};

/// The header of a box: what a walk over boxes needs to step over it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct BoxHeader {
    pub kind: FourCc,
    /// 8, or 16 with a 64-bit size.
    pub header_bytes: u64,
    /// With the header; `None` for a box that goes on to the end of its container.
    pub size_bytes: Option<u64>,
}

impl BoxHeader {
    /// Bytes that hold any header.
    pub(super) const BYTES_MAX: u64 = 16;

    /// Reads a header from the start of `bytes`. `Ok(None)` when there are too few bytes.
    pub(super) fn parse(bytes: &[u8], offset: u64) -> Result<Option<Self>, PackageError> {
        let Some((&[s0, s1, s2, s3, k0, k1, k2, k3], rest)) = bytes.split_first_chunk() else {
            return Ok(None);
        };
        let kind = FourCc([k0, k1, k2, k3]);
        let invalid = |reason| PackageError::InvalidBox { kind, offset, reason };
        let (header_bytes, size_bytes) = match u32::from_be_bytes([s0, s1, s2, s3]) {
            0 => (8, None),
            1 => {
                let Some((large, _)) = rest.split_first_chunk() else {
                    return Ok(None);
                };
                (16, Some(u64::from_be_bytes(*large)))
            }
            size => (8, Some(u64::from(size))),
        };
        if size_bytes.is_some_and(|size| size < header_bytes) {
            return Err(invalid("its size is smaller than its header"));
        }
        Ok(Some(Self { kind, header_bytes, size_bytes }))
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct BoxReader<'a> {
    pub kind: FourCc,
    rest: &'a [u8],
    /// Of `rest[0]`, from the start of the source.
    offset: u64,
    /// Of the first byte of the box.
    start: u64,
}

impl<'a> BoxReader<'a> {
    /// Over the body of a box that starts at `start` and whose body starts at `body_offset`.
    pub(super) fn new(kind: FourCc, body: &'a [u8], start: u64, body_offset: u64) -> Self {
        Self { kind, rest: body, offset: body_offset, start }
    }

    /// Of the first byte of the box, from the start of the source.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn u16(&mut self) -> Result<u16, PackageError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, PackageError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, PackageError> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, PackageError> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn fourcc(&mut self) -> Result<FourCc, PackageError> {
        self.array().map(FourCc)
    }

    /// A field that version 1 of a box widened from 32 to 64 bits.
    pub(super) fn u32_or_u64(&mut self, version: u8) -> Result<u64, PackageError> {
        if version == 0 { self.u32().map(u64::from) } else { self.u64() }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], PackageError> {
        let Some((head, rest)) = self.rest.split_first_chunk() else {
            return Err(self.truncated(N as u64));
        };
        self.rest = rest;
        self.offset += N as u64;
        Ok(*head)
    }

    pub(super) fn skip(&mut self, count: usize) -> Result<(), PackageError> {
        let Some(rest) = self.rest.get(count..) else {
            return Err(self.truncated(count as u64));
        };
        self.rest = rest;
        self.offset += count as u64;
        Ok(())
    }

    /// Version and flags of a full box.
    pub(super) fn full_box(&mut self) -> Result<(u8, u32), PackageError> {
        let word = self.u32()?;
        Ok((word.to_be_bytes()[0], word & 0x00ff_ffff))
    }

    /// The next `count` rows of `ROW` bytes. The rows are borrowed, so that a count of four
    /// billion in a short box costs an error and no memory.
    pub(super) fn rows<const ROW: usize>(
        &mut self,
        count: u32,
    ) -> Result<&'a [[u8; ROW]], PackageError> {
        let wanted = u64::from(count) * ROW as u64;
        let split = usize::try_from(wanted).ok().and_then(|at| self.rest.split_at_checked(at));
        let Some((table, rest)) = split else {
            return Err(self.truncated(wanted));
        };
        self.rest = rest;
        self.offset += wanted;
        Ok(table.as_chunks().0)
    }

    /// The next child box, or `None` at the end of this one.
    ///
    /// QuickTime closes some containers with a 32-bit zero; zeros up to the end are that.
    pub(super) fn next_box(&mut self) -> Result<Option<Self>, PackageError> {
        let start = self.offset;
        let Some(header) = BoxHeader::parse(self.rest, start)? else {
            return if self.rest.iter().all(|&byte| byte == 0) {
                Ok(None)
            } else {
                Err(self.truncated(8))
            };
        };
        let Some(size) = header.size_bytes else {
            return if self.rest.iter().all(|&byte| byte == 0) {
                Ok(None)
            } else {
                Err(PackageError::InvalidBox {
                    kind: header.kind,
                    offset: start,
                    reason: "a size of 0 is for the last box of a file only",
                })
            };
        };
        let split = usize::try_from(size).ok().and_then(|size| self.rest.split_at_checked(size));
        let Some((whole, rest)) = split else {
            let left = self.rest.len() as u64;
            return Err(PackageError::Truncated {
                kind: header.kind,
                offset: start,
                wanted: size,
                left,
            });
        };
        self.rest = rest;
        self.offset += size;
        let body = &whole[header.header_bytes as usize..];
        Ok(Some(Self::new(header.kind, body, start, start + header.header_bytes)))
    }

    /// Calls `visit` with every child box.
    pub(super) fn for_each_box(
        mut self,
        mut visit: impl FnMut(Self) -> Result<(), PackageError>,
    ) -> Result<(), PackageError> {
        let mut count = 0;
        while let Some(child) = self.next_box()? {
            count += 1;
            if count > CHILDREN_MAX {
                return Err(self.invalid("it has too many children"));
            }
            visit(child)?;
        }
        Ok(())
    }

    pub(super) fn invalid(&self, reason: &'static str) -> PackageError {
        PackageError::InvalidBox { kind: self.kind, offset: self.start, reason }
    }

    fn truncated(&self, wanted: u64) -> PackageError {
        let left = self.rest.len() as u64;
        PackageError::Truncated { kind: self.kind, offset: self.offset, wanted, left }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(body: &[u8]) -> BoxReader<'_> {
        BoxReader::new(FourCc::new(b"test"), body, 100, 108)
    }

    #[test]
    fn a_count_beyond_the_bytes_names_box_and_place() {
        let error = reader(&[0; 12]).rows::<8>(u32::MAX).unwrap_err();
        let wanted = u64::from(u32::MAX) * 8;
        let kind = FourCc::new(b"test");
        assert_eq!(error, PackageError::Truncated { kind, offset: 108, wanted, left: 12 });
    }

    #[test]
    fn children_are_walked_and_a_quicktime_terminator_ends_them() {
        let mut body = reader(b"\0\0\0\x0aabcdXY\0\0\0\x01efgh\0\0\0\0\0\0\0\x11Z\0\0\0\0");
        let first = body.next_box().unwrap().unwrap();
        assert_eq!((first.kind, first.rest(), first.start()), (FourCc(*b"abcd"), &b"XY"[..], 108));
        let second = body.next_box().unwrap().unwrap();
        assert_eq!((second.rest(), second.offset), (&b"Z"[..], 134));
        assert!(body.next_box().unwrap().is_none());
    }

    #[test]
    fn sizes_that_lie_are_errors() {
        for body in [&b"\0\0\0\x07abcd"[..], b"\0\0\0\x09abcd", b"\0\0\0\0abcd", b"\x01"] {
            assert!(reader(body).next_box().is_err(), "{body:?}");
        }
        assert!(reader(b"\0\0\0\x01abcd\0\0\0\0\0\0\0\x0f").next_box().is_err());
    }
}
