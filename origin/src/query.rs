//! What a viewer may ask of a manifest: which tracks, and which part of the title.

use std::ops::Range;

use packager::presentation::{Presentation, PresentedTrack, TrackClass};
use packager::track::{MediaParams, TrackKind};
use packager::{MediaTime, Timescale};

use crate::OriginError;

/// Names or languages in one list.
const LIST_MAX: usize = 64;

/// The manifest parameters of a query. Parameters that are not ours are ignored: CMCD, `_HLS_*`
/// and a CDN's own must never turn into an error.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ManifestQuery {
    max_height: Option<u32>,
    max_bitrate: Option<u64>,
    video: Option<Vec<String>>,
    audio: Option<Vec<String>>,
    text: Option<Vec<String>>,
    start: Option<MediaTime>,
    end: Option<MediaTime>,
}

impl ManifestQuery {
    /// # Errors
    /// [`OriginError::InvalidQuery`] names the parameter whose value can't be read.
    pub fn parse(query: &str) -> Result<Self, OriginError> {
        let mut parsed = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "max_height" => parsed.max_height = Some(number("max_height", &value)?),
                "max_bitrate" => parsed.max_bitrate = Some(number("max_bitrate", &value)?),
                "video" => parsed.video = Some(list("video", &value)?),
                "audio" => parsed.audio = Some(list("audio", &value)?),
                "text" => parsed.text = Some(list("text", &value)?),
                "start" => parsed.start = Some(seconds("start", &value)?),
                "end" => parsed.end = Some(seconds("end", &value)?),
                "key_format" => key_format(&value)?,
                _ => {}
            }
        }
        if let (Some(start), Some(end)) = (parsed.start, parsed.end)
            && end <= start
        {
            return Err(invalid("end", "must lie after `start`"));
        }
        Ok(parsed)
    }

    /// The parameters that media playlists have to repeat, as a query with its `?`, or nothing.
    pub fn playlist_suffix(&self) -> String {
        let mut suffix = String::new();
        for (name, time) in [("start", self.start), ("end", self.end)] {
            if let Some(time) = time {
                suffix.push(if suffix.is_empty() { '?' } else { '&' });
                suffix.push_str(&format!("{name}={}", time.as_seconds()));
            }
        }
        suffix
    }

    /// Removes from `presentation` what was not asked for.
    ///
    /// Clipping keeps whole segments: those that overlap `start` to `end`.
    ///
    /// # Errors
    /// [`OriginError::InvalidQuery`] when a list names a track or language that the title doesn't
    /// have, or when nothing would be left.
    pub fn apply(&self, presentation: &mut Presentation<'_>) -> Result<(), OriginError> {
        let tracks = &mut presentation.tracks;
        let had_video = tracks.iter().any(|track| track.index.info.kind() == TrackKind::Video);
        keep_listed(tracks, TrackKind::Video, "video", self.video.as_deref())?;
        keep_listed(tracks, TrackKind::Audio, "audio", self.audio.as_deref())?;
        keep_listed(tracks, TrackKind::Text, "text", self.text.as_deref())?;
        tracks.retain(|track| self.allows_rendition(track));
        let has_video = tracks.iter().any(|track| track.index.info.kind() == TrackKind::Video);
        if had_video && !has_video && self.video.as_ref().is_none_or(|names| !names.is_empty()) {
            let limit = if self.max_height.is_some() { "max_height" } else { "max_bitrate" };
            return Err(invalid(limit, "no video rendition is that small"));
        }
        if tracks.iter().all(|track| track.index.info.kind() == TrackKind::Text) {
            return Err(invalid("audio", "neither video nor audio is left"));
        }
        self.clip(tracks)
    }

    fn allows_rendition(&self, track: &PresentedTrack<'_>) -> bool {
        let MediaParams::Video(video) = &track.index.info.media else {
            return true;
        };
        let height = u32::from(video.width.min(video.height));
        self.max_height.is_none_or(|max| height <= max)
            && self.max_bitrate.is_none_or(|max| track.index.facts.peak_bitrate <= max)
    }

    /// Cuts all tracks to the segments that overlap `start` to `end`.
    ///
    /// # Errors
    /// [`OriginError::InvalidQuery`] when the title ends before.
    pub fn clip(&self, tracks: &mut [PresentedTrack<'_>]) -> Result<(), OriginError> {
        if self.start.is_none() && self.end.is_none() {
            return Ok(());
        }
        // The first track decides, so that all are clipped at the same cuts.
        let Some(reference) = tracks.first() else {
            return Ok(());
        };
        let index = reference.index;
        let time_of = |at: usize| index.timescale().ticks(index.segment_start(at));
        let overlaps = |&at: &usize| {
            self.start.is_none_or(|start| time_of(at + 1) > start)
                && self.end.is_none_or(|end| time_of(at) < end)
        };
        let kept: Vec<usize> = reference.segments.clone().filter(overlaps).collect();
        let (Some(&first), Some(&last)) = (kept.first(), kept.last()) else {
            return Err(invalid("start", "lies after the end of the title"));
        };
        let (start, end) = (time_of(first).as_seconds(), time_of(last + 1).as_seconds());
        for track in tracks {
            clip_track(track, start, end);
        }
        Ok(())
    }
}

