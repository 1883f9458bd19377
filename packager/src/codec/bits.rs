//! Reads bits, most significant first, as every MPEG and AOM syntax table does.
//!
//! A reader over the payload of a NAL unit skips `emulation_prevention_three_byte` (ITU-T H.264
//! 7.3.1, H.265 7.3.1.1) and still counts it, so that [`BitReader::bytes_read`] is a length in
//! the stored sample. Nothing here panics: running off the end is [`END`].

/// What every parser of this module tree answers: a value or a plain reason.
pub(super) type Parsed<T> = Result<T, &'static str>;

/// The syntax asks for more bits than the structure has.
pub(super) const END: &str = "the bitstream ends inside a header";

#[derive(Clone)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// The byte that holds the next bit; its first `bits_used` bits are consumed.
    at: usize,
    bits_used: u8,
    /// Zero bytes just before `at`, at most 2; `None` where nothing is escaped.
    zeros: Option<u8>,
}

impl<'a> BitReader<'a> {
    /// Over bytes that mean what they say.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, bits_used: 0, zeros: None }
    }

    /// Over the bytes after a NAL unit header, emulation prevention included.
    pub(super) fn escaped(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, bits_used: 0, zeros: Some(0) }
    }

    pub(super) fn bit(&mut self) -> Parsed<bool> {
        if self.bits_used == 0 && self.zeros == Some(2) && self.bytes.get(self.at) == Some(&3) {
            self.at += 1;
            self.zeros = Some(0);
        }
        let byte = *self.bytes.get(self.at).ok_or(END)?;
        let bit = byte >> (7 - self.bits_used) & 1 == 1;
        self.bits_used += 1;
        if self.bits_used == 8 {
            self.bits_used = 0;
            self.at += 1;
            let after = |zeros: u8| if byte == 0 { (zeros + 1).min(2) } else { 0 };
            self.zeros = self.zeros.map(after);
        }
        Ok(bit)
    }

    /// An unsigned number of `count` bits, at most 32.
    pub(super) fn bits(&mut self, count: u32) -> Parsed<u32> {
        debug_assert!(count <= 32);
        let mut value = 0_u32;
        for _ in 0..count {
            value = value << 1 | u32::from(self.bit()?);
        }
        Ok(value)
    }

    /// An unsigned number of at most 8 bits.
    pub(super) fn bits8(&mut self, count: u32) -> Parsed<u8> {
        debug_assert!(count <= 8);
        self.bits(count).map(|value| value as u8)
    }

    pub(super) fn skip(&mut self, count: u32) -> Parsed<()> {
        for _ in 0..count {
            self.bit()?;
        }
        Ok(())
    }

    /// `ue(v)` (ITU-T H.264 9.1): at most 2³² - 2.
    pub(super) fn ue(&mut self) -> Parsed<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return Err("an Exp-Golomb code is longer than 32 bits");
            }
        }
        let suffix = self.bits(zeros)?;
        Ok((1_u32 << zeros) - 1 + suffix)
    }

    /// `ue(v)` that the syntax limits to `0..=max`.
    pub(super) fn ue_max(&mut self, max: u32, reason: &'static str) -> Parsed<u32> {
        let value = self.ue()?;
        if value <= max { Ok(value) } else { Err(reason) }
    }

    /// `se(v)` (ITU-T H.264 9.1.1).
    pub(super) fn se(&mut self) -> Parsed<i64> {
        let code = i64::from(self.ue()?);
        Ok(if code & 1 == 1 { (code + 1) / 2 } else { -(code / 2) })
    }

    /// Bytes touched so far, emulation prevention included; a byte counts from its first bit.
    pub(super) fn bytes_read(&self) -> usize {
        self.at + usize::from(self.bits_used > 0)
    }

    /// Bits left, emulation prevention bytes counted as if they were data.
    pub(super) fn bits_left(&self) -> usize {
        (self.bytes.len() - self.at) * 8 - usize::from(self.bits_used)
    }

    /// Skips to the next byte boundary whatever the bits are.
    pub(super) fn align(&mut self) -> Parsed<()> {
        while self.bits_used != 0 {
            self.bit()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn exp_golomb_follows_table_9_2() {
        // 1 | 010 | 011 | 00100 | 00101: 0, 1, 2, 3, 4
        let bytes = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut unsigned = BitReader::new(&bytes);
        let mut signed = BitReader::new(&bytes);
        for expected in [(0, 0), (1, 1), (2, -1), (3, 2), (4, -2)] {
            assert_eq!((unsigned.ue().unwrap(), signed.se().unwrap()), expected);
        }
        assert_eq!(BitReader::new(&[0; 8]).ue(), Err("an Exp-Golomb code is longer than 32 bits"));
    }

    #[test]
    fn emulation_prevention_is_skipped_and_counted() {
        let mut reader = BitReader::escaped(&[0, 0, 3, 1, 0, 0, 3]);
        assert_eq!(reader.bits(16), Ok(0));
        assert_eq!(reader.bytes_read(), 2, "the escape belongs to what follows it");
        assert_eq!(reader.bits(8), Ok(1));
        assert_eq!(reader.bytes_read(), 4);
        assert_eq!(reader.bits(16), Ok(0));
        assert_eq!(reader.bit(), Err(END));

        let mut plain = BitReader::new(&[0, 0, 3]);
        assert_eq!(plain.bits(24), Ok(3));
    }

    #[test]
    fn an_escape_after_three_zero_bytes_cannot_be_mistaken() {
        // 00 00 03 00 00 03 00: five zero bytes once unescaped.
        let mut reader = BitReader::escaped(&[0, 0, 3, 0, 0, 3, 0]);
        assert_eq!(reader.bits(32), Ok(0));
        assert_eq!(reader.bits(8), Ok(0));
        assert_eq!(reader.bytes_read(), 7);
    }

    proptest! {
        #[test]
        fn any_read_ends_in_a_value_or_an_error(
            bytes in prop::collection::vec(prop_oneof![Just(0), Just(3), any::<u8>()], 0..40),
            counts in prop::collection::vec(0..=32_u32, 0..40),
        ) {
            let mut reader = BitReader::escaped(&bytes);
            for count in counts {
                let _ = reader.bits(count);
                let _ = reader.se();
                prop_assert!(reader.bytes_read() <= bytes.len());
                let _ = reader.bits_left();
            }
        }
    }
}
