//! Manifests, written for each request from the resident tables.

use packager::MediaTime;
use packager::dash::{Addressing as MpdAddressing, MpdOptions, SingleFileHead, write_mpd};
use packager::hls::{
    MultivariantOptions, insert_start_date, wants_start_dates, write_iframe_playlist,
    write_image_playlist, write_media_playlist, write_multivariant, write_single_file_playlist,
};
use packager::presentation::{Presentation, PresentedTrack};
use packager::uri::{Packaging, PlaylistName};

use crate::OriginError;
use crate::loaded::LoadedAsset;
use crate::preset::{Addressing, Preset};
use crate::query::ManifestQuery;

/// Media types of what this module writes.
pub(crate) const HLS_TYPE: &str = "application/vnd.apple.mpegurl";
pub(crate) const DASH_TYPE: &str = "application/dash+xml";

/// The part of a title that `query` asks for under `preset`.
fn presentation<'a>(
    asset: &'a LoadedAsset,
    preset: &Preset,
    query: &ManifestQuery,
) -> Result<Presentation<'a>, OriginError> {
    let mut presentation = asset.presentation();
    preset.keep_fitting(&mut presentation);
    if presentation.tracks.is_empty() {
        let reason = format!("no track of this title fits preset `{}`", preset.name);
        return Err(OriginError::NotFound { reason });
    }
    query.apply(&mut presentation)?;
    Ok(presentation)
}

pub(crate) fn multivariant(
    asset: &LoadedAsset,
    preset: &Preset,
    query: &ManifestQuery,
) -> Result<String, OriginError> {
    let presentation = presentation(asset, preset, query)?;
    let suffix = query.playlist_suffix();
    let options = MultivariantOptions { format: preset.format, query: &suffix };
    Ok(write_multivariant(&presentation, &options))
}

/// # Errors
/// [`OriginError::NotFound`] for presets that DASH has no form of.
pub(crate) fn mpd(
    asset: &LoadedAsset,
    preset: &Preset,
    query: &ManifestQuery,
) -> Result<String, OriginError> {
    if preset.format != packager::hls::SegmentFormat::Fmp4 {
        let reason = format!("preset `{}` is for HLS alone", preset.name);
        return Err(OriginError::NotFound { reason });
    }
    let presentation = presentation(asset, preset, query)?;
    let head = |track: &PresentedTrack<'_>| {
        let layout = asset.track(track.name)?.single_file()?;
        Some(SingleFileHead { init: layout.init_range(), index: layout.index_range() })
    };
    let addressing = match preset.addressing {
        Addressing::Segments => MpdAddressing::Numbered,
        Addressing::SingleFile => MpdAddressing::SingleFile(&head),
    };
    let trick_mode = preset.addressing == Addressing::Segments;
    Ok(write_mpd(&presentation, &MpdOptions { addressing, trick_mode }))
}

/// # Errors
/// [`OriginError::NotFound`] when the title or the preset has no such playlist.
pub(crate) fn playlist(
    asset: &LoadedAsset,
    preset: &Preset,
    name: PlaylistName<'_>,
    query: &ManifestQuery,
) -> Result<String, OriginError> {
    let mut presentation = asset.presentation();
    preset.keep_fitting(&mut presentation);
    query.clip(&mut presentation.tracks)?;
    let find = |name: &str| presentation.tracks.iter().find(|track| track.name == name);
    let found = |name: &str| {
        find(name).ok_or_else(|| OriginError::NotFound {
            reason: format!("preset `{}` has no track `{name}`", preset.name),
        })
    };
    let is_dated = wants_start_dates(&presentation, preset.format);
    let dated = |mut playlist: String, start: MediaTime| {
        if is_dated {
            insert_start_date(&mut playlist, start);
        }
        playlist
    };
    match name {
        PlaylistName::Track { track, muxed_with } => {
            let track = found(track)?;
            let muxed_with = muxed_with.map(found).transpose()?;
            // Cues go as WebVTT, segment by segment, however the media is addressed.
            if preset.addressing == Addressing::SingleFile
                && preset.format.packaging(track) == Packaging::Fmp4
                && let Some(layout) = asset.track(track.name).and_then(|t| t.single_file())
            {
                let playlist = write_single_file_playlist(track, layout.as_ref());
                return Ok(dated(playlist, track.start_time()));
            }
            let playlist = write_media_playlist(track, muxed_with, preset.format);
            Ok(dated(playlist, track.start_time()))
        }
        PlaylistName::IFrames { track } => {
            let track = found(track)?;
            let first = track.iframes().1.first().map_or(0, |frame| frame.time);
            let playlist = write_iframe_playlist(track, preset.format);
            Ok(dated(playlist, track.index.timescale().ticks(first)))
        }
        PlaylistName::Images { images } => {
            let images = presentation.images.iter().find(|set| set.name == images);
            let images = images.ok_or_else(|| OriginError::NotFound {
                reason: "the title has no such pictures".to_owned(),
            })?;
            Ok(write_image_playlist(&presentation, images))
        }
    }
}
