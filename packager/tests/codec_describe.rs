//! Sample entries against ffprobe: real files, and files made by ffmpeg.
#![allow(clippy::disallowed_methods, reason = "tests read files")]

mod codec_support;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use codec_support::{Track, ffprobe, make, media_files, read_tracks};
use packager::codec::describe;
use packager::track::{AudioCodec, AudioParams, MediaParams, VideoCodec, VideoParams, VideoRange};
use packager::{FourCc, PackageError};
use proptest::prelude::*;

type Probed = HashMap<String, String>;

fn describe_first(track: &Track) -> Result<MediaParams, PackageError> {
    describe(track.id, FourCc(track.handler), &track.entries[0], 0)
}

/// Compares what we say with what ffprobe says, where it says something; the number of tracks
/// that were compared.
fn check_against_ffprobe(path: &Path) -> usize {
    let file = std::fs::read(path).unwrap();
    let probed = ffprobe(path);
    let mut compared = 0;
    for track in read_tracks(&file) {
        let wanted_id = format!("0x{:x}", track.id);
        let Some(stream) = probed.iter().find(|stream| stream.get("id") == Some(&wanted_id)) else {
            continue;
        };
        if track.entries.is_empty() {
            continue;
        }
        let place = format!("{} track {}", path.display(), track.id);
        match describe_first(&track) {
            Ok(MediaParams::Video(video)) => check_video(&place, &video, stream),
            Ok(MediaParams::Audio(audio)) => check_audio(&place, &audio, stream),
            Ok(MediaParams::Text(_)) => assert_ne!(stream["codec_type"], "video", "{place}"),
            Err(error) => {
                let is_av = matches!(&track.handler, b"vide" | b"soun");
                assert!(!is_av, "{place}: {error}");
            }
        }
        compared += 1;
    }
    compared
}

fn check_video(place: &str, video: &VideoParams, stream: &Probed) {
    assert_eq!(video.width.to_string(), stream["width"], "{place}");
    assert_eq!(video.height.to_string(), stream["height"], "{place}");
    if let Some((x, y)) = stream["sample_aspect_ratio"].split_once(':') {
        let expected = (x.parse().unwrap(), y.parse().unwrap());
        assert_eq!(video.pixel_aspect, expected, "{place}");
    }
    let range = match stream["color_transfer"].as_str() {
        "smpte2084" => VideoRange::Pq,
        "arib-std-b67" => VideoRange::Hlg,
        _ => VideoRange::Sdr,
    };
    assert_eq!(video.range, range, "{place}");
    let code_points = |key: &str, names: &[(&str, u8)]| {
        names.iter().find(|(name, _)| *name == stream[key]).map(|(_, code)| *code)
    };
    let primaries = code_points("color_primaries", &[("bt709", 1), ("bt470bg", 5), ("bt2020", 9)]);
    if let Some(primaries) = primaries {
        assert_eq!(video.color.map(|color| color.primaries), Some(primaries), "{place}");
    }
    if let Some(color) = video.color.filter(|_| stream["color_range"] == "pc") {
        assert!(color.full_range, "{place}");
    }
    let parts: Vec<&str> = video.rfc6381.split('.').collect();
    let level: i32 = stream["level"].parse().unwrap();
    let profile = stream["profile"].as_str();
    match (parts[0], profile) {
        ("avc1" | "avc3", profile) => {
            let idc = match profile {
                "Constrained Baseline" | "Baseline" => "42",
                "Main" => "4d",
                "High" => "64",
                "High 10" => "6e",
                "High 4:2:2" => "7a",
                "High 4:4:4 Predictive" => "f4",
                _ => return, // nothing was decoded
            };
            assert_eq!(&parts[1][..2], idc, "{place}");
            // ffprobe prints level 1b as 9.
            if level > 9 {
                assert_eq!(i32::from_str_radix(&parts[1][4..], 16), Ok(level), "{place}");
            }
        }
        ("hvc1" | "hev1", profile) => {
            let idc = match profile {
                "Main" => "1",
                "Main 10" => "2",
                "Rext" => "4",
                _ => panic!("{place}: {profile}"),
            };
            assert_eq!((parts[1], parts[3]), (idc, format!("L{level}").as_str()), "{place}");
        }
        ("av01", "Main") => {
            assert_eq!(
                (parts[1], &parts[2][..2]),
                ("0", format!("{level:02}").as_str()),
                "{place}"
            );
        }
        ("vp09", profile) => assert_eq!(format!("Profile {}", &parts[1][1..]), profile, "{place}"),
        _ => {}
    }
}

