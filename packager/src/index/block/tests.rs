use proptest::prelude::*;

use super::*;

/// Segments of any shape: sizes, durations, reordering, gaps before and behind, NAL layouts.
pub(in crate::index) fn segments() -> impl Strategy<Value = SegmentSamples> {
    let sample = (
        1_u32..100_000,
        prop_oneof![Just(512_u32), 0..10_000_u32],
        prop_oneof![Just(0_i32), -5..5_i32],
        any::<bool>(),
        prop_oneof![3 => Just(0_i64), 1 => -2_000..50_000_i64],
        prop::collection::vec(0.0..1.0_f64, 0..4),
    );
    (prop::collection::vec(sample, 1..200), 1_000_000_u64..1 << 40, any::<bool>()).prop_map(
        |(rows, first_offset, has_layout)| {
            let mut segment = SegmentSamples::default();
            let mut offset_bytes = first_offset;
            let mut decode_time = 77;
            for (size_bytes, duration_ticks, cts, is_sync, gap, cuts) in rows {
                segment.samples.push(Sample {
                    offset_bytes,
                    size_bytes,
                    decode_time,
                    duration_ticks,
                    composition_offset_ticks: cts * 1024,
                    is_sync,
                    description_index: 0,
                });
                decode_time += u64::from(duration_ticks);
                offset_bytes = (offset_bytes + u64::from(size_bytes)).saturating_add_signed(gap);
                if has_layout {
                    segment.layout.push_sample(split(size_bytes, &cuts));
                }
            }
            segment
        },
    )
}

/// Splits `size_bytes` at the given fractions into clear and protected lengths.
fn split(size_bytes: u32, cuts: &[f64]) -> Vec<Subsample> {
    let mut left = size_bytes;
    let mut subsamples = Vec::new();
    for (index, cut) in cuts.iter().enumerate() {
        let clear_bytes = (f64::from(left) * cut) as u32;
        let protected_bytes =
            if index + 1 == cuts.len() { left - clear_bytes } else { (left - clear_bytes) / 2 };
        left -= clear_bytes + protected_bytes;
        subsamples.push(Subsample { clear_bytes, protected_bytes });
    }
    subsamples
}

pub(in crate::index) fn entry_for(segment: &SegmentSamples) -> SegmentEntry {
    SegmentEntry {
        decode_time: segment.samples[0].decode_time,
        media_bytes: segment.samples.iter().map(|sample| u64::from(sample.size_bytes)).sum(),
        sample_count: segment.samples.len() as u32,
        event_bytes: segment.events.len() as u32,
        ..SegmentEntry::default()
    }
}

/// Decodes a block that was encoded without a guide.
fn decode(segment: &SegmentSamples, block: &[u8]) -> Result<SegmentSamples, PackageError> {
    decode_block(StoredBlock { entry: &entry_for(segment), bytes: block }, None)
}

/// Layouts in which no sample has a subsample are stored as "none".
fn same_layout(left: &SubsampleMap, right: &SubsampleMap, samples: usize) -> bool {
    (0..samples).all(|index| left.sample(index) == right.sample(index))
}

proptest! {
    #[test]
    fn blocks_round_trip(segment in segments()) {
        let decoded = decode(&segment, &encode_block(&segment, &[]).bytes).unwrap();
        prop_assert_eq!(&decoded.samples, &segment.samples);
        prop_assert!(same_layout(&decoded.layout, &segment.layout, segment.samples.len()));
    }

    /// A flipped bit is caught by the checksum, and bytes that pass it can't make the decoder
    /// panic or reserve more than they back.
    #[test]
    fn damage_is_refused(segment in segments(), at: prop::sample::Index, bit in 0..8_u8) {
        let mut block = encode_block(&segment, &[]).bytes;
        let at = at.index(block.len());
        block[at] ^= 1 << bit;
        prop_assert!(decode(&segment, &block).is_err());

        let crc = crc32fast::hash(&block[CRC_BYTES..]);
        block[..CRC_BYTES].copy_from_slice(&crc.to_le_bytes());
        let _ = decode(&segment, &block);
    }
}

#[test]
fn events_survive() {
    let mut segment = SegmentSamples::default();
    segment.samples.push(Sample { size_bytes: 9, duration_ticks: 1, ..Sample::default() });
    segment.events = b"\0\0\0\x08emsg".to_vec();
    let decoded = decode(&segment, &encode_block(&segment, &[]).bytes).unwrap();
    assert_eq!(decoded.events, segment.events);
}

/// The counts of a table are believed only as far as the bytes of the block go.
#[test]
fn a_lying_count_reserves_nothing() {
    let samples = vec![Sample { size_bytes: 9, ..Sample::default() }; 4];
    let segment = SegmentSamples { samples, ..SegmentSamples::default() };
    let bytes = encode_block(&segment, &[]).bytes;
    let entry = SegmentEntry { sample_count: u32::MAX, ..entry_for(&segment) };
    let error = decode_block(StoredBlock { entry: &entry, bytes: &bytes }, None).unwrap_err();
    assert!(error.to_string().contains("shorter than its samples"), "{error}");
}
