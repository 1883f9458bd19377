//! FFmpeg reads init and media segments: the packets are those of the source, byte for byte and
//! tick for tick, and they decode.

use std::path::{Path, PathBuf};

use packager::fmp4::{MediaSegment, iframe_sample, init_segment, segment_header_len};
use packager::index::IFrameEntry;
use packager::track::TrackKind;

use crate::packaged::Packaged;
use crate::source::{Source, SourceTrack};
use crate::tools::{self, packets, stream_facts, text, write};

pub(crate) const PICTURE: &str = "testsrc2=size=192x108:rate=25:duration=5";
pub(crate) const SOUND: &str = "sine=frequency=441:sample_rate=48000:duration=5";

/// Makes a file with one video and one audio track, interleaved.
pub(crate) fn make(name: &str, codecs: &str) -> PathBuf {
    let inputs = ["-f", "lavfi", "-i", PICTURE, "-f", "lavfi", "-i", SOUND];
    let all: Vec<&str> = inputs.into_iter().chain(codecs.split_whitespace()).collect();
    tools::make(name, &all)
}

#[track_caller]
fn check(name: &str, codecs: &str) {
    let path = make(name, codecs);
    let source = Source::read(&path);
    assert_eq!(source.tracks.len(), 2);
    let out = tools::folder(name);
    for track in &source.tracks {
        check_packets(&path, &source, track, &out);
        check_decodes(&out.join(file_name(track)));
    }
}

fn stream(track: &SourceTrack) -> String {
    match track.info.kind() {
        TrackKind::Video => "v:0".into(),
        _ => "a:0".into(),
    }
}

fn file_name(track: &SourceTrack) -> String {
    format!("{}.mp4", track.info.source_track_id)
}

/// Writes init and all segments behind each other, with a `sidx` before every other segment, and
/// compares what ffprobe reads with the source.
#[track_caller]
fn check_packets(path: &Path, source: &Source, track: &SourceTrack, out: &Path) {
    let packaged = Packaged::new(source, track);
    let index = &packaged.index;
    let mut bytes = init_segment(&index.info, &index.facts, Some(index.duration()));
    for (i, entry) in index.segments.iter().enumerate() {
        let segment = packaged.segment(i, false);
        assert_eq!(segment.len() as u64, segment_header_len(&entry.into()) + entry.media_bytes);
        bytes.extend_from_slice(&segment);
    }
    let ours = out.join(file_name(track));
    write(&ours, &bytes);

    let stream = stream(track);
    let from_source = packets(path, &format!("i:{}", track.info.source_track_id), &[]);
    let from_ours = packets(&ours, &stream, &[]);
    assert_eq!(from_source.len(), track.samples.len(), "{}", path.display());
    assert_eq!(from_ours.len(), from_source.len(), "{}", path.display());

    // FFmpeg adds the greatest negative offset of a track to all its presentation times, which it
    // does to its own `-movflags negative_cts_offsets` too, and moves decode times likewise.
    let offsets = track.samples.iter().map(|sample| i64::from(sample.composition_offset_ticks));
    let pts_shift = track.shift_ticks + offsets.min().unwrap_or(0).min(0);
    let dts_shift = from_source[0].dts - from_ours[0].dts;
    for (at, (was, is)) in from_source.iter().zip(&from_ours).enumerate() {
        let context = format!("{} {stream} packet {at}", path.display());
        assert_eq!(is.payload_md5, was.payload_md5, "{context}");
        assert_eq!(is.pts, was.pts - pts_shift, "{context}");
        assert_eq!(is.dts, was.dts - dts_shift, "{context}");
        assert_eq!(is.is_key, was.is_key, "{context}");
    }
}

#[track_caller]
fn check_decodes(path: &Path) {
    tools::run("ffmpeg", &["-v", "error", "-xerror", "-i", text(path), "-f", "null", "-"]);
}

