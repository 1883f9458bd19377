//! Single boxes of a track, as MP4 and QuickTime write them.

use super::*;
use crate::demux::test_writer::{boxed, full, visual_entry, words};

/// A reader over the body of a box.
fn reader(bytes: &[u8]) -> BoxReader<'_> {
    let kind = FourCc(bytes[4..8].try_into().unwrap());
    BoxReader::new(kind, &bytes[8..], 0, 8)
}

#[test]
fn handler_names_end_with_zero_or_start_with_their_length() {
    let name_of = |name: &[u8]| {
        let body = [&[0; 4], &b"soun"[..], &[0; 12], name].concat();
        let (handler, name) = read_hdlr(reader(&full(b"hdlr", 0, 0, &body))).unwrap();
        assert_eq!(handler, FourCc(*b"soun"));
        name
    };
    assert_eq!(name_of(b"Commentary\0"), "Commentary");
    assert_eq!(name_of(b"\x0aCommentary"), "Commentary");
    assert_eq!(name_of(b"unterminated"), "unterminated");
    assert_eq!(name_of(b""), "");
    assert_eq!(name_of(b"\x1b[31mred\0"), "[31mred");
    assert_eq!(name_of(&[b'x'; 1000]).len(), 256);
    // Old QuickTime stops after the type.
    let short = full(b"hdlr", 0, 0, b"mhlrvide");
    assert_eq!(read_hdlr(reader(&short)), Ok((FourCc(*b"vide"), String::new())));
}

#[test]
fn an_extended_language_is_a_tag_or_nothing() {
    let read = |text: &[u8]| read_elng(reader(&full(b"elng", 0, 0, text))).unwrap();
    assert_eq!(read(b"pt-BR\0"), Some("pt-BR".to_owned()));
    assert_eq!(read(b"not a tag\0"), None);
    assert_eq!(read(b"\xff\0"), None);
}

#[test]
fn track_headers_of_both_versions() {
    let turned = [0, 1 << 16, 0, 0xffff_0000, 0, 0, 0, 0, 1 << 30];
    let upright = [1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30];
    let read = |version, flags, matrix: &[u32]| {
        let fixed = if version == 0 { vec![0, 0, 7, 0, 0] } else { vec![0, 0, 0, 0, 7, 0, 0, 0] };
        let body = [words(&fixed), vec![0; 16], words(matrix), vec![0; 8]].concat();
        let header = read_tkhd(reader(&full(b"tkhd", version, flags, &body))).unwrap();
        assert_eq!(header.track_id, 7);
        (header.is_enabled, header.display_matrix)
    };
    assert_eq!(read(0, 7, &upright), (true, None));
    assert_eq!(read(1, 6, &upright), (false, None));
    let quarter = [0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30];
    assert_eq!(read(0, 1, &turned), (true, Some(quarter)));
}

#[test]
fn media_headers_of_both_versions() {
    let read = |version, fields: &[u32]| {
        read_mdhd(reader(&full(b"mdhd", version, 0, &words(fields))), false)
            .map(|(timescale, duration, language)| (timescale.get(), duration, language))
    };
    let german = 0x10b5_0000;
    assert_eq!(read(0, &[0, 0, 90_000, 5, german]), Ok((90_000, 5, "de".to_owned())));
    assert_eq!(read(0, &[0, 0, 90_000, u32::MAX, german]).unwrap().1, 0);
    assert_eq!(read(1, &[0, 0, 0, 0, 1000, 1, 2, german]).unwrap().1, (1 << 32) + 2);
    let error = read(0, &[0, 0, 0, 5, german]).unwrap_err().to_string();
    assert_eq!(error, "`mdhd` at byte 0: its timescale is 0");
}

#[test]
fn media_of_another_file_is_refused() {
    let stsd = full(b"stsd", 0, 0, &[words(&[1]), visual_entry(b"test", &[])].concat());
    let entries = read_stsd(reader(&stsd), 3, FourCc(*b"vide")).unwrap();
    let check = |references: &[Vec<u8>]| {
        let body = [words(&[references.len() as u32]), references.concat()].concat();
        let dref = full(b"dref", 0, 0, &body);
        check_data_references(Some(reader(&dref)), &entries, 3).map_err(|error| error.to_string())
    };
    let here = full(b"url ", 0, 1, &[]);
    let forgotten = full(b"url ", 0, 0, b"\0");
    let elsewhere = full(b"url ", 0, 0, b"file:///media.mp4\0");
    assert_eq!(check(std::slice::from_ref(&here)), Ok(()));
    assert_eq!(check(&[forgotten]), Ok(()));
    assert_eq!(check(&[here, elsewhere.clone()]), Ok(()));
    assert_eq!(check(&[elsewhere]), Err("track 3: its media lies in another file".to_owned()));
}

#[test]
fn a_second_table_is_refused() {
    let tkhd = full(b"tkhd", 0, 0, &[]);
    let trak = boxed(b"trak", &[tkhd.clone(), tkhd].concat());
    let error = TrackBoxes::find(reader(&trak)).err().unwrap().to_string();
    assert!(error.ends_with("the track has a second one"), "{error}");
}
