//! Real files from public test suites: what FFmpeg decodes is packaged and decodes, and the rest is
//! refused with its cause. Runs where `STREAMVERSE_MEDIA` names the folder.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::boxes;
use crate::judge::{self, Judged};
use crate::judge_tables;
use crate::manifests::{Fetcher, Form, Rendition};
use crate::media;
use crate::server::{Server, streamverse};
use crate::source_tables;
use crate::tools;
use crate::transport;

/// Files that are refused although some tool reads them: a part of the message, and why.
const REFUSED: [(&str, &str, &str); 9] = [
    ("ax_sample_missing_stsd.mp4", "track 2 has no `stsd` box", "FFmpeg refuses it, too"),
    ("trunc_60pct.mp4", "sample 167: 71 bytes at byte 195402", "cut off; FFmpeg stops there"),
    ("ax_sample_fragmented_variable_length_sgpd.mp4", "encrypted (scheme `", "no key is given"),
    ("shk_h265_cea.mp4", "encrypted (scheme `", "no key is given"),
    ("shk_enc_sintel_audio.mp4", "encrypted (scheme `cenc`)", "no key is given"),
    ("ff_2xSencNoMdat.mp4", "has no `moov` box", "a media segment alone"),
    ("ls2_imsc1_img_en.mp4", "neither video nor audio", "text is watched with a picture"),
    ("ax_wvtt_mp4.mp4", "neither video nor audio", "text is watched with a picture"),
    ("shk_ttml.mp4", "neither video nor audio", "text is watched with a picture"),
];

/// Files whose picture is encrypted and whose sound is clear: the sound is packaged, and the report
/// says why the picture is left out. FFmpeg reads neither; the source's tables judge the sound.
const PICTURE_ENCRYPTED: [&str; 2] =
    ["ax_sample_fragmented_clearkey.mp4", "ax_sample_fragmented_widevine.mp4"];

/// Files in which FFmpeg's reading of the source is no measure for how its tracks lie to each
/// other. By the source's tables they are judged all the same.
const FFMPEG_MOVES_TRACKS: [(&str, &str); 3] = [
    ("cut_nonkey_editlist.mp4", "it moves an edit inside a frame of sound to the next frame"),
    ("frag_negcts.mp4", "it shows pictures with negative offsets late by the reordering delay"),
    ("smooth.ismv", "it shows pictures with negative offsets late by the reordering delay"),
];

/// Files whose samples FFmpeg does not list as the source has them. They are judged by the
/// source's tables, and decode to the same sound.
const FFMPEG_JOINS_SAMPLES: [(&str, &str); 1] =
    [("ax_sample_fixed_rechunk_no_elst.mp4", "40,000 PCM samples come as 40 packets")];

/// Files whose transport streams FFmpeg's parser cuts into other packets than the pictures that
/// were sent. They are judged PES packet by PES packet, and decode to the same pictures.
const FFMPEG_PARSES_OTHERWISE: [(&str, &str); 1] = [(
    "shk_cea.mp4",
    "captions behind the slices of two pictures: there the next access unit begins (H.264 \
     7.4.1.2.3), and its time is lost",
)];

/// Files whose decode times make FFmpeg warn.
const FFMPEG_WARNS: [(&str, &str); 2] = [
    ("cut_nonkey_editlist.mp4", "pictures that lead up to the edit lie within ticks"),
    ("ax_sample_sef_slow_motion.mp4", "four lie within ticks; it says the same of the source"),
];

fn is_listed(list: &[(&str, &str)], file: &Path) -> bool {
    if std::env::var("NOEX").is_ok() {
        return false;
    }
    list.iter().any(|(name, _)| file.ends_with(name))
}

/// How a file fared; an error says what is wrong.
enum Fared {
    Packaged,
    Refused(String),
}

