//! Which tracks of the sources a title gets, and what they are called.

use packager::demux::SourceTrack;
use packager::language::display_name;
use packager::presentation::{Accessibility, TrackRole};
use packager::track::{MediaParams, TrackInfo, TrackKind};

/// Names of handlers that encoders put in by themselves: they say nothing to a viewer.
const EMPTY_NAMES: [&str; 9] = [
    "handle",
    "core media",
    "mainconcept",
    "apple sound",
    "apple video",
    "sound media",
    "video media",
    "gpac",
    "bento4",
];
/// Longest label taken from a file.
const LABEL_CHARS_MAX: usize = 64;
/// A picture track that lasts less than this part of the longest one is a cover or a trailer.
const VIDEO_LENGTH_PARTS: u64 = 2;

/// A track that may become part of the title.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Index of the source file.
    pub source: usize,
    pub track: SourceTrack,
}

/// A track of the title, in its final order.
#[derive(Clone, Debug)]
pub struct ChosenTrack {
    pub name: String,
    pub label: String,
    pub role: TrackRole,
    pub is_default: bool,
    pub accessibility: Vec<Accessibility>,
    pub source: usize,
    pub track: SourceTrack,
}

/// A track that is left out, and why.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct LeftOut {
    pub source: usize,
    pub track_id: u32,
    pub reason: String,
}

/// Chooses, orders and names the tracks: video by size, audio and text in the order they came.
///
/// Renditions usually carry the same audio each; the one with most bits of each language, codec
/// and channel layout is kept.
pub(super) fn choose(candidates: Vec<Candidate>) -> (Vec<ChosenTrack>, Vec<LeftOut>) {
    let mut left_out = Vec::new();
    let (mut video, others): (Vec<_>, Vec<_>) =
        candidates.into_iter().partition(|candidate| kind(candidate) == TrackKind::Video);
    let (mut audio, text): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|candidate| kind(candidate) == TrackKind::Audio);

    leave_out_covers(&mut video, &mut left_out);
    video.sort_by_key(|candidate| {
        std::cmp::Reverse((pixels(&candidate.track.info), bitrate(candidate)))
    });
    leave_out_equals(&mut audio, &mut left_out);

    let mut chosen = Vec::new();
    for (prefix, candidates) in [("v", video), ("a", audio), ("t", text)] {
        for (index, candidate) in candidates.into_iter().enumerate() {
            chosen.push(name_track(format!("{prefix}{}", index + 1), index == 0, candidate));
        }
    }
    tell_labels_apart(&mut chosen);
    (chosen, left_out)
}

fn kind(candidate: &Candidate) -> TrackKind {
    candidate.track.info.kind()
}

fn pixels(info: &TrackInfo) -> u64 {
    match &info.media {
        MediaParams::Video(video) => u64::from(video.width) * u64::from(video.height),
        _ => 0,
    }
}

fn bitrate(candidate: &Candidate) -> u64 {
    let table = &candidate.track.table;
    let bytes: u64 = table.samples.iter().map(|sample| u64::from(sample.size_bytes)).sum();
    let ticks = table.end_time().saturating_sub(table.start_time()).max(1);
    let timescale = u64::from(candidate.track.info.timescale.get());
    (u128::from(bytes) * 8 * u128::from(timescale) / u128::from(ticks)) as u64
}

fn leave_out_covers(video: &mut Vec<Candidate>, left_out: &mut Vec<LeftOut>) {
    let seconds = |candidate: &Candidate| {
        candidate.track.info.timescale.ticks(candidate.track.table.end_time()).as_seconds()
    };
    let longest = video.iter().map(seconds).fold(0.0, f64::max);
    let sources_with_several: Vec<usize> = video
        .iter()
        .map(|candidate| candidate.source)
        .filter(|&source| video.iter().filter(|other| other.source == source).count() > 1)
        .collect();
    video.retain(|candidate| {
        let is_cover = sources_with_several.contains(&candidate.source)
            && seconds(candidate) * (VIDEO_LENGTH_PARTS as f64) < longest;
        if is_cover {
            left_out.push(LeftOut {
                source: candidate.source,
                track_id: candidate.track.info.source_track_id,
                reason: format!(
                    "lasts {:.3} s beside a picture track of {longest:.3} s in the same file: \
                     taken for a cover",
                    seconds(candidate)
                ),
            });
        }
        !is_cover
    });
}

