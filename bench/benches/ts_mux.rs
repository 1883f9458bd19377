//! How fast MPEG-TS segments are written: gigabytes of output per second of one core, beside a
//! plain copy of the same bytes through a buffer of the same size.
//!
//! `cargo bench -p bench --bench ts_mux`
#![allow(clippy::print_stdout, reason = "a benchmark reports on standard output")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use packager::Timescale;
use packager::track::{
    AacConfig, AudioCodec, AudioParams, MediaParams, Sample, TrackInfo, VideoCodec, VideoParams,
    VideoRange,
};
use packager::ts::{BatchLimits, MuxTrack, SegmentMuxer};

const LIMITS: BatchLimits = BatchLimits { bytes: 128 << 10, gap_bytes: 4 << 10 };
const SEGMENTS: usize = 60;
const TIME_PER_CASE: Duration = Duration::from_secs(2);

/// 6 s segments of 1080p at 25 frames and 6 Mb/s with AAC at 128 kb/s, interleaved in one file.
struct Title {
    file: Vec<u8>,
    video: TrackInfo,
    audio: TrackInfo,
    segments: Vec<(Vec<Sample>, Vec<Sample>)>,
}

fn main() {
    let title = Title::new();
    println!("file of {} MB, {} segments", title.file.len() / 1_000_000, SEGMENTS);
    for (name, range) in [("cold source", 0..SEGMENTS), ("one segment, in cache", 0..1)] {
        report(&format!("copy, {name}"), || title.copy(range.clone()));
        report(&format!("video and audio, {name}"), || title.mux(range.clone(), true, true));
        report(&format!("video, {name}"), || title.mux(range.clone(), true, false));
        report(&format!("audio, {name}"), || title.mux(range.clone(), false, true));
    }
}

/// Runs passes for a while and prints the best and the median.
fn report(name: &str, mut pass: impl FnMut() -> usize) {
    let start = Instant::now();
    let mut rates = Vec::new();
    while start.elapsed() < TIME_PER_CASE {
        let started = Instant::now();
        let bytes = pass();
        rates.push(bytes as f64 / started.elapsed().as_secs_f64() / 1e9);
    }
    rates.sort_by(f64::total_cmp);
    let (median, best) = (rates[rates.len() / 2], rates[rates.len() - 1]);
    println!("{name:40} median {median:6.2} GB/s, best {best:6.2}");
}

impl Title {
    fn new() -> Self {
        let mut title = Self {
            file: Vec::new(),
            video: video_info(),
            audio: audio_info(),
            segments: Vec::new(),
        };
        for segment in 0..SEGMENTS as u64 {
            let (mut video, mut audio) = (Vec::new(), Vec::new());
            for second in segment * 6..segment * 6 + 6 {
                for frame in 0..25 {
                    let size = if second % 2 == 0 && frame == 0 { 150_000 } else { 27_000 };
                    let time = second * 25 + frame;
                    video.push(title.push(size, time, 1, second % 2 == 0 && frame == 0));
                }
                for frame in 0..47 {
                    audio.push(title.push(341, (second * 47 + frame) * 1024, 1024, true));
                }
            }
            title.segments.push((video, audio));
        }
        title
    }

    /// A sample of two NAL units, one of them SEI.
    fn push(&mut self, size: u32, decode_time: u64, duration_ticks: u32, is_sync: bool) -> Sample {
        let offset_bytes = self.file.len() as u64;
        self.file.extend([0, 0, 0, 30, 6]);
        self.file.resize(self.file.len() + 29, 0x55);
        self.file.extend((size - 38).to_be_bytes());
        self.file.push(if is_sync { 0x65 } else { 0x41 });
        self.file.resize(offset_bytes as usize + size as usize, 0xaa);
        Sample {
            offset_bytes,
            size_bytes: size,
            decode_time,
            duration_ticks,
            is_sync,
            ..Sample::default()
        }
    }

    fn mux(&self, segments: std::ops::Range<usize>, video: bool, audio: bool) -> usize {
        let (mut out, mut written) = (Vec::new(), 0);
        for (video_samples, audio_samples) in &self.segments[segments] {
            let track = |info, samples| MuxTrack {
                info,
                samples,
                source: 0,
                packets_before: 0,
                reorder_ticks: 0,
            };
            let video = video.then(|| track(&self.video, video_samples.as_slice()));
            let audio = audio.then(|| track(&self.audio, audio_samples.as_slice()));
            let mut muxer = SegmentMuxer::new(video, audio, 1).expect("a sound segment");
            while let Some(batch) = muxer.next_batch(LIMITS) {
                let ranges = batch
                    .ranges()
                    .iter()
                    .map(|range| &self.file[range.bytes.start as usize..range.bytes.end as usize]);
                let data = ranges.collect::<Vec<_>>();
                out.clear();
                muxer.write_batch(&batch, &data, &mut out).expect("sound data");
                written += black_box(&out).len();
            }
        }
        written
    }

    fn copy(&self, segments: std::ops::Range<usize>) -> usize {
        let mut out = Vec::new();
        let bytes = &self.file[..self.file.len() / SEGMENTS * segments.len()];
        for chunk in bytes.chunks(LIMITS.bytes as usize) {
            out.clear();
            out.extend_from_slice(chunk);
            black_box(&out);
        }
        bytes.len()
    }
}

fn video_info() -> TrackInfo {
    info(
        25,
        MediaParams::Video(VideoParams {
            codec: VideoCodec::Avc,
            rfc6381: String::new(),
            supplemental: None,
            width: 1920,
            height: 1080,
            pixel_aspect: (1, 1),
            range: VideoRange::Sdr,
            color: None,
            nal_length_size: Some(4),
            parameter_sets: vec![vec![0x67; 30], vec![0x68; 6]],
        }),
    )
}

fn audio_info() -> TrackInfo {
    info(
        48_000,
        MediaParams::Audio(AudioParams {
            codec: AudioCodec::Aac,
            rfc6381: String::new(),
            channels: 2,
            sample_rate: 48_000,
            aac: Some(AacConfig { object_type: 2, frequency_index: 3, channel_configuration: 2 }),
            joc_complexity: None,
            channel_configuration: None,
        }),
    )
}

fn info(timescale: u32, media: MediaParams) -> TrackInfo {
    TrackInfo {
        source_track_id: 1,
        timescale: Timescale::new(timescale).expect("not zero"),
        language: "en".into(),
        name: String::new(),
        display_matrix: None,
        sample_entries: vec![Vec::new()],
        media,
    }
}
