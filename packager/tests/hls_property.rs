//! Whatever the table, a playlist says what it says: tick by tick, for any durations and clipping.

mod manifest_support;

use std::ops::Range;

use manifest_support::{audio, index, presented, timescale, track_info, video, with_iframes};
use packager::hls::{
    MultivariantOptions, SegmentFormat, write_iframe_playlist, write_media_playlist,
    write_multivariant,
};
use packager::index::TrackIndex;
use packager::presentation::{Presentation, PresentedTrack};
use packager::track::{AudioCodec, MediaParams};
use proptest::prelude::*;

/// A track of any timescale and durations, and a range of its segments.
fn clipped_tracks() -> impl Strategy<Value = (TrackIndex, Range<usize>)> {
    let timescales = prop_oneof![
        prop::sample::select(vec![1, 600, 1_000, 12_800, 24_000, 30_000, 44_100, 48_000, 90_000]),
        1..=u32::MAX,
    ];
    (timescales, 1..60_usize, any::<bool>()).prop_flat_map(|(ticks_per_second, count, is_video)| {
        let longest = u64::from(ticks_per_second).saturating_mul(12).max(2);
        let durations = prop::collection::vec(1..=longest, count);
        (durations, 0..count, 1..=count).prop_map(move |(durations, start, len)| {
            let media = if is_video {
                MediaParams::Video(video("avc1.64001f", 1_280, 720))
            } else {
                MediaParams::Audio(audio(AudioCodec::Aac, "mp4a.40.2", 2))
            };
            let index = index(track_info(ticks_per_second, "en", media), &durations, 100_000);
            let index = if is_video { with_iframes(index, 20_000) } else { index };
            (index, start..(start + len).min(count))
        })
    })
}

fn formats() -> impl Strategy<Value = SegmentFormat> {
    prop::sample::select(vec![SegmentFormat::Fmp4, SegmentFormat::MpegTs])
}

/// `EXTINF` of a playlist in microseconds, read from its text so that no float intervenes.
fn extinf_micros(playlist: &str) -> Vec<u64> {
    let durations = playlist.lines().filter_map(|line| line.strip_prefix("#EXTINF:"));
    durations
        .map(|text| {
            let (seconds, fraction) = text.trim_end_matches(',').split_once('.').expect("decimals");
            format!("{seconds}{fraction:0<6}").parse().expect("digits")
        })
        .collect()
}

/// Whether `micros` is at most half a microsecond from `ticks` of a timescale.
fn is_nearest(micros: u64, ticks: u64, ticks_per_second: u32) -> bool {
    let exact = u128::from(ticks) * 1_000_000;
    let printed = u128::from(micros) * u128::from(ticks_per_second);
    printed.abs_diff(exact) * 2 <= u128::from(ticks_per_second)
}

proptest! {
    /// After every segment, the sum of `EXTINF` is the exact border to half a microsecond, and
    /// an independent parser reads the same number of segments with the names that we meant.
    #[test]
    fn extinf_never_drifts((index, range) in clipped_tracks(), format in formats()) {
        let track = PresentedTrack { segments: range.clone(), ..presented(&index, "x1") };
        let playlist = write_media_playlist(&track, None, format);
        let parsed = m3u8_rs::parse_media_playlist_res(playlist.as_bytes()).expect("it parses");
        prop_assert_eq!(parsed.segments.len(), range.len());
        prop_assert_eq!(parsed.media_sequence, range.start as u64 + 1);
        prop_assert!(parsed.end_list);

        let durations = extinf_micros(&playlist);
        let start = index.segment_start(range.start);
        let mut sum = 0;
        for (segment, duration) in range.clone().zip(&durations) {
            sum += duration;
            let border = index.segment_start(segment + 1) - start;
            prop_assert!(is_nearest(sum, border, index.timescale().get()));
            prop_assert!((duration + 500_000) / 1_000_000 <= parsed.target_duration);
        }
        for (segment, number) in parsed.segments.iter().zip(range.start + 1..) {
            let stem = segment.uri.rsplit('/').next().and_then(|name| name.split('.').next());
            let number = number.to_string();
            prop_assert_eq!(stem, Some(number.as_str()));
        }
    }

    /// I-frames tell when they play and end where the segments end.
    #[test]
    fn iframes_never_drift((index, range) in clipped_tracks(), format in formats()) {
        prop_assume!(!index.iframes.is_empty());
        let track = PresentedTrack { segments: range.clone(), ..presented(&index, "x1") };
        let playlist = write_iframe_playlist(&track, format);
        let parsed = m3u8_rs::parse_media_playlist_res(playlist.as_bytes()).expect("it parses");
        prop_assert!(parsed.i_frames_only);
        prop_assert_eq!(parsed.segments.len(), range.len());
        let sum: u64 = extinf_micros(&playlist).iter().sum();
        let span = index.segment_start(range.end) - index.segment_start(range.start);
        prop_assert!(is_nearest(sum, span, index.timescale().get()));
    }

    /// `BANDWIDTH` bounds every segment that lasts at least half a target duration, and stays
    /// within what the densest of them needs.
    #[test]
    fn bandwidth_is_the_peak((index, range) in clipped_tracks()) {
        let track = PresentedTrack { segments: range.clone(), ..presented(&index, "x1") };
        let rates: Vec<f64> = range
            .clone()
            .map(|segment| {
                let seconds = timescale(index.timescale().get()).ticks(index.segment_duration(segment));
                let entry = &index.segments[segment];
                let bytes = packager::fmp4::SegmentShape::from(entry).segment_bytes();
                bytes as f64 * 8.0 / seconds.as_seconds()
            })
            .collect();
        let longest = range.clone().map(|segment| index.segment_duration(segment)).max().unwrap_or(0);
        let target = index.timescale().ticks(longest).as_seconds().round().max(1.0);
        let presentation = Presentation { tracks: vec![track], images: Vec::new() };
        let options = MultivariantOptions { format: SegmentFormat::Fmp4, query: "" };
        let playlist = write_multivariant(&presentation, &options);
        let parsed = m3u8_rs::parse_master_playlist_res(playlist.as_bytes()).expect("it parses");
        let bandwidth = parsed.variants[0].bandwidth as f64;
        let densest = rates.iter().copied().fold(0.0, f64::max);
        prop_assert!(bandwidth <= densest + 1.0);
        for (segment, rate) in range.zip(rates) {
            let seconds = index.timescale().ticks(index.segment_duration(segment)).as_seconds();
            // Clear of the limits of a run, where rounding decides.
            if seconds > target * 0.51 && seconds < target * 1.49 {
                prop_assert!(bandwidth + 1.0 >= rate, "{bandwidth} < {rate}");
            }
        }
    }
}
