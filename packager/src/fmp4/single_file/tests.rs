use proptest::prelude::*;

use super::*;
use crate::Timescale;
use crate::fmp4::segment_header_len;
use crate::index::TrackFacts;
use crate::track::{AudioCodec, AudioParams, MediaParams, TrackInfo};

fn track(rows: impl IntoIterator<Item = (u32, u64, u32)>) -> TrackIndex {
    let mut decode_time = 0;
    let segments = rows
        .into_iter()
        .map(|(sample_count, media_bytes, duration)| {
            let entry =
                SegmentEntry { decode_time, sample_count, media_bytes, ..SegmentEntry::default() };
            decode_time += u64::from(duration);
            entry
        })
        .collect();
    TrackIndex {
        info: TrackInfo {
            source_track_id: 1,
            timescale: Timescale::new(48_000).unwrap(),
            language: "en".into(),
            name: String::new(),
            display_matrix: None,
            sample_entries: vec![b"\0\0\0\x08none".to_vec()],
            media: MediaParams::Audio(AudioParams {
                codec: AudioCodec::Other(crate::FourCc::new(b"none")),
                rfc6381: "none".into(),
                channels: 2,
                sample_rate: 48_000,
                aac: None,
                joc_complexity: None,
                channel_configuration: None,
            }),
        },
        facts: TrackFacts::default(),
        segments,
        iframes: Vec::new(),
        end_time: decode_time,
    }
}

/// The references of the `sidx`: size, duration.
fn references_of(file: &SingleFile) -> Vec<(u64, u64)> {
    let sidx = &file.head()[file.index_range().start as usize..];
    let word = |at: usize| u64::from(u32::from_be_bytes(sidx[at..at + 4].try_into().unwrap()));
    let count = word(36) & 0xffff;
    assert_eq!(sidx.len() as u64, word(0));
    (0..count as usize).map(|row| (word(40 + 12 * row), word(44 + 12 * row))).collect()
}

proptest! {
    /// Any range comes back as parts that are contiguous, not empty, and add up to it.
    #[test]
    fn parts_tile_the_range(
        rows in prop::collection::vec((1..50_u32, 0..5_000_u64, 1..9_000_u32), 0..20),
        ends in (0..200_000_u64, 0..200_000_u64),
    ) {
        let index = track(rows);
        let file = SingleFile::new(&index).unwrap();
        let range = ends.0..ends.1;
        let mut next = range.start;
        for part in file.locate(range.clone()) {
            let (start, end) = match part {
                Part::Head(range) => {
                    prop_assert!(file.head().get(range.clone()).is_some());
                    (range.start as u64, range.end as u64)
                }
                Part::Segment { index, range } => {
                    let segment = file.segment_range(index).unwrap();
                    prop_assert!(range.end <= segment.end - segment.start);
                    (segment.start + range.start, segment.start + range.end)
                }
            };
            prop_assert_eq!(start, next);
            prop_assert!(start < end);
            next = end;
        }
        prop_assert_eq!(next, range.end.min(file.len_bytes()).max(range.start));
    }

    /// Head, then every segment with the length it has alone; the `sidx` names the same places.
    #[test]
    fn segments_lie_where_the_sidx_says(
        rows in prop::collection::vec((1..50_u32, 0..5_000_u64, 1..9_000_u32), 0..20),
    ) {
        let index = track(rows.clone());
        let file = SingleFile::new(&index).unwrap();
        prop_assert_eq!(file.init_range().end, file.index_range().start);
        let mut at = file.head().len() as u64;
        prop_assert_eq!(file.index_range().end, at);
        let references = references_of(&file);
        prop_assert_eq!(references.len(), rows.len());
        for (i, segment) in index.segments.iter().enumerate() {
            let bytes = segment_header_len(&segment.into()) + segment.media_bytes;
            prop_assert_eq!(file.segment_range(i), Some(at..at + bytes));
            prop_assert_eq!(references[i], (bytes, u64::from(rows[i].2)));
            at += bytes;
        }
        prop_assert_eq!(file.len_bytes(), at);
        prop_assert_eq!(file.segment_range(rows.len()), None);
    }
}

#[test]
fn a_very_long_track_shares_references() {
    let count = 70_001;
    let file = SingleFile::new(&track((0..count).map(|_| (1, 100, 10)))).unwrap();
    let references = references_of(&file);
    assert_eq!(references.len(), 35_001);
    let segment = file.segment_range(0).unwrap();
    let bytes = segment.end - segment.start;
    assert_eq!(references[0], (2 * bytes, 20));
    assert_eq!(references[35_000], (bytes, 10));
    assert_eq!(
        file.index_range().end + references.iter().map(|row| row.0).sum::<u64>(),
        file.len_bytes()
    );
}

#[test]
fn what_31_bits_cannot_say_is_refused() {
    let error = |rows: Vec<(u32, u64, u32)>| SingleFile::new(&track(rows)).unwrap_err();
    let too_long = PackageError::LimitExceeded {
        what: "bytes in a part of an indexed file",
        max: 0x7fff_ffff,
    };
    assert_eq!(error(vec![(1, 10, 10), (1, 1 << 31, 10)]), too_long);
    assert_eq!(error(vec![(1, u64::MAX, 10)]), too_long);

    let mut index = track([(1, 10, 10)]);
    index.end_time = 1 << 33;
    let too_slow = SingleFile::new(&index).unwrap_err();
    assert_eq!(
        too_slow.to_string(),
        "the file holds more than 4294967295 ticks in a part of an indexed file"
    );
}

#[test]
fn nothing_lies_past_the_end() {
    let file = SingleFile::new(&track([(1, 10, 10)])).unwrap();
    let len = file.len_bytes();
    assert_eq!(file.locate(len..len + 10).count(), 0);
    assert_eq!(file.locate(u64::MAX..u64::MAX).count(), 0);
    #[expect(clippy::reversed_empty_ranges)]
    let reversed = file.locate(20..10);
    assert_eq!(reversed.count(), 0);
    assert_eq!(
        file.locate(len - 1..u64::MAX).collect::<Vec<_>>(),
        [Part::Segment {
            index: 0,
            range: len - 1 - file.index_range().end..len - file.index_range().end
        }]
    );
}
