//! Every test title by every preset, HLS and DASH: what is served decodes, has the source's
//! samples at the source's times, and is what the manifests say.

use std::path::Path;

use crate::boxes;
use crate::judge::{self, Judged};
use crate::manifests::{Fetcher, Form, Rendition};
use crate::media::{self, Title};
use crate::server::{Server, ingest};
use crate::tools::{self, Stream};

/// Codecs that HLS carries in MPEG-TS.
const TS_VIDEO: [&str; 2] = ["h264", "hevc"];
const TS_AUDIO: [&str; 4] = ["aac", "ac3", "eac3", "mp3"];

#[track_caller]
fn check(id: &str) {
    let title = media::title(id);
    let folder = tools::folder(&format!("title-{id}"));
    let data = folder.join("data");
    let files = title.paths();
    let report = ingest(&data, id, &files);
    assert_eq!(report["warnings"], serde_json::json!([]), "{report}");
    let duration = report["duration_seconds"].as_f64().expect("a duration");
    // Sound may outlast the picture by its last frame.
    assert!((duration - title.duration_seconds).abs() < 0.05, "{duration}");
    let reported = report["tracks"].as_array().expect("tracks");
    for text in reported.iter().filter(|track| track["kind"] == "text") {
        // A cue a second.
        assert_eq!(text["sample_count"], title.duration_seconds as u64, "{text}");
    }

    let server = Server::start(&data);
    let mut client = server.client();
    let mut fetcher = Fetcher::new(&mut client);
    let sources = judge::source_streams(&files);
    let cmaf = fetcher.hls(id, "cmaf");
    let judged = check_cmaf(&title, &cmaf, &sources, &folder);
    let dash = fetcher.dash(id, "cmaf");
    check_same_media(&cmaf, &dash);
    let single = fetcher.hls(id, "cmaf-single");
    check_same_media(&cmaf, &single);
    check_start_dates(&cmaf);
    check_start_dates(&single);
    let single_dash = fetcher.dash(id, "cmaf-single");
    check_same_media(&cmaf, &single_dash);
    check_same_text(&title, &dash, &single_dash);
    check_single_decodes(&single, &judged, &sources, &folder);
    check_ts(&title, &mut fetcher, &judged, &sources, &folder);
    assert!(server.log().lines().all(|line| !line.contains(" ERROR ")), "{}", server.log());
}

#[track_caller]
fn check_cmaf(
    title: &Title,
    renditions: &[Rendition],
    sources: &[Stream],
    folder: &Path,
) -> Vec<Judged> {
    let count = |form, is_iframes| {
        renditions.iter().filter(|r| r.form == form && r.is_iframes == is_iframes).count()
    };
    assert_eq!(count(Form::Fmp4, false), title.video.sizes.len() + title.audio.len());
    assert_eq!(count(Form::Fmp4, true), title.video.sizes.len());
    assert_eq!(count(Form::WebVtt, false), title.text.len());

    let mut all = Vec::new();
    for rendition in renditions {
        if rendition.form == Form::WebVtt {
            check_text(rendition, title);
            continue;
        }
        if rendition.is_iframes {
            check_iframes(rendition, folder);
            continue;
        }
        let file = folder.join(format!("cmaf-{}.mp4", all.len()));
        let judged = judge::check_fmp4(rendition, sources, &file);
        let source = &sources[judged.source];
        let frames = judge::check_decodes(&rendition.name, &file, "0:0", source);
        if judged.kind == "video" {
            let shown = source.packets.iter().filter(|packet| !packet.is_discarded).count();
            assert_eq!(shown, title.frames, "{}", rendition.name);
            assert!(frames >= title.frames);
        }
        // The clocks of the files that we make begin at 0, and ours with them.
        assert!(judged.moved_seconds.abs() < 1e-6, "{}: {judged:?}", rendition.name);
        all.push(judged);
    }
    all
}