/// What makes two audio tracks the same to a viewer.
fn audio_key(candidate: &Candidate) -> (String, String, u16, String) {
    let info = &candidate.track.info;
    let channels = match &info.media {
        MediaParams::Audio(audio) => audio.channels,
        _ => 0,
    };
    (info.language.clone(), info.codecs().to_owned(), channels, shown_name(&info.name))
}

fn leave_out_equals(audio: &mut Vec<Candidate>, left_out: &mut Vec<LeftOut>) {
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in audio.drain(..) {
        // Two tracks of one file differ for a reason, even where the file doesn't say which.
        let same = kept.iter().position(|other| {
            other.source != candidate.source && audio_key(other) == audio_key(&candidate)
        });
        let Some(position) = same else {
            kept.push(candidate);
            continue;
        };
        let better = bitrate(&candidate) > bitrate(&kept[position]) * 11 / 10;
        let dropped =
            if better { std::mem::replace(&mut kept[position], candidate) } else { candidate };
        left_out.push(LeftOut {
            source: dropped.source,
            track_id: dropped.track.info.source_track_id,
            reason: "the same audio is taken from another file".to_owned(),
        });
    }
    *audio = kept;
}

fn name_track(name: String, is_first: bool, candidate: Candidate) -> ChosenTrack {
    let info = &candidate.track.info;
    let is_text = info.kind() == TrackKind::Text;
    let own_name = shown_name(&info.name);
    let label = if own_name.is_empty() {
        match info.language.as_str() {
            "und" => String::new(),
            language => display_name(language),
        }
    } else {
        own_name
    };
    let (role, accessibility) = purpose(info, &label);
    ChosenTrack {
        name,
        label,
        role,
        is_default: is_first && !is_text,
        accessibility,
        source: candidate.source,
        track: candidate.track,
    }
}

/// What a track is for, as far as its name tells.
fn purpose(info: &TrackInfo, label: &str) -> (TrackRole, Vec<Accessibility>) {
    let label = label.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| label.contains(word));
    match info.kind() {
        TrackKind::Video => (TrackRole::Main, Vec::new()),
        TrackKind::Text if says(&["forced"]) => (TrackRole::ForcedSubtitle, Vec::new()),
        TrackKind::Text if says(&["sdh", "caption", "hearing"]) => {
            (TrackRole::Caption, vec![Accessibility::HardOfHearing])
        }
        TrackKind::Text => (TrackRole::Subtitle, Vec::new()),
        TrackKind::Audio if says(&["commentary", "kommentar"]) => {
            (TrackRole::Commentary, Vec::new())
        }
        TrackKind::Audio if says(&["descri", "audiodeskription"]) => {
            (TrackRole::Description, vec![Accessibility::DescribesVideo])
        }
        TrackKind::Audio => (TrackRole::Main, Vec::new()),
    }
}

/// A handler name that a viewer may see, or nothing.
fn shown_name(name: &str) -> String {
    let lower = name.to_lowercase();
    let means_nothing = EMPTY_NAMES.iter().any(|empty| lower.contains(empty))
        || name.chars().any(char::is_control)
        || name.contains('"');
    if means_nothing {
        return String::new();
    }
    name.trim().chars().take(LABEL_CHARS_MAX).collect()
}

/// Two tracks of a kind never have the same label: players list them by it.
fn tell_labels_apart(tracks: &mut [ChosenTrack]) {
    for index in 0..tracks.len() {
        let kind = tracks[index].track.info.kind();
        if tracks[index].label.is_empty() && kind != TrackKind::Video {
            tracks[index].label = match kind {
                TrackKind::Audio => format!("Audio {}", &tracks[index].name[1..]),
                _ => format!("Text {}", &tracks[index].name[1..]),
            };
        }
        let is_taken = |label: &str| {
            tracks[..index]
                .iter()
                .any(|other| other.track.info.kind() == kind && other.label == label)
        };
        if kind != TrackKind::Video && is_taken(&tracks[index].label) {
            let label = &tracks[index].label;
            let unused = (2..).map(|n| format!("{label} ({n})")).find(|label| !is_taken(label));
            tracks[index].label = unused.expect("numbers don't run out");
        }
    }
}
