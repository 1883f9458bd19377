//! WebVTT as Chromium understands it: our parser finds the cues that the browser finds, in good
//! files and in broken ones, and what we write means to the browser what it means to us.
//!
//! Runs where `chromium` is installed.

// Tests bring the files that the crate itself never touches.
#![allow(clippy::disallowed_methods)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use packager::text::{CueTrack, parse_srt, parse_webvtt, write_webvtt};

/// `start|end|id|text` of a cue, times in milliseconds.
type Row = (u64, u64, String, String);

/// Loads every document into a text track and prints its cues, all texts as hexadecimal UTF-8.
const SCRIPT: &str = "
const hex = text => Array.from(new TextEncoder().encode(text), b => b.toString(16).padStart(2, '0')).join('');
const load = bytes => new Promise(done => {
  const video = document.createElement('video');
  const track = document.createElement('track');
  track.onload = () => done(Array.from(track.track.cues, cue =>
    [Math.round(cue.startTime * 1000), Math.round(cue.endTime * 1000), 'x' + hex(cue.id), 'x' + hex(cue.text)].join('|')));
  track.onerror = () => done(['error']);
  track.src = URL.createObjectURL(new Blob([bytes], { type: 'text/vtt' }));
  video.appendChild(track);
  document.body.appendChild(video);
  track.track.mode = 'hidden';
});
(async () => {
  const out = [];
  for (const text of documents) {
    const bytes = Uint8Array.from(text.match(/../g) || [], pair => parseInt(pair, 16));
    out.push((await load(bytes)).join(','));
  }
  document.getElementById('out').textContent = 'begin;' + out.join(';') + ';end';
})();
";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").unwrap();
        out
    })
}

fn from_hex(text: &str) -> String {
    let digits = text.strip_prefix('x').unwrap();
    let byte = |at: usize| u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).unwrap();
    String::from_utf8((0..digits.len() / 2).map(byte).collect()).unwrap()
}

/// What Chromium finds in each document; `None` where it refuses it. Nothing without Chromium.
fn chromium_cues(name: &str, documents: &[Vec<u8>]) -> Option<Vec<Option<Vec<Row>>>> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&dir).unwrap();
    let list: Vec<String> = documents.iter().map(|bytes| format!("'{}'", hex(bytes))).collect();
    let page = format!(
        "<!doctype html><body><pre id=out></pre><script>const documents=[{}];{SCRIPT}</script>",
        list.join(",")
    );
    let file = dir.join("page.html");
    fs::write(&file, page).unwrap();
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--virtual-time-budget=60000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", dir.join("profile").display()))
        .arg(format!("file://{}", file.display()))
        .output()
        .ok()?;
    let dom = String::from_utf8(output.stdout).unwrap();
    let found = dom.split("<pre id=\"out\">begin;").nth(1).expect("the page ran to its end");
    let found = found.split(";end").next().unwrap();
    let cue = |text: &str| {
        let fields: Vec<&str> = text.split('|').collect();
        let times = (fields[0].parse().unwrap(), fields[1].parse().unwrap());
        (times.0, times.1, from_hex(fields[2]), from_hex(fields[3]))
    };
    let rows = found.split(';').map(|rows| {
        (rows != "error").then(|| rows.split(',').filter(|row| !row.is_empty()).map(cue).collect())
    });
    Some(rows.collect())
}

fn rows(track: &CueTrack) -> Vec<Row> {
    let row = |cue: &packager::text::Cue| {
        (cue.start_ms, cue.end_ms, cue.id.clone().unwrap_or_default(), cue.payload.clone())
    };
    track.cues.iter().map(row).collect()
}

