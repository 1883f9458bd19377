//! Edits applied to made-up tracks. Cases write one letter a sample, in decode order.

use proptest::prelude::*;

use super::*;
use crate::demux::check_table;
use crate::track::SampleTable;

/// Ticks of one frame in the cases below.
const FRAME: i64 = 1000;

/// Samples of one frame each, as (presented frame, is sync) in decode order; decoding runs so
/// that no offset is negative.
fn frames(presented: &[(i64, bool)]) -> Vec<Sample> {
    let delay = presented.iter().zip(0..).map(|(&(at, _), index)| index - at).max().unwrap();
    let samples = presented.iter().zip(0..).map(|(&(at, is_sync), index)| Sample {
        offset_bytes: index as u64 * 10,
        size_bytes: 10,
        decode_time: (index * FRAME) as u64,
        duration_ticks: FRAME as u32,
        composition_offset_ticks: ((at + delay - index) * FRAME) as i32,
        is_sync,
        description_index: 0,
    });
    samples.collect()
}

/// The edit that presents media from `frame` on, as `frames` delays it.
fn from_frame(presented: &[(i64, bool)], frame: f64) -> Edit {
    let delay = presented.iter().zip(0..).map(|(&(at, _), index)| index - at).max().unwrap();
    let media_time = ((frame + delay as f64) * FRAME as f64) as u64;
    Edit { media_time, ..Edit::default() }
}

