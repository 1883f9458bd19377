//! From the name of a resource to the entity that answers for it.

use std::sync::Arc;

use bytes::Bytes;
use packager::fmp4::init_segment;
use packager::image::write_thumbnails;
use packager::text::{CueTrack, MPEGTS_ORIGIN_FMP4, MPEGTS_ORIGIN_TS, write_segment, write_whole};
use packager::uri::{MediaFile, Packaging, ResourceName, SegmentDir};

use crate::OriginError;
use crate::asset::AssetId;
use crate::entity::{Caching, Entity, Source};
use crate::ingest::RETIRED_DAYS;
use crate::library::Library;
use crate::loaded::{LoadedAsset, LoadedTrack, TrackContent};
use crate::manifest::{self, DASH_TYPE, HLS_TYPE};
use crate::preset::{PROTECTED_PRESETS, Preset, ts_refusal};
use crate::query::ManifestQuery;
use crate::segment_source::{FileSource, Fmp4IFrame, Fmp4Segment};
use crate::single_file::{SingleFileSource, cue_segment};
use crate::ts_source::{TsSegment, ts_iframe};

const MP4_VIDEO: &str = "video/mp4";
const MP4_AUDIO: &str = "audio/mp4";
const MP4_TEXT: &str = "application/mp4";
const TS_TYPE: &str = "video/mp2t";
const VTT_TYPE: &str = "text/vtt; charset=utf-8";
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// Digits of a manifest's validator: 64 bits.
const ETAG_DIGITS: usize = 16;

/// Finds what `name` names.
///
/// # Errors
/// 404 for what doesn't exist, 410 for revisions that were replaced too long ago, 400 for a query
/// that can't be read, 503 when a file is not what was ingested.
pub(crate) async fn entity(
    library: &Library,
    id: &AssetId,
    name: ResourceName<'_>,
    query: &str,
    now_ms: u64,
) -> Result<Entity, OriginError> {
    let asset = match &name {
        ResourceName::Media { dir, .. } => {
            let asset = library.asset_of_late(id).await?;
            match has_revisions(&asset, dir) {
                true => asset,
                // The revision may be newer than what is warm.
                false => library.asset(id).await?,
            }
        }
        _ => library.asset(id).await?,
    };
    match name {
        ResourceName::Multivariant { preset } => {
            let (preset, query) = (find_preset(library, preset)?, ManifestQuery::parse(query)?);
            Ok(text(id, HLS_TYPE, manifest::multivariant(&asset, &preset, &query)?))
        }
        ResourceName::Mpd { preset } => {
            let (preset, query) = (find_preset(library, preset)?, ManifestQuery::parse(query)?);
            Ok(text(id, DASH_TYPE, manifest::mpd(&asset, &preset, &query)?))
        }
        ResourceName::Playlist { preset, playlist } => {
            let (preset, query) = (find_preset(library, preset)?, ManifestQuery::parse(query)?);
            Ok(text(id, HLS_TYPE, manifest::playlist(&asset, &preset, playlist, &query)?))
        }
        ResourceName::Media { dir, file } => {
            let asset = at_revision(library, asset, &dir, now_ms).await?;
            let with_index = query.split('&').any(|parameter| parameter == "sidx=1");
            media(library, &asset, &dir, file, with_index).await
        }
        ResourceName::Thumbnails => thumbnails(id, &asset),
        ResourceName::Poster => {
            let poster = asset.document.poster.as_deref().ok_or_else(|| missing("poster"))?;
            let etag = format!("{}-poster", asset.document.generation);
            picture(library, &asset, poster, "image/jpeg", etag, Caching::Short).await
        }
    }
}

fn missing(what: &str) -> OriginError {
    OriginError::NotFound { reason: format!("the title has no such {what}") }
}

fn find_preset(library: &Library, name: &str) -> Result<Preset, OriginError> {
    if PROTECTED_PRESETS.contains(&name) {
        return Err(OriginError::NotBuilt { what: format!("preset `{name}`") });
    }
    library
        .preset(name)
        .ok_or_else(|| OriginError::NotFound { reason: format!("there is no preset `{name}`") })
}

/// A manifest. Equal text has an equal validator on every node.
fn text(id: &AssetId, content_type: &'static str, text: String) -> Entity {
    let bytes = Bytes::from(text);
    Entity {
        content_type,
        etag: blake3::hash(&bytes).to_hex()[..ETAG_DIGITS].to_owned(),
        caching: Caching::Manifest,
        asset: Some(id.clone()),
        source: Box::new(bytes),
    }
}

fn thumbnails(id: &AssetId, asset: &LoadedAsset) -> Result<Entity, OriginError> {
    let presentation = asset.presentation();
    let images = presentation.images.first().ok_or_else(|| missing("thumbnails"))?;
    let uri = |number: u64| {
        format!("image/image/{}-{}/{number}.{}", images.name, images.revision, images.extension)
    };
    let index = write_thumbnails(images, asset.document.duration_ms, uri);
    Ok(Entity { caching: Caching::Short, ..text(id, VTT_TYPE, index) })
}

