//! Segments of real encodings as FFmpeg reads them: every frame decodes, every time is right, and
//! the elementary streams are those of the source.

#![allow(clippy::disallowed_methods, reason = "tests bring their own files")]

mod ts_support;

use std::path::{Path, PathBuf};

use packager::track::{Sample, TrackInfo};
use packager::ts::{
    BatchLimits, MuxTrack, TrackSize, TrackSizer, reorder_ticks, segment_len_bytes,
    write_iframe_segment,
};
use ts_support::parser::{Parsed, parse};
use ts_support::source::{self, run};
use ts_support::{LIMITS, mux};

/// A source file with one video and one audio track at most.
struct Title {
    path: PathBuf,
    /// Where its transport streams go.
    directory: PathBuf,
    file: Vec<u8>,
    video: Option<(TrackInfo, Vec<Sample>)>,
    audio: Option<(TrackInfo, Vec<Sample>)>,
}

const VIDEO: [&str; 4] = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=6"];
const AUDIO: [&str; 4] = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=6"];
const H264: [&str; 8] = ["-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-bf", "2"];

impl Title {
    fn make(directory: &Path, name: &str, arguments: &[&[&str]]) -> Self {
        let path = directory.join(name);
        source::make(&path, &arguments.concat());
        Self::open(path)
    }

    fn open(path: PathBuf) -> Self {
        let file = std::fs::read(&path).unwrap();
        let pictures = source::samples(&path, "v");
        let video = (!pictures.is_empty()).then(|| (source::video(&path, &file), pictures));
        let audio = source::audio(&path, &file).map(|info| (info, source::samples(&path, "a")));
        let name = format!("ts_{}", path.file_stem().unwrap().display());
        let directory = directory(&name);
        Self { path, directory, file, video, audio }
    }

    /// All segments, each cut at the key frame or audio frame after two seconds, one after the
    /// other, with sizes checked against those announced.
    fn package(&self, with_video: bool, with_audio: bool, limits: BatchLimits) -> Vec<u8> {
        let video = self.video.as_ref().filter(|_| with_video);
        let audio = self.audio.as_ref().filter(|_| with_audio);
        let (mut video_before, mut audio_before) = (0, 0);
        let (mut stream, mut start) = (Vec::new(), 0.0);
        for number in 1.. {
            let end = video.map_or(start + 2.0, |track| next_cut(track, start + 2.0));
            let v = video.map(|track| (track, part(track, start, end)));
            let a = audio.map(|track| (track, part(track, start, end)));
            if v.is_none_or(|(_, samples)| samples.is_empty())
                && a.is_none_or(|(_, samples)| samples.is_empty())
            {
                break;
            }
            let sizes = [v, a].map(|track| track.map(|(track, samples)| self.size(track, samples)));
            let v = v.map(|(track, samples)| mux_track(track, samples, video_before));
            let a = a.map(|(track, samples)| mux_track(track, samples, audio_before));
            let segment = mux(&[&self.file], v, a, number, limits).unwrap();
            assert_eq!(segment.len() as u64, segment_len_bytes(sizes[0], sizes[1]));
            stream.extend(segment);
            video_before += sizes[0].map_or(0, |size| u64::from(size.packets));
            audio_before += sizes[1].map_or(0, |size| u64::from(size.packets));
            start = end;
        }
        stream
    }

    fn size(&self, (info, all): &(TrackInfo, Vec<Sample>), samples: &[Sample]) -> TrackSize {
        let mut sizer = TrackSizer::new(info, reorder_ticks(all)).unwrap();
        for sample in samples {
            let start = sample.offset_bytes as usize;
            sizer.push(sample, &self.file[start..start + sample.size_bytes as usize]).unwrap();
        }
        sizer.finish_segment()
    }