#[track_caller]
fn check_folder(name: &str) {
    let Some(root) = media::real_folder() else { return };
    let mut files: Vec<PathBuf> = std::fs::read_dir(root.join(name))
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be listed").path())
        .collect();
    files.sort();
    let folder = tools::folder(&format!("real-{name}"));
    let queue = Mutex::new(files.iter().enumerate());
    let faults = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let (queue, faults, folder) = (&queue, &faults, &folder);
            scope.spawn(move || {
                let folder = folder.join(worker.to_string());
                std::fs::create_dir_all(&folder).expect("the folder can be made");
                loop {
                    let next = queue.lock().expect("the queue").next();
                    let Some((number, file)) = next else { return };
                    let outcome = std::panic::catch_unwind(|| check_file(file, number, &folder));
                    let fault = match outcome {
                        Ok(fared) => judge_outcome(file, name, fared),
                        Err(cause) => Some(message(&cause)),
                    };
                    if let Some(fault) = fault {
                        let name = file.file_name().expect("a name").to_string_lossy();
                        faults.lock().expect("the list").push(format!("{name}: {fault}"));
                    }
                }
            });
        }
    });
    let faults = faults.into_inner().expect("the list");
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

fn message(cause: &Box<dyn std::any::Any + Send>) -> String {
    cause
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| cause.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_default()
}

/// What is wrong with an outcome, if anything.
fn judge_outcome(file: &Path, folder: &str, fared: Fared) -> Option<String> {
    let name = file.file_name()?.to_string_lossy().into_owned();
    let expected = REFUSED.iter().find(|(expected, _, _)| *expected == name);
    match (fared, expected) {
        (Fared::Packaged, None) => None,
        (Fared::Packaged, Some((_, cause, _))) => Some(format!("not refused for {cause}")),
        (Fared::Refused(message), Some((_, cause, _))) => {
            (!message.contains(cause)).then(|| format!("refused for another cause: {message}"))
        }
        (Fared::Refused(message), None) => Some(format!("{folder}: refused: {message}")),
    }
}

fn check_file(file: &Path, number: usize, folder: &Path) -> Fared {
    let data = folder.join(format!("data-{number}"));
    let output =
        streamverse(&["ingest", "--data", tools::text(&data), "--id", "x", tools::text(file)]);
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!err.contains("panicked"), "{err}");
    if !output.status.success() {
        assert_eq!(output.status.code(), Some(1), "{err}");
        return Fared::Refused(err.trim().to_owned());
    }
    let is_locked = PICTURE_ENCRYPTED.iter().any(|name| file.ends_with(name));
    if is_locked {
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(report.contains("left out: track 1") && report.contains("encrypted"), "{report}");
    }
    let server = Server::start(&data);
    let mut client = server.client();
    let mut fetcher = Fetcher::new(&mut client);
    let cmaf: Vec<Rendition> = fetcher.hls("x", "cmaf").into_iter().filter(is_played).collect();
    assert!(!cmaf.is_empty(), "nothing is packaged");
    fetcher.dash("x", "cmaf");
    check_tables(file, &cmaf);
    let path = |name: &str| folder.join(format!("{number}-{name}"));
    if is_locked {
        assert_eq!(cmaf.len(), 1, "the sound alone");
    } else if is_listed(&FFMPEG_JOINS_SAMPLES, file) {
        check_same_sound(file, &cmaf, &path("sound.mp4"));
    } else {
        let judged = check_by_ffmpeg(file, &cmaf, &path("cmaf.mp4"));
        if fetcher.status("/vod/x/ts/master.m3u8") == 200 {
            let ts: Vec<_> = fetcher.hls("x", "ts").into_iter().filter(is_played).collect();
            check_transport(file, &ts, &cmaf, &judged, &path("ts.ts"));
        }
    }
    drop(server);
    std::fs::remove_dir_all(&data).expect("the folder can be removed");
    Fared::Packaged
}

/// Pictures or sound, to be played from start to end.
fn is_played(rendition: &Rendition) -> bool {
    let is_media = match rendition.form {
        Form::Fmp4 => matches!(&boxes::handler(&rendition.init), b"vide" | b"soun"),
        Form::Ts => true,
        Form::WebVtt => false,
    };
    is_media && !rendition.is_iframes
}

