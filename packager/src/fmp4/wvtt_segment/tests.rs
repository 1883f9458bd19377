use proptest::prelude::*;

use super::*;

/// What a reader makes of one sample.
#[derive(Debug, Eq, PartialEq)]
struct ReadSample {
    start_ms: u64,
    end_ms: u64,
    cues: Vec<ReadCue>,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct ReadCue {
    source_id: Option<i32>,
    current_time: Option<String>,
    id: Option<String>,
    settings: String,
    payload: String,
}

/// Splits bytes into boxes; panics unless they fit exactly.
fn boxes(mut bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let size = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
        found.push((&bytes[4..8], &bytes[8..size]));
        bytes = &bytes[size..];
    }
    found
}

fn child<'a>(bytes: &'a [u8], path: &[&[u8]]) -> &'a [u8] {
    path.iter().fold(bytes, |bytes, kind| {
        boxes(bytes).into_iter().find(|(found, _)| found == kind).unwrap().1
    })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn read(segment: &[u8]) -> Vec<ReadSample> {
    let tfdt = child(segment, &[b"moof", b"traf", b"tfdt"]);
    let trun = child(segment, &[b"moof", b"traf", b"trun"]);
    let mut media = child(segment, &[b"mdat"]);
    let mut start_ms = u64::from_be_bytes(tfdt[4..12].try_into().unwrap());
    let mut samples = Vec::new();
    for row in trun[12..].chunks(16) {
        let (sample, rest) = media.split_at(u32_at(row, 4) as usize);
        let end_ms = start_ms + u64::from(u32_at(row, 0));
        samples.push(ReadSample { start_ms, end_ms, cues: read_sample(sample) });
        (start_ms, media) = (end_ms, rest);
    }
    assert!(media.is_empty());
    samples
}

fn read_sample(bytes: &[u8]) -> Vec<ReadCue> {
    let boxes = boxes(bytes);
    if let [(b"vtte", b"")] = boxes.as_slice() {
        return Vec::new();
    }
    assert!(!boxes.is_empty());
    boxes
        .into_iter()
        .map(|(kind, body)| {
            assert_eq!(kind, b"vttc");
            read_cue(body)
        })
        .collect()
}

fn read_cue(bytes: &[u8]) -> ReadCue {
    let mut cue = ReadCue::default();
    for (kind, body) in boxes(bytes) {
        let text = || String::from_utf8(body.to_vec()).unwrap();
        match kind {
            b"vsid" => cue.source_id = Some(u32_at(body, 0) as i32),
            b"ctim" => cue.current_time = Some(text()),
            b"iden" => cue.id = Some(text()),
            b"sttg" => cue.settings = text(),
            b"payl" => cue.payload = text(),
            _ => panic!("unexpected box {kind:?}"),
        }
    }
    cue
}

fn cue(start_ms: u64, end_ms: u64, payload: &str) -> Cue {
    Cue { start_ms, end_ms, payload: payload.into(), ..Cue::default() }
}

/// Samples as `start-end:payload,payload`, with `*` after a payload that goes by a source id.
#[track_caller]
fn check(start_ms: u64, end_ms: u64, cues: &[Cue], expected: &str) {
    let samples: Vec<String> = read(&wvtt_segment(1, start_ms, end_ms, cues).unwrap())
        .into_iter()
        .map(|sample| {
            let cues: Vec<String> = sample
                .cues
                .into_iter()
                .map(|cue| cue.payload + if cue.source_id.is_some() { "*" } else { "" })
                .collect();
            format!("{}-{}:{}", sample.start_ms, sample.end_ms, cues.join(","))
        })
        .collect();
    assert_eq!(samples.join(" "), expected);
}

#[test]
fn gaps_are_empty_samples() {
    check(0, 100, &[], "0-100:");
    check(0, 100, &[cue(20, 40, "a")], "0-20: 20-40:a 40-100:");
    check(0, 100, &[cue(0, 40, "a"), cue(40, 100, "b")], "0-40:a 40-100:b");
}

#[test]
fn overlapping_cues_share_samples() {
    check(
        0,
        100,
        &[cue(10, 60, "a"), cue(30, 80, "b"), cue(30, 40, "c")],
        "0-10: 10-30:a* 30-40:a*,b*,c 40-60:a*,b* 60-80:b* 80-100:",
    );
}

#[test]
fn a_cue_goes_on_in_the_next_segment() {
    let cues = [cue(50, 250, "a"), cue(120, 130, "b")];
    check(0, 100, &cues, "0-50: 50-100:a*");
    check(100, 200, &cues, "100-120:a* 120-130:a*,b 130-200:a*");
    check(200, 300, &cues, "200-250:a* 250-300:");
    check(300, 400, &cues, "300-400:");

    let ids = |start, end| -> Vec<Option<i32>> {
        let segment = wvtt_segment(1, start, end, &cues).unwrap();
        let cues = read(&segment).into_iter().flat_map(|sample| sample.cues);
        cues.filter(|cue| cue.payload == "a").map(|cue| cue.source_id).collect()
    };
    let all = [ids(0, 100), ids(100, 200), ids(200, 300)].concat();
    assert_eq!(all.len(), 5);
    assert!(all[0].is_some() && all.iter().all(|id| *id == all[0]));
}