    /// Everything that is to hold for a title, whatever is in it.
    fn check(&self) {
        let combinations = [(true, true), (true, false), (false, true)];
        for (with_video, with_audio) in combinations {
            if with_video && self.video.is_none() || with_audio && self.audio.is_none() {
                continue;
            }
            let stream = self.package(with_video, with_audio, LIMITS);
            let small = BatchLimits { bytes: 1, gap_bytes: 0 };
            assert!(stream == self.package(with_video, with_audio, small), "batches don't show");
            let parsed = parse(&stream);
            check_clock(&parsed);
            let path = self.directory.join(format!("{with_video}-{with_audio}.ts"));
            std::fs::write(&path, &stream).unwrap();
            self.check_decoding(&path, with_video, with_audio);
            if with_video {
                self.check_video(&path);
            }
            if with_audio {
                self.check_audio(&path, &parsed);
            }
        }
    }

    /// FFmpeg decodes all of it, with errors made fatal and warnings not allowed.
    fn check_decoding(&self, path: &Path, with_video: bool, with_audio: bool) {
        run(
            "ffmpeg",
            &["-xerror", "-err_detect", "explode", "-i", path.to_str().unwrap(), "-f", "null", "-"],
        );
        let pictures = if with_video { decoded(&self.path, "v") } else { Vec::new() };
        assert!(decoded(path, "v") == pictures, "pictures of {path:?}");
        // The source's decoder starts at the frames that its edit list hides, so that samples
        // differ by its state; `check_audio` compares the frames themselves. FFmpeg's AAC decoder
        // may swallow the first.
        let frames = self.audio.as_ref().filter(|_| with_audio).map_or(0, |audio| audio.1.len());
        let heard = decoded(path, "a").len();
        assert!(heard == frames || heard + 1 == frames, "{heard} frames of {path:?}");
    }

    /// Times are those of the table; NAL units are those of the source in their order.
    fn check_video(&self, path: &Path) {
        let (info, samples) = self.video.as_ref().unwrap();
        let reorder = i64::from(reorder_ticks(samples));
        let at_90_khz =
            |ticks: i64| (ticks * 90_000).div_euclid(i64::from(info.timescale.get())) + 900_000;
        let expected = samples.iter().map(|sample| {
            let presentation = sample.presentation_time() as i64;
            (
                at_90_khz(presentation),
                at_90_khz(sample.decode_time as i64 - reorder),
                sample.is_sync,
            )
        });
        assert_eq!(packets(path, "v"), expected.collect::<Vec<_>>());

        let is_avc = self.file.windows(4).any(|window| window == b"avcC");
        let (filter, format) =
            if is_avc { ("h264_mp4toannexb", "h264") } else { ("hevc_mp4toannexb", "hevc") };
        let original = run(
            "ffmpeg",
            &[
                "-i",
                self.path.to_str().unwrap(),
                "-map",
                "0:v",
                "-c",
                "copy",
                "-bsf:v",
                filter,
                "-f",
                format,
                "-",
            ],
        );
        let carried = run(
            "ffmpeg",
            &["-i", path.to_str().unwrap(), "-map", "0:v", "-c", "copy", "-f", format, "-"],
        );
        // FFmpeg repeats the SEI of hvcC at every IRAP picture, we at those marked as sync samples.
        let describing: &[u8] = if is_avc { &[7, 8, 9] } else { &[32, 33, 34, 35, 39] };
        let original = nal_units(&original, is_avc, describing);
        assert!(original == nal_units(&carried, is_avc, describing), "NAL units of {path:?}");
    }

