//! Field sections as clients write them (RFC 9204 4.5).

use std::borrow::Cow;

use super::static_table::STATIC_TABLE;
use super::{huffman, integer};

/// What a field counts beyond its name and value against a limit (RFC 9114 4.2.2).
const FIELD_OVERHEAD_BYTES: usize = 32;

/// A field line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: Cow<'static, [u8]>,
    pub(crate) value: Cow<'static, [u8]>,
}

/// Why a section can't be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum DecodeError {
    /// It is no QPACK, or names a dynamic table that isn't there: the connection ends.
    Invalid,
    /// Decoded it is larger than was announced in `SETTINGS_MAX_FIELD_SECTION_SIZE`.
    TooLarge,
}

/// Decodes a whole section of at most `size_bytes_max`, counted as RFC 9114 4.2.2 counts.
pub(crate) fn decode(section: &[u8], size_bytes_max: usize) -> Result<Vec<Field>, DecodeError> {
    let mut rest = section;
    // Required Insert Count and Base (RFC 9204 4.5.1); without a dynamic table nothing is inserted.
    let insert_count = integer::read(&mut rest, 8).ok_or(DecodeError::Invalid)?;
    integer::read(&mut rest, 7).ok_or(DecodeError::Invalid)?;
    if insert_count != 0 {
        return Err(DecodeError::Invalid);
    }
    let mut fields = Vec::new();
    let mut size_bytes = 0;
    while !rest.is_empty() {
        let field = read_field(&mut rest).ok_or(DecodeError::Invalid)?;
        size_bytes += field.name.len() + field.value.len() + FIELD_OVERHEAD_BYTES;
        if size_bytes_max < size_bytes {
            return Err(DecodeError::TooLarge);
        }
        fields.push(field);
    }
    Ok(fields)
}

/// One field line. Those that name the dynamic table are none: `1 0`, `0 1 N 0`, `0 0 0`, `0 0 0 1`.
fn read_field(rest: &mut &[u8]) -> Option<Field> {
    match *rest.first()? {
        // Indexed, static (4.5.2): 1 1 index(6).
        first if first & 0xc0 == 0xc0 => {
            let (name, value) = static_entry(integer::read(rest, 6)?)?;
            Some(Field { name: Cow::Borrowed(name), value: Cow::Borrowed(value) })
        }
        // Literal with a static name (4.5.4): 0 1 N 1 index(4), value.
        first if first & 0xd0 == 0x50 => {
            let (name, _) = static_entry(integer::read(rest, 4)?)?;
            Some(Field { name: Cow::Borrowed(name), value: Cow::Owned(read_string(rest, 7)?) })
        }
        // Literal with a name of its own (4.5.6): 0 0 1 N H length(3), value.
        first if first & 0xe0 == 0x20 => {
            let name = read_string(rest, 3)?;
            Some(Field { name: Cow::Owned(name), value: Cow::Owned(read_string(rest, 7)?) })
        }
        _ => None,
    }
}

fn static_entry(index: u64) -> Option<(&'static [u8], &'static [u8])> {
    let (name, value) = STATIC_TABLE.get(usize::try_from(index).ok()?)?;
    Some((name.as_bytes(), value.as_bytes()))
}

/// A string (RFC 9204 4.1.2): the bit above the length's prefix says whether it is Huffman-coded.
fn read_string(rest: &mut &[u8], prefix_bits: u32) -> Option<Vec<u8>> {
    let is_huffman = rest.first()? & (1 << prefix_bits) != 0;
    let len_bytes = usize::try_from(integer::read(rest, prefix_bits)?).ok()?;
    // Checked against what is there before anything is reserved.
    let (coded, after) = rest.split_at_checked(len_bytes)?;
    *rest = after;
    if is_huffman { huffman::decode(coded) } else { Some(coded.to_vec()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(fields: &[Field]) -> String {
        let line = |field: &Field| {
            let of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            format!("{}={}", of(&field.name), of(&field.value))
        };
        fields.iter().map(line).collect::<Vec<_>>().join(" ")
    }

    /// RFC 9204 B.1, and the three forms with and without Huffman.
    #[test]
    fn all_static_forms_decode() {
        let section = b"\0\0\x51\x0b/index.html";
        assert_eq!(text(&decode(section, 1_000).unwrap()), ":path=/index.html");
        let section = b"\0\0\xd1\xd7\x50\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff\x27\x03abcdefghij\x01x";
        let expected = ":method=GET :scheme=https :authority=www.example.com abcdefghij=x";
        assert_eq!(text(&decode(section, 1_000).unwrap()), expected);
    }

    #[test]
    fn garbage_and_dynamic_references_are_refused() {
        for section in [
            &b""[..],
            b"\0",
            b"\x01\0\xd1",
            b"\0\0\x80",
            b"\0\0\x10",
            b"\0\0\x40\x01a",
            b"\0\0\x00\x01a",
            b"\0\0\xff\x24",
            b"\0\0\x51\x05/a",
            b"\0\0\x51\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\0\0\x51\x81\x00",
        ] {
            assert_eq!(decode(section, 1_000), Err(DecodeError::Invalid), "{section:?}");
        }
    }

    /// A short section of indexed fields decodes to more than 30 times its size.
    #[test]
    fn the_decoded_size_is_bounded() {
        let mut section = vec![0, 0];
        section.resize(500, 0xc0 | 1);
        assert_eq!(decode(&section, 16_384), Err(DecodeError::TooLarge));
    }
}
