//! Every byte of a tiny init segment and media segment, in readable form.
//!
//! `UPDATE_GOLDEN=1` rewrites the files; review the difference.

use std::path::Path;

use packager::fmp4::{MediaSegment, init_segment, wvtt_segment};
use packager::index::TrackFacts;
use packager::text::Cue;
use packager::track::{
    MediaParams, Sample, TextCodec, TextParams, TrackInfo, VideoCodec, VideoParams, VideoRange,
};
use packager::{FourCc, Timescale};

use crate::boxes::dump;

#[track_caller]
fn check(name: &str, bytes: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fmp4_it/golden").join(name);
    let actual = dump(bytes);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert!(actual == expected, "{} differs; now it is\n{actual}", path.display());
}

pub(crate) fn video_track() -> TrackInfo {
    TrackInfo {
        source_track_id: 7,
        timescale: Timescale::new(12_800).unwrap(),
        language: "pt-BR".into(),
        name: "Main".into(),
        display_matrix: None,
        sample_entries: vec![b"\0\0\0\x10none00000000".to_vec()],
        media: MediaParams::Video(VideoParams {
            codec: VideoCodec::Other(FourCc::new(b"none")),
            rfc6381: "none".into(),
            supplemental: None,
            width: 720,
            height: 576,
            pixel_aspect: (64, 45),
            range: VideoRange::Sdr,
            color: None,
            nal_length_size: None,
            parameter_sets: Vec::new(),
        }),
    }
}

pub(crate) fn text_track(codec: TextCodec) -> TrackInfo {
    let entries = match codec {
        TextCodec::WebVtt => vec![],
        TextCodec::Ttml => vec![b"\0\0\0\x10stpp00000000".to_vec()],
    };
    TrackInfo {
        language: "en".into(),
        timescale: Timescale::MILLIS,
        sample_entries: entries,
        media: MediaParams::Text(TextParams { codec, rfc6381: "stpp.ttml.im1t".into() }),
        ..video_track()
    }
}

pub(crate) fn media_segment() -> Vec<u8> {
    let row = |size_bytes, composition_offset_ticks, is_sync| Sample {
        size_bytes,
        composition_offset_ticks,
        is_sync,
        duration_ticks: 512,
        description_index: 1,
        ..Sample::default()
    };
    let samples = [row(900, 0, true), row(300, 1024, false), row(100, -512, false)];
    let segment = MediaSegment {
        number: 3,
        decode_time: 0x2_0000_0400,
        samples: &samples,
        events: b"\0\0\0\x0cemsg0000",
        index: true,
        timescale: Timescale::new(12_800).unwrap(),
    };
    let mut out = Vec::new();
    segment.write_header(&mut out);
    out
}

#[test]
fn a_video_init_segment() {
    let duration = Timescale::MILLIS.ticks(60_000);
    check("video_init.txt", &init_segment(&video_track(), &TrackFacts::default(), Some(duration)));
}

#[test]
fn text_init_segments() {
    let facts = TrackFacts::default();
    check("wvtt_init.txt", &init_segment(&text_track(TextCodec::WebVtt), &facts, None));
    check("stpp_init.txt", &init_segment(&text_track(TextCodec::Ttml), &facts, None));
}

#[test]
fn a_media_segment_header() {
    check("media_segment.txt", &media_segment());
}

#[test]
fn a_text_segment() {
    let cue = |start_ms, end_ms, payload: &str| Cue {
        start_ms,
        end_ms,
        id: Some("c1".into()),
        settings: "line:0".into(),
        payload: payload.into(),
    };
    let cues = [cue(1_000, 2_500, "Hello"), cue(2_000, 5_000, "there")];
    check("wvtt_segment.txt", &wvtt_segment(2, 1_000, 3_000, &cues).unwrap());
}