    /// The frames are those of the source, and each PES packet has the time of its first.
    fn check_audio(&self, path: &Path, parsed: &Parsed) {
        let (info, samples) = self.audio.as_ref().unwrap();
        let is_aac = parsed.streams[&0x101].0 == 0x0f;
        let mut waiting = samples.iter();
        for pes in &parsed.pids[&0x101].pes {
            let first = waiting.as_slice()[0].presentation_time() * 90_000;
            assert_eq!(pes.pts, first / u64::from(info.timescale.get()) + 900_000);
            let mut frames = pes.data.as_slice();
            while !frames.is_empty() {
                let sample = waiting.next().expect("a frame of the source");
                let payload = &self.file[sample.offset_bytes as usize..];
                let payload = &payload[..sample.size_bytes as usize];
                if is_aac {
                    let (adts, rest) = frames.split_at(7);
                    let length = u32::from_be_bytes([0, adts[3] & 3, adts[4], adts[5]]) >> 5;
                    assert_eq!(length as usize, payload.len() + 7);
                    frames = rest;
                }
                frames = frames.strip_prefix(payload).expect("the frame of the source");
            }
        }
        assert!(waiting.next().is_none());
        assert_eq!(packets(path, "a").len(), samples.len(), "FFmpeg finds each frame");
    }
}

fn mux_track<'a>(
    track: &'a (TrackInfo, Vec<Sample>),
    samples: &'a [Sample],
    packets_before: u64,
) -> MuxTrack<'a> {
    MuxTrack {
        info: &track.0,
        samples,
        source: 0,
        packets_before,
        reorder_ticks: reorder_ticks(&track.1),
    }
}

fn seconds(info: &TrackInfo, sample: &Sample) -> f64 {
    info.timescale.ticks(sample.decode_time).as_seconds()
}

fn next_cut((info, samples): &(TrackInfo, Vec<Sample>), after: f64) -> f64 {
    let later =
        samples.iter().find(|sample| sample.is_sync && seconds(info, sample) >= after - 1e-9);
    later.map_or(f64::MAX, |sample| seconds(info, sample))
}

fn part((info, samples): &(TrackInfo, Vec<Sample>), start: f64, end: f64) -> &[Sample] {
    let at = |time: f64| samples.partition_point(|sample| seconds(info, sample) < time - 1e-9);
    &samples[at(start)..at(end)]
}

fn check_clock(parsed: &Parsed) {
    assert!(parsed.pcrs.len() > 2);
    for pair in parsed.pcrs.windows(2) {
        assert!(pair[1] > pair[0] && pair[1] - pair[0] <= 2_700_000, "{pair:?}");
    }
    for pid in parsed.pids.values() {
        let times = pid.pes.iter().map(|pes| pes.dts.unwrap_or(pes.pts));
        assert!(times.is_sorted_by(|a, b| a < b));
    }
}

/// (PTS, DTS, key) of each packet, at 90 kHz.
fn packets(path: &Path, stream: &str) -> Vec<(i64, i64, bool)> {
    let rows = source::probe(path, stream, "packet=pts,dts,flags", 3);
    let number = |text: &str| text.parse().unwrap();
    rows.iter().map(|row| (number(&row[0]), number(&row[1]), row[2].starts_with('K'))).collect()
}

/// Checksums of all decoded frames, without their times; of audio those of the samples.
fn decoded(path: &Path, stream: &str) -> Vec<String> {
    if source::probe(path, stream, "stream=index", 1).is_empty() {
        return Vec::new();
    }
    let (path, map) = (path.to_str().unwrap(), format!("0:{stream}"));
    let arguments = ["-i", path, "-map", &map, "-fps_mode", "passthrough", "-f", "framemd5", "-"];
    let text = String::from_utf8(run("ffmpeg", &arguments)).unwrap();
    let hash = |line: &str| line.rsplit(',').next().unwrap().trim().to_owned();
    text.lines().filter(|line| !line.starts_with('#')).map(hash).collect()
}