#[test]
fn equal_cues_keep_their_own_ids() {
    let twins = [cue(0, 200, "a"), cue(0, 200, "a")];
    let ids = |start, end| -> Vec<i32> {
        let samples = read(&wvtt_segment(1, start, end, &twins).unwrap());
        samples[0].cues.iter().map(|cue| cue.source_id.unwrap()).collect()
    };
    assert_ne!(ids(0, 100)[0], ids(0, 100)[1]);
    assert_eq!(ids(0, 100), ids(100, 200));
}

#[test]
fn all_of_a_cue_is_carried() {
    let full = Cue {
        id: Some("7".into()),
        settings: "line:0 align:left".into(),
        ..cue(3_600_000, 3_601_000, "la <01:00:00.500><i>l\u{e0}</i>")
    };
    let samples = read(&wvtt_segment(9, 3_600_000, 3_601_000, &[full]).unwrap());
    let expected = ReadCue {
        source_id: None,
        current_time: Some("01:00:00.000".into()),
        id: Some("7".into()),
        settings: "line:0 align:left".into(),
        payload: "la <01:00:00.500><i>l\u{e0}</i>".into(),
    };
    assert_eq!(samples[0].cues, [expected]);
}

#[test]
fn cues_that_never_show_are_passed_over() {
    check(0, 100, &[cue(20, 20, "a"), cue(50, 40, "b"), cue(100, 120, "c")], "0-100:");
    check(50, 50, &[cue(0, 100, "a")], "");
    check(60, 50, &[cue(0, 100, "a")], "");
}

#[test]
fn a_span_longer_than_a_duration_can_say_is_split() {
    let long = u64::from(u32::MAX) + 10;
    check(0, long, &[], "0-4294967295: 4294967295-4294967305:");
    check(0, long, &[cue(0, long, "a")], "0-4294967295:a* 4294967295-4294967305:a*");
}

#[test]
fn hostile_cues_end_in_an_error() {
    let limit = |cues: &[Cue], end_ms| {
        let error = wvtt_segment(1, 0, end_ms, cues).unwrap_err();
        assert!(matches!(error, PackageError::LimitExceeded { max: 0x100_0000, .. }), "{error}");
    };
    limit(&[], u64::MAX);
    let nested: Vec<Cue> = (0..10_000).map(|i| cue(i, 20_000 - i, "x")).collect();
    limit(&nested, 20_000);
    limit(&[cue(0, 10, &"x".repeat(WVTT_SEGMENT_BYTES_MAX))], 10);
}

proptest! {
    /// Samples tile the segment, and each lists exactly the cues that are active all through it.
    #[test]
    fn samples_tile_and_tell_the_truth(
        rows in prop::collection::vec((0..300_u64, 0..80_u64), 0..30),
        start_ms in 0..200_u64, length_ms in 1..200_u64,
    ) {
        let cues: Vec<Cue> = rows
            .iter()
            .enumerate()
            .map(|(i, (start, length))| cue(*start, start + length, &i.to_string()))
            .collect();
        let end_ms = start_ms + length_ms;
        let samples = read(&wvtt_segment(1, start_ms, end_ms, &cues).unwrap());

        prop_assert_eq!(samples[0].start_ms, start_ms);
        prop_assert_eq!(samples[samples.len() - 1].end_ms, end_ms);
        for pair in samples.windows(2) {
            prop_assert_eq!(pair[0].end_ms, pair[1].start_ms);
        }
        for sample in &samples {
            prop_assert!(sample.start_ms < sample.end_ms);
            let mut told: Vec<usize> =
                sample.cues.iter().map(|cue| cue.payload.parse().unwrap()).collect();
            told.sort_unstable();
            for time in [sample.start_ms, sample.end_ms - 1] {
                let active: Vec<usize> = (0..cues.len())
                    .filter(|i| cues[*i].start_ms <= time && time < cues[*i].end_ms)
                    .collect();
                prop_assert_eq!(&told, &active);
            }
        }
    }

    /// Cues that are not active in a segment change nothing in it.
    #[test]
    fn a_selection_of_cues_gives_the_same_bytes(
        rows in prop::collection::vec((0..300_u64, 0..80_u64), 0..30), start_ms in 0..200_u64,
    ) {
        let end_ms = start_ms + 60;
        let all: Vec<Cue> = rows.iter().map(|(s, l)| cue(*s, s + l, "x")).collect();
        let near: Vec<Cue> = all
            .iter()
            .filter(|cue| cue.start_ms < end_ms && start_ms < cue.end_ms)
            .cloned()
            .collect();
        prop_assert_eq!(
            wvtt_segment(3, start_ms, end_ms, &all),
            wvtt_segment(3, start_ms, end_ms, &near)
        );
    }
}