/// Samples, times and decoded pictures are those that FFmpeg finds in the source.
#[track_caller]
fn check_by_ffmpeg(file: &Path, cmaf: &[Rendition], path: &Path) -> Vec<Judged> {
    let sources = tools::streams(file).unwrap_or_else(|error| panic!("{error}"));
    let mut all: Vec<Judged> = Vec::new();
    for rendition in cmaf {
        let judged = judge::check_fmp4(rendition, &sources, path);
        let source = &sources[judged.source];
        // Where FFmpeg can't decode the source, it can't decode ours.
        if tools::decode(&source.file, &format!("0:{}", source.index)).is_ok() {
            judge::check_decodes(&rendition.name, path, "0:0", source);
        }
        all.push(judged);
    }
    // All tracks are moved by the same time, give or take one frame of sound.
    for judged in all.iter().filter(|_| !is_listed(&FFMPEG_MOVES_TRACKS, file)) {
        let apart = (judged.moved_seconds - all[0].moved_seconds).abs();
        assert!(apart <= judged.frame_seconds.max(1e-6), "{apart} s out of sync");
    }
    all
}

/// One sound track decodes to the very samples of the source.
#[track_caller]
fn check_same_sound(file: &Path, cmaf: &[Rendition], path: &Path) {
    let [rendition] = cmaf else { panic!("one sound track") };
    tools::write(path, &rendition.concatenated());
    let [theirs, ours] = [file, path].map(|file| {
        let arguments =
            ["-v", "error", "-nostdin", "-i", tools::text(file), "-map", "0:a", "-f", "md5", "-"];
        tools::run("ffmpeg", &arguments)
    });
    assert_eq!(ours, theirs, "{}", rendition.name);
}

/// Transport streams have the pictures of the fragments, one a PES packet, and the sound.
#[track_caller]
fn check_transport(
    file: &Path,
    ts: &[Rendition],
    cmaf: &[Rendition],
    judged: &[Judged],
    path: &Path,
) {
    let pictures: Vec<_> = cmaf.iter().filter(|r| &boxes::handler(&r.init) == b"vide").collect();
    let mut with_pictures = 0;
    for rendition in ts {
        if !is_listed(&FFMPEG_PARSES_OTHERWISE, file) {
            judge::check_ts_packets(rendition, judged, path);
        }
        if !is_listed(&FFMPEG_WARNS, file) {
            judge::check_ts_warnings(rendition, path);
        }
        // Pictures come first, in the order of their fragments.
        if transport::has_pictures(rendition, path) {
            let fmp4 = pictures.get(with_pictures).expect("fragments of the same pictures");
            with_pictures += 1;
            transport::check_pictures(rendition, fmp4, path);
            transport::check_same_pictures(rendition, fmp4, path);
        }
    }
}

/// Every sample has the bytes and the time that the source's tables give it, and all tracks are
/// moved alike, to the tick.
#[track_caller]
fn check_tables(file: &Path, cmaf: &[Rendition]) {
    let source = source_tables::read(file);
    let moved: Vec<f64> = cmaf.iter().map(|r| judge_tables::check(r, &source)).collect();
    let tick = source.tracks.iter().map(|track| track.tick_seconds).fold(0.0, f64::max);
    for other in &moved {
        let apart = (other - moved[0]).abs();
        assert!(apart <= tick + 1e-6, "{apart} s out of sync by the source's tables");
    }
}

#[test]
fn good_files() {
    check_folder("good");
}

#[test]
fn fragmented_files() {
    check_folder("frag");
}

#[test]
fn remuxed_oddities() {
    check_folder("derived");
}

#[test]
fn files_with_text() {
    check_folder("text");
}

#[test]
fn malformed_files() {
    check_folder("bad");
}

#[test]
fn encrypted_files_are_refused() {
    check_folder("enc");
}

/// Text tracks of other people go with a picture of ours.
#[test]
fn text_tracks_join_a_picture() {
    let Some(root) = media::real_folder() else { return };
    let folder = tools::folder("real-text-joined");
    for name in ["ax_wvtt_mp4.mp4", "shk_ttml.mp4"] {
        let data = folder.join(name);
        let mut files = media::title("ladder").paths()[..1].to_vec();
        files.push(root.join("text").join(name));
        let report = crate::server::ingest(&data, "x", &files);
        let tracks = report["tracks"].as_array().expect("tracks");
        assert!(tracks.iter().any(|track| track["kind"] == "text"), "{name}: {report}");
        let server = Server::start(&data);
        let mut client = server.client();
        let mut fetcher = Fetcher::new(&mut client);
        fetcher.hls("x", "cmaf");
        fetcher.dash("x", "cmaf");
    }
}