/// The generation of the title in which the directory's revisions are the current ones.
///
/// A revision that no kept generation has is either gone, or one that this node doesn't know yet:
/// the answer is never other bytes.
async fn at_revision(
    library: &Library,
    asset: Arc<LoadedAsset>,
    dir: &SegmentDir<'_>,
    now_ms: u64,
) -> Result<Arc<LoadedAsset>, OriginError> {
    if has_revisions(&asset, dir) {
        return Ok(asset);
    }
    for retired in &asset.document.retired {
        let Ok(earlier) = library.retired(&asset.document.id, &retired.generation).await else {
            continue;
        };
        if has_revisions(&earlier, dir) {
            let is_kept = now_ms.saturating_sub(retired.retired_ms) < RETIRED_DAYS * DAY_MS;
            return if is_kept { Ok(earlier) } else { Err(OriginError::Gone) };
        }
    }
    Err(OriginError::UnknownRevision)
}

fn has_revisions(asset: &LoadedAsset, dir: &SegmentDir<'_>) -> bool {
    if dir.packaging == Packaging::Image {
        return asset
            .document
            .images
            .as_ref()
            .is_some_and(|images| images.name == dir.track && images.revision == dir.revision);
    }
    let is_current = |name: &str, revision: &str| {
        asset.document.track(name).is_some_and(|track| {
            let class = packager::presentation::TrackClass::from(track.class);
            track.revision == revision && (name != dir.track || class == dir.class)
        })
    };
    is_current(dir.track, dir.revision)
        && dir.muxed_with.is_none_or(|audio| is_current(audio.track, audio.revision))
}

async fn media(
    library: &Library,
    asset: &LoadedAsset,
    dir: &SegmentDir<'_>,
    file: MediaFile<'_>,
    with_index: bool,
) -> Result<Entity, OriginError> {
    if let MediaFile::Image { number, .. } = file {
        return sprite(library, asset, number).await;
    }
    let track = asset.track(dir.track).ok_or_else(|| missing("track"))?;
    let audio =
        dir.muxed_with.map(|audio| asset.track(audio.track).ok_or_else(|| missing("track")));
    let audio = audio.transpose()?;
    check_unchanged(asset, track)?;
    let (content_type, source): (_, Box<dyn Source>) = match &track.content {
        TrackContent::Cues(cues) => text_source(track, cues, dir.packaging, file)?,
        TrackContent::Samples { .. } => match dir.packaging {
            Packaging::Fmp4 => fmp4_source(track, file, with_index)?,
            Packaging::MpegTs => ts_source(asset, track, audio, file).await?,
            _ => return Err(missing("file")),
        },
    };
    let directory = dir.to_string();
    let place = directory.rsplit('/').next().unwrap_or_default();
    let suffix = if with_index { "-sidx" } else { "" };
    Ok(Entity {
        content_type,
        etag: format!("{}-{place}-{}{suffix}", dir.packaging.as_str(), file_tag(file)),
        caching: Caching::Immutable,
        asset: Some(asset.document.id.clone()),
        source,
    })
}

/// A name for a file inside validators.
fn file_tag(file: MediaFile<'_>) -> String {
    match file {
        MediaFile::Init => "init".to_owned(),
        MediaFile::Segment(number) | MediaFile::Image { number, .. } => number.to_string(),
        MediaFile::IFrame(number) => format!("i{number}"),
        MediaFile::SingleFile => "track".to_owned(),
        MediaFile::WholeText => "all".to_owned(),
    }
}

/// # Errors
/// [`OriginError::SourceChanged`] when the file is no longer what was opened.
fn check_unchanged(asset: &LoadedAsset, track: &LoadedTrack) -> Result<(), OriginError> {
    let TrackContent::Samples { media, .. } = &track.content else {
        return Ok(());
    };
    media.check().map_err(|error| OriginError::SourceChanged {
        asset: asset.document.id.clone(),
        reason: error.to_string(),
    })
}

fn position(number: u64) -> Result<usize, OriginError> {
    let position = number.checked_sub(1).and_then(|position| usize::try_from(position).ok());
    position.ok_or_else(|| missing("segment"))
}

