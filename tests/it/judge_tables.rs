//! Judges a rendition by the tables of its source: same bytes, and each sample at the time that
//! the edit list gives it, in all tracks alike.

use std::collections::HashSet;

use crate::boxes;
use crate::manifests::Rendition;
use crate::source_tables::{Sample, Source, Track};

/// What arithmetic in `f64` may err by.
const SAME_SECONDS: f64 = 2e-7;
/// Where the last sample is silence, it has many twins in the source: so many are tried.
const ENDS_TRIED_MAX: usize = 200;

/// A sample that was served.
struct Served<'a> {
    shown_seconds: f64,
    bytes: &'a [u8],
}

/// Checks a rendition in fragments; gives what its times are moved by against the movie's clock.
#[track_caller]
pub(crate) fn check(rendition: &Rendition, source: &Source) -> f64 {
    let handler = boxes::handler(&rendition.init);
    let tick = 1.0 / f64::from(boxes::init(&rendition.init).timescale);
    let mut served = Vec::new();
    for piece in &rendition.pieces {
        let mdat = boxes::boxes(&piece.bytes).pop().expect("a segment ends in its mdat").body;
        let mut at = 0;
        for sample in boxes::segment(&piece.bytes).samples {
            let end = at + sample.size as usize;
            let shown_seconds = sample.pts as f64 * tick;
            served.push(Served { shown_seconds, bytes: &mdat[at..end] });
            at = end;
        }
    }
    let of_kind = source.tracks.iter().filter(|track| track.handler == handler);
    let mut faults = Vec::new();
    for track in of_kind {
        match check_track(&served, source, track) {
            Ok(moved) => {
                let is_right = source.is_fragmented || moved.abs() < track.tick_seconds;
                assert!(is_right, "{}: moved by {moved} s", rendition.name);
                return moved;
            }
            Err(fault) => faults.push(fault),
        }
    }
    panic!("{}: no track of the source has these samples: {faults:?}", rendition.name)
}

