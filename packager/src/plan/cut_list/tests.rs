use proptest::prelude::*;

use super::*;
use crate::FourCc;
use crate::track::{
    MediaParams, Sample, TextCodec, TextParams, VideoCodec, VideoParams, VideoRange,
};

const TARGET: MediaTime = MediaTime { ticks: 6, timescale: Timescale::new(1).unwrap() };

fn sync_times(timescale: u32, times: &[u64], end_time: u64) -> SyncTimes {
    SyncTimes {
        name: format!("v{timescale}"),
        timescale: Timescale::new(timescale).unwrap(),
        times: times.to_vec(),
        required: Vec::new(),
        end_time,
        tolerance_ticks: u64::from(timescale) / 50,
    }
}

#[track_caller]
fn check(video: &[SyncTimes], end_seconds: u64, expected: &[u64]) {
    let end = Timescale::new(1).unwrap().ticks(end_seconds);
    assert_eq!(plan_cuts(video, TARGET, end).unwrap().cuts, expected);
}

#[test]
fn cuts_fall_on_the_first_key_frame_of_each_grid_cell() {
    check(&[sync_times(1, &[0, 2, 4, 6, 8, 10, 12, 14], 16)], 16, &[0, 6, 12]);
    check(&[sync_times(1, &[0, 5, 10, 15, 20], 24)], 24, &[0, 10, 15, 20]);
}

#[test]
fn a_long_gop_delays_one_cut_and_the_next_returns_to_the_grid() {
    check(&[sync_times(1, &[0, 11, 12, 13, 18], 20)], 20, &[0, 11, 12, 18]);
}

#[test]
fn renditions_are_cut_at_common_key_frames_whatever_their_timescale() {
    let coarse = sync_times(1_000, &[0, 4_000, 6_006, 10_000, 12_012], 14_000);
    let fine = sync_times(90_000, &[0, 540_540, 1_081_080], 1_260_000);
    let cuts = plan_cuts(&[coarse.clone(), fine], TARGET, Timescale::MILLIS.ticks(14_000));
    assert_eq!(cuts.unwrap().cuts, [0, 6_006, 12_012]);
}

#[test]
fn renditions_without_common_key_frames_are_refused_with_the_times() {
    let left = sync_times(1, &[0, 6, 12, 18, 24], 30);
    let right = sync_times(1, &[0, 7, 13, 19, 25], 30);
    let error = plan_cuts(&[left, right], TARGET, Timescale::new(1).unwrap().ticks(30));
    let message = error.unwrap_err().to_string();
    assert!(message.contains("between 0.000 s and 30.000 s"), "{message}");
}

#[test]
fn audio_alone_is_cut_on_the_grid_and_may_outlast_the_video() {
    check(&[], 20, &[0, 6_000, 12_000, 18_000].map(|ms| ms / 1_000));
    check(&[sync_times(1, &[0, 6], 10)], 25, &[0, 6, 12, 18]);
    check(&[sync_times(1, &[0, 6], 10)], 11, &[0, 6]);
}

#[test]
fn another_sample_entry_needs_a_cut() {
    let mut video = sync_times(1, &[0, 2, 4, 6, 8], 10);
    video.required = vec![2];
    check(&[video], 10, &[0, 2, 6]);
}

fn info(kind: TrackKind, timescale: u32) -> TrackInfo {
    let media = match kind {
        TrackKind::Video => MediaParams::Video(VideoParams {
            codec: VideoCodec::Other(FourCc::new(b"none")),
            rfc6381: String::new(),
            supplemental: None,
            width: 16,
            height: 16,
            pixel_aspect: (1, 1),
            range: VideoRange::Sdr,
            color: None,
            nal_length_size: None,
            parameter_sets: Vec::new(),
        }),
        _ => MediaParams::Text(TextParams { codec: TextCodec::WebVtt, rfc6381: String::new() }),
    };
    TrackInfo {
        source_track_id: 1,
        timescale: Timescale::new(timescale).unwrap(),
        language: "und".to_owned(),
        name: String::new(),
        display_matrix: None,
        sample_entries: Vec::new(),
        media,
    }
}

