//! Titles made up for manifest tests, and the comparison with golden files.

#![allow(dead_code, unreachable_pub, reason = "every test binary uses a part of it")]

use std::path::PathBuf;

use packager::Timescale;
use packager::index::{IFrameEntry, SegmentEntry, TrackFacts, TrackIndex};
use packager::presentation::{
    Accessibility, PresentedImages, PresentedTrack, TrackClass, TrackRole,
};
use packager::track::{
    AudioCodec, AudioParams, ColorInfo, MediaParams, TextCodec, TextParams, TrackInfo, VideoCodec,
    VideoParams, VideoRange,
};

/// Compares with `tests/golden/{name}`; `UPDATE_GOLDEN=1` writes it instead.
#[track_caller]
pub fn check_golden(name: &str, actual: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        #[expect(clippy::disallowed_methods, reason = "a test may write its golden file")]
        std::fs::write(&path, actual).expect("golden files can be written");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{name} differs: UPDATE_GOLDEN=1 rewrites it");
}

pub fn timescale(ticks_per_second: u32) -> Timescale {
    Timescale::new(ticks_per_second).expect("not zero")
}

pub fn track_info(ticks_per_second: u32, language: &str, media: MediaParams) -> TrackInfo {
    TrackInfo {
        source_track_id: 1,
        timescale: timescale(ticks_per_second),
        language: language.to_owned(),
        name: String::new(),
        display_matrix: None,
        sample_entries: vec![vec![0; 8]],
        media,
    }
}

pub fn video(rfc6381: &str, width: u16, height: u16) -> VideoParams {
    let codec = match &rfc6381[..4] {
        "avc1" => VideoCodec::Avc,
        "hvc1" => VideoCodec::Hevc,
        "av01" => VideoCodec::Av1,
        _ => VideoCodec::Vp9,
    };
    VideoParams {
        codec,
        rfc6381: rfc6381.to_owned(),
        supplemental: None,
        width,
        height,
        pixel_aspect: (1, 1),
        range: VideoRange::Sdr,
        color: Some(ColorInfo { primaries: 1, transfer: 1, matrix: 1, full_range: false }),
        nal_length_size: Some(4),
        parameter_sets: Vec::new(),
    }
}

pub fn audio(codec: AudioCodec, rfc6381: &str, channels: u16) -> AudioParams {
    AudioParams {
        codec,
        rfc6381: rfc6381.to_owned(),
        channels,
        sample_rate: 48_000,
        aac: None,
        joc_complexity: None,
        channel_configuration: None,
    }
}

pub fn text(codec: TextCodec, rfc6381: &str) -> MediaParams {
    MediaParams::Text(TextParams { codec, rfc6381: rfc6381.to_owned() })
}

/// A table from durations in ticks; bytes go up and down around `bytes` in a fixed pattern.
pub fn index(info: TrackInfo, durations: &[u64], bytes: u64) -> TrackIndex {
    let mut segments = Vec::new();
    let mut time = 0;
    let mut packets_before = 0;
    for (number, duration) in durations.iter().enumerate() {
        let media_bytes = bytes + bytes / 10 * (number as u64 * 7 % 5);
        let ts_packets = u32::try_from(media_bytes.div_ceil(184)).expect("small segments");
        segments.push(SegmentEntry {
            decode_time: time,
            media_bytes,
            first_sample: number as u32 * 100,
            sample_count: 100,
            ts_packets,
            ts_clock_packets: 10,
            ts_packets_before: packets_before,
            ..SegmentEntry::default()
        });
        packets_before += u64::from(ts_packets);
        time += duration;
    }
    TrackIndex { info, facts: TrackFacts::default(), segments, iframes: Vec::new(), end_time: time }
}

/// I-frames at every segment start, `size_bytes` each.
pub fn with_iframes(mut index: TrackIndex, size_bytes: u32) -> TrackIndex {
    let starts = index.segments.iter();
    index.iframes = starts
        .map(|entry| IFrameEntry {
            sample: entry.first_sample,
            size_bytes,
            offset_bytes: 0,
            time: entry.decode_time,
            ..IFrameEntry::default()
        })
        .collect();
    index
}

/// All segments of a track under a name; the rest as for the only track of its kind.
pub fn presented<'a>(index: &'a TrackIndex, name: &'a str) -> PresentedTrack<'a> {
    let (class, role) = match &index.info.media {
        MediaParams::Video(video) => {
            (TrackClass::of_video(video.width, video.height), TrackRole::Main)
        }
        MediaParams::Audio(_) => (TrackClass::Audio, TrackRole::Main),
        MediaParams::Text(_) => (TrackClass::Text, TrackRole::Subtitle),
    };
    PresentedTrack {
        index,
        name,
        class,
        revision: "5eed0123456789ab",
        segments: 0..index.segments.len(),
        label: "",
        role,
        is_default: false,
        accessibility: &[],
    }
}

