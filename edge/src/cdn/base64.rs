//! Base64 as the formats spell it, each strictly: one alphabet, exact padding, no stray bits at the
//! end, so that every value has one spelling.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const fn engine(
    alphabet: &alphabet::Alphabet,
    padding: DecodePaddingMode,
    pad: bool,
) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new()
        .with_encode_padding(pad)
        .with_decode_padding_mode(padding)
        .with_decode_allow_trailing_bits(false);
    GeneralPurpose::new(alphabet, config)
}

/// RFC 4648 section 5 without padding, as in JWS (RFC 7515 section 2) and in CTA-5007.
const URL: GeneralPurpose = engine(&alphabet::URL_SAFE, DecodePaddingMode::RequireNone, false);
/// The same with or without padding: Media CDN's own samples write both.
const URL_ANY: GeneralPurpose = engine(&alphabet::URL_SAFE, DecodePaddingMode::Indifferent, false);
/// RFC 4648 section 4 with padding.
const STANDARD: GeneralPurpose =
    engine(&alphabet::STANDARD, DecodePaddingMode::RequireCanonical, true);

pub(super) fn encode_url(bytes: &[u8]) -> String {
    URL.encode(bytes)
}

pub(super) fn decode_url(text: &str) -> Option<Vec<u8>> {
    URL.decode(text).ok()
}

pub(super) fn decode_url_any_padding(text: &str) -> Option<Vec<u8>> {
    URL_ANY.decode(text).ok()
}

pub(super) fn decode_standard(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// CloudFront's alphabet: standard base64 with `+`, `=` and `/` written as `-`, `_` and `~`.
pub(super) fn encode_cloudfront(bytes: &[u8]) -> String {
    let replace = |character| match character {
        '+' => '-',
        '=' => '_',
        '/' => '~',
        other => other,
    };
    STANDARD.encode(bytes).chars().map(replace).collect()
}

pub(super) fn decode_cloudfront(text: &str) -> Option<Vec<u8>> {
    let replace = |byte| match byte {
        b'-' => Some(b'+'),
        b'_' => Some(b'='),
        b'~' => Some(b'/'),
        b'+' | b'=' | b'/' => None,
        other => Some(other),
    };
    STANDARD.decode(text.bytes().map(replace).collect::<Option<Vec<u8>>>()?).ok()
}

/// Digits in either case.
pub(super) fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

pub(super) fn encode_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_one_spelling() {
        assert_eq!(decode_url("_-8"), Some(vec![0xff, 0xef]));
        // Padding, the other alphabet, stray bits, white space.
        for wrong in ["_-8=", "/+8", "_-9", "_-8 ", "_"] {
            assert_eq!(decode_url(wrong), None, "{wrong}");
        }
        assert_eq!(decode_url_any_padding("_-8="), Some(vec![0xff, 0xef]));
        assert_eq!(decode_cloudfront("~-8_"), Some(vec![0xff, 0xef]));
        for wrong in ["~-8", "/+8=", "~-9_", "~-8__"] {
            assert_eq!(decode_cloudfront(wrong), None, "{wrong}");
        }
        assert_eq!(encode_cloudfront(&[0xff, 0xef]), "~-8_");
        assert_eq!(decode_hex("0aFf"), Some(vec![0x0a, 0xff]));
        assert_eq!(decode_hex("0aF"), None);
        assert_eq!(encode_hex(&[0x0a, 0xff]), "0aff");
    }
}