fn check_audio(place: &str, audio: &AudioParams, stream: &Probed) {
    if stream["codec_name"] == "unknown" {
        return; // this ffprobe has no decoder and fills in nothing
    }
    assert_eq!(audio.channels.to_string(), stream["channels"], "{place}");
    assert_eq!(audio.sample_rate.to_string(), stream["sample_rate"], "{place}");
    let rfc6381 = match (stream["codec_name"].as_str(), stream["profile"].as_str()) {
        ("aac", "LC") => "mp4a.40.2",
        ("aac", "HE-AAC") => "mp4a.40.5",
        ("aac", "HE-AACv2") => "mp4a.40.29",
        ("ac3", _) => "ac-3",
        ("eac3", _) => "ec-3",
        ("opus", _) => "Opus",
        ("flac", _) => "fLaC",
        ("alac", _) => "alac",
        _ => return,
    };
    assert_eq!(audio.rfc6381, rfc6381, "{place}");
}

#[test]
fn real_files_are_described_as_ffprobe_describes_them() {
    let files = media_files();
    let compared: usize = files.iter().map(|path| check_against_ffprobe(path)).sum();
    assert!(files.is_empty() || compared > 100, "{compared} tracks of {} files", files.len());
}

#[test]
fn protected_entries_are_described_by_what_they_protect() {
    let Some(path) =
        media_files().into_iter().find(|path| path.ends_with("ax_sample_fragmented_clearkey.mp4"))
    else {
        return;
    };
    let tracks = read_tracks(&std::fs::read(path).unwrap());
    assert_eq!(&tracks[0].entries[0][4..8], b"encv");
    let MediaParams::Video(video) = describe_first(&tracks[0]).unwrap() else { panic!() };
    assert_eq!((video.rfc6381.as_str(), video.width), ("avc1.64001f", 1080));
    let MediaParams::Audio(audio) = describe_first(&tracks[1]).unwrap() else { panic!() };
    assert_eq!((audio.rfc6381.as_str(), audio.codec), ("mp4a.40.2", AudioCodec::Aac));
}

/// Name, arguments with the abbreviations of [`made`], and the codec strings that follow from them.
type Row = (&'static str, &'static str, &'static [&'static str]);

const MADE: [Row; 27] = [
    (
        "baseline.mp4",
        "-c:v libx264 -profile:v baseline -level 3.1 -pix_fmt yuv420p -c:a aac",
        &["avc1.42c01f", "mp4a.40.2"],
    ),
    ("main_sar.mp4", "H264 -profile:v main -level 4 -vf setsar=12/11", &["avc1.4d4028"]),
    (
        "high10.mp4",
        "-map 0:v -c:v libx264 -profile:v high10 -level 4.1 -pix_fmt yuv420p10le",
        &["avc1.6e0029"],
    ),
    (
        "high422.mp4",
        "-map 0:v -c:v libx264 -profile:v high422 -level 4.1 -pix_fmt yuv422p",
        &["avc1.7a0029"],
    ),
    ("cropped.mp4", "H264 -level 3 -vf crop=150:90", &["avc1.64001e"]),
    (
        "field_cropped.mp4",
        "H264 -level 3 -flags +ildct+ilme -x264opts tff=1 -vf crop=150:92",
        &["avc1.64001e"],
    ),
    ("h264.mov", "H264 -level 3", &["avc1.64001e"]),
    ("hevc_main.mp4", "H265 -pix_fmt yuv420p -tag:v hvc1", &["hvc1.1.6.L120.90"]),
    ("hevc_pq.mp4", "H265 -pix_fmt yuv420p10le -tag:v hvc1 PQ", &["hvc1.2.4.L120.90"]),
    ("hevc_hlg.mp4", "H265 -pix_fmt yuv420p10le -tag:v hev1 HLG", &["hev1.2.4.L120.90"]),
    ("hevc_422.mp4", "H265 -pix_fmt yuv422p10le -tag:v hvc1", &["hvc1.4.10.L120.9D.8"]),
    ("av1.mp4", "-map 0:v -c:v libsvtav1 -preset 10", &["av01.0.00M.08"]),
    ("av1_pq.mp4", "AOM -pix_fmt yuv420p10le PQ", &["av01.0.00M.10.0.110.09.16.09.0"]),
    ("av1_444.mp4", "AOM -pix_fmt yuv444p", &["av01.1.00M.08.0.000.01.01.01.0"]),
    ("vp9.mp4", "VP9 -pix_fmt yuv420p", &["vp09.00.10.08"]),
    ("vp9_pq.mp4", "VP9 -pix_fmt yuv420p10le PQ", &["vp09.02.10.10.01.09.16.09.00"]),
    ("aac51.mp4", "-map 1:a -c:a aac -ac 6", &["mp4a.40.2"]),
    ("aac.mov", "-map 1:a -c:a aac", &["mp4a.40.2"]),
    ("ac3.mp4", "-map 1:a -c:a ac3 -ac 6", &["ac-3"]),
    ("eac3.mp4", "-map 1:a -c:a eac3 -ac 6", &["ec-3"]),
    ("opus51.mp4", "-map 1:a -c:a libopus -ac 6 -mapping_family 1", &["Opus"]),
    ("flac.mp4", "-map 1:a -c:a flac -strict -2 -ar 44100 -ac 1", &["fLaC"]),
    ("mp3.mp4", "-map 1:a -c:a libmp3lame", &["mp4a.6B"]),
    ("mp3_low.mp4", "-map 1:a -c:a libmp3lame -ar 22050", &["mp4a.69"]),
    ("mp3.mov", "-map 1:a -c:a libmp3lame", &["mp4a.6B"]),
    ("alac.mov", "-map 1:a -c:a alac", &["alac"]),
    ("pcm.mov", "-map 1:a -c:a pcm_s24le -ar 96000", &["lpcm"]),
];

