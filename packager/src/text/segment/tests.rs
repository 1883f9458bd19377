use super::*;
use crate::Timescale;
use crate::text::{Cue, parse_webvtt};
use proptest::prelude::*;

fn cue(start_ms: u64, end_ms: u64, payload: &str) -> Cue {
    Cue { start_ms, end_ms, payload: payload.into(), ..Cue::default() }
}

fn segment(track: &CueTrack, start_ms: u64, end_ms: u64, origin: u64) -> String {
    let at = |ms| Timescale::MILLIS.ticks(ms);
    String::from_utf8(write_segment(track, at(start_ms), at(end_ms), origin)).unwrap()
}

#[test]
fn a_segment_repeats_header_and_overlapping_cues() {
    let header = "STYLE\n::cue { color: red }".to_owned();
    let long = Cue { id: Some("7".into()), settings: "line:0".into(), ..cue(1_000, 9_000, "a\nb") };
    let track = CueTrack::new(vec![long, cue(4_000, 5_000, "c"), cue(6_000, 7_000, "d")], header);
    assert_eq!(
        segment(&track, 4_000, 6_000, MPEGTS_ORIGIN_TS),
        "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\n\n\
         STYLE\n::cue { color: red }\n\n\
         7\n00:00:01.000 --> 00:00:09.000 line:0\na\nb\n\n\
         00:00:04.000 --> 00:00:05.000\nc\n"
    );
    assert_eq!(
        String::from_utf8(write_whole(&track)).unwrap(),
        "WEBVTT\n\nSTYLE\n::cue { color: red }\n\n\
         7\n00:00:01.000 --> 00:00:09.000 line:0\na\nb\n\n\
         00:00:04.000 --> 00:00:05.000\nc\n\n\
         00:00:06.000 --> 00:00:07.000\nd\n"
    );
}

#[test]
fn an_empty_segment_has_its_map() {
    assert_eq!(
        segment(&CueTrack::default(), 0, 6_000, MPEGTS_ORIGIN_FMP4),
        "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n"
    );
    let wrapped = segment(&CueTrack::default(), 0, 6_000, (1 << 33) + 5);
    assert!(wrapped.contains("MPEGTS:5,"));
}

/// A cue belongs to the segments in which it is on screen, and to no other.
#[test]
fn boundaries_are_exact() {
    let check = |start_ms, end_ms, expected: bool| {
        let track = CueTrack::new(vec![cue(2_000, 3_000, "x")], String::new());
        assert_eq!(segment(&track, start_ms, end_ms, 0).contains('x'), expected);
    };
    check(0, 2_000, false);
    check(0, 2_001, true);
    check(2_999, 9_000, true);
    check(3_000, 9_000, false);
    check(2_400, 2_500, true);

    // A boundary between two milliseconds: 60 060 / 30 000 s = 2002.0 ms, 1/3 s = 333.3 ms.
    let track = CueTrack::new(vec![cue(100, 333, "x"), cue(333, 500, "y")], String::new());
    let thirds = Timescale::new(3).unwrap();
    let second = write_segment(&track, thirds.ticks(1), thirds.ticks(2), 0);
    let second = String::from_utf8(second).unwrap();
    assert!(!second.contains('x') && second.contains('y'));
}

proptest! {
    /// Segments that tile the title hold every cue, each in exactly the segments it overlaps, and
    /// nothing else.
    #[test]
    fn no_cue_is_lost_between_segments(
        cues in prop::collection::vec((0..60_000_u64, 1..9_000_u64), 0..60),
        durations in prop::collection::vec(1..700_000_u64, 1..30),
    ) {
        let cues: Vec<Cue> = (0..).zip(cues)
            .map(|(id, (start, length)): (u32, _)| Cue {
                id: Some(format!("c{id}")), ..cue(start, start + length, "x")
            })
            .collect();
        let track = CueTrack::new(cues, String::new());
        let mut found: Vec<(Cue, u64)> = Vec::new();
        let mut start = 0;
        // The last segment ends behind the last cue, as a title does.
        for duration in durations.into_iter().chain([90 * 70_000]) {
            let end = start + duration;
            let at = |ticks| Timescale::MPEG_TS.ticks(ticks);
            let bytes = write_segment(&track, at(start), at(end), MPEGTS_ORIGIN_TS);
            let parsed = parse_webvtt(&bytes, MPEGTS_ORIGIN_TS).unwrap();
            prop_assert_eq!(parsed.skipped, None);
            for cue in parsed.track.cues {
                prop_assert!(cue.start_ms * 90 < end && start < cue.end_ms * 90);
                found.push((cue, start));
            }
            start = end;
        }
        for cue in &track.cues {
            let in_segments = found.iter().filter(|(other, _)| other == cue).count();
            prop_assert!(in_segments >= 1);
        }
        prop_assert!(found.iter().all(|(cue, _)| track.cues.contains(cue)));
    }
}
