//! Reads resource names: strict, borrowing, bounded by the lengths named in the parent module.

use super::{
    MediaFile, NAME_LEN_MAX, Packaging, PlaylistName, REVISION_LEN_MAX, ResourceName, SegmentDir,
    TrackVersion,
};
use crate::presentation::TrackClass;

/// Digits of the largest number a name can carry (`u64::MAX`).
const NUMBER_LEN_MAX: usize = 20;

impl<'a> ResourceName<'a> {
    /// Reads what stands after `/vod/{asset}/`, without a leading slash and without a query.
    ///
    /// `None` for every name that no manifest writes: unknown files, names out of bounds, numbers
    /// of 0 or with leading zeros, a class or file that the packaging does not have.
    pub fn parse(path: &'a str) -> Option<Self> {
        let mut parts = path.split('/');
        let first = parts.next()?;
        let Some(second) = parts.next() else {
            return match first {
                "thumbnails.vtt" => Some(Self::Thumbnails),
                "poster.jpg" => Some(Self::Poster),
                _ => None,
            };
        };
        let Some(third) = parts.next() else {
            return parse_manifest(first, second);
        };
        let file = parts.next()?;
        if parts.next().is_some() {
            return None;
        }
        let dir = parse_dir(first, second, third)?;
        Some(Self::Media { dir, file: parse_file(&dir, file)? })
    }
}

fn parse_manifest<'a>(preset: &'a str, file: &'a str) -> Option<ResourceName<'a>> {
    if !is_preset_name(preset) {
        return None;
    }
    match file {
        "master.m3u8" => return Some(ResourceName::Multivariant { preset }),
        "manifest.mpd" => return Some(ResourceName::Mpd { preset }),
        _ => {}
    }
    let stem = file.strip_suffix(".m3u8")?;
    let playlist = if let Some(track) = stem.strip_suffix(".iframes") {
        PlaylistName::IFrames { track: track_name(track)? }
    } else if let Some(images) = stem.strip_suffix(".images") {
        PlaylistName::Images { images: track_name(images)? }
    } else if let Some((track, other)) = stem.split_once('_') {
        PlaylistName::Track { track: track_name(track)?, muxed_with: Some(track_name(other)?) }
    } else {
        PlaylistName::Track { track: track_name(stem)?, muxed_with: None }
    };
    Some(ResourceName::Playlist { preset, playlist })
}

fn parse_dir<'a>(packaging: &str, class: &str, name: &'a str) -> Option<SegmentDir<'a>> {
    let (packaging, class) = (parse_packaging(packaging)?, TrackClass::parse(class)?);
    if !packaging.has_class(class) {
        return None;
    }
    let (tracks, revisions) = name.split_once('-')?;
    let (track, revision, muxed_with) = match tracks.split_once('_') {
        None => (tracks, revisions, None),
        Some((video, audio)) => {
            let is_muxed = packaging == Packaging::MpegTs && class.is_video();
            let (of_video, of_audio) = revisions.split_once('_').filter(|_| is_muxed)?;
            let audio =
                TrackVersion { track: track_name(audio)?, revision: parse_revision(of_audio)? };
            (video, of_video, Some(audio))
        }
    };
    let (track, revision) = (track_name(track)?, parse_revision(revision)?);
    Some(SegmentDir { packaging, class, track, revision, muxed_with })
}

fn parse_file<'a>(dir: &SegmentDir<'_>, file: &'a str) -> Option<MediaFile<'a>> {
    match (dir.packaging, file) {
        (Packaging::Fmp4, "init.mp4") => return Some(MediaFile::Init),
        (Packaging::Fmp4, "track.mp4") => return Some(MediaFile::SingleFile),
        (Packaging::WebVtt, "all.vtt") => return Some(MediaFile::WholeText),
        _ => {}
    }
    let (stem, extension) = file.split_once('.')?;
    if dir.packaging == Packaging::Image {
        let is_known = matches!(extension, "jpg" | "png" | "webp");
        return Some(MediaFile::Image { number: parse_number(stem)?, extension })
            .filter(|_| is_known);
    }
    if extension != super::segment_extension(dir.packaging) {
        return None;
    }
    match stem.strip_prefix('i') {
        // I-frames come out of a track by itself.
        Some(number) if dir.class.is_video() && dir.muxed_with.is_none() => {
            parse_number(number).map(MediaFile::IFrame)
        }
        Some(_) => None,
        None => parse_number(stem).map(MediaFile::Segment),
    }
}

fn parse_packaging(text: &str) -> Option<Packaging> {
    [Packaging::Fmp4, Packaging::MpegTs, Packaging::WebVtt, Packaging::WebVttTs, Packaging::Image]
        .into_iter()
        .find(|packaging| packaging.as_str() == text)
}

impl Packaging {
    fn has_class(self, class: TrackClass) -> bool {
        match self {
            Self::Fmp4 => class != TrackClass::Image,
            Self::MpegTs => class == TrackClass::Audio || class.is_video(),
            Self::WebVtt | Self::WebVttTs => class == TrackClass::Text,
            Self::Image => class == TrackClass::Image,
        }
    }
}

/// Decimal from 1, without sign or leading zeros.
fn parse_number(text: &str) -> Option<u64> {
    let is_plain = (1..=NUMBER_LEN_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && !text.starts_with('0');
    if is_plain { text.parse().ok() } else { None }
}

fn parse_revision(text: &str) -> Option<&str> {
    let is_hexadecimal = (1..=REVISION_LEN_MAX).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_hexadecimal.then_some(text)
}

fn track_name(text: &str) -> Option<&str> {
    is_track_name(text).then_some(text)
}

/// Whether a track or a set of images may have this name: letters and digits, at most
/// [`NAME_LEN_MAX`], and not `master`, which is the multivariant playlist.
pub fn is_track_name(text: &str) -> bool {
    (1..=NAME_LEN_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && text != "master"
}

/// Whether a preset may have this name: lower-case letters, digits and inner hyphens.
pub(super) fn is_preset_name(text: &str) -> bool {
    (1..=NAME_LEN_MAX).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !text.starts_with('-')
        && !text.ends_with('-')
}
