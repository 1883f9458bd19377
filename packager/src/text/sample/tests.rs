use super::*;
use proptest::prelude::*;

fn inner_box(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).unwrap();
    [&size.to_be_bytes(), kind.as_slice(), body].concat()
}

/// `tx3g` with this horizontal justification, default face and display flags.
fn tx3g_entry(flags: u32, horizontal: i8, face: u8) -> Vec<u8> {
    let mut body = vec![0, 0, 0, 0, 0, 0, 0, 1];
    body.extend(flags.to_be_bytes());
    body.extend([horizontal.to_be_bytes()[0], 0xff, 0, 0, 0, 0]);
    body.extend([0; 8]);
    body.extend([0, 0, 0, 0, 0, 1, face, 18, 255, 255, 255, 255]);
    body.extend(inner_box(b"ftab", b"\0\x01\0\x01\x05Serif"));
    inner_box(b"tx3g", &body)
}

fn quicktime_entry(face: u16) -> Vec<u8> {
    let mut body = vec![0; 8 + 32];
    body.extend(face.to_be_bytes());
    body.extend([0; 12]);
    inner_box(b"text", &body)
}

fn wvtt_entry(header: &str) -> Vec<u8> {
    inner_box(b"wvtt", &[&[0; 8], inner_box(b"vttC", header.as_bytes()).as_slice()].concat())
}

fn styled(text: &[u8], modifiers: &[u8]) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    [&length.to_be_bytes(), text, modifiers].concat()
}

fn styl(records: &[(u16, u16, u8)]) -> Vec<u8> {
    let mut body = u16::try_from(records.len()).unwrap().to_be_bytes().to_vec();
    for (start, end, face) in records {
        body.extend(start.to_be_bytes());
        body.extend(end.to_be_bytes());
        body.extend([0, 1, *face, 18, 255, 255, 255, 255]);
    }
    inner_box(b"styl", &body)
}

/// `vttc` of child boxes given as text.
fn vttc(children: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let body: Vec<u8> = children.iter().flat_map(|(kind, body)| inner_box(kind, body)).collect();
    inner_box(b"vttc", &body)
}

/// Reads `samples` of `(start, duration, bytes)` at 1000 ticks a second.
fn read(entry: &[u8], samples: &[(u64, u64, Vec<u8>)]) -> Result<CueTrack, PackageError> {
    let mut reader = SampleTextReader::new(3, Timescale::MILLIS, entry)?;
    for (number, (start_ticks, duration_ticks, data)) in (1..).zip(samples) {
        let (start_ticks, duration_ticks) = (*start_ticks, *duration_ticks);
        reader.handle_sample(TextSample { number, start_ticks, duration_ticks, data })?;
    }
    Ok(reader.finish())
}

/// Each cue as `id|start-end|settings|payload`.
#[track_caller]
fn check(entry: &[u8], samples: &[(u64, u64, Vec<u8>)], expected: &[&str]) {
    let rows: Vec<String> = read(entry, samples)
        .unwrap()
        .cues
        .iter()
        .map(|cue| {
            let id = cue.id.as_deref().unwrap_or("");
            format!("{id}|{}-{}|{}|{}", cue.start_ms, cue.end_ms, cue.settings, cue.payload)
        })
        .collect();
    assert_eq!(rows, expected);
}

/// One `tx3g` or QuickTime sample becomes this payload.
#[track_caller]
fn check_styled(entry: &[u8], sample: &[u8], payload: &str) {
    check(entry, &[(0, 1_000, sample.to_vec())], &[&format!("|0-1000||{payload}")]);
}

#[test]
fn empty_samples_end_cues() {
    check(
        &tx3g_entry(0, 1, 0),
        &[
            (0, 1_000, styled(b"", b"")),
            (1_000, 500, styled(b"a\nb", b"")),
            (1_500, 500, vec![]),
            (2_000, 500, styled(b"c", b"")),
            (2_500, 500, styled(b"d", b"")),
        ],
        &["|1000-1500||a\nb", "|2000-2500||c", "|2500-3000||d"],
    );
}

/// A fragmented file repeats what is on screen at the start of a fragment.
#[test]
fn a_text_that_goes_on_is_one_cue() {
    check(
        &tx3g_entry(0, 1, 0),
        &[
            (0, 1_000, styled(b"a", b"")),
            (1_000, 1_000, styled(b"a", b"")),
            (2_500, 500, styled(b"a", b"")),
        ],
        &["|0-2000||a", "|2500-3000||a"],
    );
}

