//! Writes every manifest of a set of tracks and checks that each is well formed.

use packager::dash::{Addressing, MpdOptions, write_mpd};
use packager::fmp4::SingleFile;
use packager::hls::{
    MultivariantOptions, SegmentFormat, write_iframe_playlist, write_media_playlist,
    write_multivariant, write_single_file_playlist,
};
use packager::index::TrackIndex;
use packager::presentation::{Presentation, PresentedTrack, TrackClass, TrackRole};
use packager::track::{MediaParams, TrackKind};

/// What a hostile handler name looks like to a manifest.
const LABEL: &str = "A \"quoted\" <label> & 'more' ]]>";

fn presented<'a>(index: &'a TrackIndex, name: &'a str) -> PresentedTrack<'a> {
    let class = match &index.info.media {
        MediaParams::Video(video) => TrackClass::of_video(video.width, video.height),
        MediaParams::Audio(_) => TrackClass::Audio,
        MediaParams::Text(_) => TrackClass::Text,
    };
    PresentedTrack {
        index,
        name,
        class,
        revision: "0123456789",
        segments: index.presented_segments(),
        label: if index.info.name.is_empty() { LABEL } else { &index.info.name },
        role: TrackRole::Main,
        is_default: true,
        accessibility: &[],
    }
}

/// Writes all manifests of `tracks`, each with its name.
pub fn check_manifests(tracks: &[(&TrackIndex, &str)]) {
    let tracks: Vec<_> = tracks.iter().map(|(index, name)| presented(index, name)).collect();
    let presentation = Presentation { tracks, images: Vec::new() };
    for format in [SegmentFormat::Fmp4, SegmentFormat::MpegTs] {
        let options = MultivariantOptions { format, query: "" };
        check_playlist(&write_multivariant(&presentation, &options));
        for track in &presentation.tracks {
            check_playlist(&write_media_playlist(track, None, format));
            if track.index.info.kind() == TrackKind::Video {
                check_playlist(&write_iframe_playlist(track, format));
            }
        }
    }
    for track in &presentation.tracks {
        if let Ok(file) = SingleFile::new(track.index) {
            check_playlist(&write_single_file_playlist(track, &file));
        }
    }
    for trick_mode in [false, true] {
        let options = MpdOptions { addressing: Addressing::Numbered, trick_mode };
        check_xml(&write_mpd(&presentation, &options));
    }
}

/// Lines are tags or relative names, quotes are paired, and nothing breaks out of a line.
fn check_playlist(playlist: &str) {
    assert!(playlist.starts_with("#EXTM3U\n") && playlist.ends_with('\n'));
    for line in playlist.lines() {
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(line.starts_with("#EXT") || is_relative_name(line), "{line:?}");
        assert!(line.matches('"').count().is_multiple_of(2), "{line:?}");
    }
}

fn is_relative_name(line: &str) -> bool {
    let path = line.split('?').next().unwrap_or_default();
    !path.is_empty()
        && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./-_".contains(&byte))
}

fn check_xml(xml: &str) {
    if let Err(error) = roxmltree::Document::parse(xml) {
        panic!("the manifest is no XML: {error}\n{xml}");
    }
}