/// A file of [`MADE`].
fn made(name: &str) -> PathBuf {
    let (_, args, _) = MADE.iter().find(|(made, ..)| *made == name).unwrap();
    let long = |word: &str| match word {
        "H264" => "-map 0:v -c:v libx264 -pix_fmt yuv420p",
        "H265" => "-map 0:v -c:v libx265 -x265-params log-level=error:level-idc=4:high-tier=0",
        "AOM" => "-map 0:v -c:v libaom-av1 -cpu-used 8",
        "VP9" => "-map 0:v -c:v libvpx-vp9 -deadline realtime -cpu-used 8",
        "PQ" => "-color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc",
        "HLG" => "-color_primaries bt2020 -color_trc arib-std-b67 -colorspace bt2020nc",
        _ => "",
    };
    let words = args.split(' ').flat_map(|word| match long(word) {
        "" => vec![word],
        long => long.split(' ').collect(),
    });
    make(name, "192x112", "0.5", &words.collect::<Vec<_>>())
}

/// Files whose codec strings are known by their encoders' arguments.
#[test]
fn files_made_by_ffmpeg_have_the_known_strings() {
    for (name, _, expected) in MADE {
        let path = made(name);
        assert_eq!(check_against_ffprobe(&path), expected.len(), "{name}");
        let tracks = read_tracks(&std::fs::read(&path).unwrap());
        let said: Vec<String> = tracks.iter().map(codec_string).collect();
        assert_eq!(said, expected, "{name}");
    }
}

fn first_entry(name: &str) -> ([u8; 4], Vec<u8>) {
    let track = read_tracks(&std::fs::read(made(name)).unwrap()).remove(0);
    (track.handler, track.entries[0].clone())
}

/// A box around `body`.
fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes(), &kind[..], body].concat()
}

/// `entry` under another type, with boxes more at its end.
fn changed(mut entry: Vec<u8>, kind: &[u8; 4], more: &[Vec<u8>]) -> Vec<u8> {
    entry[4..8].copy_from_slice(kind);
    entry.extend(more.concat());
    let size = (entry.len() as u32).to_be_bytes();
    entry[..4].copy_from_slice(&size);
    entry
}

fn video_of(entry: &[u8]) -> VideoParams {
    match describe(1, FourCc(*b"vide"), entry, 0).unwrap() {
        MediaParams::Video(video) => video,
        other => panic!("{other:?}"),
    }
}

#[test]
fn dolby_vision_stands_beside_or_instead_of_its_base_layer() {
    let (_, entry) = first_entry("hevc_pq.mp4");
    let config = |profile: u8, level: u8, compatibility: u8| {
        let bytes = [1, 0, profile << 1, level << 3 | 5, compatibility << 4];
        boxed(b"dvvC", &[&bytes[..], &[0; 19]].concat())
    };
    let base = video_of(&changed(entry.clone(), b"hvc1", &[config(8, 7, 1)]));
    assert_eq!(base.rfc6381, "hvc1.2.4.L120.90");
    assert_eq!(base.supplemental.as_deref(), Some("dvh1.08.07/db1p"));
    assert_eq!(base.range, VideoRange::Pq);

    let alone = video_of(&changed(entry.clone(), b"dvh1", &[config(5, 6, 0)]));
    assert_eq!((alone.rfc6381.as_str(), alone.supplemental), ("dvh1.05.06", None));
    assert_eq!((alone.codec, alone.range), (VideoCodec::Hevc, VideoRange::Pq));

    let hlg = video_of(&changed(entry, b"hvc1", &[config(8, 7, 4)]));
    assert_eq!(hlg.supplemental.as_deref(), Some("dvh1.08.07/db4h"));
    assert_eq!(hlg.range, VideoRange::Hlg);
}