/// A generator that needs no crate and gives the same documents every time (Knuth's MMIX).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// Lines of which broken files are made.
const LINES: [&str; 24] = [
    "",
    "",
    "",
    "00:01.000 --> 00:02.000",
    "00:03.000 --> 00:04.000 align:start line:0",
    "01:00:00.500-->01:00:01.500",
    "100:00:00.000 --> 100:00:01.000",
    "1:00:00.000\t-->\t1:00:02.000",
    "00:05.000 --> 00:06",
    "00:60.000 --> 00:61.000",
    "00:01:99.000 --> 00:02.000",
    "--> ",
    "-->",
    "00:07.000 --> 00:08.000 --> 00:09.000",
    "00:01.0000 --> 00:02.000",
    "NOTE x",
    "NOTE",
    "STYLE",
    "REGION",
    "id 7",
    "text <b>bold</b> &amp; more",
    " indented ",
    "Ж日🎬",
    "00:02.000 -- > 00:03.000",
];

/// Broken files: random lines under a signature, with any line ending.
fn documents() -> Vec<Vec<u8>> {
    let mut random = Random(7);
    let mut documents = Vec::new();
    for _ in 0..1_000 {
        let ending = ["\n", "\r\n", "\r"][random.below(3)];
        let signature = ["WEBVTT", "WEBVTT x", "\u{feff}WEBVTT", "WEBVTT\t", "WEBVTTX"];
        let mut text = signature[random.below(signature.len())].to_owned();
        // Chromium makes an id of a header's last line when a timing follows; the standard doesn't.
        text.push_str(ending);
        for _ in 0..random.below(16) {
            text.push_str(ending);
            text.push_str(LINES[random.below(LINES.len())]);
        }
        let mut bytes = text.into_bytes();
        if random.below(8) == 0 {
            bytes.extend(b"\nx\0\xffy\n");
        }
        documents.push(bytes);
    }
    documents
}

/// The cues of broken files are those that the browser finds, except that we leave out what is
/// never shown. Ids are equal or absent: Chromium also makes one of a line that ends a broken
/// block, and we drop those that open another block to lesser readers.
#[test]
fn broken_files_mean_what_they_mean_to_chromium() {
    let documents = documents();
    let Some(theirs) = chromium_cues("text_chromium_read", &documents) else { return };
    assert_eq!(theirs.len(), documents.len());
    let (mut compared, mut named) = (0, 0);
    for (document, theirs) in documents.iter().zip(theirs) {
        let mut theirs = theirs.unwrap_or_default();
        theirs.retain(|row| row.0 < row.1);
        // Where cues are announced and none can be read, we say so instead of showing nothing.
        let ours = parse_webvtt(document, 0).map_or(vec![], |parsed| rows(&parsed.track));
        for (our, their) in ours.iter().zip(&mut theirs) {
            compared += 1;
            if our.2.is_empty() {
                their.2.clear();
            } else {
                named += 1;
                their.2 = their.2.trim().to_owned();
            }
        }
        assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(document));
    }
    assert!(compared > 1_000 && named > 30, "{compared} cues, {named} ids prove little");
}

#[test]
fn what_is_written_means_the_same_to_chromium() {
    let srt = "1\n00:00:01,000 --> 00:00:02,500\na --> b\n\n<i>c\n\n2\n00:00:03,000 --> 00:00:04,000\n\
               {\\an8}R&D <3 >> <font color=yellow>x</font>\n\n3\n27:46:40,000 --> 27:46:41,000\nΩ\n";
    let vtt = "WEBVTT\n\nSTYLE\n::cue { color: lime }\n\nREGION\nid:r\n\nname\n\
               00:01.000 --> 00:05.000 region:r\n<v Bob>hi</v> <00:00:02.000>there\n\n\
               00:01.000 --> 00:02.000\n";
    let tracks =
        [parse_srt(srt.as_bytes()).unwrap().track, parse_webvtt(vtt.as_bytes(), 0).unwrap().track];
    let documents: Vec<Vec<u8>> = tracks.iter().map(|t| write_webvtt(t).into_bytes()).collect();
    let Some(theirs) = chromium_cues("text_chromium_write", &documents) else { return };
    for (track, theirs) in tracks.iter().zip(theirs) {
        assert!(!track.cues.is_empty());
        let mut theirs = theirs.unwrap();
        // The browser shows the longer of two cues first; the file has the order of its source.
        theirs.sort_by_key(|row| row.0);
        assert_eq!(rows(track), theirs);
    }
}
