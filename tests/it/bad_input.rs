//! Damaged, lying and foreign files: refused with a cause, and nothing changes.

use std::path::{Path, PathBuf};

use crate::media;
use crate::server::{ingest, streamverse, streamverse_fails};
use crate::tools;

/// Names below a folder with their sizes, apart from what belongs to no title.
fn listing(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let entry = entry.expect("it can be listed");
            if entry.path().is_dir() {
                found.push((entry.path(), 0));
                folders.push(entry.path());
            } else {
                found.push((entry.path(), entry.metadata().expect("it is there").len()));
            }
        }
    }
    found.sort();
    found
}

/// A data directory with one title.
#[track_caller]
fn with_title(name: &str) -> (PathBuf, PathBuf) {
    let folder = tools::folder(name);
    let data = folder.join("data");
    ingest(&data, "good", &media::title("h264-mp3").paths());
    (folder, data)
}

/// The message of a refused ingest that left everything as it was.
#[track_caller]
fn refuse(data: &Path, files: &[&Path]) -> String {
    let before = listing(&data.join("objects"));
    let mut arguments = vec!["ingest", "--data", tools::text(data), "--id", "bad"];
    arguments.extend(files.iter().map(|file| tools::text(file)));
    let message = streamverse_fails(&arguments);
    assert_eq!(listing(&data.join("objects")), before, "{message}");
    message
}

/// Refused by ingest and by probe, with a message that has `cause`.
#[track_caller]
fn check(data: &Path, file: &Path, cause: &str) {
    let message = refuse(data, &[file]);
    assert!(message.contains(cause), "ingest: {message}");
    let name = file.file_name().expect("a name").to_str().expect("UTF-8");
    assert!(message.contains(name), "the file is named: {message}");
    let message = streamverse_fails(&["probe", tools::text(file)]);
    assert!(message.contains(cause), "probe: {message}");
}

#[test]
fn encrypted_files_are_named() {
    let (folder, data) = with_title("bad-encrypted");
    let file = folder.join("locked.mp4");
    let key = "00112233445566778899aabbccddeeff";
    let source = media::title("h264-mp3").paths().remove(0);
    let input = ["-v", "error", "-nostdin", "-i", tools::text(&source), "-t", "2", "-map", "0:v"];
    let scheme = ["-c", "copy", "-encryption_scheme", "cenc-aes-ctr", "-encryption_key", key];
    let output = ["-encryption_kid", key, tools::text(&file)];
    tools::run("ffmpeg", &[&input[..], &scheme, &output].concat());
    check(
        &data,
        &file,
        "track 1: the samples are encrypted (scheme `cenc`): give the clear source",
    );
}

#[test]
fn foreign_files_are_refused() {
    let (folder, data) = with_title("foreign");
    let mut random = Vec::new();
    let mut state = 1_u64;
    while random.len() < 100_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        random.extend_from_slice(&state.to_be_bytes());
    }
    for (name, bytes, cause) in [
        ("empty.mp4", Vec::new(), "empty"),
        ("random.mp4", random, "not an MP4"),
        ("text.mp4", b"It was a dark and stormy night.\n".repeat(100), "not an MP4"),
        ("zeros.mp4", vec![0; 65_536], "not an MP4"),
    ] {
        let file = folder.join(name);
        tools::write(&file, &bytes);
        check(&data, &file, cause);
    }
    let directory = folder.join("directory.mp4");
    std::fs::create_dir(&directory).expect("a folder can be made");
    check(&data, &directory, "directory");
    let missing = folder.join("missing.mp4");
    check(&data, &missing, "No such file");
}

/// Cut anywhere, a progressive file misses samples or tables. A fragmented one is whole up to its
/// last complete fragment, and is either refused or packaged to there.
#[test]
fn truncated_files_are_refused() {
    let (folder, data) = with_title("truncated");
    for title in ["ntsc", "moov-last", "fragmented", "quicktime"] {
        let source = std::fs::read(&media::title(title).paths()[0]).expect("it is there");
        for twentieth in 1..20 {
            let file = folder.join(format!("{title}-{twentieth}.mp4"));
            tools::write(&file, &source[..source.len() * twentieth / 20]);
            let before = listing(&data.join("objects"));
            let arguments =
                ["ingest", "--data", tools::text(&data), "--id", "bad", tools::text(&file)];
            let output = streamverse(&arguments);
            let message = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!message.contains("panicked"), "{message}");
            let is_refused = output.status.code() == Some(1);
            assert!(is_refused || title == "fragmented", "{title} {twentieth}: {message}");
            if is_refused {
                assert_eq!(listing(&data.join("objects")), before, "{message}");
                assert!(message.contains("byte") || message.contains("offset"), "{message}");
                let probed = streamverse(&["probe", tools::text(&file)]);
                assert_eq!(probed.status.code(), Some(1));
            } else {
                assert!(output.status.success());
                let remove = ["assets", "remove", "bad", "--data", tools::text(&data)];
                assert!(streamverse(&remove).status.success());
            }
            std::fs::remove_file(&file).expect("it is there");
        }
    }
}

/// The offset of a box by its path of types.
#[track_caller]
fn find(bytes: &[u8], path: &[&[u8; 4]]) -> usize {
    let (mut start, mut end) = (0, bytes.len());
    let mut found = 0;
    for kind in path {
        let mut at = start;
        found = loop {
            assert!(at + 8 <= end, "no {}", String::from_utf8_lossy(*kind));
            let size = u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four")) as usize;
            if bytes[at + 4..at + 8] == **kind {
                end = at + size;
                break at;
            }
            at += size;
        };
        start = found + 8;
    }
    found
}