#[test]
fn boxes_of_the_entry_overrule_the_bitstream() {
    let (_, entry) = first_entry("high10.mp4");
    assert_eq!(video_of(&entry).range, VideoRange::Sdr);
    let light = boxed(b"clli", &[3, 232, 0, 100]);
    let entry_with = |more: &[Vec<u8>]| video_of(&changed(entry.clone(), b"avc1", more));
    assert_eq!(entry_with(std::slice::from_ref(&light)).range, VideoRange::Pq);
    let colr =
        |transfer: u8| boxed(b"colr", &[b"nclx", &[0, 9, 0, transfer, 0, 9, 0][..]].concat());
    assert_eq!(entry_with(&[colr(18), light]).range, VideoRange::Hlg);
    assert_eq!(entry_with(&[colr(16)]).range, VideoRange::Pq);
    assert_eq!(entry_with(&[boxed(b"colr", b"prof....")]).color, None);
    assert_eq!(entry_with(&[colr(1)]).color.map(|color| color.primaries), Some(9));
}

#[test]
fn a_protected_entry_needs_its_original_format() {
    let (_, entry) = first_entry("h264.mov");
    let sinf = boxed(b"sinf", &boxed(b"frma", b"avc1"));
    let video = video_of(&changed(entry.clone(), b"encv", &[sinf]));
    assert_eq!((video.rfc6381.as_str(), video.width), ("avc1.64001e", 192));
    let missing = describe(7, FourCc(*b"vide"), &changed(entry, b"encv", &[]), 0);
    let frma = FourCc(*b"frma");
    assert_eq!(missing, Err(PackageError::MissingTrackBox { track: 7, kind: frma }));
}

#[test]
fn text_is_named_or_refused_with_a_reason() {
    let text = |handler: &[u8; 4], kind: &[u8; 4], body: &[u8]| {
        let entry = boxed(kind, &[&[0, 0, 0, 0, 0, 0, 0, 1][..], body].concat());
        match describe(3, FourCc(*handler), &entry, 0) {
            Ok(MediaParams::Text(text)) => text.rfc6381,
            Ok(other) => panic!("{other:?}"),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(text(b"sbtl", b"tx3g", &[0; 30]), "wvtt");
    assert_eq!(text(b"text", b"text", &[0; 43]), "wvtt");
    assert_eq!(text(b"text", b"wvtt", &boxed(b"vttC", b"WEBVTT")), "wvtt");
    assert_eq!(text(b"subt", b"stpp", b"http://www.w3.org/ns/ttml\0\0\0"), "stpp.ttml.im1t");
    let with_pictures = b"http://www.w3.org/ns/ttml\0\0image/png\0";
    assert_eq!(text(b"subt", b"stpp", with_pictures), "stpp.ttml.im1i");
    let mime = boxed(b"mime", b"\0\0\0\0application/ttml+xml;codecs=im1i\0");
    assert_eq!(text(b"subt", b"stpp", &[&b"a\0\0\0"[..], &mime].concat()), "stpp.ttml.im1i");
    for (handler, kind, reason) in [
        (b"clcp", b"c608", "caption track of its own"),
        (b"subp", b"mp4s", "VobSub"),
        (b"subt", b"sbtt", "`sbtt` is not packaged"),
        (b"meta", b"mett", "neither video, audio nor text"),
    ] {
        let said = text(handler, kind, &[0; 4]);
        assert!(said.starts_with("track 3: ") && said.contains(reason), "{said}");
    }
}

fn codec_string(track: &Track) -> String {
    match describe_first(track).unwrap() {
        MediaParams::Video(video) => video.rfc6381,
        MediaParams::Audio(audio) => audio.rfc6381,
        MediaParams::Text(text) => text.rfc6381,
    }
}

/// Real entries, at most three of a codec, for mutation.
fn entries() -> Vec<([u8; 4], Vec<u8>)> {
    let mut entries: Vec<([u8; 4], Vec<u8>)> = Vec::new();
    for path in MADE.iter().map(|(name, ..)| made(name)).chain(media_files()) {
        for track in read_tracks(&std::fs::read(path).unwrap()) {
            for entry in track.entries {
                let is_same = |(_, known): &&([u8; 4], Vec<u8>)| known[4..8] == entry[4..8];
                if entries.iter().filter(is_same).count() < 3 {
                    entries.push((track.handler, entry));
                }
            }
        }
    }
    entries
}

#[test]
fn mutated_entries_never_panic() {
    let entries = entries();
    let mutations = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12);
    let strategy =
        (any::<prop::sample::Index>(), mutations, any::<prop::sample::Index>(), any::<bool>());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&strategy, |(which, mutations, length, truncates)| {
        let (handler, entry) = which.get(&entries);
        let mut entry = entry.clone();
        for (at, value) in mutations {
            let at = at.index(entry.len());
            entry[at] = value;
        }
        if truncates {
            entry.truncate(length.index(entry.len()));
        }
        let _ = describe(1, FourCc(*handler), &entry, u64::MAX);
        Ok(())
    });
    outcome.unwrap();
}
