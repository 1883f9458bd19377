//! Field sections of answers: static entries where one fits, literals otherwise (RFC 9204 4.5).
//!
//! Strings go out as they are: Huffman coding would save some 30 bytes an answer and cost a table
//! walk for each byte of a header.

use super::{integer, static_table};

/// Appends the prefix of a section that names no dynamic table (RFC 9204 4.5.1).
pub(crate) fn encode_prefix(to: &mut Vec<u8>) {
    to.extend_from_slice(&[0, 0]);
}

/// Appends a field line. `name` is in small letters.
pub(crate) fn encode_field(name: &str, value: &[u8], to: &mut Vec<u8>) {
    match static_table::find(name, value) {
        Some((index, true)) => return integer::write(index, 6, 0xc0, to),
        Some((index, false)) => integer::write(index, 4, 0x50, to),
        None => {
            integer::write(name.len() as u64, 3, 0x20, to);
            to.extend_from_slice(name.as_bytes());
        }
    }
    integer::write(value.len() as u64, 7, 0, to);
    to.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::super::decode;
    use super::*;

    #[test]
    fn what_is_encoded_decodes() {
        let fields = [
            (":status", "200"),
            (":status", "206"),
            ("content-length", "1234567"),
            ("content-type", "video/mp4"),
            ("x-request-id", &"a".repeat(300)),
        ];
        let mut section = Vec::new();
        encode_prefix(&mut section);
        for (name, value) in fields {
            encode_field(name, value.as_bytes(), &mut section);
        }
        assert_eq!(section[..3], [0, 0, 0xc0 | 25]);
        let decoded = decode(&section, 4_096).unwrap();
        let decoded: Vec<_> = decoded.iter().map(|field| (&*field.name, &*field.value)).collect();
        assert_eq!(decoded, fields.map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    }
}
