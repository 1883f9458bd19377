//! The command-line tools that make test media and judge ours.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where tests put files; one folder each, so that they can run side by side.
pub(crate) fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fmp4").join(name);
    std::fs::create_dir_all(&path).unwrap();
    path
}

pub(crate) fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

/// Runs a tool and returns its output; a failure shows the command and what it said.
#[track_caller]
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let (output, complaints) = run_unchecked(program, arguments);
    assert!(complaints.is_empty(), "{program} {arguments:?}: {complaints}");
    output
}

/// Output, and what went to standard error, plus the status if it is not 0.
#[track_caller]
pub(crate) fn run_unchecked(program: &str, arguments: &[&str]) -> (String, String) {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program} can't be started: {error}"));
    let mut complaints = String::from_utf8_lossy(&output.stderr).trim().to_string();
    if !output.status.success() {
        complaints += &format!(" ({})", output.status);
    }
    (String::from_utf8(output.stdout).unwrap(), complaints)
}

/// Makes a file with `ffmpeg` and returns its path.
#[track_caller]
pub(crate) fn make(folder_name: &str, arguments: &[&str]) -> PathBuf {
    let path = folder(folder_name).join("source.mp4");
    let fixed = ["-v", "error", "-nostdin", "-y"];
    let all: Vec<&str> = fixed.iter().chain(arguments).copied().chain([text(&path)]).collect();
    // Encoders write banners of their own to standard error.
    let (_, complaints) = run_unchecked("ffmpeg", &all);
    assert!(path.exists() && !complaints.contains("(exit"), "{complaints}");
    path
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// One packet as `ffprobe` sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Packet {
    pub(crate) pts: i64,
    pub(crate) dts: i64,
    pub(crate) is_key: bool,
    pub(crate) payload_md5: String,
}

/// The packets of a stream (`v:0`, `a:0`), edit lists ignored, in file order.
#[track_caller]
pub(crate) fn packets(path: &Path, stream: &str, extra: &[&str]) -> Vec<Packet> {
    let mut arguments = vec!["-v", "error", "-ignore_editlist", "1", "-select_streams", stream];
    arguments.extend(extra);
    arguments.extend([
        "-show_data_hash",
        "md5",
        "-show_entries",
        "packet=pts,dts,flags,data_hash",
        "-of",
        "compact=p=0",
        text(path),
    ]);
    let output = run("ffprobe", &arguments);
    output.lines().filter(|line| line.contains("data_hash")).map(packet).collect()
}

fn packet(line: &str) -> Packet {
    let field = |name: &str| {
        let mut fields = line.split('|').filter_map(|field| field.split_once('='));
        fields.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let number = |name| field(name).and_then(|value| value.parse().ok());
    Packet {
        pts: number("pts").unwrap_or_else(|| panic!("no pts: {line}")),
        dts: number("dts").unwrap_or_else(|| panic!("no dts: {line}")),
        is_key: field("flags").unwrap().contains('K'),
        payload_md5: field("data_hash").unwrap().to_string(),
    }
}

/// What `ffprobe` says of a stream.
#[track_caller]
pub(crate) fn stream_facts(path: &Path, stream: &str) -> String {
    let entries = "stream=codec_name,codec_tag_string,profile,width,height,sample_aspect_ratio,\
                   sample_rate,channels,time_base:stream_tags=language";
    let arguments =
        ["-v", "error", "-select_streams", stream, "-show_entries", entries, text(path)];
    run("ffprobe", &arguments)
}
