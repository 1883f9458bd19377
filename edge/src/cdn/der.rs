//! As much of DER (ITU-T X.690) as a private key file takes: sequences, integers, octet strings.

#[derive(Clone, Copy)]
pub(super) struct DerReader<'a> {
    rest: &'a [u8],
}

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const SEQUENCE: u8 = 0x30;

impl<'a> DerReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn sequence(&mut self) -> Option<Self> {
        self.element(SEQUENCE).map(Self::new)
    }

    pub(super) fn octets(&mut self) -> Option<&'a [u8]> {
        self.element(OCTETS)
    }

    /// A number that is not negative, without leading zeros.
    pub(super) fn integer(&mut self) -> Option<&'a [u8]> {
        let bytes = self.element(INTEGER)?;
        let first = bytes.iter().position(|&byte| byte != 0).unwrap_or(bytes.len());
        (bytes.first()? & 0x80 == 0).then(|| &bytes[first..])
    }

    /// The contents of the next element, if it has this tag.
    fn element(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&found, rest) = self.rest.split_first()?;
        if found != tag {
            return None;
        }
        let (&first, rest) = rest.split_first()?;
        let (len, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if bytes.len() > size_of::<u32>() {
                return None;
            }
            (bytes.iter().fold(0, |len, &byte| len << 8 | usize::from(byte)), rest)
        };
        let (contents, rest) = rest.split_at_checked(len)?;
        self.rest = rest;
        Some(contents)
    }
}