#[test]
fn styles_become_tags() {
    let entry = tx3g_entry(0, 1, 0);
    let text = "aä<b>c".as_bytes();
    check_styled(&entry, &styled(text, &styl(&[(1, 2, 2)])), "a<i>ä</i>&lt;b>c");
    check_styled(
        &entry,
        &styled(b"abcdef", &styl(&[(0, 2, 1), (2, 4, 3), (4, 6, 6)])),
        "<b>ab<i>cd</i></b><i><u>ef</u></i>",
    );
    // Beyond the text, out of order, overlapping, cut off, more records announced than present.
    check_styled(&entry, &styled(b"ab", &styl(&[(1, 900, 4)])), "a<u>b</u>");
    check_styled(&entry, &styled(b"abc", &styl(&[(2, 3, 1), (0, 1, 1)])), "ab<b>c</b>");
    check_styled(&entry, &styled(b"abc", &styl(&[(0, 2, 1), (1, 3, 2)])), "<b>ab</b>c");
    check_styled(&entry, &styled(b"abc", &styl(&[(0, 2, 1)])[..15]), "abc");
    check_styled(
        &entry,
        &styled(b"abc", &inner_box(b"styl", b"\xff\xff\0\0\0\x01\0\x01\x01")),
        "abc",
    );
    // The entry's style holds where no record does.
    check_styled(&tx3g_entry(0, 1, 2), &styled(b"abc", &styl(&[(1, 2, 0)])), "<i>a</i>b<i>c</i>");
    // Other boxes don't matter.
    let modifiers = [inner_box(b"tbox", &[0; 8]), styl(&[(0, 1, 1)])].concat();
    check_styled(&entry, &styled(b"ab", &modifiers), "<b>a</b>b");
}

#[test]
fn text_is_decoded() {
    let tx3g = tx3g_entry(0, 1, 0);
    let quicktime = quicktime_entry(0);
    check_styled(&tx3g, &styled(b"\xfe\xff\0h\0\xe9", b""), "hé");
    check_styled(&tx3g, &styled(b"\xff\xfeh\0\xe9\0", b""), "hé");
    check_styled(&tx3g, &styled(b"h\x8e\0", b""), "h\u{fffd}");
    check_styled(&quicktime, &styled(b"h\x8e\rx", b""), "hé\nx");
    check_styled(&quicktime, &styled("hé".as_bytes(), b""), "hé");
    check_styled(&quicktime, &styled(b"\0h\0\xe9", &inner_box(b"encd", &[0, 0, 1, 0])), "hé");
    check_styled(&quicktime_entry(1), &styled(b"x", b""), "<b>x</b>");
}

#[test]
fn quicktime_styles_last_until_the_next() {
    let mut body = vec![0, 2];
    for (start, face) in [(1_u32, 2), (3, 0)] {
        body.extend(start.to_be_bytes());
        body.extend([0, 12, 0, 9, 0, 1, face, 0, 0, 12, 0, 0, 0, 0, 0, 0]);
    }
    let sample = styled(b"abcd", &inner_box(b"styl", &body));
    check_styled(&quicktime_entry(0), &sample, "a<i>bc</i>d");
}

#[test]
fn entries_tell_alignment_and_forced() {
    check(&tx3g_entry(0, 0, 0), &[(0, 9, styled(b"a", b""))], &["|0-9|align:left|a"]);
    check(&tx3g_entry(0, -1, 0), &[(0, 9, styled(b"a", b""))], &["|0-9|align:right|a"]);
    let is_forced =
        |entry: &[u8]| SampleTextReader::new(1, Timescale::MILLIS, entry).unwrap().is_forced();
    assert!(is_forced(&tx3g_entry(0xc000_0000, 1, 0)));
    assert!(!is_forced(&tx3g_entry(0x4000_0000, 1, 0)));
    assert!(!is_forced(&wvtt_entry("WEBVTT")));
}

#[test]
fn wvtt_cues_are_read_and_joined() {
    let a = vttc(&[(b"iden", b"1"), (b"sttg", b"line:0"), (b"payl", b"a")]);
    let b = vttc(&[(b"payl", b"b\nb")]);
    let empty = inner_box(b"vtte", b"");
    let note = inner_box(b"vtta", b"a note");
    check(
        &wvtt_entry("WEBVTT"),
        &[
            (0, 1_000, empty.clone()),
            (1_000, 1_000, a.clone()),
            (2_000, 1_000, [a.clone(), note, b.clone()].concat()),
            (3_000, 1_000, b.clone()),
            (4_000, 1_000, empty),
            (5_000, 1_000, b),
        ],
        &["1|1000-3000|line:0|a", "|2000-4000||b\nb", "|5000-6000||b\nb"],
    );
}

/// Cues that start together keep the order of their sample, whichever ends first.
#[test]
fn wvtt_keeps_the_order_of_cues() {
    let cue = |text: &[u8]| vttc(&[(b"payl", text)]);
    check(
        &wvtt_entry("WEBVTT"),
        &[
            (0, 1_000, [cue(b"a"), cue(b"b"), cue(b"b"), cue(b"c")].concat()),
            (1_000, 1_000, [cue(b"a"), cue(b"b")].concat()),
        ],
        &["|0-2000||a", "|0-2000||b", "|0-1000||b", "|0-1000||c"],
    );
}

#[test]
fn a_source_number_tells_cues_apart() {
    let cue = |number: u8, text: &[u8]| vttc(&[(b"vsid", &[0, 0, 0, number]), (b"payl", text)]);
    check(
        &wvtt_entry("WEBVTT"),
        &[(0, 10, cue(1, b"No!")), (10, 10, cue(2, b"No!")), (20, 10, cue(2, b"No!"))],
        &["|0-10||No!", "|10-30||No!"],
    );
}

