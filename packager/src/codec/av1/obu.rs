//! Open bitstream units (AV1 specification 5.3): walked, not interpreted.

use crate::codec::bits::Parsed;

/// `obu_type` (6.2.2).
pub(in crate::codec) mod kind {
    pub(in crate::codec) const SEQUENCE_HEADER: u8 = 1;
    pub(in crate::codec) const FRAME_HEADER: u8 = 3;
    pub(in crate::codec) const TILE_GROUP: u8 = 4;
    pub(in crate::codec) const METADATA: u8 = 5;
    pub(in crate::codec) const FRAME: u8 = 6;
    pub(in crate::codec) const REDUNDANT_FRAME_HEADER: u8 = 7;
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::codec) struct Unit<'a> {
    pub(in crate::codec) kind: u8,
    pub(in crate::codec) temporal_id: u8,
    pub(in crate::codec) spatial_id: u8,
    /// Header, extension and size field.
    pub(in crate::codec) header_bytes: usize,
    pub(in crate::codec) payload: &'a [u8],
}

/// The units of a sample or of `configOBUs`; after an error the iterator ends. A unit without size
/// field, which only the last one may be, reaches to the end.
pub(in crate::codec) fn units(bytes: &[u8]) -> impl Iterator<Item = Parsed<Unit<'_>>> {
    Units { rest: bytes }
}

struct Units<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Units<'a> {
    type Item = Parsed<Unit<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let unit = self.take_unit();
        if unit.is_err() {
            self.rest = &[];
        }
        Some(unit)
    }
}

impl<'a> Units<'a> {
    fn take_unit(&mut self) -> Parsed<Unit<'a>> {
        const ENDS: &str = "an OBU ends inside its header";
        let bytes = self.rest;
        let header = bytes[0];
        if header & 0x80 != 0 {
            return Err("an OBU has its forbidden bit set");
        }
        let has_extension = header & 4 != 0;
        let extension = if has_extension { *bytes.get(1).ok_or(ENDS)? } else { 0 };
        let mut header_bytes = 1 + usize::from(has_extension);
        let mut size = bytes.len() - header_bytes;
        if header & 2 != 0 {
            let (value, length) = leb128(&bytes[header_bytes..])?;
            header_bytes += length;
            size = usize::try_from(value).map_err(|_| ENDS)?;
        }
        let end = header_bytes.checked_add(size);
        let payload = end.and_then(|end| bytes.get(header_bytes..end));
        let payload = payload.ok_or("OBU runs past the sample")?;
        self.rest = &bytes[header_bytes + size..];
        Ok(Unit {
            kind: header >> 3 & 0xf,
            temporal_id: extension >> 5,
            spatial_id: extension >> 3 & 3,
            header_bytes,
            payload,
        })
    }
}

/// 4.10.5: the value and the bytes it took, at most eight.
pub(in crate::codec) fn leb128(bytes: &[u8]) -> Parsed<(u64, usize)> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok((value, index + 1));
        }
    }
    Err("a leb128 number has no end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_split_by_their_sizes() {
        // Temporal delimiter; metadata with extension and a two-byte size; frame without size.
        let bytes = [0x12, 0, 0x2e, 0b0100_1000, 0x81, 0x00, 7, 0x30, 1, 2, 3];
        let found: Vec<_> = units(&bytes).map(Result::unwrap).collect();
        assert_eq!(
            found
                .iter()
                .map(|unit| (unit.kind, unit.header_bytes, unit.payload))
                .collect::<Vec<_>>(),
            [(2, 2, &[][..]), (5, 4, &[7][..]), (6, 1, &[1, 2, 3][..])]
        );
        assert_eq!((found[1].temporal_id, found[1].spatial_id), (2, 1));
    }

    #[test]
    fn a_size_past_the_end_is_an_error() {
        assert_eq!(units(&[0x32, 2, 0]).next(), Some(Err("OBU runs past the sample")));
        assert!(units(&[0x32]).next().unwrap().is_err());
        assert!(
            units(&[0x32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1])
                .next()
                .unwrap()
                .is_err()
        );
        assert!(units(&[0x36]).next().unwrap().is_err());
    }
}
