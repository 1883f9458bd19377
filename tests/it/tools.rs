//! The command-line tools that judge.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Condvar, Mutex};

use serde_json::Value;

/// A folder for the files of one test, empty at first.
pub(crate) fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("it").join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("the temporary folder can be written");
    path
}

pub(crate) fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// What a program said.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Tools that work on media at the same time.
const TOOLS_MAX: usize = 2;
static RUNNING: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

#[track_caller]
pub(crate) fn run_unchecked(program: &str, arguments: &[&str]) -> Said {
    let (count, changed) = &RUNNING;
    let mut running = count.lock().expect("nobody panics with the lock");
    while *running >= TOOLS_MAX {
        running = changed.wait(running).expect("nobody panics with the lock");
    }
    *running += 1;
    drop(running);
    let output = Command::new(program).args(arguments).stdin(std::process::Stdio::null()).output();
    *count.lock().expect("nobody panics with the lock") -= 1;
    changed.notify_one();
    let output = output.unwrap_or_else(|error| panic!("{program} can't be started: {error}"));
    Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    }
}

/// Runs a tool that has to succeed without a complaint.
#[track_caller]
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let said = run_unchecked(program, arguments);
    assert!(said.code == Some(0) && said.err.is_empty(), "{program} {arguments:?}: {said:?}");
    said.out
}

/// One packet as `ffprobe` lists it: edit lists applied, times in seconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Packet {
    pub(crate) pts: f64,
    pub(crate) dts: f64,
    pub(crate) duration: f64,
    pub(crate) is_key: bool,
    /// Decoded, but not presented.
    pub(crate) is_discarded: bool,
    pub(crate) size: u64,
    pub(crate) payload_md5: String,
}

/// One stream of a file.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) file: PathBuf,
    /// Index in the file, from 0.
    pub(crate) index: u64,
    pub(crate) kind: String,
    pub(crate) codec: String,
    pub(crate) packets: Vec<Packet>,
}

/// All streams of a file with their packets.
#[track_caller]
pub(crate) fn streams(file: &Path) -> Result<Vec<Stream>, String> {
    streams_with(file, &[])
}

/// As [`streams`], with options for how the file is read.
#[track_caller]
pub(crate) fn streams_with(file: &Path, options: &[&str]) -> Result<Vec<Stream>, String> {
    let name = text(file);
    let entries = "packet=stream_index,pts,dts,duration,flags,size,data_hash:\
                   stream=index,id,codec_type,codec_name,time_base";
    let shown =
        ["-v", "error", "-show_data_hash", "md5", "-show_entries", entries, "-of", "json", name];
    let said = run_unchecked("ffprobe", &[options, &shown].concat());
    if said.code != Some(0) {
        return Err(said.err);
    }
    let document: Value = serde_json::from_str(&said.out).expect("ffprobe writes JSON");
    let list = |key: &str| document[key].as_array().cloned().unwrap_or_default();
    let packets = list("packets");
    let packets_and_more = if packets.is_empty() { list("packets_and_frames") } else { packets };
    Ok(list("streams")
        .iter()
        .map(|stream| {
            let of_stream =
                packets_and_more.iter().filter(|row| row["stream_index"] == stream["index"]);
            let (num, den) =
                stream["time_base"].as_str().and_then(|base| base.split_once('/')).expect("a base");
            let base = num.parse::<f64>().expect("digits") / den.parse::<f64>().expect("digits");
            let string = |key: &str| stream[key].as_str().unwrap_or_default().to_owned();
            Stream {
                file: file.to_owned(),
                index: stream["index"].as_u64().expect("an index"),
                kind: string("codec_type"),
                codec: string("codec_name"),
                packets: of_stream.map(|row| packet(row, base)).collect(),
            }
        })
        .collect())
}

fn packet(row: &Value, base: f64) -> Packet {
    let seconds = |key: &str| row[key].as_i64().map(|ticks| ticks as f64 * base);
    let flags = row["flags"].as_str().unwrap_or_default();
    Packet {
        pts: seconds("pts").unwrap_or(f64::NAN),
        dts: seconds("dts").unwrap_or(f64::NAN),
        duration: seconds("duration").unwrap_or(0.0),
        is_key: flags.contains('K'),
        is_discarded: flags.contains('D'),
        size: row["size"].as_str().and_then(|size| size.parse().ok()).unwrap_or(0),
        payload_md5: row["data_hash"].as_str().unwrap_or_default().to_owned(),
    }
}

/// Hashes of the decoded frames of a stream (`0:v:0`), in order of presentation. A decoder that
/// complains is an error.
#[track_caller]
pub(crate) fn decode(file: &Path, stream: &str) -> Result<Vec<String>, String> {
    let said = run_decoder(file, stream, &["-xerror"]);
    if said.code != Some(0) || !said.err.is_empty() {
        return Err(said.err);
    }
    Ok(frame_hashes(&said))
}

/// As [`decode`], with the frames that come in spite of complaints.
#[track_caller]
pub(crate) fn decoded(file: &Path, stream: &str) -> Vec<String> {
    frame_hashes(&run_decoder(file, stream, &[]))
}

#[track_caller]
fn run_decoder(file: &Path, stream: &str, options: &[&str]) -> Said {
    let input = ["-v", "error", "-nostdin", "-threads", "1", "-i", text(file)];
    let output = ["-map", stream, "-fps_mode", "passthrough", "-f", "framemd5", "-"];
    run_unchecked("ffmpeg", &[options, &input, &output].concat())
}

fn frame_hashes(said: &Said) -> Vec<String> {
    let rows = said.out.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| line.rsplit(',').next().unwrap_or_default().trim().to_owned()).collect()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}
