//! Offline packaging: every resource of a title into a folder that any web server can serve.
//!
//! The files have the names and the bytes that a server would answer with, so that a title can
//! move between the two without a cache noticing.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{IoSlice, Write};
use std::path::{Path, PathBuf};

use bytes::Buf;
use packager::hls::muxed_audio;
use packager::presentation::{PresentedTrack, TrackClass};
use packager::track::{MediaParams, TextCodec, TrackKind};
use packager::uri::{
    MediaFile, Packaging, PlaylistName, ResourceName, SegmentDir, TrackVersion, segment_extension,
};
use serde::Serialize;

use crate::OriginError;
use crate::asset::AssetId;
use crate::body::next_chunk;
use crate::library::Library;
use crate::loaded::LoadedAsset;
use crate::preset::{Addressing, Preset};
use crate::resources::entity;

/// Byte strings handed to the kernel in one write.
const SLICES_MAX: usize = 64;

/// What was written.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PackageReport {
    pub files: usize,
    pub bytes: u64,
    /// Manifests to begin with, relative to the folder.
    pub manifests: Vec<String>,
}

/// Writes `presets` of a title into `out`. `progress` gets files written and files in all.
///
/// # Errors
/// What a server would answer with, and [`OriginError::Io`] naming the file that can't be written.
pub async fn package(
    library: &Library,
    id: &AssetId,
    presets: &[Preset],
    out: &Path,
    now_ms: u64,
    progress: &(dyn Fn(u64, u64) + Send + Sync),
) -> Result<PackageReport, OriginError> {
    let asset = library.asset(id).await?;
    let mut names = BTreeSet::new();
    let mut report = PackageReport::default();
    for preset in presets {
        let manifests = list_preset(&asset, preset, &mut names);
        report.manifests.extend(manifests);
    }
    list_pictures(&asset, &mut names);
    let total = names.len() as u64;
    for (done, name) in names.iter().enumerate() {
        progress(done as u64, total);
        let parsed = ResourceName::parse(name)
            .ok_or_else(|| OriginError::NotFound { reason: format!("`{name}` names nothing") })?;
        let entity = entity(library, id, parsed, "", now_ms).await?;
        let path = out.join(name);
        report.bytes += write_file(&path, entity.source).await?;
        report.files += 1;
    }
    progress(total, total);
    Ok(report)
}

/// Collects the names of all resources that a preset's manifests lead to; gives its manifests.
fn list_preset(asset: &LoadedAsset, preset: &Preset, names: &mut BTreeSet<String>) -> Vec<String> {
    let mut presentation = asset.presentation();
    preset.keep_fitting(&mut presentation);
    let mut manifests = vec![ResourceName::Multivariant { preset: &preset.name }.to_string()];
    if preset.format == packager::hls::SegmentFormat::Fmp4 {
        manifests.push(ResourceName::Mpd { preset: &preset.name }.to_string());
    }
    names.extend(manifests.iter().cloned());
    let muxed = muxed_audio(&presentation, preset.format);
    for track in &presentation.tracks {
        let kind = track.index.info.kind();
        if kind == TrackKind::Audio && muxed.is_some() {
            continue;
        }
        let muxed_with = muxed.filter(|_| kind == TrackKind::Video);
        let playlist = PlaylistName::Track {
            track: track.name,
            muxed_with: muxed_with.map(|audio| audio.name),
        };
        names.insert(ResourceName::Playlist { preset: &preset.name, playlist }.to_string());
        if kind == TrackKind::Video {
            let playlist = PlaylistName::IFrames { track: track.name };
            names.insert(ResourceName::Playlist { preset: &preset.name, playlist }.to_string());
        }
        let has_file = asset.track(track.name).is_some_and(|loaded| loaded.single_file().is_some());
        let is_single = preset.addressing == Addressing::SingleFile && has_file;
        list_track(track, muxed_with, preset, is_single, names);
    }
    for images in &presentation.images {
        let playlist = PlaylistName::Images { images: images.name };
        names.insert(ResourceName::Playlist { preset: &preset.name, playlist }.to_string());
    }
    manifests
}