/// NAL units of a byte stream but for those that describe it.
fn nal_units<'a>(stream: &'a [u8], is_avc: bool, leave_out: &[u8]) -> Vec<&'a [u8]> {
    let mut starts = Vec::new();
    let mut at = 0;
    while at + 3 <= stream.len() {
        if stream[at..at + 3] == [0, 0, 1] {
            starts.push(at);
            at += 3;
        } else {
            at += 1;
        }
    }
    let ends = starts.iter().skip(1).copied().chain([stream.len()]);
    let units = starts.iter().zip(ends).map(|(start, end)| {
        let unit = &stream[start + 3..end];
        let zeros = unit.iter().rev().take_while(|byte| **byte == 0).count();
        &unit[..unit.len() - zeros]
    });
    let unit_type = |unit: &[u8]| if is_avc { unit[0] & 0x1f } else { unit[0] >> 1 & 0x3f };
    units.filter(|unit| !leave_out.contains(&unit_type(unit))).collect()
}

fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

#[test]
fn h264_with_b_frames_and_aac() {
    let aac = ["-c:a", "aac", "-b:a", "96k"];
    let title = Title::make(&directory("ts_h264"), "h264.mp4", &[&VIDEO, &AUDIO, &H264, &aac]);
    assert!(reorder_ticks(&title.video.as_ref().unwrap().1) > 0, "decode times are moved back");
    title.check();
}

#[test]
fn h264_with_several_slices_and_large_pictures() {
    let large = ["-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25:duration=4,noise=alls=60"];
    let slices = ["-slices", "4", "-crf", "12"];
    let title = Title::make(&directory("ts_slices"), "slices.mp4", &[&large, &H264, &slices]);
    let largest = title.video.as_ref().unwrap().1.iter().map(|sample| sample.size_bytes).max();
    assert!(largest > Some(140_000), "{largest:?} is split over batches");
    title.check();
}

#[test]
fn h264_with_lengths_of_two_bytes() {
    let directory = directory("ts_nal2");
    let mut title = Title::make(&directory, "nal4.mp4", &[&VIDEO, &H264]);
    let (info, samples) = title.video.as_mut().unwrap();
    let parsed_before = parse(
        &mux(
            &[&title.file],
            Some(MuxTrack {
                info,
                samples,
                source: 0,
                packets_before: 0,
                reorder_ticks: reorder_ticks(samples),
            }),
            None,
            1,
            LIMITS,
        )
        .unwrap(),
    );
    // Rewrite each sample with shorter lengths, in a file of its own.
    let mut file = Vec::new();
    for sample in samples.iter_mut() {
        let mut rest = &title.file[sample.offset_bytes as usize..][..sample.size_bytes as usize];
        sample.offset_bytes = file.len() as u64;
        while let Some((length, after)) = rest.split_first_chunk() {
            let unit = &after[..u32::from_be_bytes(*length) as usize];
            file.extend(u16::try_from(unit.len()).unwrap().to_be_bytes());
            file.extend(unit);
            rest = &after[unit.len()..];
        }
        sample.size_bytes = (file.len() as u64 - sample.offset_bytes) as u32;
    }
    let packager::track::MediaParams::Video(params) = &mut info.media else { panic!("video") };
    params.nal_length_size = Some(2);
    title.file = file;
    let parsed = parse(&title.package(true, false, LIMITS));
    let data = |parsed: &Parsed| {
        parsed.pids[&0x100].pes.iter().flat_map(|pes| pes.data.clone()).collect::<Vec<_>>()
    };
    assert!(data(&parsed) == data(&parsed_before));
}

#[test]
fn hevc_and_ac3() {
    let hevc = [
        "-c:v",
        "libx265",
        "-preset",
        "ultrafast",
        "-x265-params",
        "keyint=50:bframes=3:log-level=error",
        "-tag:v",
        "hvc1",
    ];
    let ac3 = ["-c:a", "ac3", "-b:a", "192k"];
    Title::make(&directory("ts_hevc"), "hevc.mp4", &[&VIDEO, &AUDIO, &hevc, &ac3]).check();
}

#[test]
fn eac3_and_mp3_alone() {
    for encoder in ["eac3", "libmp3lame"] {
        let arguments = ["-c:a", encoder, "-b:a", "128k"];
        let name = format!("{encoder}.mp4");
        Title::make(&directory("ts_audio"), &name, &[&AUDIO, &arguments]).check();
    }
}