#[test]
fn h264_with_b_frames_and_aac() {
    let codecs = "-vf setsar=4/3 -c:v libx264 -bf 3 -b_strategy 0 -g 25 -pix_fmt yuv420p \
                  -c:a aac -metadata:s:a:0 language=fra";
    check("h264_aac", codecs);
    let (path, out) = (tools::folder("h264_aac").join("source.mp4"), tools::folder("h264_aac"));
    let source = Source::read(&path);
    for track in &source.tracks {
        let stream = stream(track);
        let ours = out.join(file_name(track));
        let facts = stream_facts(&ours, &stream);
        assert_eq!(facts, stream_facts(&path, &stream));
        let special = match track.info.kind() {
            TrackKind::Video => "sample_aspect_ratio=4:3",
            _ => "language=fra",
        };
        assert!(facts.contains(special), "{facts}");
        let negative = track.samples.iter().any(|sample| sample.composition_offset_ticks < 0);
        assert_eq!(negative, track.info.kind() == TrackKind::Video);
    }
}

#[test]
fn hevc_and_ac3() {
    check("hevc_ac3", "-c:v libx265 -x265-params log-level=none:keyint=25 -tag:v hvc1 -c:a ac3");
}

#[test]
fn av1_and_opus() {
    check("av1_opus", "-c:v libaom-av1 -cpu-used 8 -usage realtime -g 25 -c:a libopus");
}

#[test]
fn vp9_and_flac() {
    check("vp9_flac", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25 -c:a flac -strict -2");
}

/// Each I-frame alone is a segment that decodes to one picture, shown at its own time.
#[test]
fn an_iframe_stands_alone() {
    let path = make("iframes", "-c:v libx264 -bf 2 -g 25 -c:a aac");
    let source = Source::read(&path);
    let track = source.tracks.iter().find(|t| t.info.kind() == TrackKind::Video).unwrap();
    let packaged = Packaged::new(&source, track);
    let frames: Vec<IFrameEntry> = (0_u32..)
        .zip(&track.samples)
        .filter(|(_, sample)| sample.is_sync)
        .map(|(number, sample)| IFrameEntry {
            sample: number,
            size_bytes: sample.size_bytes,
            offset_bytes: sample.offset_bytes,
            time: sample.presentation_time(),
            ..IFrameEntry::default()
        })
        .collect();
    assert_eq!(frames.len(), 5);

    let second = track.info.timescale.get();
    let mut bytes = init_segment(&track.info, &packaged.index.facts, None);
    for (number, frame) in (1..).zip(&frames) {
        let sample = iframe_sample(frame, second, 0);
        let samples = [sample];
        let segment = MediaSegment {
            number,
            decode_time: sample.decode_time,
            samples: &samples,
            events: &[],
            index: false,
            timescale: track.info.timescale,
        };
        segment.write_header(&mut bytes);
        packaged.append_media(&samples, &mut bytes);
    }
    let ours = tools::folder("iframes").join("iframes.mp4");
    write(&ours, &bytes);
    check_decodes(&ours);
    let shown: Vec<(i64, bool)> =
        packets(&ours, "v:0", &[]).iter().map(|packet| (packet.pts, packet.is_key)).collect();
    let expected: Vec<_> = (0..5).map(|n| (n * i64::from(second), true)).collect();
    assert_eq!(shown, expected);
    let output = tools::run(
        "ffprobe",
        &["-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames", text(&ours)],
    );
    assert!(output.contains("nb_read_frames=5"), "{output}");
}

/// Files from elsewhere, when there are some: the same packets come out, whatever made them.
#[test]
fn real_files_keep_their_packets() {
    let Some(media) = std::env::var_os("STREAMVERSE_MEDIA") else { return };
    let out = tools::folder("real");
    let mut tracks = 0;
    let mut paths: Vec<PathBuf> = std::fs::read_dir(Path::new(&media).join("good"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        let Some(source) = Source::try_read(&path) else { continue };
        // FFmpeg joins PCM samples into packets as it likes.
        let is_pcm =
            |track: &&SourceTrack| matches!(&track.info.sample_entries[0][4..8], b"sowt" | b"ipcm");
        for track in source.tracks.iter().filter(|track| !is_pcm(track)) {
            check_packets(&path, &source, track, &out);
            tracks += 1;
        }
    }
    assert!(tracks > 0);
}
