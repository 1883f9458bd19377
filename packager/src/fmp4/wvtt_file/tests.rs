use super::*;
use crate::Timescale;
use crate::index::{SegmentEntry, TrackFacts};
use crate::text::CueTrack;
use crate::track::{MediaParams, TextCodec, TextParams, TrackInfo};

/// Segments between these instants; the last one is the end.
fn index(borders_ms: &[u64]) -> TrackIndex {
    let (end_time, starts) = borders_ms.split_last().unwrap();
    let entry = |start: &u64| SegmentEntry { decode_time: *start, ..SegmentEntry::default() };
    let codec = TextParams { codec: TextCodec::WebVtt, rfc6381: "wvtt".to_owned() };
    TrackIndex {
        info: TrackInfo {
            source_track_id: 0,
            timescale: Timescale::MILLIS,
            language: "en".to_owned(),
            name: String::new(),
            display_matrix: None,
            sample_entries: Vec::new(),
            media: MediaParams::Text(codec),
        },
        facts: TrackFacts::default(),
        segments: starts.iter().map(entry).collect(),
        iframes: Vec::new(),
        end_time: *end_time,
    }
}

fn cue(start_ms: u64, end_ms: u64, payload: &str) -> Cue {
    Cue { start_ms, end_ms, payload: payload.to_owned(), ..Cue::default() }
}

/// The file has the lengths of the segments as they are when all cues are looked at.
#[track_caller]
fn check(borders_ms: &[u64], cues: Vec<Cue>, segments: usize) {
    let cues = CueTrack::new(cues, String::new()).cues;
    let file = wvtt_single_file(&index(borders_ms), &cues).unwrap();
    for at in 0..segments {
        let range = file.segment_range(at).unwrap();
        let (start, end) = (borders_ms[at], borders_ms[at + 1]);
        let segment = wvtt_segment(at as u32 + 1, start, end, &cues).unwrap();
        assert_eq!(range.end - range.start, segment.len() as u64, "segment {at}");
    }
    assert_eq!(file.segment_range(segments), None);
}

#[test]
fn segments_are_as_long_as_when_asked_for_alone() {
    let cues = vec![
        cue(0, 30_000, "all along"),
        cue(5_999, 6_001, "over a border"),
        cue(6_000, 7_000, "on it"),
        cue(6_000, 7_000, "on it"),
        cue(17_000, 90_000, "beyond the end"),
        cue(40_000, 50_000, "behind it"),
    ];
    check(&[0, 6_000, 12_000, 18_000, 20_000], cues, 4);
    check(&[0, 6_000, 12_000], Vec::new(), 2);
}

#[test]
fn cuts_behind_the_end_have_no_segment() {
    check(&[0, 6_000, 6_000, 6_000], vec![cue(1_000, 2_000, "x")], 1);
    check(&[0, 0], vec![cue(1_000, 2_000, "x")], 0);
}

#[test]
fn a_text_that_repeats_itself_is_bounded() {
    let cues = (0..16).map(|_| cue(0, 1_000_000, &"x".repeat(60 << 10))).collect();
    let cues = CueTrack::new(cues, String::new()).cues;
    let borders: Vec<u64> = (0..100).map(|at| at * 6_000).collect();
    let error = wvtt_single_file(&index(&borders), &cues).unwrap_err();
    assert!(error.to_string().contains("bytes of text in one file"), "{error}");
}