fn list_track(
    track: &PresentedTrack<'_>,
    muxed_with: Option<&PresentedTrack<'_>>,
    preset: &Preset,
    is_single: bool,
    names: &mut BTreeSet<String>,
) {
    let hls_packaging = preset.format.packaging(track);
    let is_cues = matches!(
        &track.index.info.media,
        MediaParams::Text(text) if text.codec == TextCodec::WebVtt
    );
    let mut packagings = vec![hls_packaging];
    if is_cues && hls_packaging == Packaging::WebVtt {
        // DASH takes cues in fragments.
        packagings.push(Packaging::Fmp4);
    }
    for packaging in packagings {
        let audio = muxed_with
            .map(|audio| TrackVersion { track: audio.name, revision: audio.revision })
            .filter(|_| packaging == Packaging::MpegTs);
        let dir = track.segment_dir(packaging, audio);
        let mut add = |file| {
            names.insert(ResourceName::Media { dir, file }.to_string());
        };
        let is_fmp4 = packaging == Packaging::Fmp4;
        if is_single && is_fmp4 {
            add(MediaFile::SingleFile);
        } else {
            if is_fmp4 {
                add(MediaFile::Init);
            }
            for (index, entry) in track.index.segments.iter().enumerate() {
                if entry.sample_count > 0 {
                    add(MediaFile::Segment(index as u64 + 1));
                }
            }
        }
        if packaging == Packaging::WebVtt {
            add(MediaFile::WholeText);
        }
        debug_assert!(!segment_extension(packaging).is_empty());
    }
    if track.index.info.kind() == TrackKind::Video {
        let dir = track.segment_dir(hls_packaging, None);
        for index in 0..track.index.iframes.len() {
            let file = MediaFile::IFrame(index as u64 + 1);
            names.insert(ResourceName::Media { dir, file }.to_string());
        }
        if preset.addressing == Addressing::SingleFile {
            names.insert(ResourceName::Media { dir, file: MediaFile::Init }.to_string());
        }
    }
}

fn list_pictures(asset: &LoadedAsset, names: &mut BTreeSet<String>) {
    if asset.document.poster.is_some() {
        names.insert(ResourceName::Poster.to_string());
    }
    for images in &asset.presentation().images {
        names.insert(ResourceName::Thumbnails.to_string());
        let dir = SegmentDir {
            packaging: Packaging::Image,
            class: TrackClass::Image,
            track: images.name,
            revision: images.revision,
            muxed_with: None,
        };
        for number in 1..=images.file_count() {
            let file = MediaFile::Image { number, extension: images.extension };
            names.insert(ResourceName::Media { dir, file }.to_string());
        }
    }
}

async fn write_file(
    path: &Path,
    source: Box<dyn crate::entity::Source>,
) -> Result<u64, OriginError> {
    let io = |source| OriginError::Io { path: path.display().to_string(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(io)?;
    }
    let len = source.len_bytes();
    let unfinished = unfinished_name(path);
    let mut file = File::create(&unfinished).map_err(io)?;
    let mut stream = source.stream(0..len);
    let mut written = 0;
    while let Some(chunk) = next_chunk(&mut stream).await {
        let mut chunk = chunk?;
        while chunk.has_remaining() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let used = chunk.chunks_vectored(&mut slices);
            let count = file.write_vectored(&slices[..used]).map_err(io)?;
            written += count as u64;
            chunk.advance(count);
        }
    }
    if written != len {
        let reason = format!("{} has {written} bytes, {len} were announced", path.display());
        return Err(OriginError::Refused { reason });
    }
    drop(file);
    std::fs::rename(&unfinished, path).map_err(io)?;
    Ok(written)
}

/// A file appears under its name when it is whole.
fn unfinished_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".unfinished");
    name.into()
}
