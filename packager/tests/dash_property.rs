//! Whatever the tables, a manifest expands to them: tick by tick, on every track's own clock.

mod manifest_support;

use std::ops::Range;

use dash_mpd_core::{SegmentTemplate, SegmentTimeline};
use manifest_support::{audio, index, presented, timescale, track_info, video, with_iframes};
use packager::dash::{Addressing, MpdOptions, write_mpd};
use packager::index::TrackIndex;
use packager::presentation::{Presentation, PresentedTrack};
use packager::track::{AudioCodec, MediaParams};
use proptest::prelude::*;

/// Durations in runs, so that repeats are met as well as changes.
fn durations(ticks_per_second: u32, count: usize) -> impl Strategy<Value = Vec<u64>> {
    let longest = u64::from(ticks_per_second).saturating_mul(12).max(2);
    let run = (1..=longest, 1..6_usize);
    prop::collection::vec(run, count).prop_map(move |runs| {
        let expanded = runs.into_iter().flat_map(|(duration, repeats)| vec![duration; repeats]);
        expanded.take(count).collect()
    })
}

/// A video and an audio table on clocks of their own, and a range of segments for each.
fn titles() -> impl Strategy<Value = ([TrackIndex; 2], [Range<usize>; 2])> {
    let clocks = || {
        prop_oneof![
            prop::sample::select(vec![1_000, 12_800, 24_000, 30_000, 44_100, 48_000, 90_000]),
            1..=10_000_000_u32,
        ]
    };
    (clocks(), clocks(), 1..40_usize, 0..40_usize, 1..40_usize).prop_flat_map(
        |(video_clock, audio_clock, count, start, len)| {
            let start = start.min(count - 1);
            let range = start..(start + len).min(count);
            (durations(video_clock, count), durations(audio_clock, count)).prop_map(
                move |(of_video, of_audio)| {
                    let picture = MediaParams::Video(video("avc1.64001f", 1_280, 720));
                    let sound = MediaParams::Audio(audio(AudioCodec::Aac, "mp4a.40.2", 2));
                    let picture =
                        index(track_info(video_clock, "und", picture), &of_video, 900_000);
                    let sound = index(track_info(audio_clock, "en", sound), &of_audio, 90_000);
                    ([with_iframes(picture, 30_000), sound], [range.clone(), range.clone()])
                },
            )
        },
    )
}

/// Starts of all segments and the end of the last, as a client reads them (5.3.9.6.1).
fn expand(timeline: &SegmentTimeline) -> Vec<u64> {
    let mut borders = Vec::new();
    let mut time = 0;
    for (position, run) in timeline.segments.iter().enumerate() {
        time = run.t.unwrap_or(time);
        if position == 0 {
            borders.push(time);
        }
        for _ in 0..=run.r.unwrap_or(0) {
            time += run.d;
            borders.push(time);
        }
    }
    borders
}

/// The template of every Representation by its id, wherever it stands.
fn templates(manifest: &str) -> Vec<(String, SegmentTemplate)> {
    let mpd = dash_mpd_core::parse(manifest).expect("it parses");
    let sets = mpd.periods.into_iter().flat_map(|period| period.adaptations);
    sets.flat_map(|set| {
        let common = set.SegmentTemplate;
        set.representations.into_iter().map(move |representation| {
            let own = representation.SegmentTemplate.or_else(|| common.clone());
            (representation.id.expect("an id"), own.expect("a template"))
        })
    })
    .collect()
}

fn borders(index: &TrackIndex, range: &Range<usize>) -> Vec<u64> {
    (range.start..=range.end).map(|segment| index.segment_start(segment)).collect()
}

proptest! {
    /// A timeline expands exactly to the table, numbers included, and all tracks play on one
    /// Period clock that starts with the earliest of them.
    #[test]
    fn timelines_expand_to_the_table(([picture, sound], ranges) in titles()) {
        let tracks = vec![
            PresentedTrack { segments: ranges[0].clone(), ..presented(&picture, "v1") },
            PresentedTrack { segments: ranges[1].clone(), ..presented(&sound, "a1") },
        ];
        let presentation = Presentation { tracks, images: Vec::new() };
        let options = MpdOptions { addressing: Addressing::Numbered, trick_mode: true };
        let manifest = write_mpd(&presentation, &options);
        let templates = templates(&manifest);
        let ids: Vec<_> = templates.iter().map(|(id, _)| id.as_str()).collect();
        prop_assert_eq!(ids, ["v1", "a1", "v1-iframes"]);

        let tables = [(&picture, &ranges[0]), (&sound, &ranges[1]), (&picture, &ranges[0])];
        for ((_, template), (index, range)) in templates.iter().zip(tables) {
            let clock = index.timescale();
            prop_assert_eq!(template.timescale, Some(u64::from(clock.get())));
            prop_assert_eq!(template.startNumber, Some(range.start as u64 + 1));
            let timeline = template.SegmentTimeline.as_ref().expect("a timeline");
            let borders = borders(index, range);
            prop_assert_eq!(expand(timeline), borders.clone());
            // The offset is the start of the Period to the nearest tick, never after a segment.
            let offset = template.presentationTimeOffset.unwrap_or(0);
            prop_assert!(offset <= borders[0]);
            let exact = presentation.start_time();
            let error = (clock.ticks(offset).as_seconds() - exact.as_seconds()).abs();
            prop_assert!(error <= 0.5 / f64::from(clock.get()) + 1e-9 * exact.as_seconds());
        }
    }

    /// The presentation lasts from the earliest start to the latest end, to half a microsecond.
    #[test]
    fn the_presentation_lasts_as_long_as_its_segments(([picture, sound], ranges) in titles()) {
        let tracks = vec![
            PresentedTrack { segments: ranges[0].clone(), ..presented(&picture, "v1") },
            PresentedTrack { segments: ranges[1].clone(), ..presented(&sound, "a1") },
        ];
        let presentation = Presentation { tracks, images: Vec::new() };
        let options = MpdOptions { addressing: Addressing::Numbered, trick_mode: false };
        let mpd = dash_mpd_core::parse(&write_mpd(&presentation, &options)).expect("it parses");
        let stated = mpd.mediaPresentationDuration.expect("it is stated").as_nanos();
        let (start, end) = (presentation.start_time(), presentation.end_time());
        let (from, to) = (u128::from(start.timescale.get()), u128::from(end.timescale.get()));
        let ticks = u128::from(end.ticks) * from - u128::from(start.ticks) * to;
        let exact_nanos = ticks * 1_000_000_000 / (from * to);
        prop_assert!(stated.abs_diff(exact_nanos) <= 501, "{stated} {exact_nanos}");

        // Every segment fits in the buffer that the manifest asks for.
        let buffer = mpd.minBufferTime.expect("it is stated").as_secs_f64();
        for (index, range) in [(&picture, &ranges[0]), (&sound, &ranges[1])] {
            for segment in range.clone() {
                let ticks = index.segment_duration(segment);
                let seconds = timescale(index.timescale().get()).ticks(ticks).as_seconds();
                prop_assert!(seconds <= buffer + 1e-9);
            }
        }
    }
}