#[test]
fn the_clock_wraps_unnoticed() {
    let mut title = Title::make(&directory("ts_wrap"), "wrap.mp4", &[&VIDEO, &AUDIO, &H264]);
    // The 33 bits overflow three seconds after the first picture: 26.5 hours into the timeline.
    let wrap_seconds = (1_u64 << 33) as f64 / 90_000.0 - 10.0 - 3.0;
    for (info, samples) in [title.video.as_mut(), title.audio.as_mut()].into_iter().flatten() {
        let shift = (wrap_seconds * f64::from(info.timescale.get())) as u64;
        samples.iter_mut().for_each(|sample| sample.decode_time += shift);
    }
    let (video, audio) = (title.video.as_ref().unwrap(), title.audio.as_ref().unwrap());
    let tracks = [video, audio].map(|track| Some(mux_track(track, &track.1, 0)));
    let segment = mux(&[&title.file], tracks[0], tracks[1], 1, LIMITS).unwrap();
    let parsed = parse(&segment);
    let times = parsed.pids[&0x100].pes.iter().map(|pes| pes.pts);
    assert!(times.clone().min() < Some(90_000 * 4) && times.max() > Some((1 << 33) - 90_000 * 4));
    let path = title.directory.join("wrap.ts");
    std::fs::write(&path, &segment).unwrap();
    title.check_decoding(&path, true, true);
    let times = packets(&path, "v").into_iter().map(|(_, decode, _)| decode);
    assert!(times.collect::<Vec<_>>().windows(2).all(|pair| pair[1] - pair[0] == 3_600));
}

#[test]
fn iframe_segments_decode_alone() {
    let title = Title::make(&directory("ts_iframe"), "iframe.mp4", &[&VIDEO, &H264]);
    let (info, samples) = title.video.as_ref().unwrap();
    let pictures = decoded(&title.path, "v");
    let key_frames = samples.iter().enumerate().filter(|(_, sample)| sample.is_sync);
    for (at, sample) in key_frames {
        let payload = &title.file[sample.offset_bytes as usize..][..sample.size_bytes as usize];
        let mut segment = Vec::new();
        write_iframe_segment(info, reorder_ticks(samples), sample, payload, &mut segment).unwrap();
        let size = title.size(title.video.as_ref().unwrap(), std::slice::from_ref(sample));
        assert_eq!(segment.len() as u64, segment_len_bytes(Some(size), None));
        let path = title.directory.join(format!("{at}.ts"));
        std::fs::write(&path, &segment).unwrap();
        // These GOPs are closed: a key frame is shown at its place in decode order.
        assert_eq!(decoded(&path, "v"), [pictures[at].clone()]);
    }
}

/// Files of other makers, where the folder of them is at hand.
#[test]
fn real_files() {
    let Some(media) = std::env::var_os("STREAMVERSE_MEDIA") else { return };
    for name in [
        "good/ax_bbb_800x640_768kbps_30fps_avc_pyramid_3b.mp4",
        "good/ax_hlg10-color-test.mp4",
        "good/ax_midroll-5s.mp4",
        "good/ax_sample_eac3.mp4",
        "good/ax_sample_shorter_audio.mp4",
        "good/ax_sample_with_increasing_timestamps_320w_240h_5s.mp4",
        "good/ax_testvid_1022ms.mp4",
        "good/ff_bbb_prog_10s.mp4",
        "good/gomp4_sample.mp4",
        "good/snn_foreman-hevc-384.mp4",
        "derived/baseline_multislice.mp4",
        "derived/gbr_44100.mp4",
        "derived/interlaced.mp4",
        "derived/irregular_gop.mp4",
        "derived/mov_qt.mov",
        "derived/onekey.mp4",
    ] {
        eprintln!("{name}");
        Title::open(Path::new(&media).join(name)).check();
    }
}
