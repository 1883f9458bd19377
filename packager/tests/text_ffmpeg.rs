//! Text tracks against FFmpeg: SubRip as it reads it, `tx3g` as it writes it, WebVTT as it
//! understands ours; and `wvtt` from a public test suite.

// Tests bring the files that the crate itself never touches.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use packager::Timescale;
use packager::text::{
    Cue, CueTrack, SampleTextReader, TextSample, parse_srt, parse_webvtt, write_webvtt,
};

/// Scripts, styles, positions, escapes, several lines, cues that touch.
const SRT: &str = "1
00:00:01,000 --> 00:00:02,500
Hello <i>there</i> & <b>you</b>

2
00:00:02,500 --> 00:00:04,000
Zażółć <u>gęślą</u> jaźń
日本語 <i>の字幕</i> 🎬 <b>x</b>

3
00:00:04,250 --> 00:00:06,001
{\\an8}Above
- Two <i>speakers</i>
- <i>here</i>

4
00:01:00,000 --> 00:01:00,999
Nested <b>bold <i>both</i></b> R&D
";

fn read_srt() -> CueTrack {
    let parsed = parse_srt(SRT.as_bytes()).unwrap();
    assert_eq!(parsed.skipped, None);
    parsed.track
}

/// A directory of this test's own below Cargo's.
fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&dir).unwrap();
    dir
}

fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(["-v", "error"]).args(arguments).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {message}");
    output.stdout
}

/// Text without tags, references resolved: what a viewer reads.
fn plain(payload: &str) -> String {
    let mut out = String::new();
    let mut in_tag = false;
    for c in payload.chars() {
        match c {
            '<' => in_tag = true,
            '>' if in_tag => in_tag = false,
            _ if !in_tag => out.push(c),
            _ => {}
        }
    }
    out.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", " ").replace("&amp;", "&")
}

#[test]
fn subrip_is_read_as_ffmpeg_reads_it() {
    let dir = scratch("text_srt");
    let srt = dir.join("in.srt");
    fs::write(&srt, SRT).unwrap();
    let vtt = run("ffmpeg", &["-i", srt.to_str().unwrap(), "-f", "webvtt", "-"]);
    let theirs = parse_webvtt(&vtt, 0).unwrap().track;
    let ours = read_srt();
    assert_eq!(ours.cues.len(), 4);
    for (ours, theirs) in ours.cues.iter().zip(&theirs.cues) {
        assert_eq!((ours.start_ms, ours.end_ms), (theirs.start_ms, theirs.end_ms));
        assert_eq!(plain(&ours.payload), plain(&theirs.payload));
        // FFmpeg leaves `&` unescaped; its tags are ours.
        assert_eq!(ours.payload.replace("&amp;", "&"), theirs.payload);
    }
    assert_eq!(ours.cues.len(), theirs.cues.len());
}

#[test]
fn what_is_written_ffmpeg_reads() {
    let dir = scratch("text_vtt");
    let vtt = dir.join("out.vtt");
    let ours = read_srt();
    fs::write(&vtt, write_webvtt(&ours)).unwrap();
    let srt = run("ffmpeg", &["-i", vtt.to_str().unwrap(), "-f", "srt", "-"]);
    let theirs = parse_srt(&srt).unwrap().track;
    let shown = |cue: &Cue| (cue.start_ms, cue.end_ms, plain(&cue.payload));
    let ours: Vec<_> = ours.cues.iter().map(shown).collect();
    let theirs: Vec<_> = theirs.cues.iter().map(shown).collect();
    assert_eq!(ours, theirs);
}

/// One packet as `ffprobe` shows it.
struct Packet {
    pts: u64,
    duration: Option<u64>,
    data: Vec<u8>,
}

/// Packets of the first stream with their bytes.
fn packets(file: &Path) -> Vec<Packet> {
    let shown = run("ffprobe", &["-show_packets", "-show_data", file.to_str().unwrap()]);
    let shown = String::from_utf8(shown).unwrap();
    let field = |packet: &str, name: &str| {
        packet.lines().find_map(|line| line.strip_prefix(name)?.parse::<u64>().ok())
    };
    let packet = |packet: &str| Packet {
        pts: field(packet, "pts=").unwrap(),
        duration: field(packet, "duration="),
        data: dumped_bytes(packet),
    };
    shown.split("[/PACKET]").filter(|text| text.contains("pts=")).map(packet).collect()
}

