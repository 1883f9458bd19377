use super::*;
use crate::text::Skipped;

/// Each cue as `id|start-end|settings|payload`.
fn rows(track: &CueTrack) -> Vec<String> {
    track
        .cues
        .iter()
        .map(|cue| {
            let id = cue.id.as_deref().unwrap_or("");
            format!("{id}|{}-{}|{}|{}", cue.start_ms, cue.end_ms, cue.settings, cue.payload)
        })
        .collect()
}

#[track_caller]
fn check(vtt: &str, expected: &[&str]) {
    let parsed = parse_webvtt(vtt.as_bytes(), 0).unwrap();
    assert_eq!(rows(&parsed.track), expected);
    // What was read is normal: it survives a round trip.
    let written = write_webvtt(&parsed.track);
    let again = parse_webvtt(written.as_bytes(), 0).unwrap();
    assert_eq!(again.track, parsed.track);
    assert_eq!(again.skipped, None);
}

#[track_caller]
fn check_error(vtt: &str, expected: &str) {
    assert_eq!(parse_webvtt(vtt.as_bytes(), 0).unwrap_err().to_string(), expected);
}

#[test]
fn cues_are_read() {
    check("WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n", &["|1000-2000||Hello"]);
    check(
        "WEBVTT - title\nKind: captions\n\nid 1\n01:00:01.000 --> 01:00:02.500 line:0  align:start\na\nb\n\n\n00:03.000-->00:04.000\n<v Bob>c</v>",
        &["|3000-4000||<v Bob>c</v>", "id 1|3601000-3602500|line:0 align:start|a\nb"],
    );
}

#[test]
fn every_line_ending_and_a_byte_order_mark_will_do() {
    for ending in ["\n", "\r\n", "\r"] {
        let vtt =
            "\u{feff}WEBVTT\n\n1\n00:01.000 --> 00:02.000\na\nb\n\n00:03.000 --> 00:04.000\nc\n";
        check(&vtt.replace('\n', ending), &["1|1000-2000||a\nb", "|3000-4000||c"]);
    }
}

#[test]
fn the_header_may_touch_the_first_cue() {
    check("WEBVTT\n00:01.000 --> 00:02.000\na\n", &["|1000-2000||a"]);
    check("WEBVTT\nx\n00:01.000 --> 00:02.000\na\n", &["|1000-2000||a"]);
    check("WEBVTT\t\n\n\n\n00:01.000 --> 00:02.000\na", &["|1000-2000||a"]);
    check("WEBVTT", &[]);
    check("WEBVTT\n", &[]);
    check("WEBVTT\n\n", &[]);
}

/// The standard ends a cue at a line with an arrow, even where the empty line is missing.
#[test]
fn cues_may_touch() {
    check(
        "WEBVTT\n\n00:01.000 --> 00:02.000\na\n00:03.000 --> 00:04.000\nb\n",
        &["|1000-2000||a", "|3000-4000||b"],
    );
    check(
        "WEBVTT\n\n00:01.000 --> 00:02.000\n00:03.000 --> 00:04.000\nb\n",
        &["|1000-2000||", "|3000-4000||b"],
    );
}

#[test]
fn blocks_that_are_no_cues_are_passed_over() {
    check(
        "WEBVTT\n\nNOTE\nlines\nof it\n\nNOTE one\n\nx\ny\nz\n\n1\n00:01.000 --> 00:02.000\na\n\nNOTE\n",
        &["1|1000-2000||a"],
    );
}

#[test]
fn styles_and_regions_count_before_the_first_cue() {
    let vtt = "WEBVTT\n\nSTYLE\n::cue { color: red }\n\nREGION\t\nid:a\nwidth:40%\n\nNOTE\n\n\
               00:01.000 --> 00:02.000 region:a\nx\n\nSTYLE\n::cue { color: blue }\n";
    let track = parse_webvtt(vtt.as_bytes(), 0).unwrap().track;
    assert_eq!(track.header, "STYLE\n::cue { color: red }\n\nREGION\t\nid:a\nwidth:40%");
    check(vtt, &["|1000-2000|region:a|x"]);
}

#[test]
fn impossible_characters_are_replaced() {
    let parsed = parse_webvtt(b"WEBVTT\n\n00:01.000 --> 00:02.000\na\xff\0b\n", 0).unwrap();
    assert_eq!(rows(&parsed.track), ["|1000-2000||a\u{fffd}\u{fffd}b"]);
}