const STBL: [&[u8; 4]; 5] = [b"moov", b"trak", b"mdia", b"minf", b"stbl"];

fn table(kind: &'static [u8; 4]) -> Vec<&'static [u8; 4]> {
    STBL.into_iter().chain([kind]).collect()
}

#[test]
fn lying_boxes_are_named() {
    let (folder, data) = with_title("lying");
    let good = std::fs::read(&media::title("ntsc").paths()[0]).expect("it is there");
    let put = |bytes: &mut Vec<u8>, at: usize, value: u32| {
        bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
    };
    type Change = Box<dyn Fn(&mut Vec<u8>)>;
    let at = |path: &[&[u8; 4]], plus: usize, value: u32| -> Change {
        let offset = find(&good, path) + plus;
        Box::new(move |bytes| put(bytes, offset, value))
    };
    let cases: Vec<(&str, Change)> = vec![
        ("stsz", at(&table(b"stsz"), 16, 0x00ff_ffff)),
        ("samples in a track", at(&table(b"stsz"), 16, 0xffff_ffff)),
        ("stts", at(&table(b"stts"), 12, 0xffff_ffff)),
        ("ctts", at(&table(b"ctts"), 12, 0x7fff_ffff)),
        ("stsc", at(&table(b"stsc"), 12, 0x1000_0000)),
        ("stco", at(&table(b"stco"), 12, 0x4000_0000)),
        ("stss", at(&table(b"stss"), 12, 0x4000_0000)),
        // An offset far behind the end of the file.
        ("sample", at(&table(b"stco"), 16, 0xffff_fff0)),
        // A box larger than its parent, one smaller than its header, and one without end inside.
        ("trak", at(&[b"moov", b"trak"], 0, 0x7fff_ffff)),
        ("mdhd", at(&[b"moov", b"trak", b"mdia", b"mdhd"], 0, 4)),
        ("moov", at(&[b"moov"], 0, 0x7fff_ffff)),
        // No time passes: a timescale of zero.
        ("mdhd", at(&[b"moov", b"trak", b"mdia", b"mdhd"], 20, 0)),
        // No sample entry.
        ("stsd", at(&table(b"stsd"), 12, 0)),
    ];
    for (number, (cause, change)) in cases.iter().enumerate() {
        let mut bytes = good.clone();
        change(&mut bytes);
        let file = folder.join(format!("lying-{number}.mp4"));
        tools::write(&file, &bytes);
        check(&data, &file, cause);
    }
}

/// Boxes inside boxes inside boxes, and a track that names itself over and over.
#[test]
fn endless_nesting_is_refused() {
    let (folder, data) = with_title("nesting");
    let mut nested = vec![0, 0, 0, 8, b'f', b'r', b'e', b'e'];
    for _ in 0..20_000 {
        let size = (nested.len() + 8) as u32;
        let mut outer = size.to_be_bytes().to_vec();
        outer.extend_from_slice(b"moov");
        if nested.len() > 60_000 {
            break;
        }
        outer.append(&mut nested);
        nested = outer;
    }
    let file = folder.join("nested.mp4");
    tools::write(&file, &nested);
    refuse(&data, &[&file]);

    let good = std::fs::read(&media::title("h264-mp3").paths()[0]).expect("it is there");
    let moov = find(&good, &[b"moov"]);
    let size = u32::from_be_bytes(good[moov..moov + 4].try_into().expect("four")) as usize;
    let mut many = good.clone();
    for _ in 0..2_000 {
        many.extend_from_slice(&good[moov..moov + size]);
    }
    let file = folder.join("many-moovs.mp4");
    tools::write(&file, &many);
    let output = streamverse(&["probe", tools::text(&file)]);
    assert!(matches!(output.status.code(), Some(0 | 1)));
}

#[test]
fn renditions_that_do_not_fit_are_refused_with_times() {
    let (folder, data) = with_title("misfits");
    // The same picture with other key frames, further apart than two segments.
    let files = ["a.mp4", "b.mp4"].map(|name| folder.join(name));
    for (file, key_frames) in files.iter().zip(["0,14,28", "0,7,21"]) {
        tools::run(
            "ffmpeg",
            &[
                "-v",
                "error",
                "-f",
                "lavfi",
                "-i",
                "testsrc2=size=128x72:rate=10:duration=40",
                "-c:v",
                "libx264",
                "-preset",
                "ultrafast",
                "-g",
                "1000",
                "-keyint_min",
                "1000",
                "-sc_threshold",
                "0",
                "-force_key_frames",
                key_frames,
                tools::text(file),
            ],
        );
    }
    let message = refuse(&data, &[&files[0], &files[1]]);
    assert!(message.contains("key frame") && message.contains(" s"), "{message}");
    assert!(message.chars().any(|c| c.is_ascii_digit()), "{message}");
}

#[test]
fn a_taken_name_is_refused_and_odd_names_too() {
    let (_, data) = with_title("taken");
    let file = media::title("h264-mp3").paths()[0].clone();
    let before = listing(&data.join("objects"));
    let refuse = |id: &str| {
        let data = tools::text(&data);
        streamverse_fails(&["ingest", "--data", data, "--id", id, tools::text(&file)])
    };
    assert!(refuse("good").contains("--replace"));
    assert!(refuse("../escape").contains("can't name a title"));
    assert!(refuse("a/b").contains("can't name a title"));
    assert_eq!(listing(&data.join("objects")), before);
    let usage = streamverse(&["ingest"]);
    assert_eq!(usage.status.code(), Some(2), "wrong usage is status 2");
}
