use super::*;
use crate::text::Skipped;

/// Each cue as `start-end [settings] payload`.
#[track_caller]
fn check(srt: &str, expected: &[&str]) {
    check_bytes(srt.as_bytes(), expected);
}

#[track_caller]
fn check_bytes(srt: &[u8], expected: &[&str]) {
    let cues: Vec<String> = parse_srt(srt)
        .unwrap()
        .track
        .cues
        .iter()
        .map(|cue| format!("{}-{} [{}] {}", cue.start_ms, cue.end_ms, cue.settings, cue.payload))
        .collect();
    assert_eq!(cues, expected);
}

/// One cue with `text` becomes `payload` with `settings`.
#[track_caller]
fn check_text(text: &str, payload: &str, settings: &str) {
    let srt = format!("1\n00:00:01,000 --> 00:00:02,000\n{text}\n");
    let track = parse_srt(srt.as_bytes()).unwrap().track;
    assert_eq!(track.cues[0].payload, payload);
    assert_eq!(track.cues[0].settings, settings);
}

#[test]
fn cues_are_read() {
    check(
        "1\n00:00:01,000 --> 00:00:02,500\nHello\nthere\n\n2\n01:00:03,000 --> 01:00:04,000\nBye\n",
        &["1000-2500 [] Hello\nthere", "3603000-3604000 [] Bye"],
    );
}

#[test]
fn sloppy_files_are_read() {
    // Dots, no numbers, CR LF, coordinates, spaces, one digit of hours.
    check(
        "0:00:01.000-->0:00:02.000 X1:40 X2:600 Y1:20 Y2:50\r\nA\r\n\r\n  00:00:03,5 -->  00:00:04,000123 \r\nB",
        &["1000-2000 [] A", "3005-4000 [] B"],
    );
    // No hours, no fraction, below zero.
    check("01:02,500 --> 01:03,000\nA\n", &["62500-63000 [] A"]);
    check("-00:00:01,000 --> 00:00:02\nA\n", &["0-2000 [] A"]);
    // No empty lines between cues.
    check(
        "1\n00:00:01,000 --> 00:00:02,000\nA\n2\n00:00:03,000 --> 00:00:04,000\nB\n",
        &["1000-2000 [] A", "3000-4000 [] B"],
    );
    // Empty lines inside a cue, and around the number.
    check(
        "1\n00:00:01,000 --> 00:00:02,000\n\nA\n \nB\n\n\n2\n\n00:00:03,000 --> 00:00:04,000\nC\n",
        &["1000-2000 [] A\n&nbsp;\nB", "3000-4000 [] C"],
    );
    // A cue without text, then out of order.
    check(
        "1\n00:00:09,000 --> 00:00:10,000\n\n2\n00:00:03,000 --> 00:00:04,000\nB\n\n3\n00:00:01,000 --> 00:00:02,000\nA\n",
        &["1000-2000 [] A", "3000-4000 [] B"],
    );
}

#[test]
fn spoken_numbers_are_no_cue_numbers() {
    check(
        "1\n00:00:01,000 --> 00:00:02,000\nHow many?\n42\n\n2\n00:00:03,000 --> 00:00:04,000\n7\n\n00:00:05,000 --> 00:00:06,000\nC\n",
        &["1000-2000 [] How many?\n42", "3000-4000 [] 7", "5000-6000 [] C"],
    );
}

#[test]
fn encodings_are_found() {
    let srt = "1\n00:00:01,000 --> 00:00:02,000\nGrüße\n";
    let expected = &["1000-2000 [] Grüße"];
    check(srt, expected);
    check(&format!("\u{feff}{srt}"), expected);
    let utf16: Vec<u16> = format!("\u{feff}{srt}").encode_utf16().collect();
    check_bytes(&utf16.iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<_>>(), expected);
    check_bytes(&utf16.iter().flat_map(|unit| unit.to_be_bytes()).collect::<Vec<_>>(), expected);
    let latin: Vec<u8> = srt.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    check_bytes(&latin, expected);
}

