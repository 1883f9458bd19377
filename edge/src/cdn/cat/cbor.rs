//! As much of CBOR (RFC 8949) as a token takes, bounded in depth, items and bytes.
//!
//! Lengths are definite (CTA-5007 asks for it), keys of a map are unique, floating-point numbers are
//! refused where no date stands. What is written is in the preferred form (RFC 8949 4.1).

/// Containers and tags within each other.
const DEPTH_MAX: usize = 8;
/// Items of a token, in all.
const ITEMS_MAX: usize = 512;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cbor {
    Int(i64),
    Bytes(Vec<u8>),
    Text(String),
    Array(Vec<Self>),
    Map(Vec<(Self, Self)>),
    Tag(u64, Box<Self>),
    Bool(bool),
    Null,
    Float(f64),
}

/// Where reading failed, in bytes from the start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct CborError {
    pub offset_bytes: usize,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    items: usize,
}

impl Cbor {
    /// One item and nothing behind it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, CborError> {
        let mut reader = Reader { bytes, at: 0, items: 0 };
        let item = reader.item(0)?;
        if reader.at != bytes.len() {
            return Err(reader.error());
        }
        Ok(item)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Int(number) if *number < 0 => write_head(out, 1, !*number as u64),
            Self::Int(number) => write_head(out, 0, *number as u64),
            Self::Bytes(bytes) => {
                write_head(out, 2, bytes.len() as u64);
                out.extend_from_slice(bytes);
            }
            Self::Text(text) => {
                write_head(out, 3, text.len() as u64);
                out.extend_from_slice(text.as_bytes());
            }
            Self::Array(items) => {
                write_head(out, 4, items.len() as u64);
                items.iter().for_each(|item| item.write(out));
            }
            Self::Map(members) => {
                write_head(out, 5, members.len() as u64);
                for (key, value) in members {
                    key.write(out);
                    value.write(out);
                }
            }
            Self::Tag(tag, item) => {
                write_head(out, 6, *tag);
                item.write(out);
            }
            Self::Bool(value) => out.push(if *value { 0xf5 } else { 0xf4 }),
            Self::Null => out.push(0xf6),
            Self::Float(number) => {
                out.push(0xfb);
                out.extend_from_slice(&number.to_be_bytes());
            }
        }
    }

    pub(super) fn as_int(&self) -> Option<i64> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn as_bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    pub(super) fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    pub(super) fn as_map(&self) -> Option<&[(Self, Self)]> {
        if let Self::Map(members) = self { Some(members) } else { None }
    }

    /// The member of a map with a number as key.
    pub(super) fn member(&self, label: i64) -> Option<&Self> {
        let members = self.as_map()?;
        members.iter().find(|(key, _)| *key == Self::Int(label)).map(|(_, value)| value)
    }
}

fn write_head(out: &mut Vec<u8>, major: u8, value: u64) {
    let major = major << 5;
    let bytes = value.to_be_bytes();
    match value {
        0..=23 => out.push(major | bytes[7]),
        24..=0xff => out.extend_from_slice(&[major | 24, bytes[7]]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend_from_slice(&bytes[6..]);
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend_from_slice(&bytes[4..]);
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&bytes);
        }
    }
}

