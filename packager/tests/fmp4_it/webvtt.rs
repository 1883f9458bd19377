//! WebVTT segments beside those that Shaka Packager makes of the same cues: what a player shows at
//! any time must be the same. Runs where `STREAMVERSE_SHAKA_PACKAGER` names it.

use packager::fmp4::wvtt_segment;
use packager::text::Cue;

use crate::boxes::{boxes, child, u32_at};
use crate::shaka::shaka_packager;
use crate::tools::{self, text, write};

/// What is on the screen from `start_ms` on: settings and text of each cue.
#[derive(Debug, Eq, PartialEq)]
struct Shown {
    start_ms: u64,
    cues: Vec<(String, String)>,
}

/// Reads all fragments of a `wvtt` file. Neighbours that show the same are joined.
fn read(bytes: &[u8]) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    let top = boxes(bytes);
    for pair in top.windows(2).filter(|pair| &pair[0].kind == b"moof") {
        let (moof, mut media) = (pair[0].body, pair[1].body);
        let tfdt = child(moof, &[b"traf", b"tfdt"]);
        let mut time = match tfdt[0] {
            0 => u64::from(u32_at(tfdt, 4)),
            _ => u64::from_be_bytes(tfdt[4..12].try_into().unwrap()),
        };
        for (duration, size) in samples(child(moof, &[b"traf"])) {
            let (sample, rest) = media.split_at(size as usize);
            let cues: Vec<(String, String)> = boxes(sample)
                .iter()
                .filter(|found| &found.kind == b"vttc")
                .map(|cue| (string(cue.body, b"sttg"), string(cue.body, b"payl")))
                .collect();
            if shown.last().is_none_or(|last| last.cues != cues) {
                shown.push(Shown { start_ms: time, cues });
            }
            time += u64::from(duration);
            media = rest;
        }
    }
    shown
}

/// Durations and sizes; Shaka Packager leaves to `tfhd` what all samples share.
fn samples(traf: &[u8]) -> Vec<(u32, u32)> {
    let (tfhd, trun) = (child(traf, &[b"tfhd"]), child(traf, &[b"trun"]));
    let flag = |body: &[u8], bit: u32| u32_at(body, 0) >> bit & 1 == 1;
    let mut at = 8 + [0, 1].iter().filter(|bit| flag(tfhd, **bit)).count() * 4;
    assert!(!flag(tfhd, 0));
    let mut default = |bit| {
        let value = flag(tfhd, bit).then(|| u32_at(tfhd, at));
        at += if value.is_some() { 4 } else { 0 };
        value
    };
    let (default_duration, default_size) = (default(3), default(4));
    let mut at = 8 + [0, 2].iter().filter(|bit| flag(trun, **bit)).count() * 4;
    let mut rows = Vec::new();
    for _ in 0..u32_at(trun, 4) {
        let mut field = |bit, default: Option<u32>| {
            if !flag(trun, bit) {
                return default.unwrap_or(0);
            }
            at += 4;
            u32_at(trun, at - 4)
        };
        let row = (field(8, default_duration), field(9, default_size));
        field(10, None);
        field(11, None);
        rows.push(row);
    }
    rows
}

fn string(cue: &[u8], kind: &[u8; 4]) -> String {
    let found = boxes(cue).into_iter().find(|found| &found.kind == kind);
    found.map_or(String::new(), |found| String::from_utf8(found.body.to_vec()).unwrap())
}

const WEBVTT: &str = "WEBVTT

00:00:01.000 --> 00:00:03.500 line:10% align:left
First

00:00:02.000 --> 00:00:04.000 align:left
Second <i>slanted</i>

00:00:05.000 --> 00:00:09.000 align:left
Over the border

00:00:09.000 --> 00:00:09.500 align:left
Last
";

fn cues() -> Vec<Cue> {
    let cue = |start_ms, end_ms, settings: &str, payload: &str| Cue {
        start_ms,
        end_ms,
        id: None,
        settings: settings.into(),
        payload: payload.into(),
    };
    vec![
        cue(1_000, 3_500, "line:10% align:left", "First"),
        cue(2_000, 4_000, "align:left", "Second <i>slanted</i>"),
        cue(5_000, 9_000, "align:left", "Over the border"),
        cue(9_000, 9_500, "align:left", "Last"),
    ]
}

fn ours() -> Vec<u8> {
    let bounds = [0, 4_000, 8_000, 10_000];
    let segments = (1..).zip(bounds.windows(2));
    segments.flat_map(|(n, pair)| wvtt_segment(n, pair[0], pair[1], &cues()).unwrap()).collect()
}

#[test]
fn segments_show_the_cues() {
    let expected = [
        (0, vec![]),
        (1_000, vec!["First"]),
        (2_000, vec!["First", "Second <i>slanted</i>"]),
        (3_500, vec!["Second <i>slanted</i>"]),
        (4_000, vec![]),
        (5_000, vec!["Over the border"]),
        (9_000, vec!["Last"]),
        (9_500, vec![]),
    ];
    let shown = read(&ours());
    let shown: Vec<(u64, Vec<&str>)> = shown
        .iter()
        .map(|shown| (shown.start_ms, shown.cues.iter().map(|cue| cue.1.as_str()).collect()))
        .collect();
    assert_eq!(shown, expected);
}

#[test]
fn shaka_packager_shows_the_same() {
    let Some(packager) = shaka_packager() else { return };
    let folder = tools::folder("webvtt");
    let source = folder.join("cues.vtt");
    write(&source, WEBVTT.as_bytes());
    let theirs = folder.join("theirs.mp4");
    let descriptor =
        format!("in={},stream=text,format=mp4,output={}", text(&source), text(&theirs));
    let (_, log) = tools::run_unchecked(&packager, &[&descriptor]);
    assert!(!log.contains("(exit"), "{log}");
    assert_eq!(read(&std::fs::read(&theirs).unwrap()), read(&ours()));
}
