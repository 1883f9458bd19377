use super::*;
use crate::text::{Cue, limits};
use proptest::prelude::*;

/// Text with what WebVTT finds hard: arrows, line ends, block words, tags, other scripts.
fn texts() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "a",
        "Ж",
        "\n",
        "\r",
        "\r\n",
        "-->",
        "--",
        ">",
        "<i>",
        "&",
        " ",
        "\t",
        "\0",
        "NOTE",
        "STYLE",
        "REGION",
        "WEBVTT",
        "\u{feff}",
        "line:0",
        ":",
        "00:01.000 --> 00:02.000",
        "7",
    ]);
    prop::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat())
}

fn tracks() -> impl Strategy<Value = CueTrack> {
    let cue = (
        0..limits::TIME_MS_MAX - 100_000,
        0..100_000_u64,
        prop::option::of(texts()),
        texts(),
        texts(),
    );
    let cue = cue.prop_map(|(start_ms, length, id, settings, payload)| Cue {
        start_ms,
        end_ms: start_ms + length,
        id,
        settings,
        payload,
    });
    let header = prop::collection::vec((prop::bool::ANY, texts()), 0..4).prop_map(|blocks| {
        let block =
            |(is_style, text)| format!("{}\n{text}\n\n", if is_style { "STYLE" } else { "REGION" });
        blocks.into_iter().map(block).collect::<String>()
    });
    (prop::collection::vec(cue, 0..20), header).prop_map(|(cues, header)| CueTrack { cues, header })
}

proptest! {
    /// Whatever a track holds, its normal form is stored and read back unchanged.
    #[test]
    fn what_is_stored_is_read(track in tracks()) {
        let normal = CueTrack::new(track.cues.clone(), track.header.clone());
        let stored = write_stored(&track).unwrap();
        prop_assert_eq!(&read_stored(&stored).unwrap(), &normal);
        prop_assert_eq!(parse_text_file(&stored, 0).unwrap().skipped, None);
        prop_assert_eq!(write_stored(&normal).unwrap(), stored);
        prop_assert_eq!(CueTrack::new(normal.cues.clone(), normal.header.clone()), normal);
    }

    /// Any file gives an error or a track that can be stored and read back.
    #[test]
    fn random_files_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        text in prop::collection::vec(texts(), 0..20),
        is_vtt in any::<bool>(),
    ) {
        let text = format!("{}{}", if is_vtt { "WEBVTT\n" } else { "" }, text.concat());
        for file in [bytes, text.into_bytes()] {
            if let Ok(parsed) = parse_text_file(&file, 0) {
                let stored = write_stored(&parsed.track).unwrap();
                prop_assert_eq!(read_stored(&stored).unwrap(), parsed.track);
            }
        }
    }
}

#[test]
fn a_file_is_known_by_its_content() {
    let check = |file: &[u8], expected: usize| {
        assert_eq!(parse_text_file(file, 0).unwrap().track.cues.len(), expected);
    };
    check(b"\xef\xbb\xbfWEBVTT\n\n00:01.000 --> 00:02.000\na\n", 1);
    check(b"1\n00:00:01,000 --> 00:00:02,000\na\n", 1);
    assert!(parse_text_file(b"hello", 0).is_err());
}

#[test]
fn what_could_not_be_read_again_is_not_stored() {
    let check = |cue: Cue, header: String, expected: &str| {
        let track = CueTrack { cues: vec![cue], header };
        assert_eq!(write_stored(&track).unwrap_err().to_string(), expected);
    };
    let cue = Cue { start_ms: 0, end_ms: 1, ..Cue::default() };
    let payload = "x\n".repeat(40_000);
    check(
        Cue { payload, ..cue.clone() },
        String::new(),
        "the file holds more than 65536 bytes in a cue",
    );
    let settings = format!("line:{}", "0".repeat(limits::LINE_BYTES_MAX - 5));
    check(
        Cue { settings, ..cue.clone() },
        String::new(),
        "the file holds more than 65536 bytes in a line",
    );
    check(
        Cue { end_ms: u64::MAX, ..cue.clone() },
        String::new(),
        "the file holds more than 3162240000000 milliseconds of text",
    );
    check(
        cue,
        format!("STYLE\n{}", "y".repeat(70_000)),
        "the file holds more than 65536 bytes in a line",
    );
    let track = CueTrack {
        cues: vec![Cue { end_ms: 1, ..Cue::default() }; 200_001],
        header: String::new(),
    };
    assert_eq!(
        write_stored(&track).unwrap_err().to_string(),
        "the file holds more than 200000 cues"
    );
}
