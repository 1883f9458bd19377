use proptest::prelude::*;

use super::*;

prop_compose! {
    fn samples()(rows in prop::collection::vec(
        (any::<u32>(), any::<u32>(), any::<i32>(), any::<bool>()), 0..400,
    )) -> Vec<Sample> {
        rows.into_iter()
            .map(|(size_bytes, duration_ticks, composition_offset_ticks, is_sync)| Sample {
                size_bytes,
                duration_ticks,
                composition_offset_ticks,
                is_sync,
                ..Sample::default()
            })
            .collect()
    }
}

fn segment(samples: &[Sample]) -> MediaSegment<'_> {
    MediaSegment {
        number: 1,
        decode_time: 0,
        samples,
        events: &[],
        index: false,
        timescale: Timescale::MPEG_TS,
    }
}

fn header(segment: &MediaSegment) -> Vec<u8> {
    let mut out = Vec::new();
    segment.write_header(&mut out);
    out
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Offset of a box by its type; the headers here hold no other such bytes.
fn find(bytes: &[u8], kind: &[u8; 4]) -> Option<usize> {
    bytes.windows(4).position(|window| window == kind).map(|at| at - 4)
}

proptest! {
    #[test]
    fn the_announced_length_is_the_written_one(
        samples in samples(), events in prop::collection::vec(any::<u8>(), 0..200),
        number in any::<u32>(), decode_time in any::<u64>(), index in any::<bool>(),
    ) {
        let segment = MediaSegment {
            number, decode_time, samples: &samples, events: &events, index,
            timescale: Timescale::MPEG_TS,
        };
        let bytes = header(&segment);
        prop_assert_eq!(bytes.len() as u64, segment_header_len(&segment.shape()));
        let media_bytes: u64 = samples.iter().map(|s| u64::from(s.size_bytes)).sum();
        prop_assert_eq!(segment.shape().segment_bytes(), bytes.len() as u64 + media_bytes);
    }

    /// `data_offset` leads from `moof` to the end of the header, however long the media is.
    #[test]
    fn media_starts_where_the_header_ends(samples in samples()) {
        let bytes = header(&segment(&samples));
        let moof = find(&bytes, b"moof").unwrap();
        let trun = find(&bytes, b"trun").unwrap();
        prop_assert_eq!(moof + u32_at(&bytes, trun + 16) as usize, bytes.len());
    }
}

#[test]
fn more_than_4_gib_of_media_take_a_64_bit_mdat() {
    let sample = Sample { size_bytes: u32::MAX, ..Sample::default() };
    let one = header(&segment(&[sample]));
    let half = [Sample { size_bytes: 1 << 31, ..sample }];
    assert!(header(&segment(&half)).ends_with(b"\x80\0\0\x08mdat"));
    assert!(one.ends_with(b"\0\0\0\x01mdat\0\0\0\x01\0\0\0\x0f"));
}

#[test]
fn a_sidx_is_left_out_where_31_bits_are_too_few() {
    let small = [Sample { size_bytes: 0x7fff_0000, ..Sample::default() }];
    let large = [Sample { size_bytes: 0x7fff_ffff, ..Sample::default() }];
    let with_index = |samples| header(&MediaSegment { index: true, ..segment(samples) });
    assert!(find(&with_index(&small), b"sidx").is_some());
    assert_eq!(with_index(&large), header(&segment(&large)));
}

/// `(decode_time, [(duration, offset, sync)])` to earliest time, duration and access bits.
#[track_caller]
fn check_sidx(decode_time: u64, rows: &[(u32, i32, bool)], expected: (u64, u32, u32)) {
    let samples: Vec<Sample> = rows
        .iter()
        .map(|&(duration_ticks, composition_offset_ticks, is_sync)| Sample {
            size_bytes: 10,
            duration_ticks,
            composition_offset_ticks,
            is_sync,
            ..Sample::default()
        })
        .collect();
    let bytes = header(&MediaSegment {
        index: true,
        decode_time,
        events: b"12345678",
        ..segment(&samples)
    });
    let sidx = find(&bytes, b"sidx").unwrap();
    let earliest =
        u64::from(u32_at(&bytes, sidx + 20)) << 32 | u64::from(u32_at(&bytes, sidx + 24));
    assert_eq!((earliest, u32_at(&bytes, sidx + 44), u32_at(&bytes, sidx + 48)), expected);

    let after_sidx = sidx + u32_at(&bytes, sidx) as usize;
    let media_bytes = 10 * samples.len();
    assert_eq!(u32_at(&bytes, sidx + 40) as usize, bytes.len() - after_sidx + media_bytes);
}

#[test]
fn a_sidx_tells_what_the_samples_tell() {
    check_sidx(1 << 40, &[(3, 0, true), (4, 0, false)], (1 << 40, 7, 0x9000_0000));
    check_sidx(90, &[(10, 0, true), (10, 20, false), (10, -10, false)], (90, 30, 0x9000_0000));
    check_sidx(90, &[(10, 20, true), (10, -10, false), (10, -10, false)], (90, 30, 0x8000_0000));
    check_sidx(90, &[(10, 5, false)], (95, 10, 0));
    check_sidx(90, &[], (90, 0, 0));
}

#[test]
fn the_table_gives_the_shape_of_its_segment() {
    let entry = SegmentEntry {
        sample_count: 2,
        media_bytes: 30,
        event_bytes: 8,
        ..SegmentEntry::default()
    };
    let samples = [
        Sample { size_bytes: 10, ..Sample::default() },
        Sample { size_bytes: 20, ..Sample::default() },
    ];
    let segment = MediaSegment { events: b"12345678", ..segment(&samples) };
    assert_eq!(SegmentShape::from(&entry), segment.shape());
}