pub fn thumbnails(name: &str) -> PresentedImages<'_> {
    PresentedImages {
        name,
        revision: "0011223344556677",
        tile_width: 160,
        tile_height: 90,
        columns: 2,
        rows: 2,
        tile_duration_ms: 2_000,
        tile_count: 7,
        extension: "jpg",
        file_bytes_max: 40_000,
    }
}

/// Tables of a whole title: what a television service would have.
pub struct Title {
    pub avc_1080: TrackIndex,
    pub avc_480: TrackIndex,
    pub hevc_hdr: TrackIndex,
    pub aac_english: TrackIndex,
    pub aac_english_low: TrackIndex,
    pub aac_commentary: TrackIndex,
    pub aac_described: TrackIndex,
    pub atmos_english: TrackIndex,
    pub subtitles: TrackIndex,
    pub captions: TrackIndex,
    pub forced: TrackIndex,
}

/// Two segments of 6.006 s and one of 2.002 s at 30000/1001 frames per second.
const VIDEO_DURATIONS: [u64; 3] = [180_180, 180_180, 60_060];
/// The same cuts at borders of AAC frames (1024 samples).
const AUDIO_DURATIONS: [u64; 3] = [288_768, 287_744, 96_256];
const TEXT_DURATIONS: [u64; 3] = [6_006, 6_006, 2_002];

impl Title {
    pub fn new() -> Self {
        let picture = |params: VideoParams, bytes| {
            let info = track_info(30_000, "und", MediaParams::Video(params));
            let mut index = with_iframes(index(info, &VIDEO_DURATIONS, bytes), 60_000);
            index.facts.frame_rate = (30_000, 1_001);
            index
        };
        let sound = |language: &str, params: AudioParams, bytes| {
            index(track_info(48_000, language, MediaParams::Audio(params)), &AUDIO_DURATIONS, bytes)
        };
        let aac = |channels| audio(AudioCodec::Aac, "mp4a.40.2", channels);
        let atmos = AudioParams { joc_complexity: Some(16), ..audio(AudioCodec::Eac3, "ec-3", 6) };
        let cues = |language: &str| {
            let info = track_info(1_000, language, text(TextCodec::WebVtt, "wvtt"));
            index(info, &TEXT_DURATIONS, 400)
        };
        let mut avc_1080 = picture(video("avc1.640028", 1_920, 1_080), 4_500_000);
        avc_1080.facts.cea608_channels = 0b0101;
        avc_1080.facts.cea708_services = 0b1;
        let mut avc_480 = picture(
            VideoParams { pixel_aspect: (32, 27), ..video("avc1.64001e", 720, 480) },
            1_100_000,
        );
        avc_480.facts = avc_1080.facts;
        let hevc_hdr = picture(
            VideoParams {
                supplemental: Some("dvh1.08.07/db1p".to_owned()),
                range: VideoRange::Pq,
                color: Some(ColorInfo { primaries: 9, transfer: 16, matrix: 9, full_range: false }),
                ..video("hvc1.2.4.L153.b0", 3_840, 2_160)
            },
            9_000_000,
        );
        Self {
            avc_1080,
            avc_480,
            hevc_hdr,
            aac_english: sound("en", aac(2), 96_000),
            aac_english_low: sound("en", aac(2), 48_000),
            aac_commentary: sound("en", aac(2), 96_000),
            aac_described: sound("fr", aac(2), 96_000),
            atmos_english: sound("en", atmos, 480_000),
            subtitles: cues("de"),
            captions: cues("en"),
            forced: cues("de"),
        }
    }

    pub fn tracks(&self) -> Vec<PresentedTrack<'_>> {
        vec![
            presented(&self.avc_1080, "v1"),
            presented(&self.avc_480, "v2"),
            presented(&self.hevc_hdr, "v3"),
            PresentedTrack {
                label: "English",
                is_default: true,
                ..presented(&self.aac_english, "a1")
            },
            PresentedTrack { label: "English", ..presented(&self.aac_english_low, "a2") },
            PresentedTrack {
                label: "Director \"live\" & crew",
                role: TrackRole::Commentary,
                ..presented(&self.aac_commentary, "a3")
            },
            PresentedTrack {
                label: "Français",
                accessibility: &[Accessibility::DescribesVideo],
                role: TrackRole::Alternate,
                ..presented(&self.aac_described, "a4")
            },
            PresentedTrack { label: "English", ..presented(&self.atmos_english, "a5") },
            PresentedTrack { label: "Deutsch", ..presented(&self.subtitles, "t1") },
            PresentedTrack {
                label: "English",
                role: TrackRole::Caption,
                accessibility: &[Accessibility::HardOfHearing],
                ..presented(&self.captions, "t2")
            },
            PresentedTrack {
                label: "Deutsch",
                role: TrackRole::ForcedSubtitle,
                ..presented(&self.forced, "t3")
            },
        ]
    }
}
