use proptest::prelude::*;

use super::*;

fn read(bytes: &[u8], backing: Backing, count: usize) -> Result<(Vec<i64>, usize), PackageError> {
    let mut reader = WireReader::new(bytes, 0);
    let mut values = Vec::new();
    read_column(&mut reader, backing, 0..count, "", |_, value| {
        values.push(value);
        Some(())
    })?;
    Ok((values, reader.left()))
}

#[track_caller]
fn check_bytes(values: &[i64], expected: usize) {
    let mut out = Vec::new();
    put_column(&mut out, Backing::Free, values);
    assert_eq!(out.len(), expected);
}

proptest! {
    /// Small numbers, outliers and any numbers at all; what follows the column is left.
    #[test]
    fn columns_round_trip(
        values in prop_oneof![
            prop::collection::vec(prop_oneof![9 => -300..300_i64, 1 => any::<i64>()], 0..300),
            prop::collection::vec(any::<i64>(), 0..50),
            prop::collection::vec(Just(7_i64), 0..300),
        ],
        bit_each: bool,
    ) {
        let backing = if bit_each { Backing::BitEach } else { Backing::Free };
        let mut out = Vec::new();
        put_column(&mut out, backing, &values);
        prop_assert!(backing == Backing::Free || out.len() * 8 >= values.len());
        out.extend_from_slice(&[0xa5; 3]);
        prop_assert_eq!(read(&out, backing, values.len()).unwrap(), (values, 3));
    }

    /// Any bytes give values or an error.
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, count in 0..3_000_usize) {
        let _ = read(&bytes, Backing::Free, count);
        if let Ok((values, left)) = read(&bytes, Backing::BitEach, count) {
            prop_assert!(values.len() <= (bytes.len() - left) * 8);
        }
    }
}

#[test]
fn equal_values_take_no_bits() {
    check_bytes(&[1_024; 500], 3);
    check_bytes(&[], 0);
}

/// 340 ± 32 bytes at k = 5: a code is 6 to 7 bits.
#[test]
fn sizes_of_sound_frames_take_less_than_a_byte() {
    let sizes: Vec<i64> = (0..188).map(|n| 308 + n * 37 % 64).collect();
    check_bytes(&sizes, 3 + (188_usize * 13).div_ceil(16));
}

#[test]
fn a_key_frame_does_not_cost_its_size() {
    let mut sizes: Vec<i64> = (0..99).map(|n| 900 + n * 61 % 512).collect();
    sizes.push(4_000_000);
    let mut out = Vec::new();
    put_column(&mut out, Backing::Free, &sizes);
    assert!(out.len() < 140, "{} bytes", out.len());
}

#[test]
fn counts_that_no_bytes_back_are_refused() {
    let error = read(&[0, 0, 0xff], Backing::BitEach, 1 << 30).unwrap_err().to_string();
    assert!(error.contains("shorter than its values"), "{error}");
    let error = read(&[ALL_EQUAL, 0], Backing::BitEach, 3).unwrap_err().to_string();
    assert!(error.contains("shorter than its values"), "{error}");
    let error = read(&[32, 0, 0xff], Backing::Free, 1).unwrap_err().to_string();
    assert!(error.contains("no known way"), "{error}");
    assert!(read(&[3, 0, 0xff], Backing::Free, 3).is_err(), "the bits end early");
}
