//! NAL units as MP4 stores them: each behind its length (ISO/IEC 14496-15 5.3.2 and 8.3.2).

/// Why a sample's lengths can't be followed.
pub(super) const OVERRUN: &str = "NAL unit runs past the sample";

/// The NAL units of `sample`, without their length fields, in order.
///
/// `length_size` is 1, 2 or 4 bytes (3 is reserved, and read all the same). After an error the
/// iterator ends.
pub fn nal_units(
    sample: &[u8],
    length_size: u8,
) -> impl Iterator<Item = Result<&[u8], &'static str>> {
    NalUnits { rest: sample, length_size: usize::from(length_size.clamp(1, 4)) }
}

struct NalUnits<'a> {
    rest: &'a [u8],
    length_size: usize,
}

impl<'a> Iterator for NalUnits<'a> {
    type Item = Result<&'a [u8], &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let taken = self.take_unit();
        if taken.is_none() {
            self.rest = &[];
        }
        Some(taken.ok_or(OVERRUN))
    }
}

impl<'a> NalUnits<'a> {
    fn take_unit(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_at_checked(self.length_size)?;
        let length = length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        let (unit, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_come_without_their_lengths() {
        let sample = [0, 2, 0x65, 1, 0, 0, 0, 1, 0x06];
        let units: Vec<_> = nal_units(&sample, 2).collect();
        assert_eq!(units, [Ok(&[0x65, 1][..]), Ok(&[][..]), Ok(&[0x06][..])]);
    }

    #[test]
    fn a_length_past_the_end_is_an_error_and_the_last_item() {
        let mut units = nal_units(&[0, 0, 0, 1, 9, 0xff, 0xff, 0xff, 0xff, 1], 4);
        assert_eq!(units.next(), Some(Ok(&[9][..])));
        assert_eq!(units.next(), Some(Err(OVERRUN)));
        assert_eq!(units.next(), None);
        assert_eq!(nal_units(&[0, 0, 0], 4).next(), Some(Err(OVERRUN)));
    }
}
