//! The Huffman code of header strings (RFC 9204 4.1.2, RFC 7541 5.2 and Appendix B).
//!
//! The code is canonical: codes of one length count up in the order of their symbols, and the first
//! code of a length follows the last of the length before. So the lengths are the whole table.

use std::sync::LazyLock;

/// Bits of each byte's code, and last those of the end-of-string symbol (RFC 7541 Appendix B).
#[rustfmt::skip]
const LENGTHS_BITS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

const LENGTH_BITS_MAX: usize = 30;

/// The end-of-string symbol, which never appears whole (RFC 7541 5.2).
const END_OF_STRING: u16 = 256;

/// Codes by length.
struct Codes {
    /// Symbols in the order of their codes.
    symbols: Vec<u16>,
    lengths: [Length; LENGTH_BITS_MAX + 1],
}

#[derive(Clone, Copy, Default)]
struct Length {
    first_code: u32,
    count: u32,
    first_symbol: usize,
}

static CODES: LazyLock<Codes> = LazyLock::new(|| {
    let mut symbols: Vec<u16> = (0..=END_OF_STRING).collect();
    symbols.sort_by_key(|symbol| (LENGTHS_BITS[usize::from(*symbol)], *symbol));
    let mut lengths = [Length::default(); LENGTH_BITS_MAX + 1];
    let (mut code, mut first_symbol) = (0, 0);
    for (bits, length) in lengths.iter_mut().enumerate() {
        code <<= 1;
        let count = LENGTHS_BITS.iter().filter(|length| usize::from(**length) == bits).count();
        *length = Length { first_code: code, count: count as u32, first_symbol };
        code += count as u32;
        first_symbol += count;
    }
    Codes { symbols, lengths }
});

/// Decodes a string; `None` when it is no code, or ends in anything but a short run of ones
/// (RFC 7541 5.2). The result has at most 8/5 of the bytes of `coded`.
pub(super) fn decode(coded: &[u8]) -> Option<Vec<u8>> {
    let codes = &*CODES;
    let mut text = Vec::with_capacity(coded.len() * 8 / 5);
    let (mut code, mut bits) = (0_u32, 0);
    for byte in coded {
        for position in (0..8).rev() {
            code = code << 1 | u32::from(byte >> position & 1);
            bits += 1;
            let length = codes.lengths.get(bits)?;
            // Codes of this length that begin lower belong to shorter ones.
            let Some(offset) = code.checked_sub(length.first_code) else { continue };
            if offset < length.count {
                let symbol = codes.symbols[length.first_symbol + offset as usize];
                text.push(u8::try_from(symbol).ok()?);
                (code, bits) = (0, 0);
            }
        }
    }
    let is_padding = bits < 8 && code == (1 << bits) - 1;
    is_padding.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 7541 C.4 and C.6.
    #[test]
    fn the_examples_of_the_rfc_decode() {
        for (coded, text) in [
            ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"),
            ("a8eb10649cbf", "no-cache"),
            ("25a849e95ba97d7f", "custom-key"),
            ("25a849e95bb8e8b4bf", "custom-value"),
            ("6402", "302"),
            ("d07abe941054d444a8200595040b8166e082a62d1bff", "Mon, 21 Oct 2013 20:13:21 GMT"),
            ("9d29ad171863c78f0b97c8e9ae82ae43d3", "https://www.example.com"),
        ] {
            assert_eq!(decode(&bytes(coded)).unwrap(), text.as_bytes());
        }
    }

    #[test]
    fn broken_strings_are_refused() {
        for coded in ["ffffffff", "fffffffc", "1c", "1fff", "1e"] {
            assert_eq!(decode(&bytes(coded)), None, "{coded}");
        }
        assert_eq!(decode(&[]), Some(Vec::new()));
    }

    fn bytes(hexadecimal: &str) -> Vec<u8> {
        let digits = hexadecimal.as_bytes().chunks(2);
        let byte = |digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
        digits.map(byte).collect()
    }
}
