//! Files that ffmpeg makes, read as ffprobe reads them.
#![allow(clippy::disallowed_methods, reason = "tests read files")]

use std::collections::BTreeMap;
use std::path::Path;

use packager::demux::{Movie, check_table, read_movie};
use packager::track::TrackKind;

mod demux_ffprobe;
use demux_ffprobe::{Comparison, Scratch, compare, probe};

/// Two seconds of pictures and sound.
const PICTURES: &str = "-f lavfi -i testsrc2=s=128x72:r=30000/1001:d=2";
const SOUND: &str = "-f lavfi -i sine=f=440:r=48000:d=2";

/// Reads a file and holds every track against ffprobe; what was found by kind of track.
fn check(path: &Path) -> (Movie, BTreeMap<TrackKind, Comparison>) {
    let bytes = std::fs::read(path).unwrap();
    let movie = read_movie(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let [raw, edited] = [false, true].map(|with_edit_list| probe(path, with_edit_list));
    let mut found = BTreeMap::new();
    for track in movie.tracks.iter().filter(|track| track.info.kind() != TrackKind::Text) {
        check_table(&track.table, bytes.len() as u64).unwrap();
        let id = track.info.source_track_id;
        found.insert(track.info.kind(), compare(track, &raw[&id], &edited[&id]));
    }
    (movie, found)
}

/// The one result of a file that keeps all its pictures, and of its sound all but the priming:
/// both are as far from ffprobe's times.
#[track_caller]
fn check_whole(path: &Path) -> Movie {
    let (movie, found) = check(path);
    let video = found[&TrackKind::Video];
    let expected = Comparison { shift_seconds: video.shift_seconds, ..Comparison::default() };
    assert_eq!(video, expected, "{}", path.display());
    if let Some(sound) = found.get(&TrackKind::Audio) {
        assert!(sound.dropped_in_front <= 1 && sound.dropped_at_end == 0, "{sound:?}");
        let apart = (video.shift_seconds - sound.shift_seconds).abs();
        assert!(apart < 0.001, "{}: {video:?} {sound:?}", path.display());
    }
    movie
}

#[test]
fn progressive_files_with_reordered_pictures() {
    let scratch = Scratch::new("progressive");
    let encode = format!("{PICTURES} {SOUND} -c:v libx264 -g 15 -bf 3 -b_strategy 0 -c:a aac");
    for (options, name) in [
        ("-movflags +faststart", "faststart.mp4"),
        ("", "moov_at_end.mp4"),
        ("-video_track_timescale 600", "coarse.mp4"),
        ("-use_editlist 0", "no_edit_list.mp4"),
        ("-metadata:s:a language=ger -timecode 01:00:00:00", "quicktime.mov"),
    ] {
        let movie = check_whole(&scratch.ffmpeg(&format!("{encode} {options}"), name));
        let [video, sound] = &movie.tracks[..] else { panic!("two tracks in {name}") };
        assert!(!movie.is_fragmented);
        // All start at 0: ffmpeg's edit list takes reordering delay and priming away.
        if name != "no_edit_list.mp4" {
            assert_eq!(video.table.start_time(), 0, "{name}");
            assert_eq!(sound.table.start_time(), 0, "{name}");
        }
        if name == "quicktime.mov" {
            assert_eq!(sound.info.language, "de");
            assert_eq!(movie.skipped[0].handler.0, *b"tmcd");
        }
    }
}

#[test]
fn fragmented_files_of_every_flavour() {
    let scratch = Scratch::new("fragmented");
    let encode = format!("{PICTURES} {SOUND} -c:v libx264 -g 15 -bf 2 -b_strategy 0 -c:a aac");
    let source = scratch.ffmpeg(&encode, "source.mp4");
    let plain = check_whole(&source);
    for flags in [
        "frag_keyframe+empty_moov",
        "frag_keyframe+empty_moov+default_base_moof",
        "frag_keyframe+delay_moov+default_base_moof",
        "frag_keyframe+empty_moov+omit_tfhd_offset",
        "frag_keyframe+empty_moov+separate_moof",
        "frag_keyframe",
        "frag_every_frame+empty_moov+default_base_moof",
        "cmaf+delay_moov+frag_keyframe",
        "dash+frag_keyframe+delay_moov",
        "frag_keyframe+empty_moov+default_base_moof+faststart+global_sidx",
    ] {
        let name = format!("{}.mp4", flags.replace('+', "_"));
        let path = scratch.ffmpeg(&format!("-i source.mp4 -c copy -movflags {flags}"), &name);
        // With negative offsets ffprobe 5.1 counts the reordering delay in twice.
        let movie = if flags.starts_with("cmaf") { check(&path).0 } else { check_whole(&path) };
        assert!(movie.is_fragmented, "{flags}");
        if flags.contains("delay_moov") {
            let starts = movie.tracks.iter().map(|track| track.table.start_time());
            assert_eq!(starts.collect::<Vec<_>>(), [0, 0], "{flags}");
        }
        // Sizes are those of the progressive file; sound may keep its priming, where the file has
        // no edit list to take it away.
        for (track, whole) in movie.tracks.iter().zip(&plain.tracks) {
            let sizes = |samples: &[packager::track::Sample]| {
                samples.iter().map(|sample| sample.size_bytes).collect::<Vec<_>>()
            };
            let (ours, theirs) = (sizes(&track.table.samples), sizes(&whole.table.samples));
            assert!(ours.ends_with(&theirs), "{flags}");
        }
    }
}

#[test]
fn a_fragmented_file_cut_short_is_refused() {
    let scratch = Scratch::new("cut");
    let encode = format!("{PICTURES} -c:v libx264 -g 15 -movflags frag_keyframe+empty_moov");
    let path = scratch.ffmpeg(&encode, "whole.mp4");
    let bytes = std::fs::read(&path).unwrap();
    let mfra = bytes.windows(4).rposition(|kind| kind == b"mfra").unwrap() - 4;
    assert!(read_movie(&bytes[..mfra]).is_ok());
    let error = read_movie(&bytes[..mfra - 10]).unwrap_err().to_string();
    assert!(error.starts_with("track 1, sample 60: "), "{error}");
    assert!(error.contains("lie outside the source"), "{error}");
}

#[test]
fn open_groups_and_other_codecs() {
    let scratch = Scratch::new("codecs");
    let open = "-c:v libx264 -g 12 -bf 3 -x264-params open-gop=1:log-level=none";
    let hevc = "-c:v libx265 -x265-params keyint=12:open-gop=1:bframes=3:log-level=none";
    for (options, name) in [
        (open, "open_avc.mp4"),
        (hevc, "open_hevc.mp4"),
        ("-c:v libvpx-vp9 -deadline realtime -g 20", "vp9.mp4"),
        ("-c:v mpeg4 -g 10", "mpeg4.mp4"),
        ("-c:v libx264 -vsync vfr -vf select=not(mod(n\\,3))+not(mod(n\\,7))", "vfr.mp4"),
    ] {
        check_whole(&scratch.ffmpeg(&format!("{PICTURES} {options}"), name));
    }
    for (options, name) in [
        ("-c:a aac", "aac.m4a"),
        ("-c:a libopus", "opus.mp4"),
        ("-c:a flac -strict -2", "flac.mp4"),
        ("-c:a ac3", "ac3.mp4"),
        ("-c:a eac3 -movflags delay_moov -frag_duration 500000", "eac3.mp4"),
        ("-c:a libmp3lame", "mp3.mp4"),
        ("-c:a alac", "alac.mov"),
    ] {
        let (movie, found) = check(&scratch.ffmpeg(&format!("{SOUND} {options}"), name));
        assert_eq!(movie.tracks.len(), 1, "{name}");
        let sound = found[&TrackKind::Audio];
        assert!(sound.lost <= 1 && sound.retimed <= 1, "{name}: {sound:?}");
        assert_eq!((sound.extra, sound.dropped_at_end), (0, 0), "{name}");
    }
}

/// `-ss` with `-c copy` keeps the group of pictures in front and hides it by an edit list.
#[test]
fn a_cut_inside_a_group_is_decoded_from_its_start() {
    let scratch = Scratch::new("inside");
    let encode = format!("{PICTURES} {SOUND} -c:v libx264 -g 40 -bf 2 -b_strategy 0 -c:a aac");
    scratch.ffmpeg(&encode, "source.mp4");
    // Without any -avoid_negative_ts the cut's times go through as they are.
    let cut = "-ss 0.7 -i source.mp4 -c copy -avoid_negative_ts disabled";
    let path = scratch.ffmpeg(cut, "cut.mp4");
    let (movie, found) = check(&path);
    let video = found[&TrackKind::Video];
    // 0.7 s are 20.98 frames: frame 20 is on screen for a moment, those before it are hidden. In
    // decode order ffprobe shows the first sample after 19.
    assert_eq!(video.retimed, 19, "{video:?}");
    assert_eq!((video.dropped_in_front, video.lost, video.extra), (0, 0, 0), "{video:?}");
    // ffprobe lets the next frame start the track; we stay within a frame of it.
    let sound = found[&TrackKind::Audio];
    let apart = (video.shift_seconds - sound.shift_seconds).abs();
    assert!(apart < 1001.0 / 30_000.0, "{video:?} {sound:?}");
    let samples = &movie.tracks[0].table.samples;
    assert!(samples[0].is_sync && samples[0].presentation_time() == 0);
    let hidden = samples.iter().filter(|sample| sample.presentation_time() < 20);
    assert_eq!(hidden.count(), 20);
}

#[test]
fn an_edit_list_that_starts_late_keeps_the_tracks_in_step() {
    let scratch = Scratch::new("late");
    let encode = format!("{PICTURES} -itsoffset 0.5 {SOUND} -c:v libx264 -c:a aac");
    let movie = check_whole(&scratch.ffmpeg(&encode, "late_sound.mp4"));
    let start = movie.tracks[1].info.timescale.ticks(movie.tracks[1].table.start_time());
    assert!((0.45..=0.52).contains(&start.as_seconds()), "{start:?}");
}
