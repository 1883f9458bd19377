use super::*;
use crate::Timescale;
use crate::track::{MediaParams, TextCodec, TextParams};

fn index(segments: Vec<SegmentEntry>, iframes: Vec<IFrameEntry>) -> TrackIndex {
    let codec = TextCodec::Ttml;
    let media = MediaParams::Text(TextParams { codec, rfc6381: "stpp".to_owned() });
    let sample_count = segments.iter().map(|entry| entry.sample_count).sum();
    TrackIndex {
        info: TrackInfo {
            source_track_id: 1,
            timescale: Timescale::MILLIS,
            language: "und".to_owned(),
            name: String::new(),
            display_matrix: None,
            sample_entries: Vec::new(),
            media,
        },
        facts: TrackFacts { sample_count, frame_rate: (0, 1), ..TrackFacts::default() },
        segments,
        iframes,
        end_time: 6_000,
    }
}

/// An index, whatever it says, as a file with right checksums.
fn write(index: &TrackIndex) -> Vec<u8> {
    let (index, media) = (index.clone(), MediaIdentity::default());
    write_sidecar(&Sidecar { index, block_place: BlockPlace::Media, media, guide: Some(3) }, &[])
}

fn again(index: &TrackIndex) -> Result<Sidecar, PackageError> {
    Sidecar::parse(&write(index))
}

#[track_caller]
fn check_refused(index: &TrackIndex, cause: &str) {
    let error = again(index).unwrap_err().to_string();
    assert!(error.contains(cause), "{error}");
}

const SEGMENT: SegmentEntry = SegmentEntry {
    decode_time: 0,
    media_bytes: 100,
    first_sample: 0,
    sample_count: 2,
    subsample_count: 0,
    event_bytes: 0,
    ts_packets: 0,
    ts_clock_packets: 0,
    ts_packets_before: 0,
    block_offset_bytes: 10,
    block_len_bytes: 20,
};

#[test]
fn an_index_is_read_as_it_was_written() {
    let index = index(vec![SEGMENT], Vec::new());
    let read = again(&index).unwrap();
    assert_eq!((read.index, read.guide), (index, Some(3)));
}

#[test]
fn sums_that_leave_64_bits_are_refused() {
    let segment = SegmentEntry { block_offset_bytes: u64::MAX - 5, ..SEGMENT };
    check_refused(&index(vec![segment], Vec::new()), "beyond 64 bits");
    let segment = SegmentEntry { media_bytes: u64::MAX, ..SEGMENT };
    check_refused(&index(vec![segment], Vec::new()), "more bytes than its samples");
    let iframe = IFrameEntry { size_bytes: 9, offset_bytes: u64::MAX - 3, ..Default::default() };
    check_refused(&index(vec![SEGMENT], vec![iframe]), "beyond 64 bits");
    let endless = TrackIndex { end_time: u64::MAX, ..index(vec![SEGMENT], Vec::new()) };
    check_refused(&endless, "beyond reason");
}

#[test]
fn a_head_that_its_table_contradicts_is_refused() {
    let mut other = index(vec![SEGMENT], Vec::new());
    other.facts.sample_count = 3;
    check_refused(&other, "another number of samples");
    let mut other = index(vec![SEGMENT], Vec::new());
    other.facts.frame_rate = (25, 0);
    check_refused(&other, "no denominator");
    let mut other = index(vec![SEGMENT], Vec::new());
    other.info.sample_entries.push(vec![0; 7]);
    check_refused(&other, "no box");
}

/// What an earlier version wrote is not damaged, only to be made anew.
#[test]
fn another_format_is_stale() {
    let mut bytes = write(&index(vec![SEGMENT], Vec::new()));
    assert!(Sidecar::parse(&bytes).is_ok());
    bytes[7] = 1;
    let error = Sidecar::parse(&bytes).unwrap_err();
    assert!(matches!(error, PackageError::StaleIndex { found: 1, wanted: FORMAT }), "{error}");
    bytes[0] ^= 1;
    assert!(matches!(Sidecar::parse(&bytes), Err(PackageError::CorruptIndex { offset: 0, .. })));
}
