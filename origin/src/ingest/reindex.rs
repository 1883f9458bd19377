//! Makes the indexes of a title anew: what a version that stores them otherwise needs.
//!
//! The stored sources are read as ingest read them and cut where the title is cut. Samples, times
//! and lengths come out the same, so that revisions, addresses and every byte that is served stay
//! what they were; only the index files, which get new names, and their digests in the document
//! change.

use std::path::PathBuf;

use bytes::Bytes;
use platform::objects::PutMode;
use serde::Serialize;

use super::{ScannedSource, ScannedTrack, prepare, scan, target_duration};
use crate::OriginError;
use crate::asset::{AssetDocument, AssetId, revision};
use crate::bundle::INDEX_FILE_BYTES_MAX;
use crate::library::Library;

/// Digits of an index's digest in its file's name.
const DIGEST_DIGITS: usize = 10;
/// Prepare plans cuts, which those of the title then replace.
const TARGET_SECONDS: u32 = 6;

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct ReindexReport {
    pub id: String,
    /// Tracks whose index was replaced; the others had it as this version writes it.
    pub tracks: Vec<String>,
    pub index_bytes_before: u64,
    pub index_bytes: u64,
}

/// Reads the sources of a title again and replaces its indexes.
///
/// # Errors
/// [`OriginError::Refused`] for a title whose sources are not kept, or are not what was ingested.
/// The title is then as it was.
pub async fn reindex(library: &Library, id: &AssetId) -> Result<ReindexReport, OriginError> {
    let (mut document, version) = library.document_versioned(id).await?;
    let store = library.store();
    let paths = stored_sources(library, &document)?;
    let cut_list = document.cut_list.clone();
    let (sources, scanned) = super::publish::blocking(move || {
        let mut prepared = prepare(&paths, target_duration(TARGET_SECONDS))?;
        prepared.cut_list = cut_list;
        scan(&mut prepared, &paths, None, &mut |_| {})
    })
    .await?;

    let mut report = ReindexReport {
        id: id.to_string(),
        tracks: Vec::new(),
        index_bytes_before: 0,
        index_bytes: 0,
    };
    let mut replaced = Vec::new();
    for position in 0..document.tracks.len() {
        if document.tracks[position].index_file.is_empty() {
            continue;
        }
        let sidecar = sidecar_of(&document, position, &sources, &scanned)?;
        let digest = blake3::hash(sidecar).to_hex().to_string();
        let old_key = document.key(&document.tracks[position].index_file)?;
        // A file that is gone or can't be read is no reason not to make a new one.
        let old = store.get(&old_key, INDEX_FILE_BYTES_MAX).await.unwrap_or_default();
        report.index_bytes_before += old.len() as u64;
        report.index_bytes += sidecar.len() as u64;
        if old == sidecar && document.tracks[position].index_digest == digest {
            continue;
        }
        let track = &mut document.tracks[position];
        track.index_file = format!("{}-{}.idx", track.name, &digest[..DIGEST_DIGITS]);
        track.index_digest = digest;
        report.tracks.push(track.name.clone());
        let key = document.key(&document.tracks[position].index_file)?;
        store.put(&key, Bytes::copy_from_slice(sidecar), PutMode::Overwrite).await?;
        if key != old_key {
            replaced.push(old_key);
        }
    }
    if !report.tracks.is_empty() {
        let bytes = serde_json::to_vec_pretty(&document)
            .map_err(|error| OriginError::Refused { reason: error.to_string() })?;
        store.replace(&id.key("asset.json")?, bytes.clone().into(), &version).await?;
        store.put(&document.key("asset.json")?, bytes.into(), PutMode::Overwrite).await?;
    }
    library.forget(id).await;
    for key in replaced {
        if let Err(error) = store.delete(&key).await {
            tracing::warn!(%key, %error, "could not remove an index that was replaced");
        }
    }
    Ok(report)
}

/// The copies of the sources, where they can be read as files.
fn stored_sources(
    library: &Library,
    document: &AssetDocument,
) -> Result<Vec<PathBuf>, OriginError> {
    let sources = document.sources.iter().map(|source| {
        let key = document.key(source.file.as_ref()?).ok()?;
        library.store().local_path(&key)
    });
    let paths: Option<Vec<PathBuf>> = sources.collect();
    paths.ok_or_else(|| OriginError::Refused {
        reason: format!(
            "the store does not keep the sources of title `{0}`; ingest its files again with \
             --id {0} --replace",
            document.id
        ),
    })
}

/// The new index of a track, if it is the same track of the same bytes as when it was ingested.
fn sidecar_of<'a>(
    document: &AssetDocument,
    position: usize,
    sources: &[ScannedSource],
    scanned: &'a [ScannedTrack],
) -> Result<&'a [u8], OriginError> {
    let track = &document.tracks[position];
    let same = scanned.iter().find_map(|scanned| match scanned {
        ScannedTrack::Indexed { track: found, sidecar, .. } if found.name == track.name => {
            let id = found.track.info.source_track_id;
            let revision = revision(&sources[found.source].digest, id, &document.cut_list);
            (revision == track.revision).then_some(sidecar.as_slice())
        }
        _ => None,
    });
    same.ok_or_else(|| OriginError::Refused {
        reason: format!(
            "track {} of title `{}` does not come out as it was ingested; `streamverse assets \
             verify` tells whether its source was changed, else ingest its files again with \
             --replace",
            track.name, document.id
        ),
    })
}
