//! Variable-length integers of the index (LEB128, as in Protocol Buffers), read with bounds.

use crate::PackageError;

/// Appends `value`, seven bits a byte, lowest first.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed value: small magnitudes of either sign stay short.
pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// A cursor over index bytes; every error names the byte of the sidecar it stands at.
pub(super) struct WireReader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where `bytes[0]` lies in the sidecar.
    base_offset: u64,
}

impl<'a> WireReader<'a> {
    pub(super) fn new(bytes: &'a [u8], base_offset: u64) -> Self {
        Self { bytes, at: 0, base_offset }
    }

    pub(super) fn error(&self, reason: &'static str) -> PackageError {
        PackageError::CorruptIndex { offset: self.base_offset + self.at as u64, reason }
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, PackageError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let Some(&byte) = self.bytes.get(self.at) else {
                return Err(self.error("the bytes end inside a number"));
            };
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.error("a number is longer than 64 bits"))
    }

    #[inline]
    pub(super) fn signed(&mut self) -> Result<i64, PackageError> {
        let raw = self.varint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    #[inline]
    pub(super) fn u32(&mut self) -> Result<u32, PackageError> {
        let value = self.varint()?;
        u32::try_from(value).map_err(|_| self.error("a number exceeds 32 bits"))
    }

    /// Four bytes, little-endian: a checksum.
    pub(super) fn u32_le(&mut self) -> Result<u32, PackageError> {
        let bytes = self.take(4)?.first_chunk().copied().unwrap_or_default();
        Ok(u32::from_le_bytes(bytes))
    }

    pub(super) fn flag(&mut self) -> Result<bool, PackageError> {
        match self.take(1)?[0] {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.error("a flag is neither 0 nor 1")),
        }
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], PackageError> {
        let Some(taken) = self.bytes.get(self.at..).and_then(|rest| rest.get(..len)) else {
            return Err(self.error("the bytes end early"));
        };
        self.at += len;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_round_trip(unsigned: u64, signed: i64) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, unsigned);
            put_signed(&mut bytes, signed);
            let mut reader = WireReader::new(&bytes, 0);
            prop_assert_eq!(reader.varint().unwrap(), unsigned);
            prop_assert_eq!(reader.signed().unwrap(), signed);
            prop_assert_eq!(reader.left(), 0);
        }
    }

    #[test]
    fn endless_and_short_numbers_are_refused() {
        assert!(WireReader::new(&[0xff; 11], 0).varint().is_err());
        assert!(WireReader::new(&[0x80], 7).varint().is_err());
    }
}