/// Bytes of the first hex dump in `text`: `00000000: 0011 4865  ..He`.
fn dumped_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in text.lines() {
        let Some((offset, dump)) = line.split_once(": ") else { continue };
        if offset.len() != 8 || !offset.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            continue;
        }
        // Forty columns hold the digits, whatever the printable part looks like.
        let digits: String = dump[..40].chars().filter(|c| *c != ' ').collect();
        for pair in 0..digits.len() / 2 {
            bytes.push(u8::from_str_radix(&digits[pair * 2..pair * 2 + 2], 16).unwrap());
        }
    }
    bytes
}

fn inner_box(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).unwrap();
    [&size.to_be_bytes(), kind.as_slice(), body].concat()
}

#[test]
fn tx3g_samples_of_ffmpeg_give_back_the_subrip() {
    let dir = scratch("text_tx3g");
    let (srt, mp4) = (dir.join("in.srt"), dir.join("out.mp4"));
    fs::write(&srt, SRT).unwrap();
    run("ffmpeg", &["-y", "-i", srt.to_str().unwrap(), "-c:s", "mov_text", mp4.to_str().unwrap()]);

    let stream = run("ffprobe", &["-show_streams", "-show_data", mp4.to_str().unwrap()]);
    let stream = String::from_utf8(stream).unwrap();
    let time_base = stream.lines().find_map(|line| line.strip_prefix("time_base=1/")).unwrap();
    let timescale = Timescale::new(time_base.parse().unwrap()).unwrap();
    let extradata = stream.split("extradata=").nth(1).unwrap();
    let entry = inner_box(b"tx3g", &[&[0; 8], dumped_bytes(extradata).as_slice()].concat());

    let mut reader = SampleTextReader::new(1, timescale, &entry).unwrap();
    for (number, packet) in (1..).zip(packets(&mp4)) {
        let (start_ticks, duration_ticks) = (packet.pts, packet.duration.unwrap());
        let data = &packet.data;
        reader.handle_sample(TextSample { number, start_ticks, duration_ticks, data }).unwrap();
    }
    let track = reader.finish();
    let theirs = run("ffmpeg", &["-i", mp4.to_str().unwrap(), "-f", "srt", "-"]);
    assert_eq!(track, parse_srt(&theirs).unwrap().track);
    // Positions are no part of the samples that FFmpeg writes, nor is a style within a style: its
    // runs follow each other. The last cue has one.
    let ours = read_srt().cues.into_iter().map(|cue| Cue { settings: String::new(), ..cue });
    let expected: Vec<Cue> = ours.collect();
    assert_eq!(track.cues[..3], expected[..3]);
    assert_eq!(plain(&track.cues[3].payload), plain(&expected[3].payload));
}

/// `wvtt` in five segments, of which three show a cue; made by another packager.
#[test]
fn wvtt_of_a_public_suite_is_read() {
    let Some(media) = std::env::var_os("STREAMVERSE_MEDIA") else { return };
    let mp4 = Path::new(&media).join("text/ax_wvtt_mp4.mp4");
    let entry = inner_box(b"wvtt", &[&[0; 8], inner_box(b"vttC", b"WEBVTT").as_slice()].concat());
    let mut reader = SampleTextReader::new(1, Timescale::MILLIS, &entry).unwrap();
    let packets = packets(&mp4);
    let starts: Vec<u64> = packets.iter().map(|packet| packet.pts).chain([5_000]).collect();
    for (index, packet) in packets.iter().enumerate() {
        let number = u32::try_from(index + 1).unwrap();
        let (start_ticks, duration_ticks) = (starts[index], starts[index + 1] - starts[index]);
        let data = &packet.data;
        reader.handle_sample(TextSample { number, start_ticks, duration_ticks, data }).unwrap();
    }
    let track = reader.finish();
    let rows: Vec<String> = track
        .cues
        .iter()
        .map(|cue| format!("{}-{} [{}] {}", cue.start_ms, cue.end_ms, cue.settings, cue.payload))
        .collect();
    assert_eq!(
        rows,
        [
            "20-834 [align:center] Subtitle in the first segment.",
            "1100-1956 [align:center] Subtitle in the second segment.",
            "4500-4956 [align:center] Subtitle in the fifth segment.",
        ]
    );
}
