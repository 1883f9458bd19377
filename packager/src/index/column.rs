//! Columns of whole numbers as blocks store them: Rice codes behind the column's least value.
//!
//! ```text
//! u8      k, or 255: every value is the least one, and nothing follows it
//! signed  least value
//! bits    n × code of (value − least), lowest bit of each byte first, up to a whole byte:
//!           q zeros, a one, k low bits       where q = value >> k is below 24
//!           24 zeros, 6 bits w − 1, w bits   for outliers: the value as it is
//! ```
//!
//! A Rice code (R. F. Rice, JPL 79-22, 1979) is within a few hundredths of a byte of what the sizes
//! of coded pictures and sound frames hold, needs no table, and is read by one shift and one
//! count of zeros. The outlier keeps a key frame among small frames from costing its size in
//! zeros.

use super::wire::{WireReader, put_signed};
use crate::PackageError;

/// In the place of `k`: all values are equal.
const ALL_EQUAL: u8 = 255;
/// Zeros that announce an outlier.
const ESCAPE_ZEROS: u32 = 24;
/// Bits that hold the width of an outlier, less one.
const WIDTH_BITS: u32 = 6;
/// With more low bits than this a code would not fit the 56 bits that a refill makes ready.
const K_MAX: u8 = 31;

/// How a column is stored.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Backing {
    /// Equal values take no bits.
    Free,
    /// Every value takes a bit at least, so that the bytes that are there bound the count.
    BitEach,
}

/// Appends a column. Its length is stored elsewhere; a column without values takes no bytes.
pub(super) fn put_column(out: &mut Vec<u8>, backing: Backing, values: &[i64]) {
    let Some(&least) = values.iter().min() else {
        return;
    };
    let above = |value: i64| value.wrapping_sub(least) as u64;
    if backing == Backing::Free && values.iter().all(|&value| value == least) {
        out.push(ALL_EQUAL);
        put_signed(out, least);
        return;
    }
    let k = best_k(values.iter().map(|&value| above(value)));
    out.push(k);
    put_signed(out, least);
    let mut bits = BitWriter { out, pending: 0, pending_bits: 0 };
    for &value in values {
        let value = above(value);
        if value >> k < u64::from(ESCAPE_ZEROS) {
            bits.put(1 << (value >> k), (value >> k) as u32 + 1);
            bits.put(value & ((1 << k) - 1), u32::from(k));
        } else {
            let width = width_of(value);
            bits.put(0, ESCAPE_ZEROS);
            bits.put(u64::from(width - 1), WIDTH_BITS);
            bits.put(value & 0xffff_ffff, width.min(32));
            bits.put(value >> 32, width.saturating_sub(32));
        }
    }
    bits.finish();
}

/// Bits of a value; one for zero, which has none.
fn width_of(value: u64) -> u32 {
    (u64::BITS - value.leading_zeros()).max(1)
}

/// The `k` that takes fewest bits, or nearly so. It lies near the logarithm of the mean, which a few
/// outliers pull up: the way goes down from there as long as it gets better.
fn best_k(values: impl ExactSizeIterator<Item = u64> + Clone) -> u8 {
    let count = values.len().max(1) as u128;
    let total: u128 = values.clone().map(u128::from).sum();
    let mean = u64::try_from(total / count).unwrap_or(u64::MAX);
    let cost = |k: u8| -> u64 {
        let code = |value: u64| match value >> k {
            zeros if zeros < u64::from(ESCAPE_ZEROS) => zeros + 1 + u64::from(k),
            _ => u64::from(ESCAPE_ZEROS + WIDTH_BITS + width_of(value)),
        };
        values.clone().map(code).sum()
    };
    let mut k = K_MAX.min(width_of(mean) as u8);
    let mut least = cost(k);
    while let Some(smaller) = k.checked_sub(1) {
        let bits = cost(smaller);
        if bits > least {
            break;
        }
        (k, least) = (smaller, bits);
    }
    k
}

struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    pending: u64,
    pending_bits: u32,
}

