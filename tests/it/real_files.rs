//! Real files from public test suites: what FFmpeg decodes is packaged and decodes, and the rest is
//! refused with its cause. Runs where `STREAMVERSE_MEDIA` names the folder.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::judge::{self, Judged};
use crate::manifests::{Fetcher, Form};
use crate::media;
use crate::server::{Server, streamverse};
use crate::tools;

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
/// says why the picture is left out. FFmpeg reads neither.
const PICTURE_ENCRYPTED: [&str; 2] =
    ["ax_sample_fragmented_clearkey.mp4", "ax_sample_fragmented_widevine.mp4"];

/// Files in which FFmpeg's reading of the source is no measure for how its tracks lie to each other.
const SYNC_NOT_COMPARED: [(&str, &str); 3] = [
    ("cut_nonkey_editlist.mp4", "FFmpeg moves an edit inside a frame to the next frame"),
    ("frag_negcts.mp4", "FFmpeg shows negative offsets in fragments late by the reordering delay"),
    ("smooth.ismv", "FFmpeg shows negative offsets in fragments late by the reordering delay"),
];

/// Files whose samples or pictures FFmpeg counts differently in the source and in our output: only
/// that they are ingested is checked. The second reason is inferred, see docs/next.md.
const PICTURES_NOT_COMPARED: [(&str, &str); 2] = [
    ("ax_sample_fixed_rechunk_no_elst.mp4", "FFmpeg joins PCM samples into packets of its own"),
    (
        "ax_sample_sef_slow_motion.mp4",
        "pictures hidden in NAL units of type 14, which decode alone",
    ),
];

/// Files whose transport streams FFmpeg cuts into other packets than ours. The last two reasons are
/// inferred, see docs/next.md.
const TS_NOT_COMPARED: [(&str, &str); 3] = [
    ("cut_nonkey_editlist.mp4", "the run-up to the edit takes no time: FFmpeg warns of the step"),
    ("ax_water_180_mvhevc_5frames.mov", "FFmpeg counts the two layers of a picture as packets"),
    ("shk_cea.mp4", "SEI behind the slices, where FFmpeg begins the next picture"),
];

fn is_listed(list: &[(&str, &str)], file: &Path) -> bool {
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
    if PICTURE_ENCRYPTED.iter().any(|name| file.ends_with(name)) {
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(report.contains("left out: track 1") && report.contains("encrypted"), "{report}");
        return Fared::Packaged;
    }
    if is_listed(&PICTURES_NOT_COMPARED, file) {
        return Fared::Packaged;
    }
    let server = Server::start(&data);
    let mut client = server.client();
    let mut fetcher = Fetcher::new(&mut client);
    let sources = tools::streams(file).unwrap_or_else(|error| panic!("{error}"));
    let renditions = fetcher.hls("x", "cmaf");
    let mut all: Vec<Judged> = Vec::new();
    for rendition in renditions.iter().filter(|r| r.form == Form::Fmp4 && !r.is_iframes) {
        let path = folder.join(format!("{number}-{}.mp4", all.len()));
        let judged = judge::check_fmp4(rendition, &sources, &path);
        let source = &sources[judged.source];
        // Where FFmpeg can't decode the source, it can't decode ours.
        if tools::decode(&source.file, &format!("0:{}", source.index)).is_ok() {
            judge::check_decodes(&rendition.name, &path, "0:0", source);
        }
        all.push(judged);
    }
    assert!(!all.is_empty(), "nothing is packaged");
    // All tracks are moved by the same time, give or take one frame of sound.
    for judged in all.iter().filter(|_| !is_listed(&SYNC_NOT_COMPARED, file)) {
        let apart = (judged.moved_seconds - all[0].moved_seconds).abs();
        assert!(apart <= judged.frame_seconds.max(1e-6), "{apart} s out of sync");
    }
    fetcher.dash("x", "cmaf");
    let is_compared = !is_listed(&TS_NOT_COMPARED, file);
    if is_compared && fetcher.status("/vod/x/ts/master.m3u8") == 200 {
        for (at, rendition) in fetcher.hls("x", "ts").iter().enumerate() {
            if rendition.form == Form::Ts && !rendition.is_iframes {
                let path = folder.join(format!("{number}-{at}.ts"));
                judge::check_ts(rendition, &all, &path);
            }
        }
    }
    drop(server);
    std::fs::remove_dir_all(&data).expect("the folder can be removed");
    Fared::Packaged
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