fn fmp4_source(
    track: &Arc<LoadedTrack>,
    file: MediaFile<'_>,
    with_index: bool,
) -> Result<(&'static str, Box<dyn Source>), OriginError> {
    let content_type = match track.document.kind {
        crate::asset::Kind::Video => MP4_VIDEO,
        crate::asset::Kind::Audio => MP4_AUDIO,
        crate::asset::Kind::Text => MP4_TEXT,
    };
    let track = track.clone();
    let source: Box<dyn Source> = match file {
        MediaFile::Init => Box::new(init(&track)),
        MediaFile::Segment(number) => {
            let (index, _) = track.segment(number).ok_or_else(|| missing("segment"))?;
            Box::new(Fmp4Segment { track, index, with_index })
        }
        MediaFile::IFrame(number) => {
            let index = position(number)?;
            if index >= track.index.iframes.len() {
                return Err(missing("I-frame"));
            }
            Box::new(Fmp4IFrame { track, index })
        }
        MediaFile::SingleFile => {
            let layout = track.single_file().ok_or_else(|| missing("file"))?.clone();
            Box::new(SingleFileSource { track, layout })
        }
        _ => return Err(missing("file")),
    };
    Ok((content_type, source))
}

fn init(track: &LoadedTrack) -> Bytes {
    init_segment(&track.index.info, &track.index.facts, Some(track.index.duration())).into()
}

async fn ts_source(
    asset: &LoadedAsset,
    track: &Arc<LoadedTrack>,
    audio: Option<&Arc<LoadedTrack>>,
    file: MediaFile<'_>,
) -> Result<(&'static str, Box<dyn Source>), OriginError> {
    for track in std::iter::once(track).chain(audio) {
        if let Some(reason) = ts_refusal(&track.index.info, track.index.facts.fits_ts) {
            return Err(OriginError::NotFound { reason });
        }
    }
    let is_video = track.document.kind == crate::asset::Kind::Video;
    let source: Box<dyn Source> = match file {
        MediaFile::Segment(number) => {
            let (index, _) = track.segment(number).ok_or_else(|| missing("segment"))?;
            let asset = asset.document.id.clone();
            let (video, audio) = if is_video {
                (Some(track.clone()), audio.cloned())
            } else {
                (None, Some(track.clone()))
            };
            Box::new(TsSegment { asset, video, audio, index })
        }
        MediaFile::IFrame(number) => {
            let iframe = ts_iframe(track, position(number)?).await?;
            Box::new(iframe.ok_or_else(|| missing("I-frame"))?)
        }
        _ => return Err(missing("file")),
    };
    Ok((TS_TYPE, source))
}

fn text_source(
    track: &Arc<LoadedTrack>,
    cues: &CueTrack,
    packaging: Packaging,
    file: MediaFile<'_>,
) -> Result<(&'static str, Box<dyn Source>), OriginError> {
    let (content_type, bytes): (_, Bytes) = match (packaging, file) {
        (Packaging::Fmp4, MediaFile::SingleFile) => {
            let layout = track.single_file().ok_or_else(|| missing("file"))?.clone();
            return Ok((MP4_TEXT, Box::new(SingleFileSource { track: track.clone(), layout })));
        }
        (Packaging::WebVtt, MediaFile::WholeText) => (VTT_TYPE, write_whole(cues).into()),
        (Packaging::Fmp4, MediaFile::Init) => (MP4_TEXT, init(track)),
        (packaging, MediaFile::Segment(number)) => {
            let (index, _) = track.segment(number).ok_or_else(|| missing("segment"))?;
            let timescale = track.index.timescale();
            let start = timescale.ticks(track.index.segment_start(index));
            let end = timescale.ticks(track.index.segment_start(index + 1));
            match packaging {
                Packaging::WebVtt => {
                    (VTT_TYPE, write_segment(cues, start, end, MPEGTS_ORIGIN_FMP4).into())
                }
                Packaging::WebVttTs => {
                    (VTT_TYPE, write_segment(cues, start, end, MPEGTS_ORIGIN_TS).into())
                }
                Packaging::Fmp4 => (MP4_TEXT, cue_segment(track, cues, index)?),
                _ => return Err(missing("file")),
            }
        }
        _ => return Err(missing("file")),
    };
    Ok((content_type, Box::new(bytes)))
}

async fn sprite(
    library: &Library,
    asset: &LoadedAsset,
    number: u64,
) -> Result<Entity, OriginError> {
    let images = asset.document.images.as_ref().ok_or_else(|| missing("pictures"))?;
    let file = images.files.get(position(number)?).ok_or_else(|| missing("picture"))?;
    let content_type = match images.extension.as_str() {
        "png" => "image/png",
        "webp" => "image/webp",
        _ => "image/jpeg",
    };
    let etag = format!("{}-{number}", images.revision);
    picture(library, asset, file, content_type, etag, Caching::Immutable).await
}

async fn picture(
    library: &Library,
    asset: &LoadedAsset,
    file: &str,
    content_type: &'static str,
    etag: String,
    caching: Caching,
) -> Result<Entity, OriginError> {
    let reader = library.open(&asset.document.key(file)?).await?;
    Ok(Entity {
        content_type,
        etag,
        caching,
        asset: Some(asset.document.id.clone()),
        source: Box::new(FileSource { reader: Arc::new(reader) }),
    })
}