impl BitWriter<'_> {
    /// Appends the lowest `count` bits of `value`, at most 32; the others are zero.
    fn put(&mut self, value: u64, count: u32) {
        self.pending |= value << self.pending_bits;
        self.pending_bits += count;
        while self.pending_bits >= 8 {
            self.out.push(self.pending as u8);
            self.pending >>= 8;
            self.pending_bits -= 8;
        }
    }

    fn finish(self) {
        if self.pending_bits > 0 {
            self.out.push(self.pending as u8);
        }
    }
}

/// Reads a column, a value for each of `items`; `set` answers `None` where a value is not one that
/// can be there, and `reason` says what is wrong then.
pub(super) fn read_column<T>(
    reader: &mut WireReader<'_>,
    backing: Backing,
    items: impl ExactSizeIterator<Item = T>,
    reason: &'static str,
    mut set: impl FnMut(T, i64) -> Option<()>,
) -> Result<(), PackageError> {
    if items.len() == 0 {
        return Ok(());
    }
    let k = reader.take(1)?[0];
    if backing == Backing::BitEach && (k == ALL_EQUAL || items.len() / 8 > reader.left()) {
        return Err(reader.error("a column is shorter than its values"));
    }
    let least = reader.signed()?;
    if k == ALL_EQUAL {
        for item in items {
            set(item, least).ok_or_else(|| reader.error(reason))?;
        }
        return Ok(());
    }
    if k > K_MAX {
        return Err(reader.error("a column is coded in no known way"));
    }
    let mut bits = BitReader::new(reader.rest());
    let k = u32::from(k);
    for item in items {
        let value = least.wrapping_add(bits.code(k) as i64);
        if set(item, value).is_none() {
            return Err(reader.error(reason));
        }
    }
    // Bits past the end are zeros, which made outliers of what was missing.
    reader.take(bits.read_bytes()).map(drop)
}

/// Bits of a byte string, lowest first; those past its end are zeros.
struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bytes that went into `word`, past the end included.
    at: usize,
    /// The next `bits` bits; above them are zeros, or bits that the next refill brings again.
    word: u64,
    bits: u32,
}

impl<'a> BitReader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, word: 0, bits: 0 }
    }

    /// Makes 56 bits or more ready.
    #[inline]
    fn refill(&mut self) {
        match self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) {
            Some(word) => {
                self.word |= u64::from_le_bytes(*word) << self.bits;
                self.at += ((63 - self.bits) / 8) as usize;
                self.bits |= 56;
            }
            None => self.refill_at_end(),
        }
    }

    #[cold]
    fn refill_at_end(&mut self) {
        while self.bits < 56 {
            let byte = self.bytes.get(self.at).copied().unwrap_or(0);
            self.word |= u64::from(byte) << self.bits;
            self.at += 1;
            self.bits += 8;
        }
    }

    #[inline]
    fn code(&mut self, k: u32) -> u64 {
        // Zeros in front, the one behind them, the low bits.
        if self.bits < ESCAPE_ZEROS + 1 + k {
            self.refill();
        }
        let zeros = self.word.trailing_zeros();
        if zeros >= ESCAPE_ZEROS {
            return self.outlier();
        }
        let low = (self.word >> (zeros + 1)) & ((1 << k) - 1);
        self.skip(zeros + 1 + k);
        u64::from(zeros) << k | low
    }

    #[cold]
    fn outlier(&mut self) -> u64 {
        self.skip(ESCAPE_ZEROS);
        let width = self.take(WIDTH_BITS) as u32 + 1;
        let low = self.take(width.min(32));
        low | self.take(width.saturating_sub(32)) << 32
    }

    /// The next `count` bits, at most 32.
    fn take(&mut self, count: u32) -> u64 {
        self.refill();
        let taken = self.word & ((1 << count) - 1);
        self.skip(count);
        taken
    }

    #[inline]
    fn skip(&mut self, count: u32) {
        self.word >>= count;
        self.bits -= count;
    }

    /// Bytes of which a bit was read.
    fn read_bytes(&self) -> usize {
        self.at - (self.bits / 8) as usize
    }
}

#[cfg(test)]
mod tests;