fn check_track(served: &[Served<'_>], source: &Source, track: &Track) -> Result<f64, String> {
    let last = served.last().ok_or("nothing is served")?;
    let is_last =
        |at: &usize| source.bytes.get(track.samples[*at].place.clone()) == Some(last.bytes);
    let ends = (0..track.samples.len()).rev().filter(is_last).take(ENDS_TRIED_MAX);
    let mut fault = format!("none of {} samples is the last one served", track.samples.len());
    for end in ends {
        match check_ending(served, source, track, end) {
            Ok(moved) => return Ok(moved),
            Err(found) => fault = found,
        }
    }
    Err(fault)
}

/// As [`check_track`], when the sample at `end` is the last one served.
fn check_ending(
    served: &[Served<'_>],
    source: &Source,
    track: &Track,
    end: usize,
) -> Result<f64, String> {
    let moved = served[served.len() - 1].shown_seconds - track.samples[end].shown_seconds;
    let mut rest = (0..=end).rev();
    let mut matched = HashSet::new();
    for (number, sample) in served.iter().enumerate().rev() {
        let is_it = |at: &usize| source.bytes[track.samples[*at].place.clone()] == *sample.bytes;
        let at = rest.find(is_it).ok_or_else(|| format!("sample {number} has other bytes"))?;
        check_time(sample, number, track, &track.samples[at], moved)?;
        matched.insert(at);
    }
    check_left_out(track, &matched)?;
    check_end(track, &matched)?;
    Ok(moved)
}

fn check_time(
    served: &Served<'_>,
    number: usize,
    track: &Track,
    sample: &Sample,
    moved: f64,
) -> Result<(), String> {
    let start = track.presented.start;
    let shown = served.shown_seconds - moved;
    // The start of an edit is written in ticks of the movie, and times in those of the media.
    let same = 0.51 * track.tick_seconds + SAME_SECONDS;
    if (shown - sample.shown_seconds).abs() <= same {
        return Ok(());
    }
    let is_allowed = if track.handler == *b"soun" {
        // A frame less than half of which lies before the start begins with the track.
        number == 0
            && (shown - start).abs() <= same
            && sample.shown_seconds < start
            && sample.shown_seconds > start - sample.duration_seconds / 2.0 - same
    } else {
        // Pictures that are decoded only, and the first one shown, take a little of its time.
        let later = track.samples.iter().map(|sample| sample.shown_seconds);
        let next = later.filter(|at| *at > start + same).fold(f64::INFINITY, f64::min);
        let taken = (start - same)..(start + (next - start) / 4.0 + same);
        sample.shown_seconds <= start + same && taken.contains(&shown)
    };
    let told = sample.shown_seconds;
    is_allowed.then_some(()).ok_or_else(|| format!("sample {number} at {shown} s, not {told}"))
}

/// What the source presents and is not served could not be decoded: no sync sample comes before.
fn check_left_out(track: &Track, matched: &HashSet<usize>) -> Result<(), String> {
    let first = matched.iter().min().copied().unwrap_or(0);
    let first_shown = track.samples[first].shown_seconds;
    let has_sync_before = track.samples[..first].iter().any(|sample| sample.is_sync);
    for (number, sample) in track.samples.iter().enumerate() {
        // Whether half a frame of sound is heard is a matter of rounding.
        let unheard = sample.duration_seconds / 2.0 - track.tick_seconds;
        let unheard = if track.handler == *b"soun" { unheard } else { SAME_SECONDS };
        let from = track.presented.start - unheard;
        let to = track.presented.end - 0.51 * track.tick_seconds;
        if matched.contains(&number) || !(from..to).contains(&sample.shown_seconds) {
            continue;
        }
        let is_leading = sample.shown_seconds < first_shown || number < first;
        if !is_leading || has_sync_before {
            return Err(format!("sample {number} at {} s is left out", sample.shown_seconds));
        }
    }
    Ok(())
}

/// The last sample served is presented: those behind the end serve others that are shown later.
fn check_end(track: &Track, matched: &HashSet<usize>) -> Result<(), String> {
    let last = &track.samples[matched.iter().max().copied().unwrap_or(0)];
    let end = |sample: &Sample| sample.shown_seconds + sample.duration_seconds;
    let media_end = track.samples.iter().map(end).fold(0.0, f64::max);
    let is_whole = media_end <= track.presented.end + track.edit_seconds + SAME_SECONDS;
    let is_presented = last.shown_seconds < track.presented.end - SAME_SECONDS;
    let fault = || format!("the last sample, at {} s, is not presented", last.shown_seconds);
    (is_whole || is_presented).then_some(()).ok_or_else(fault)
}

/// A track of four frames a second apart, presented from its second one to its end, and what is
/// served of it.
fn example(handler: [u8; 4]) -> (Source, Vec<(f64, Vec<u8>)>) {
    let sample = |number: usize| Sample {
        shown_seconds: number as f64 - 1.0,
        duration_seconds: 1.0,
        is_sync: number == 0,
        place: number..number + 1,
    };
    let track = Track {
        handler,
        samples: (0..4).map(sample).collect(),
        tick_seconds: 0.01,
        presented: 0.0..3.0,
        edit_seconds: 0.03,
    };
    let source = Source { bytes: vec![1, 2, 3, 4], tracks: vec![track], is_fragmented: false };
    let served = [(0.0, 1), (0.01, 2), (1.0, 3), (2.0, 4)];
    (source, served.map(|(at, byte)| (at, vec![byte])).to_vec())
}

fn is_passed(source: &Source, served: &[(f64, Vec<u8>)]) -> bool {
    let served: Vec<_> =
        served.iter().map(|(at, bytes)| Served { shown_seconds: *at, bytes }).collect();
    check_track(&served, source, &source.tracks[0]).is_ok()
}

#[test]
fn faults_are_seen() {
    let (source, right) = example(*b"vide");
    assert!(is_passed(&source, &right));
    // Late, early, with other bytes, or not there at all.
    for (number, at) in [(2, 1.01), (2, 0.99), (1, 0.4), (0, -0.1)] {
        let mut wrong = right.clone();
        wrong[number].0 = at;
        assert!(!is_passed(&source, &wrong), "sample {number} at {at}");
    }
    for number in 1..4 {
        let mut wrong = right.clone();
        wrong[number].1 = vec![9];
        assert!(!is_passed(&source, &wrong), "sample {number}");
        wrong.remove(number);
        assert!(!is_passed(&source, &wrong), "without sample {number}");
    }
    // Pictures that run up to the edit are no sound.
    let (source, _) = example(*b"soun");
    assert!(!is_passed(&source, &right));
    assert!(is_passed(&source, &[&[(0.0, vec![2])], &right[2..]].concat()));
    // An edit that ends earlier.
    let (mut source, right) = example(*b"vide");
    source.tracks[0].presented.end = 2.0;
    assert!(!is_passed(&source, &right));
    assert!(is_passed(&source, &right[..3]));
}