#[test]
fn broken_cues_are_skipped_and_counted() {
    let vtt = "WEBVTT\n\n00:01 --> 00:02.000\nlost\n\n00:03.000 --> 00:02.000\nreversed\n\n\
               00:04.000 --> 00:04.000\nempty\n\n00:05.000 --> 00:06.000 nonsense a: :b\nx\n";
    let parsed = parse_webvtt(vtt.as_bytes(), 0).unwrap();
    assert_eq!(rows(&parsed.track), ["|5000-6000||x"]);
    let first_reason = "the timing can't be read";
    assert_eq!(parsed.skipped, Some(Skipped { count: 3, first_line: 3, first_reason }));
}

#[test]
fn files_that_say_nothing_are_refused_with_their_line() {
    let unsigned = "WebVTT at line 1: the file does not start with WEBVTT";
    check_error("", unsigned);
    check_error("WEBVTTX\n", unsigned);
    check_error("webvtt\n", unsigned);
    check_error("\n\nWEBVTT\n", unsigned);
    check_error("1\n00:00:01,000 --> 00:00:02,000\na\n", unsigned);
    check_error(
        "WEBVTT\n\n1\n00:00:01,000 --> 00:00:02,000\na\n",
        "WebVTT at line 4: the timing can't be read",
    );
    check_error(
        "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:x,MPEGTS:1\n\n",
        "WebVTT at line 2: X-TIMESTAMP-MAP needs LOCAL:time,MPEGTS:ticks",
    );
}

#[test]
fn limits_hold() {
    let cue = "00:01.000 --> 00:02.000\nx\n\n";
    let many = format!("WEBVTT\n\n{}", cue.repeat(limits::CUES_MAX + 1));
    check_error(&many, "the file holds more than 200000 cues");
    let long = format!("WEBVTT\n\n00:01.000 --> 00:02.000\n{}", "word\n".repeat(15_000));
    check_error(&long, "the file holds more than 65536 bytes in a cue");
    let wide = format!("WEBVTT\n\n{}", "x".repeat(limits::LINE_BYTES_MAX + 1));
    check_error(&wide, "WebVTT at line 3: the line is longer than 64 KiB");
    let style = format!("WEBVTT\n\nSTYLE\n{}", "a{}\n".repeat(100_000));
    check_error(&style, "the file holds more than 262144 bytes of styles and regions");
    let late = "WEBVTT\n\n99999999:00:00.000 --> 99999999:00:01.000\nx\n";
    check_error(late, "the file holds more than 3162240000000 milliseconds of text");
    let huge = vec![b'\n'; limits::FILE_BYTES_MAX + 1];
    assert_eq!(
        parse_webvtt(&huge, 0).unwrap_err().to_string(),
        "the file holds more than 33554432 bytes of text"
    );
}

/// First cue of a file with this map, for a title that starts at `origin`.
#[track_caller]
fn check_map(map: &str, origin: u64, expected: Option<(u64, u64)>) {
    let vtt = format!("WEBVTT\n{map}\n\n00:10.000 --> 00:12.000\nx\n");
    let times = parse_webvtt(vtt.as_bytes(), origin)
        .ok()
        .map(|parsed| (parsed.track.cues[0].start_ms, parsed.track.cues[0].end_ms));
    assert_eq!(times, expected);
}

#[test]
fn a_timestamp_map_moves_the_cues() {
    check_map("X-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000", 900_000, Some((10_000, 12_000)));
    check_map("X-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:900000", 0, Some((20_000, 22_000)));
    check_map("X-TIMESTAMP-MAP=LOCAL:00:04.000,MPEGTS:0", 0, Some((6_000, 8_000)));
    check_map("X-TIMESTAMP-MAP=LOCAL:00:11.000,MPEGTS:0", 0, Some((0, 1_000)));
    check_map("X-TIMESTAMP-MAP=LOCAL:00:12.000,MPEGTS:0", 0, None);
    check_map("X-TIMESTAMP-MAP=MPEGTS:45,LOCAL:00:00.000", 0, Some((10_001, 12_001)));
    // Around the wrap of the 33-bit clock: the title started a second before it.
    check_map(
        "X-TIMESTAMP-MAP=MPEGTS:90000,LOCAL:00:00.000",
        (1 << 33) - 90_000,
        Some((12_000, 14_000)),
    );
    // An empty line in front of the map, as some writers have it.
    check_map("\nX-TIMESTAMP-MAP=MPEGTS:90000,LOCAL:00:00.000", 0, Some((11_000, 13_000)));
    check_map("X-TIMESTAMP-MAP=MPEGTS:90000", 0, None);
    check_map("X-TIMESTAMP-MAP=MPEGTS:90000,LOCAL:00:00.000,X:1", 0, None);
}