#[test]
fn tags_become_those_of_webvtt() {
    check_text("<i>a</i> <B>b</B> <u>c</u>", "<i>a</i> <b>b</b> <u>c</u>", "");
    check_text("<i>open", "<i>open</i>", "");
    check_text("<b>a<i>b</b>c</i>", "<b>a<i>b</i></b><i>c</i>", "");
    check_text("<font size=\"3\" color=\"#FFFF00\">a</font>", "<c.yellow>a</c>", "");
    check_text("<font color=white><font color=red>a</font>b</font>c", "<c.red>a</c>bc", "");
    check_text("<font face='Arial'>a</font><s>b</s><br/>c", "ab\nc", "");
    check_text("{i}a{/i} {\\i1}b{\\i0\\b1}c{\\b0}", "<i>a</i> <i>b</i><b>c</b>", "");
    check_text("<em>a</em><strong>b</strong>", "<i>a</i><b>b</b>", "");
}

#[test]
fn text_that_looks_like_markup_is_escaped() {
    check_text("I <3 R&D", "I &lt;3 R&amp;D", "");
    check_text("a < b > c {d} <foo> <i.e. x>", "a &lt; b > c {d} &lt;foo> &lt;i.e. x>", "");
    check_text(
        "&amp; &lt;i&gt; &#39; &#xe9; &quot;x&quot; &bogus; &",
        "&amp; &lt;i&gt; &#39; &#xe9; \"x\" &amp;bogus; &amp;",
        "",
    );
    check_text("left --> right", "left --&gt; right", "");
    check_text(">> JOHN: hi", ">> JOHN: hi", "");
}

#[test]
fn positions_become_settings() {
    for (tag, settings) in [
        ("{\\an1}", "align:left"),
        ("{\\an2}", ""),
        ("{\\an5}", "line:50%"),
        ("{\\an8}", "line:0"),
        ("{\\an9\\fs20}", "line:0 align:right"),
        ("{\\a6}", "line:0"),
        ("{\\a9}", "line:50% align:left"),
        ("{\\pos(10,20)}", ""),
        ("{\\an0}", ""),
    ] {
        check_text(&format!("{tag}text"), "text", settings);
    }
}

#[test]
fn broken_cues_are_skipped_and_counted() {
    let srt = "1\n00:00:01,000 --> 00:00:02,000\nA\n\n2\n00:00:61,000 --> 00:00:63,000\nlost\n\n\
               3\n00:00:05,000 --> 00:00:04,000\nreversed\n\n4\n00:00:07,000 --> 00:00:08,000\nB\n";
    let parsed = parse_srt(srt.as_bytes()).unwrap();
    let payloads: Vec<&str> = parsed.track.cues.iter().map(|cue| &*cue.payload).collect();
    assert_eq!(payloads, ["A", "B"]);
    assert_eq!(
        parsed.skipped,
        Some(Skipped { count: 2, first_line: 6, first_reason: "the timing can't be read" })
    );
}

#[test]
fn files_that_say_nothing_are_refused_with_their_line() {
    let check = |srt: &str, expected: &str| {
        assert_eq!(parse_srt(srt.as_bytes()).unwrap_err().to_string(), expected);
    };
    check("", "SRT at line 1: the file has no line with start --> end");
    check("x\ny\n", "SRT at line 2: the file has no line with start --> end");
    check("1\n00:00:99,000 --> 00:00:99,500\nA\n", "SRT at line 2: the timing can't be read");
    let long = format!("00:00:01,000 --> 00:00:02,000\n{}", "word\n".repeat(20_000));
    check(&long, "the file holds more than 65536 bytes in a cue");
}

/// A file full of unfinished tags takes time in proportion to its size: each is looked at for a
/// bounded distance.
#[test]
fn unfinished_tags_stay_linear() {
    let cue = format!("00:00:01,000 --> 00:00:02,000\n{}\n\n", "<&{".repeat(10_000));
    let parsed = parse_srt(cue.repeat(100).as_bytes());
    assert_eq!(parsed.unwrap_err().to_string(), "the file holds more than 65536 bytes in a cue");
    let cue = format!("00:00:01,000 --> 00:00:02,000\n{}\n\n", "<&{".repeat(5_000));
    assert_eq!(parse_srt(cue.repeat(100).as_bytes()).unwrap().track.cues.len(), 100);
}
