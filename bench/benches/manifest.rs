//! Time to write manifests with nothing cached: a 10-minute and a 3-hour title in 6 s segments.
//!
//! `cargo bench -p bench --bench manifest` prints microseconds per manifest: the median and the
//! least of the rounds. Audio is AAC at 48 kHz cut at frame borders, so that its durations differ
//! from segment to segment as they do in real titles.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::hint::black_box;
use std::time::Instant;

use packager::Timescale;
use packager::dash::{Addressing, MpdOptions, write_mpd};
use packager::hls::{
    MultivariantOptions, SegmentFormat, write_iframe_playlist, write_media_playlist,
    write_multivariant,
};
use packager::index::{IFrameEntry, SegmentEntry, TrackFacts, TrackIndex};
use packager::presentation::{Presentation, PresentedTrack, TrackClass, TrackRole};
use packager::track::{
    AudioCodec, AudioParams, MediaParams, TrackInfo, VideoCodec, VideoParams, VideoRange,
};

const ROUNDS: usize = 301;
const SEGMENT_SECONDS: u64 = 6;
/// I-frames in a segment: a GOP of 2 s.
const IFRAMES_PER_SEGMENT: u64 = 3;
const AAC_FRAME_TICKS: u64 = 1_024;

fn main() {
    println!("{:<34} {:>9} {:>10} {:>10}", "manifest", "bytes", "median µs", "least µs");
    for (name, segments) in [("10 min", 100), ("3 h", 1_800)] {
        let title = Title::new(segments);
        let presentation = title.presentation();
        let [video, audio] = [&presentation.tracks[0], &presentation.tracks[3]];
        let (fmp4, ts) = (SegmentFormat::Fmp4, SegmentFormat::MpegTs);
        let multivariant = MultivariantOptions { format: fmp4, query: "" };
        let mpd = |trick_mode| MpdOptions { addressing: Addressing::Numbered, trick_mode };
        let row =
            |what: &str, write: &dyn Fn() -> String| measure(&format!("{name}: {what}"), write);
        row("HLS video, fMP4", &|| write_media_playlist(video, None, fmp4));
        row("HLS audio, fMP4", &|| write_media_playlist(audio, None, fmp4));
        row("HLS muxed, MPEG-TS", &|| write_media_playlist(video, Some(audio), ts));
        row("HLS I-frames", &|| write_iframe_playlist(video, fmp4));
        row("HLS multivariant", &|| write_multivariant(&presentation, &multivariant));
        row("DASH, 3 video and 1 audio", &|| write_mpd(&presentation, &mpd(false)));
        row("DASH with trick mode", &|| write_mpd(&presentation, &mpd(true)));
    }
}

fn measure(name: &str, write: &dyn Fn() -> String) {
    let mut micros = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        black_box(write());
        micros.push(start.elapsed().as_secs_f64() * 1e6);
    }
    micros.sort_by(f64::total_cmp);
    let bytes = write().len();
    println!("{name:<34} {bytes:>9} {:>10.1} {:>10.1}", micros[ROUNDS / 2], micros[0]);
}

/// Three renditions of one picture, and one sound.
struct Title {
    videos: [TrackIndex; 3],
    audio: TrackIndex,
}

impl Title {
    fn new(segments: u64) -> Self {
        let video = |width, height, bytes| {
            let media = MediaParams::Video(video_params(width, height));
            let starts = (0..=segments).map(|n| n * SEGMENT_SECONDS * 90_000);
            let mut index = index(90_000, media, starts.collect(), bytes);
            index.facts.frame_rate = (30, 1);
            let frames = segments * IFRAMES_PER_SEGMENT;
            index.iframes = (0..frames)
                .map(|n| IFrameEntry {
                    size_bytes: 60_000,
                    time: n * SEGMENT_SECONDS * 90_000 / IFRAMES_PER_SEGMENT,
                    ..IFrameEntry::default()
                })
                .collect();
            index
        };
        let frame_border = |n: u64| {
            let exact = n * SEGMENT_SECONDS * 48_000;
            (exact + AAC_FRAME_TICKS / 2) / AAC_FRAME_TICKS * AAC_FRAME_TICKS
        };
        let sound = MediaParams::Audio(audio_params());
        Self {
            videos: [
                video(1_920, 1_080, 4_500_000),
                video(1_280, 720, 2_250_000),
                video(854, 480, 1_100_000),
            ],
            audio: index(48_000, sound, (0..=segments).map(frame_border).collect(), 96_000),
        }
    }

    fn presentation(&self) -> Presentation<'_> {
        let [first, second, third] = &self.videos;
        let tracks = vec![
            presented(first, "v1", TrackClass::Hd),
            presented(second, "v2", TrackClass::Hd),
            presented(third, "v3", TrackClass::Sd),
            presented(&self.audio, "a1", TrackClass::Audio),
        ];
        Presentation { tracks, images: Vec::new() }
    }
}

/// A table from the starts of its segments and the end of the last.
fn index(clock: u32, media: MediaParams, borders: Vec<u64>, bytes: u64) -> TrackIndex {
    let info = TrackInfo {
        source_track_id: 1,
        timescale: Timescale::new(clock).expect("not zero"),
        language: "en".to_owned(),
        name: String::new(),
        display_matrix: None,
        sample_entries: vec![vec![0; 8]],
        media,
    };
    let end_time = borders.last().copied().unwrap_or_default();
    let starts = borders.iter().take(borders.len() - 1);
    let segments = starts
        .zip(0_u64..)
        .map(|(&decode_time, number)| SegmentEntry {
            decode_time,
            media_bytes: bytes + number * 7_919 % 100_000,
            sample_count: 180,
            ts_packets: 24_000,
            ..SegmentEntry::default()
        })
        .collect();
    TrackIndex { info, facts: TrackFacts::default(), segments, iframes: Vec::new(), end_time }
}

fn video_params(width: u16, height: u16) -> VideoParams {
    VideoParams {
        codec: VideoCodec::Avc,
        rfc6381: "avc1.640028".to_owned(),
        supplemental: None,
        width,
        height,
        pixel_aspect: (1, 1),
        range: VideoRange::Sdr,
        color: None,
        nal_length_size: Some(4),
        parameter_sets: Vec::new(),
    }
}

fn audio_params() -> AudioParams {
    AudioParams {
        codec: AudioCodec::Aac,
        rfc6381: "mp4a.40.2".to_owned(),
        channels: 2,
        sample_rate: 48_000,
        aac: None,
        joc_complexity: None,
        channel_configuration: None,
    }
}

fn presented<'a>(index: &'a TrackIndex, name: &'a str, class: TrackClass) -> PresentedTrack<'a> {
    PresentedTrack {
        index,
        name,
        class,
        revision: "5eed0123456789ab",
        segments: 0..index.segments.len(),
        label: "",
        role: TrackRole::Main,
        is_default: false,
        accessibility: &[],
    }
}
