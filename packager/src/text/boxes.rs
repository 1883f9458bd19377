//! Boxes inside samples and sample entries (ISO/IEC 14496-12 4.2). These are few and flat, so a
//! plain walk does.

/// One box: its type, and what follows the header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct InnerBox<'a> {
    pub(super) kind: [u8; 4],
    pub(super) body: &'a [u8],
    /// Of the header, from the start of the bytes walked.
    pub(super) offset_bytes: usize,
}

/// Walks the boxes that fill `data`. After an error the walk is over.
pub(super) fn boxes(data: &[u8]) -> Boxes<'_> {
    Boxes { rest: data, offset_bytes: 0 }
}

#[derive(Clone, Debug)]
pub(super) struct Boxes<'a> {
    rest: &'a [u8],
    offset_bytes: usize,
}

/// A header that does not fit what is there; the offset is that of the header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct BrokenBox {
    pub(super) offset_bytes: usize,
    pub(super) reason: &'static str,
}

impl<'a> Boxes<'a> {
    fn read(&mut self) -> Result<InnerBox<'a>, &'static str> {
        const SHORT: &str = "a box header is cut off";
        let (size, rest) = self.rest.split_first_chunk::<4>().ok_or(SHORT)?;
        let (kind, rest) = rest.split_first_chunk::<4>().ok_or(SHORT)?;
        let (size, rest) = match u32::from_be_bytes(*size) {
            0 => (self.rest.len() as u64, rest),
            1 => {
                let (large, rest) = rest.split_first_chunk::<8>().ok_or(SHORT)?;
                (u64::from_be_bytes(*large), rest)
            }
            size => (u64::from(size), rest),
        };
        let header_bytes = self.rest.len() - rest.len();
        let body_bytes = size
            .checked_sub(header_bytes as u64)
            .and_then(|bytes| usize::try_from(bytes).ok())
            .ok_or("a box is smaller than its header")?;
        let (body, after) =
            rest.split_at_checked(body_bytes).ok_or("a box is larger than what is there")?;
        let offset_bytes = self.offset_bytes;
        self.offset_bytes += header_bytes + body_bytes;
        self.rest = after;
        Ok(InnerBox { kind: *kind, body, offset_bytes })
    }
}

impl<'a> Iterator for Boxes<'a> {
    type Item = Result<InnerBox<'a>, BrokenBox>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        Some(self.read().map_err(|reason| {
            self.rest = &[];
            BrokenBox { offset_bytes: self.offset_bytes, reason }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_walked() {
        let data = b"\0\0\0\x0aabcdxy\0\0\0\x01efgh\0\0\0\0\0\0\0\x11z\0\0\0\0ijklrest";
        let found: Vec<_> = boxes(data).map(Result::unwrap).map(|b| (b.kind, b.body)).collect();
        let expected: Vec<([u8; 4], &[u8])> =
            vec![(*b"abcd", b"xy"), (*b"efgh", b"z"), (*b"ijkl", b"rest")];
        assert_eq!(found, expected);
    }

    #[test]
    fn broken_headers_end_the_walk() {
        let check = |data: &[u8], reason| {
            let mut walk = boxes(data);
            assert_eq!(walk.next(), Some(Err(BrokenBox { offset_bytes: 0, reason })));
            assert_eq!(walk.next(), None);
        };
        check(b"\0\0\0", "a box header is cut off");
        check(b"\0\0\0\x08abc", "a box header is cut off");
        check(b"\0\0\0\x01abcd\0", "a box header is cut off");
        check(b"\0\0\0\x07abcd", "a box is smaller than its header");
        check(b"\0\0\0\x09abcd", "a box is larger than what is there");
        check(
            b"\0\0\0\x01abcd\xff\xff\xff\xff\xff\xff\xff\xff",
            "a box is larger than what is there",
        );
    }
}