/// Tracks of any GOP pattern that open on a key frame.
fn tables() -> impl Strategy<Value = SampleTable> {
    prop::collection::vec((1..=9_000_u32, any::<bool>()), 1..500).prop_map(|rows| {
        let mut decode_time = 0;
        let samples = rows.into_iter().enumerate().map(|(index, (duration_ticks, is_sync))| {
            let is_sync = is_sync || index == 0;
            let sample = Sample { decode_time, duration_ticks, is_sync, ..Sample::default() };
            decode_time += u64::from(duration_ticks);
            sample
        });
        SampleTable { samples: samples.collect() }
    })
}

proptest! {
    /// A plan tiles its track: every sample in exactly one segment, in order, every segment that
    /// has samples opens on a sync sample, and cuts increase strictly.
    #[test]
    fn segments_tile_video_tracks(table in tables(), target in 1..900_000_u64) {
        let info = info(TrackKind::Video, 90_000);
        let sync = SyncTimes::of("v1".to_owned(), &info, &table);
        let end = info.timescale.ticks(table.end_time());
        let cuts = plan_cuts(&[sync], info.timescale.ticks(target), end).unwrap();
        prop_assert!(cuts.cuts.windows(2).all(|pair| pair[0] < pair[1]));

        let ranges = segment_boundaries("v1", &info, &table, &cuts).unwrap();
        prop_assert_eq!(ranges.len(), cuts.len());
        prop_assert_eq!(ranges[0].start, 0);
        prop_assert_eq!(ranges[ranges.len() - 1].end, table.len());
        for pair in ranges.windows(2) {
            prop_assert_eq!(pair[0].end, pair[1].start);
        }
        for range in ranges.iter().filter(|range| !range.is_empty()) {
            prop_assert!(table.samples[range.start].is_sync);
        }
    }

    /// Audio follows any cut list within half a frame.
    #[test]
    fn audio_is_cut_within_half_a_frame(
        frame in 1..5_000_u32, count in 1..2_000_usize, steps in prop::collection::vec(1..50_000_u64, 0..60),
    ) {
        let samples = (0..count as u64).map(|index| Sample {
            decode_time: index * u64::from(frame),
            duration_ticks: frame,
            is_sync: true,
            ..Sample::default()
        });
        let table = SampleTable { samples: samples.collect() };
        let mut cuts = vec![0];
        cuts.extend(steps.iter().scan(0, |time, step| { *time += step; Some(*time) }));
        let cuts = CutList { timescale: Timescale::new(48_000).unwrap(), cuts };

        let info = info(TrackKind::Text, 48_000);
        let ranges = segment_boundaries("a1", &info, &table, &cuts).unwrap();
        prop_assert_eq!(ranges[0].start, 0);
        prop_assert_eq!(ranges[ranges.len() - 1].end, count);
        for (range, &cut) in ranges.iter().zip(&cuts.cuts).skip(1) {
            if range.start < count {
                let start = table.samples[range.start].decode_time;
                prop_assert!(start.abs_diff(cut) <= u64::from(frame).div_ceil(2));
            }
        }
    }
}

#[test]
fn more_cuts_than_any_title_has_are_refused() {
    let seconds = |count: u64| Timescale::new(1).unwrap().ticks(count);
    let refused = Err(PackageError::LimitExceeded { what: "segments in a title", max: CUTS_MAX });
    // On the grid alone, on key frames, and past the end of the video.
    assert_eq!(plan_cuts(&[], seconds(1), seconds(1_000_000)), refused);
    assert_eq!(plan_cuts(&[], seconds(1), seconds(u64::MAX)), refused);
    let times: Vec<u64> = (0..1_000_000).collect();
    let video = [sync_times(1, &times, 1_000_000)];
    assert_eq!(plan_cuts(&video, seconds(1), seconds(1_000_000)), refused);
    let video = [sync_times(1, &[0], 1)];
    assert_eq!(plan_cuts(&video, seconds(1), seconds(u64::MAX)), refused);
    assert_eq!(plan_cuts(&[], seconds(1), seconds(CUTS_MAX)).unwrap().len() as u64, CUTS_MAX);
}

#[test]
fn key_frames_that_go_back_in_time_make_no_cuts() {
    let video = SyncTimes { required: vec![3, 9], ..sync_times(1, &[0, 9, 3, 12], 20) };
    check(&[video], 20, &[0, 9, 12]);
}