/// Each cue is in one of the segments, and each names its own second.
#[track_caller]
fn check_text(rendition: &Rendition, title: &Title) {
    let mut cues = std::collections::BTreeSet::new();
    for piece in &rendition.pieces {
        let text = String::from_utf8(piece.bytes.clone()).expect("WebVTT is UTF-8");
        assert!(text.starts_with("WEBVTT"), "{text}");
        assert!(text.contains("X-TIMESTAMP-MAP"), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.windows(2).filter(|pair| pair[0].contains("-->")) {
            let second: u32 = pair[1].rsplit(' ').next().expect("a word").parse().expect("digits");
            assert!(pair[0].contains(&format!("00:{second:02}.200")), "{pair:?}");
            cues.insert(second);
        }
    }
    assert_eq!(cues.len(), title.duration_seconds as usize, "{}", rendition.name);
}

/// Each I-frame stands for itself.
#[track_caller]
fn check_iframes(rendition: &Rendition, folder: &Path) {
    let name = &rendition.name;
    assert!(!rendition.pieces.is_empty(), "{name}");
    let extension = if rendition.form == Form::Ts { "ts" } else { "mp4" };
    let file = folder.join(format!("iframe.{extension}"));
    for piece in [rendition.pieces.first(), rendition.pieces.last()].into_iter().flatten() {
        let bytes: Vec<u8> = rendition.init.iter().chain(&piece.bytes).copied().collect();
        tools::write(&file, &bytes);
        let frames = tools::decode(&file, "0:v").unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(frames.len(), 1, "{name} {}", piece.url);
    }
}

/// The same media segments by another manifest: same bytes, and what it says of them holds.
#[track_caller]
pub(crate) fn check_same_media(expected: &[Rendition], found: &[Rendition]) {
    for rendition in found.iter().filter(|r| judge::is_media(r)) {
        judge::check_segments(rendition);
        // Byte for byte those of the segmented form.
        let same = expected.iter().any(|other| {
            other.pieces.len() == rendition.pieces.len()
                && other.pieces.iter().zip(&rendition.pieces).all(|(a, b)| a.bytes == b.bytes)
        });
        let is_text = rendition.codecs == "wvtt" || rendition.codecs == "stpp";
        assert!(same || is_text || rendition.is_iframes, "{} has other segments", rendition.name);
    }
    let count = |list: &[Rendition]| {
        let is_counted =
            |r: &&Rendition| judge::is_media(r) && !r.is_iframes && !r.codecs.starts_with("wvtt");
        list.iter().filter(is_counted).count()
    };
    assert_eq!(count(found), count(expected));
}

/// Where renditions start apart, each playlist says when its first segment starts, on one clock;
/// elsewhere none does.
#[track_caller]
fn check_start_dates(renditions: &[Rendition]) {
    let start_ms = |rendition: &Rendition| {
        let timescale = f64::from(boxes::init(&rendition.init).timescale);
        let samples = boxes::segment(&rendition.pieces[0].bytes).samples;
        samples
            .iter()
            .map(|sample| sample.pts as f64 / timescale * 1e3)
            .fold(f64::INFINITY, f64::min)
    };
    let is_media = |r: &&Rendition| r.form == Form::Fmp4 && !r.is_iframes;
    let starts = || renditions.iter().filter(is_media).map(start_ms);
    let earliest = starts().fold(f64::INFINITY, f64::min);
    let are_apart = starts().any(|start| start > earliest + 40.0);
    for rendition in renditions {
        let name = &rendition.name;
        assert_eq!(rendition.start_date_ms.is_some(), are_apart, "{name}");
        if let (Form::Fmp4, Some(date)) = (rendition.form, rendition.start_date_ms) {
            let start = start_ms(rendition);
            assert!((date as f64 - start).abs() < 1.0, "{name}: {date} is not {start}");
        }
    }
}

/// Subtitles in fragments are the same, segment by segment, in a file for each language.
#[track_caller]
fn check_same_text(title: &Title, dash: &[Rendition], single_dash: &[Rendition]) {
    let [segmented, single] = [dash, single_dash].map(|list| {
        let text = list.iter().filter(|r| boxes::handler(&r.init) == *b"text");
        text.collect::<Vec<_>>()
    });
    assert_eq!(segmented.len(), title.text.len());
    assert_eq!(single.len(), title.text.len(), "text in one file");
    for (segmented, single) in segmented.into_iter().zip(single) {
        let name = &single.name;
        assert_eq!(single.codecs, segmented.codecs, "{name}");
        assert!(single.init == segmented.init, "{name}: the init segment");
        let count = single.pieces.len();
        assert!(count > 1 && count == segmented.pieces.len(), "{name}: {count} segments");
        for (one, other) in single.pieces.iter().zip(&segmented.pieces) {
            assert!(one.bytes == other.bytes, "{name}: {} is not {}", one.url, other.url);
        }
    }
}

/// The single file plays as a file.
#[track_caller]
fn check_single_decodes(
    renditions: &[Rendition],
    judged: &[Judged],
    sources: &[Stream],
    folder: &Path,
) {
    for rendition in renditions.iter().filter(|r| judge::is_media(r) && !r.is_iframes) {
        let file = folder.join("single.mp4");
        let found = judge::check_fmp4(rendition, sources, &file);
        assert!(judged.iter().any(|other| other.samples == found.samples), "{}", rendition.name);
    }
}

#[track_caller]
fn check_ts(
    title: &Title,
    fetcher: &mut Fetcher<'_>,
    judged: &[Judged],
    sources: &[Stream],
    folder: &Path,
) {
    let has_video = TS_VIDEO.contains(&title.video.codec.as_str());
    let audio = title.audio.iter().filter(|audio| TS_AUDIO.contains(&audio.codec.as_str())).count();
    if !has_video && audio == 0 {
        let answer = fetcher.status(&format!("/vod/{}/ts/master.m3u8", title.id));
        assert_eq!(answer, 404);
        return;
    }
    let renditions = fetcher.hls(&title.id, "ts");
    let media = renditions.iter().filter(|r| r.form == Form::Ts && !r.is_iframes).count();
    // A single audio track is multiplexed with the picture.
    let apart = if has_video && audio == 1 { 0 } else { audio };
    assert_eq!(media, usize::from(has_video) * title.video.sizes.len() + apart);
    for (at, rendition) in renditions.iter().enumerate() {
        match rendition.form {
            Form::WebVtt => continue,
            Form::Ts if rendition.is_iframes => {
                check_iframes(rendition, folder);
                continue;
            }
            Form::Ts => {}
            Form::Fmp4 => panic!("{} is not MPEG-TS", rendition.name),
        }
        let file = folder.join(format!("ts-{at}.ts"));
        let found = judge::check_ts(rendition, judged, &file);
        for stream in found.iter().filter(|stream| stream.kind == "video") {
            let name = format!("{} {}", rendition.name, stream.kind);
            let map = format!("0:{}", stream.index);
            let ours = tools::decode(&file, &map).unwrap_or_else(|error| panic!("{name}: {error}"));
            let is_of_a_source = judged.iter().filter(|j| j.kind == "video").any(|judged| {
                let cmaf = &sources[judged.source];
                let theirs = tools::decode(&cmaf.file, &format!("0:{}", cmaf.index));
                theirs.is_ok_and(|theirs| ours.ends_with(&theirs))
            });
            assert!(is_of_a_source, "{name}: other pictures than the source's");
        }
        for stream in found.iter().filter(|stream| stream.kind == "audio") {
            let decoded = tools::decode(&file, &format!("0:{}", stream.index));
            let decoded = decoded.unwrap_or_else(|error| panic!("{}: {error}", rendition.name));
            assert!(decoded.len().abs_diff(stream.packets.len()) <= 1, "{}", rendition.name);
        }
    }
}

/// One test a title, so that they share the cores and a failure names its title.
macro_rules! titles {
    ($($name:ident: $id:literal),+ $(,)?) => {
        $(
            #[test]
            fn $name() {
                check($id);
            }
        )+

        #[test]
        fn every_title_has_a_test() {
            let mut tested = vec![$($id),+];
            tested.sort_unstable();
            let mut made: Vec<String> = media::titles().into_iter().map(|title| title.id).collect();
            made.sort_unstable();
            assert_eq!(made, tested);
        }
    };
}

titles! {
    ladder: "ladder",
    apart: "apart",
    fragmented: "fragmented",
    delay_moov: "delay-moov",
    moov_last: "moov-last",
    quicktime: "quicktime",
    tx3g: "tx3g",
    late_audio: "late-audio",
    ntsc: "ntsc",
    sixty: "sixty",
    open_gop: "open-gop",
    vfr: "vfr",
    cut: "cut",
    hevc_hvc1: "hevc-hvc1",
    hevc_hev1: "hevc-hev1",
    av1_opus: "av1-opus",
    vp9_opus: "vp9-opus",
    h264_ac3: "h264-ac3",
    h264_eac3: "h264-eac3",
    h264_flac: "h264-flac",
    h264_mp3: "h264-mp3",
}