/// Inner timestamps follow the clock of their cue (`ctim`), which may differ from the title's.
#[test]
fn inner_timestamps_are_moved_to_the_title() {
    let cue = |clock: &[u8]| vttc(&[(b"ctim", clock), (b"payl", b"a <00:00:01.500>b <c>")]);
    check(
        &wvtt_entry("WEBVTT"),
        &[(11_000, 1_000, cue(b"00:00:01.000")), (12_000, 1_000, cue(b"00:00:02.000"))],
        &["|11000-13000||a <00:00:11.500>b <c>"],
    );
}

#[test]
fn the_configuration_carries_styles() {
    let entry = wvtt_entry("WEBVTT\n\nSTYLE\n::cue { color: red }\n");
    assert_eq!(read(&entry, &[]).unwrap().header, "STYLE\n::cue { color: red }");
    assert_eq!(read(&wvtt_entry(""), &[]).unwrap().header, "");
    assert_eq!(read(&inner_box(b"wvtt", &[0; 8]), &[]).unwrap().header, "");
}

#[test]
fn broken_samples_are_refused_by_number() {
    let check = |entry: &[u8], sample: (u64, u64, Vec<u8>), expected: &str| {
        assert_eq!(read(entry, &[(0, 0, vec![]), sample]).unwrap_err().to_string(), expected);
    };
    let (tx3g, wvtt) = (tx3g_entry(0, 1, 0), wvtt_entry("WEBVTT"));
    check(&tx3g, (0, 1, vec![0]), "track 3, sample 2: the text length is cut off");
    check(&tx3g, (0, 1, vec![0, 9, 1]), "track 3, sample 2: the text is longer than the sample");
    check(&wvtt, (0, 1, vec![0, 0, 0, 9]), "track 3, sample 2: a box header is cut off");
    check(&wvtt, (0, 1, vttc(&[(b"vsid", b"\0")])), "track 3, sample 2: a `vsid` box is cut off");
    check(
        &wvtt,
        (0, 1, vttc(&[(b"payl", b"x")]).repeat(1_001)),
        "track 3, sample 2: the sample shows more than 1,000 cues",
    );
    check(
        &wvtt,
        (u64::MAX, 1, vec![]),
        "track 3, sample 2: the sample ends beyond 64 bits of ticks",
    );
    check(
        &wvtt,
        (1 << 60, 1, vec![]),
        "the file holds more than 3162240000000 milliseconds of text",
    );
}

#[test]
fn unknown_entries_are_refused() {
    let check = |entry: &[u8], expected: &str| {
        assert_eq!(read(entry, &[]).unwrap_err().to_string(), expected);
    };
    check(b"", "track 3: the sample entry is cut off");
    check(&inner_box(b"stpp", &[0; 8]), "track 3: `stpp` samples hold no cues");
    check(&inner_box(b"tx3g", &[0; 32]), "`tx3g` at byte 40: the sample entry is cut off");
    check(&inner_box(b"text", &[0; 8]), "`text` at byte 16: the sample entry is cut off");
    check(&inner_box(b"wvtt", &[0; 12]), "`wvtt` at byte 16: a box header is cut off");
}

proptest! {
    /// Whatever the bytes, the answer is a track or an error, and the track can be stored.
    #[test]
    fn random_samples_never_panic(
        kind in 0..3_usize,
        samples in prop::collection::vec(
            (0..5_000_u64, 0..2_000_u64, prop::collection::vec(any::<u8>(), 0..80)), 0..20),
    ) {
        let entry = [tx3g_entry(0, 1, 1), quicktime_entry(2), wvtt_entry("WEBVTT")];
        if let Ok(track) = read(&entry[kind], &samples) {
            let stored = crate::text::write_stored(&track).unwrap();
            prop_assert_eq!(crate::text::read_stored(&stored).unwrap(), track);
        }
    }

    /// A track of cues cut into samples at every start and end comes back as it was.
    #[test]
    fn wvtt_samples_give_back_the_cues(cues in prop::collection::vec((0..40_u64, 1..20_u64), 1..12)) {
        let mut edges: Vec<u64> =
            cues.iter().flat_map(|(start, length)| [*start, start + length]).collect();
        edges.sort_unstable();
        edges.dedup();
        let samples: Vec<(u64, u64, Vec<u8>)> = edges
            .windows(2)
            .map(|edge| {
                let shown = (0_u8..).zip(&cues)
                    .filter(|(_, (start, length))| *start <= edge[0] && edge[1] <= start + length);
                let data: Vec<u8> = shown
                    .flat_map(|(id, _)| vttc(&[(b"payl", &[b'a' + id])]))
                    .collect();
                (edge[0], edge[1] - edge[0], data)
            })
            .collect();
        let expected = (0_u8..).zip(&cues).map(|(id, (start, length))| Cue {
            start_ms: *start,
            end_ms: start + length,
            payload: char::from(b'a' + id).to_string(),
            ..Cue::default()
        });
        let expected = CueTrack::new(expected.collect(), String::new());
        prop_assert_eq!(read(&wvtt_entry("WEBVTT"), &samples).unwrap(), expected);
    }
}