impl<'a> Reader<'a> {
    fn error(&self) -> CborError {
        CborError { offset_bytes: self.at }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], CborError> {
        let end = self.at.checked_add(len).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| self.error())?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// Bytes that follow, as a number.
    fn number(&mut self, len: usize) -> Result<u64, CborError> {
        Ok(self.take(len)?.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn item(&mut self, depth: usize) -> Result<Cbor, CborError> {
        self.items += 1;
        if depth > DEPTH_MAX || self.items > ITEMS_MAX {
            return Err(self.error());
        }
        let first = self.take(1)?[0];
        let (major, short) = (first >> 5, first & 31);
        if major == 7 {
            return self.simple(short);
        }
        // 31 would be an indefinite length.
        let value = match short {
            0..=23 => u64::from(short),
            24..=27 => self.number(1 << (short - 24))?,
            _ => return Err(self.error()),
        };
        match major {
            0 => i64::try_from(value).map(Cbor::Int).map_err(|_| self.error()),
            1 => i64::try_from(value).map(|value| Cbor::Int(!value)).map_err(|_| self.error()),
            2 => Ok(Cbor::Bytes(self.take(self.count(value)?)?.to_vec())),
            3 => {
                let text = self.take(self.count(value)?)?.to_vec();
                String::from_utf8(text).map(Cbor::Text).map_err(|_| self.error())
            }
            4 => {
                // Each item takes a byte at least, so a count that lies ends before memory does.
                let count = self.count(value)?;
                (0..count).map(|_| self.item(depth + 1)).collect::<Result<_, _>>().map(Cbor::Array)
            }
            5 => self.map(value, depth),
            _ => Ok(Cbor::Tag(value, Box::new(self.item(depth + 1)?))),
        }
    }

    /// A count of bytes or items that are all still to come.
    fn count(&self, value: u64) -> Result<usize, CborError> {
        let left = self.bytes.len() - self.at;
        usize::try_from(value).ok().filter(|&count| count <= left).ok_or_else(|| self.error())
    }

    fn map(&mut self, value: u64, depth: usize) -> Result<Cbor, CborError> {
        let mut members: Vec<(Cbor, Cbor)> = Vec::new();
        for _ in 0..self.count(value)? {
            let key = self.item(depth + 1)?;
            let is_key = matches!(key, Cbor::Int(_) | Cbor::Text(_));
            // RFC 8949 5.6: a map with a key twice could be read in two ways.
            if !is_key || members.iter().any(|(known, _)| *known == key) {
                return Err(self.error());
            }
            members.push((key, self.item(depth + 1)?));
        }
        Ok(Cbor::Map(members))
    }

    fn simple(&mut self, short: u8) -> Result<Cbor, CborError> {
        match short {
            20 => Ok(Cbor::Bool(false)),
            21 => Ok(Cbor::Bool(true)),
            22 => Ok(Cbor::Null),
            27 => self.number(8).map(|bits| Cbor::Float(f64::from_bits(bits))),
            _ => Err(self.error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cdn::base64::{decode_hex, encode_hex};

    /// From RFC 8949 Appendix A.
    #[test]
    fn items_round_trip() {
        for (hex, expected) in [
            ("00", Cbor::Int(0)),
            ("17", Cbor::Int(23)),
            ("1818", Cbor::Int(24)),
            ("1903e8", Cbor::Int(1000)),
            ("1a000f4240", Cbor::Int(1_000_000)),
            ("1b000000e8d4a51000", Cbor::Int(1_000_000_000_000)),
            ("20", Cbor::Int(-1)),
            ("3903e7", Cbor::Int(-1000)),
            ("4401020304", Cbor::Bytes(vec![1, 2, 3, 4])),
            ("6449455446", Cbor::Text("IETF".to_owned())),
            ("83010203", Cbor::Array([1, 2, 3].map(Cbor::Int).to_vec())),
            (
                "a201020304",
                Cbor::Map(vec![(Cbor::Int(1), Cbor::Int(2)), (Cbor::Int(3), Cbor::Int(4))]),
            ),
            ("c11a514b67b0", Cbor::Tag(1, Box::new(Cbor::Int(1_363_896_240)))),
            ("f5", Cbor::Bool(true)),
            ("f6", Cbor::Null),
            ("fb3ff199999999999a", Cbor::Float(1.1)),
        ] {
            let bytes = decode_hex(hex).unwrap();
            assert_eq!(Cbor::parse(&bytes), Ok(expected.clone()), "{hex}");
            assert_eq!(encode_hex(&expected.encode()), hex);
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (hex, why) in [
            ("", "nothing"),
            ("0000", "something behind it"),
            ("5f4101ff", "an indefinite length"),
            ("9fff", "an indefinite array"),
            ("a201020103", "a key twice"),
            ("a1410102", "bytes as a key"),
            ("9bffffffffffffffff", "a count beyond the input"),
            ("5affffffff00", "a length beyond the input"),
            ("1bffffffffffffffff", "a number beyond 63 bits"),
            ("61ff", "text that is not UTF-8"),
            ("f90000", "a half-precision number"),
            ("818181818181818181818100", "too deep"),
        ] {
            assert!(Cbor::parse(&decode_hex(hex).unwrap()).is_err(), "{why}");
        }
    }
}