/// Applies an edit and lists what is left: (index in the source, decode, presentation, duration).
#[track_caller]
fn check(samples: Vec<Sample>, edit: &Edit, kind: TrackKind, expected: &[(u64, u64, u64, u32)]) {
    let mut samples = samples;
    apply_edit(&mut samples, edit, kind, 1).unwrap().expect("something is presented");
    let table = SampleTable { samples };
    check_table(&table, u64::MAX).unwrap();
    let found = table
        .samples
        .iter()
        .map(|s| (s.offset_bytes / 10, s.decode_time, s.presentation_time(), s.duration_ticks));
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

const I: bool = true;
const P: bool = false;

#[test]
fn reordered_frames_decode_when_the_first_is_presented() {
    let track = [(0, I), (3, P), (1, P), (2, P)];
    let expected =
        [(0, 0, 0, 1000), (1, 1000, 3000, 1000), (2, 2000, 1000, 1000), (3, 3000, 2000, 1000)];
    check(frames(&track), &from_frame(&track, 0.0), TrackKind::Video, &expected);
    // Without an edit list the reordering delay of two frames is shown, and stays.
    let late =
        expected.map(|(index, decode, shown, ticks)| (index, decode + 1000, shown + 1000, ticks));
    check(frames(&track), &Edit::default(), TrackKind::Video, &late);
}

#[test]
fn an_empty_edit_starts_the_track_later() {
    let track = [(0, I), (1, P)];
    let edit = Edit { lead_ticks: 500, ..Edit::default() };
    let expected = [(0, 500, 500, 1000), (1, 1500, 1500, 1000)];
    check(frames(&track), &edit, TrackKind::Video, &expected);
}

#[test]
fn sound_that_is_mostly_before_the_start_is_dropped() {
    let track = [(0, I), (1, I), (2, I)];
    let from = |frame| from_frame(&track, frame);
    // Priming of one whole frame.
    let whole = [(1, 0, 0, 1000), (2, 1000, 1000, 1000)];
    check(frames(&track), &from(1.0), TrackKind::Audio, &whole);
    // Half a frame is not worth keeping: the track starts late.
    let half = [(1, 500, 500, 1000), (2, 1500, 1500, 1000)];
    check(frames(&track), &from(0.5), TrackKind::Audio, &half);
    // Less than half is clamped, and later frames keep their time.
    let less = [(0, 0, 0, 700), (1, 700, 700, 1000), (2, 1700, 1700, 1000)];
    check(frames(&track), &from(0.3), TrackKind::Audio, &less);
}

#[test]
fn sound_is_clamped_to_the_end_of_an_empty_edit() {
    let track = [(0, I), (1, I)];
    let edit = Edit { lead_ticks: 5000, media_time: 300, limit: None };
    let expected = [(0, 5000, 5000, 700), (1, 5700, 5700, 1000)];
    check(frames(&track), &edit, TrackKind::Audio, &expected);
}

#[test]
fn an_edit_on_a_sync_sample_is_exact() {
    let track = [(0, I), (2, P), (1, P), (3, I), (5, P), (4, P)];
    let expected = [(3, 0, 0, 1000), (4, 1000, 2000, 1000), (5, 2000, 1000, 1000)];
    check(frames(&track), &from_frame(&track, 3.0), TrackKind::Video, &expected);
}

#[test]
fn pictures_in_front_of_the_start_last_a_tick_each() {
    let track = [(0, I), (2, P), (1, P), (4, P), (3, P), (5, P)];
    // Frame 2 is shown first; 0 and 1 are decoded for it. Frame 3 is shown a frame later.
    let expected = [
        (0, 0, 0, 1),
        (1, 1, 2, 1),
        (2, 2, 1, 998),
        (3, 1000, 2000, 1000),
        (4, 2000, 1000, 1000),
        (5, 3000, 3000, 1000),
    ];
    check(frames(&track), &from_frame(&track, 2.0), TrackKind::Video, &expected);
    // In the middle of frame 2 the same is decoded, and half of it is shown.
    let halfway = [
        (0, 0, 0, 1),
        (1, 1, 2, 1),
        (2, 2, 1, 498),
        (3, 500, 1500, 1000),
        (4, 1500, 500, 1000),
        (5, 2500, 2500, 1000),
    ];
    check(frames(&track), &from_frame(&track, 2.5), TrackKind::Video, &halfway);
}

#[test]
fn a_coarse_timescale_is_refined_for_them() {
    let mut samples = frames(&[(0, I), (1, P), (2, P), (3, P), (4, P)]);
    for (sample, index) in samples.iter_mut().zip(0..) {
        (sample.decode_time, sample.duration_ticks) = (index, 1);
    }
    let edit = Edit { media_time: 3, ..Edit::default() };
    let retimed = apply_edit(&mut samples, &edit, TrackKind::Video, 1).unwrap().unwrap();
    // Three hidden pictures may take a quarter of a tick, so a tick becomes twelve.
    assert_eq!(retimed.timescale_factor, 12);
    let shown = samples.iter().map(Sample::presentation_time).collect::<Vec<_>>();
    assert_eq!(shown, [0, 1, 2, 3, 12]);
    assert_eq!(samples[4].duration_ticks, 12);
}

#[test]
fn leading_pictures_of_the_first_sync_sample_are_dropped() {
    // An open group: frames 1 and 2 refer to what came before the sync sample.
    let track = [(3, I), (1, P), (2, P), (4, P)];
    let expected = [(0, 3000, 3000, 3000), (3, 6000, 4000, 1000)];
    check(frames(&track), &from_frame(&track, 0.0), TrackKind::Video, &expected);
}

#[test]
fn a_leading_picture_is_decoded_from_the_sync_sample_before() {
    let track = [(0, I), (1, P), (4, I), (2, P), (3, P), (5, P)];
    let mut samples = frames(&track);
    let edit = from_frame(&track, 3.0);
    let retimed = apply_edit(&mut samples, &edit, TrackKind::Video, 1).unwrap().unwrap();
    assert_eq!(retimed.dropped, Dropped::default());
    let shown = samples.iter().map(Sample::presentation_time).collect::<Vec<_>>();
    assert_eq!(shown, [0, 1, 1000, 2, 3, 2000]);
}

#[test]
fn samples_before_any_sync_sample_are_dropped() {
    let track = [(0, P), (1, P), (2, I), (3, P)];
    let expected = [(2, 2000, 2000, 1000), (3, 3000, 3000, 1000)];
    check(frames(&track), &Edit::default(), TrackKind::Video, &expected);
    let mut none = frames(&[(0, P), (1, P)]);
    let error = apply_edit(&mut none, &Edit::default(), TrackKind::Video, 4).unwrap_err();
    assert_eq!(error.to_string(), "track 4: none of its samples is a sync sample");
}

#[test]
fn sound_and_text_without_sync_samples_have_nothing_else() {
    for kind in [TrackKind::Audio, TrackKind::Text] {
        let expected = [(0, 0, 0, 1000), (1, 1000, 1000, 1000)];
        check(frames(&[(0, P), (1, P)]), &Edit::default(), kind, &expected);
    }
    // Sound that has some is decoded from one of them.
    let expected = [(1, 1000, 1000, 1000), (2, 2000, 2000, 1000)];
    check(frames(&[(0, P), (1, I), (2, P)]), &Edit::default(), TrackKind::Audio, &expected);
}

#[test]
fn the_end_of_the_edit_cuts_what_nothing_shown_needs() {
    let track = [(0, I), (1, P), (3, P), (2, P), (5, P), (4, P)];
    let until = |duration_ticks| Edit {
        limit: Some(EditLimit { duration_ticks, tolerance_ticks: 20 }),
        ..from_frame(&track, 0.0)
    };
    let count = |edit| {
        let mut samples = frames(&track);
        apply_edit(&mut samples, &edit, TrackKind::Video, 1).unwrap().map(|_| samples.len())
    };
    assert_eq!(count(until(4000)), Some(4));
    // Frame 3 is decoded before frame 2, which is shown.
    assert_eq!(count(until(3000)), Some(4));
    assert_eq!(count(until(2000)), Some(2));
    // An end within rounding of the media's end is the media's end.
    assert_eq!(count(until(5985)), Some(6));
    assert_eq!(count(until(u64::MAX >> 4)), Some(6));
    assert_eq!(count(until(0)), None);
}

#[test]
fn an_edit_behind_the_media_presents_nothing() {
    let track = [(0, I), (1, P)];
    let mut samples = frames(&track);
    let edit = from_frame(&track, 2.0);
    assert_eq!(apply_edit(&mut samples, &edit, TrackKind::Video, 1), Ok(None));
}

#[test]
fn a_start_too_far_from_its_sync_sample_is_refused() {
    let track = (0..6000).map(|at| (at, at == 0)).collect::<Vec<_>>();
    let edit = from_frame(&track, 5000.0);
    let error = apply_edit(&mut frames(&track), &edit, TrackKind::Video, 1).unwrap_err();
    assert!(error.to_string().contains("more than 4096 samples"), "{error}");
}

#[test]
fn places_follow_the_samples_that_are_left() {
    let track = [(0, I), (1, P), (5, I), (3, P), (4, P), (6, P), (7, P)];
    let mut samples = frames(&track);
    let edit = from_frame(&track, 5.0);
    let retimed = apply_edit(&mut samples, &edit, TrackKind::Video, 1).unwrap().unwrap();
    // 2, 5 and 6 are left.
    let places = (0..9).map(|index| retimed.place_of(index)).collect::<Vec<_>>();
    assert_eq!(places, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
}

/// Samples of any order, with gaps of no duration and offsets of either sign.
fn any_samples() -> impl Strategy<Value = Vec<Sample>> {
    let row = (0..3000_u32, -4000..4000_i32, prop::bool::weighted(0.2));
    prop::collection::vec(row, 1..80).prop_map(|rows| {
        let mut decode_time = 0;
        let samples = rows.into_iter().zip(0..).map(|((duration, offset, is_sync), index)| {
            let sample = Sample {
                offset_bytes: index,
                size_bytes: 1,
                decode_time,
                duration_ticks: duration,
                composition_offset_ticks: offset,
                is_sync,
                description_index: 0,
            };
            decode_time += u64::from(duration);
            sample
        });
        let mut samples = samples.collect::<Vec<_>>();
        samples.last_mut().unwrap().duration_ticks += 1;
        samples
    })
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let limit = prop::option::of((0..100_000_u64, 0..100_u64));
    (0..5000_u64, 0..100_000_u64, limit).prop_map(|(lead_ticks, media_time, limit)| Edit {
        lead_ticks,
        media_time,
        limit: limit
            .map(|(duration_ticks, tolerance_ticks)| EditLimit { duration_ticks, tolerance_ticks }),
    })
}

proptest! {
    /// Whatever the table: what is left keeps the invariants, shows what the edit shows at its
    /// time, and what is gone is gone for a reason.
    #[test]
    fn what_is_left_is_sound(source in any_samples(), edit in any_edit(), is_sound: bool) {
        let mut source = source;
        if is_sound {
            source.iter_mut().for_each(|sample| sample.is_sync = true);
        }
        let kind = if is_sound { TrackKind::Audio } else { TrackKind::Video };
        let mut samples = source.clone();
        let Ok(Some(retimed)) = apply_edit(&mut samples, &edit, kind, 1) else {
            return Ok(());
        };
        let table = SampleTable { samples };
        prop_assert_eq!(check_table(&table, u64::MAX), Ok(()));

        let factor = u64::from(retimed.timescale_factor);
        let lead = edit.lead_ticks as i64;
        let presented = |sample: &Sample| {
            sample.decode_time as i64 + i64::from(sample.composition_offset_ticks) + lead
                - edit.media_time as i64
        };
        let first = &source[table.samples[0].offset_bytes as usize];
        for pair in table.samples.windows(2) {
            prop_assert!(pair[0].offset_bytes < pair[1].offset_bytes);
        }
        for sample in &table.samples {
            let shown = presented(&source[sample.offset_bytes as usize]);
            if shown > lead {
                prop_assert_eq!(sample.presentation_time(), shown as u64 * factor);
            }
        }
        let end = edit.limit.map_or(i64::MAX, |limit| lead + limit.duration_ticks as i64);
        let last = table.samples.last().unwrap().offset_bytes;
        for sample in &source[first.offset_bytes as usize..] {
            let is_left = table.samples.iter().any(|left| left.offset_bytes == sample.offset_bytes);
            let is_behind = sample.offset_bytes > last && presented(sample) >= end;
            prop_assert!(is_left || is_behind || presented(sample) < presented(first));
        }
    }
}
