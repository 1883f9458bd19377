//! Integers with a prefix (RFC 9204 4.1.1, RFC 7541 5.1).

/// Continuation bytes that are read: 2^35 is beyond every length and index here.
const CONTINUATION_BYTES_MAX: u32 = 5;

/// Reads an integer whose first byte holds `prefix_bits` of it, and goes past it.
pub(super) fn read(bytes: &mut &[u8], prefix_bits: u32) -> Option<u64> {
    let (first, mut rest) = bytes.split_first()?;
    let mask = u64::from(u8::MAX >> (8 - prefix_bits));
    let mut value = u64::from(*first) & mask;
    if value == mask {
        let mut shift = 0;
        loop {
            let (byte, after) = rest.split_first()?;
            rest = after;
            value += u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
            if shift == 7 * CONTINUATION_BYTES_MAX {
                return None;
            }
        }
    }
    *bytes = rest;
    Some(value)
}

/// Appends an integer; `flags` are the bits of the first byte above its prefix.
pub(super) fn write(value: u64, prefix_bits: u32, flags: u8, to: &mut Vec<u8>) {
    let mask = u64::from(u8::MAX >> (8 - prefix_bits));
    if value < mask {
        to.push(flags | value as u8);
        return;
    }
    to.push(flags | mask as u8);
    let mut rest = value - mask;
    while 0x80 <= rest {
        to.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 7541 C.1.
    #[test]
    fn the_examples_of_the_rfc() {
        for (value, prefix_bits, coded) in
            [(10, 5, &[0x0a][..]), (1337, 5, &[0x1f, 0x9a, 0x0a]), (42, 8, &[0x2a])]
        {
            let mut written = Vec::new();
            write(value, prefix_bits, 0, &mut written);
            assert_eq!(written, coded);
            assert_eq!(read(&mut &*written, prefix_bits), Some(value));
        }
    }

    #[test]
    fn endless_and_cut_integers_are_refused() {
        assert_eq!(read(&mut &[0xff; 20][..], 7), None);
        assert_eq!(read(&mut &[0x7f, 0x80][..], 7), None);
        assert_eq!(read(&mut &[][..], 7), None);
    }
}
