use proptest::prelude::*;

use super::super::format::*;

#[test]
fn the_bytes_of_version_1() {
    let header = SegmentHeader { salt: 0x0403_0201, first_sequence: 5, created_ms: 6 };
    let bytes = header.to_bytes();
    let wanted =
        *b"SVJRNL\r\n\x01\0\0\0\x01\x02\x03\x04\x05\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0\0\0\0\0";
    assert_eq!(bytes[..36], wanted);
    let mut record = Vec::new();
    RecordRef {
        sequence: 9,
        time_ms: 10,
        group_index: 11,
        kind: 12,
        is_erased: false,
        key: b"key",
        payload: b"payload",
    }
    .write(0, &mut record);
    let wanted = b"\x0a\0\0\0\x09\0\0\0\0\0\0\0\x0a\0\0\0\0\0\0\0\x0b\0\0\0\x03\0\x0c\0keypayload";
    assert_eq!(record[4..], wanted[..]);
    assert_eq!(record[..4], crc32fast::hash(wanted).to_le_bytes());
}

proptest! {
    #[test]
    fn records_read_back_and_no_flipped_bit_is_missed(
        sequence in 1..u64::MAX / 2, time_ms: u64, group_index: u32, kind: u8, salt: u32,
        is_erased: bool,
        key in proptest::collection::vec(any::<u8>(), 0..40),
        payload in proptest::collection::vec(any::<u8>(), 0..200),
        flip: prop::sample::Index, bit in 0..8_u8,
    ) {
        let (key, payload) = if is_erased { (&[][..], &[][..]) } else { (&key[..], &payload[..]) };
        let record =
            RecordRef { sequence, time_ms, group_index, kind, is_erased, key, payload };
        let mut bytes = Vec::new();
        record.write(salt, &mut bytes);
        prop_assert_eq!(bytes.len(), record.len_bytes());
        prop_assert_eq!(RecordRef::parse(&bytes, salt), Ok(record));
        let at = flip.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(RecordRef::parse(&bytes, salt).is_err());
    }

    #[test]
    fn headers_read_back(salt: u32, first_sequence in 1..1_u64 << 62, created_ms: u64, at in 0..40_usize) {
        let header = SegmentHeader { salt, first_sequence, created_ms };
        let mut bytes = header.to_bytes();
        prop_assert_eq!(SegmentHeader::parse(&bytes), Ok(header));
        bytes[at] ^= 0x10;
        prop_assert!(SegmentHeader::parse(&bytes).is_err());
    }
}