/// Keeps the segments whose middle lies between two cuts: those of audio begin up to half a frame
/// before or after the cut that they belong to.
fn clip_track(track: &mut PresentedTrack<'_>, start_seconds: f64, end_seconds: f64) {
    let index = track.index;
    let middle = |at: usize| {
        let time_of = |at: usize| index.timescale().ticks(index.segment_start(at)).as_seconds();
        f64::midpoint(time_of(at), time_of(at + 1))
    };
    let Range { start, end } = track.segments.clone();
    let first = (start..end).find(|&at| middle(at) >= start_seconds).unwrap_or(end);
    let last = (first..end).find(|&at| middle(at) >= end_seconds).unwrap_or(end);
    track.segments = first..last;
}

/// Keeps the tracks of `kind` that `names` lists by name or language; an empty list keeps none.
fn keep_listed(
    tracks: &mut Vec<PresentedTrack<'_>>,
    kind: TrackKind,
    parameter: &'static str,
    names: Option<&[String]>,
) -> Result<(), OriginError> {
    let Some(names) = names else {
        return Ok(());
    };
    let matches = |track: &PresentedTrack<'_>, name: &str| {
        track.name == name
            || (kind != TrackKind::Video && same_language(&track.index.info.language, name))
            || (kind == TrackKind::Video && class_is(track.class, name))
    };
    let of_kind = |track: &&PresentedTrack<'_>| track.index.info.kind() == kind;
    for name in names {
        if !tracks.iter().filter(of_kind).any(|track| matches(track, name)) {
            return Err(invalid(parameter, &format!("the title has no `{name}`")));
        }
    }
    tracks.retain(|track| {
        track.index.info.kind() != kind || names.iter().any(|name| matches(track, name))
    });
    Ok(())
}

fn class_is(class: TrackClass, name: &str) -> bool {
    class.as_str() == name
}

/// `de` asks for `de-AT` too (RFC 4647 3.3.1).
fn same_language(tag: &str, range: &str) -> bool {
    let Some(head) = tag.get(..range.len()) else {
        return false;
    };
    head.eq_ignore_ascii_case(range) && matches!(tag.as_bytes().get(range.len()), None | Some(b'-'))
}

fn invalid(parameter: &'static str, reason: &str) -> OriginError {
    OriginError::InvalidQuery { parameter, reason: reason.to_owned() }
}

fn number<T: std::str::FromStr>(parameter: &'static str, value: &str) -> Result<T, OriginError> {
    value.parse().map_err(|_| invalid(parameter, "is not a whole number"))
}

fn list(parameter: &'static str, value: &str) -> Result<Vec<String>, OriginError> {
    let names: Vec<String> =
        value.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if names.len() > LIST_MAX {
        return Err(invalid(parameter, "lists too many names"));
    }
    Ok(names)
}

/// Seconds with up to three decimals, below a hundred days.
fn seconds(parameter: &'static str, value: &str) -> Result<MediaTime, OriginError> {
    const SECONDS_MAX: f64 = 8_640_000.0;
    let parsed: f64 =
        value.parse().map_err(|_| invalid(parameter, "is not a number of seconds"))?;
    if !(0.0..=SECONDS_MAX).contains(&parsed) {
        return Err(invalid(parameter, "lies outside 0 to 8640000 seconds"));
    }
    Ok(Timescale::MILLIS.ticks((parsed * 1_000.0).round() as u64))
}

/// Chooses among HLS key dialects, which matter to protected presets alone.
fn key_format(value: &str) -> Result<(), OriginError> {
    match value {
        "clearkey" | "identity" => Ok(()),
        _ => Err(invalid("key_format", "is neither `clearkey` nor `identity`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, expected: Result<&str, &str>) {
        let parsed = ManifestQuery::parse(query);
        match expected {
            Ok(suffix) => assert_eq!(parsed.unwrap().playlist_suffix(), suffix),
            Err(parameter) => {
                let message = parsed.unwrap_err().to_string();
                assert!(message.contains(parameter), "{message}");
            }
        }
    }

    #[test]
    fn clipping_is_carried_to_media_playlists() {
        check("", Ok(""));
        check("start=4.5&end=10", Ok("?start=4.5&end=10"));
        check("end=10&max_height=720", Ok("?end=10"));
        check("CMCD=bl%3D4&_HLS_msn=3", Ok(""));
    }

    #[test]
    fn bad_values_are_named() {
        check("start=abc", Err("start"));
        check("start=-1", Err("start"));
        check("start=NaN", Err("start"));
        check("start=10&end=10", Err("end"));
        check("max_height=tall", Err("max_height"));
        check("key_format=x", Err("key_format"));
    }

    #[test]
    fn languages_match_by_prefix_of_whole_subtags() {
        assert!(same_language("de-AT", "de"));
        assert!(same_language("DE", "de"));
        assert!(!same_language("den", "de"));
        assert!(!same_language("d", "de"));
    }
}
