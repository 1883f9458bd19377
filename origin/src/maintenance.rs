//! Looking at, removing and verifying titles.

use platform::objects::{ObjectError, ObjectKey};
use serde::Serialize;

use crate::OriginError;
use crate::asset::{ASSETS_FOLDER, AssetDocument, AssetId, Kind};
use crate::bundle::bundle_key;
use crate::ingest::TrackReport;
use crate::library::Library;
use crate::loaded::LoadedTrack;
use crate::sweep::{Swept, sweep, sweep_title, sweep_unnamed};

/// Bytes read from a file at a time while it is verified.
const READ_BYTES: u64 = 4 << 20;

/// What verifying a title found.
#[derive(Clone, Debug, Serialize)]
pub struct VerifyReport {
    pub id: String,
    pub files: usize,
    pub bytes: u64,
    /// What is wrong, file by file; empty when all is well.
    pub faults: Vec<String>,
    /// Files without a checksum: pictures of titles that were ingested before those had one.
    pub unchecked: Vec<String>,
    /// Generations that were removed, since no document names them and no ingest works on them.
    pub removed: Vec<String>,
}

/// Verifies one title or all, and removes what crashed ingests and old generations left of them.
///
/// # Errors
/// When the store can't be listed, or the one title isn't there.
pub async fn verify_and_sweep(
    library: &Library,
    one: Option<&AssetId>,
    now_ms: u64,
) -> Result<Vec<VerifyReport>, OriginError> {
    let ids = match one {
        Some(id) => vec![library.document(id).await?.id],
        None => library.documents().await?.into_iter().map(|title| title.id).collect(),
    };
    let mut reports = Vec::with_capacity(ids.len());
    for id in &ids {
        reports.push(verify(library, id).await?);
    }
    let mut swept = sweep(library, one, now_ms).await?;
    let folders = match one {
        Some(id) => vec![id.to_string()],
        None => library.store().list_folders(&ASSETS_FOLDER.parse()?).await?,
    };
    for id in folders.iter().filter_map(|name| AssetId::new(name).ok()) {
        match sweep_title(library, &id, now_ms).await {
            Ok(more) => swept.extend(more),
            // A damaged document may name any of them; its own report says so.
            Err(error) => tracing::warn!(%id, %error, "could not remove old generations"),
        }
    }
    for Swept { id, generation } in swept {
        match reports.iter_mut().find(|report| report.id == id.as_str()) {
            Some(report) => report.removed.push(generation),
            None => {
                reports.push(VerifyReport { removed: vec![generation], ..VerifyReport::new(&id) })
            }
        }
    }
    Ok(reports)
}

impl VerifyReport {
    fn new(id: &AssetId) -> Self {
        Self {
            id: id.to_string(),
            files: 0,
            bytes: 0,
            faults: Vec::new(),
            unchecked: Vec::new(),
            removed: Vec::new(),
        }
    }
}

/// What a title holds.
#[derive(Clone, Debug, Serialize)]
pub struct ShowReport {
    pub id: String,
    pub title: String,
    pub duration_seconds: f64,
    pub segment_count: usize,
    pub tracks: Vec<TrackReport>,
    pub index: IndexReport,
}

/// What indexes take, by the kind of track. On disk: head, segment table and blocks.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct IndexReport {
    pub bytes_video: u64,
    pub bytes_audio: u64,
    pub samples_video: u64,
    pub samples_audio: u64,
    /// What the title holds in memory while it is warm, about.
    pub bytes_resident: u64,
}

/// Tells what a title holds and what its indexes take.
///
/// # Errors
/// [`OriginError::UnknownAsset`], or what its files are wrong with.
pub async fn show(library: &Library, id: &AssetId) -> Result<ShowReport, OriginError> {
    let asset = library.asset(id).await?;
    let document = &asset.document;
    let bytes_resident = asset.resident_bytes();
    let mut index = IndexReport { bytes_resident, ..IndexReport::default() };
    let mut tracks = Vec::with_capacity(asset.tracks.len());
    for track in &asset.tracks {
        let bytes = index_bytes(library, document, track).await?;
        let samples = u64::from(track.index.facts.sample_count);
        match track.document.kind {
            Kind::Video => {
                index.bytes_video += bytes;
                index.samples_video += samples;
            }
            Kind::Audio => {
                index.bytes_audio += bytes;
                index.samples_audio += samples;
            }
            Kind::Text => {}
        }
        let (name, label) = (&track.document.name, &track.document.label);
        let (info, bytes) = (&track.index.info, usize::try_from(bytes).unwrap_or(usize::MAX));
        tracks.push(TrackReport::new(name, label, info, Some(&track.index), bytes));
    }
    Ok(ShowReport {
        id: id.to_string(),
        title: document.title.clone(),
        duration_seconds: document.duration_ms as f64 / 1_000.0,
        segment_count: document.cut_list.len(),
        tracks,
        index,
    })
}

/// The sidecar of a track, and its blocks where they lie between the samples.
async fn index_bytes(
    library: &Library,
    document: &AssetDocument,
    track: &LoadedTrack,
) -> Result<u64, OriginError> {
    let file = &track.document.index_file;
    if file.is_empty() {
        return Ok(0);
    }
    let sidecar = library.store().head(&document.key(file)?).await?.len_bytes;
    let blocks = track.index.segments.iter().map(|entry| u64::from(entry.block_len_bytes));
    Ok(match track.document.packed {
        Some(_) => sidecar + blocks.sum::<u64>(),
        None => sidecar,
    })
}

/// Removes a title: its document first, so that nobody starts what is about to go.
///
/// What an ingest under way has written for a title of that name stays: it is none of this one yet.
///
/// # Errors
/// [`OriginError::UnknownAsset`] when there is no such title.
pub async fn remove(library: &Library, id: &AssetId, now_ms: u64) -> Result<(), OriginError> {
    let document = library.document(id).await;
    if let Err(error @ OriginError::UnknownAsset { .. }) = document {
        return Err(error);
    }
    let store = library.store();
    store.delete(&id.key("asset.json")?).await?;
    library.forget(id).await;
    store.delete(&bundle_key(id)?).await?;
    sweep(library, Some(id), now_ms).await?;
    sweep_unnamed(library, id, |_| true).await?;
    Ok(())
}

/// Reads every file of a title again and compares it with its checksum.
pub async fn verify(library: &Library, id: &AssetId) -> Result<VerifyReport, OriginError> {
    let document = library.document(id).await?;
    let mut report = VerifyReport::new(id);
    for (file, digest) in checksummed_files(&document) {
        let Some(digest) = digest else {
            report.unchecked.push(file.to_owned());
            continue;
        };
        report.files += 1;
        match digest_of(library, &document.key(file)?).await {
            Ok((found, bytes)) => {
                report.bytes += bytes;
                if found != digest {
                    report.faults.push(format!("{file}: the bytes are not those of ingest"));
                }
            }
            Err(error) => report.faults.push(format!("{file}: {error}")),
        }
    }
    // What has a checksum was read; of the rest, at least whether it is there.
    for file in &report.unchecked {
        if let Err(error) = library.store().head(&document.key(file)?).await {
            report.faults.push(format!("{file}: {error}"));
        }
    }
    if let Err(error) = library.asset(id).await {
        report.faults.push(error.to_string());
    }
    Ok(report)
}

/// The files of the current generation, each with its checksum, if it has one.
fn checksummed_files(document: &AssetDocument) -> Vec<(&str, Option<&str>)> {
    let sources = document
        .sources
        .iter()
        .filter_map(|source| Some((source.file.as_deref()?, Some(source.digest.as_str()))));
    let packed = document.tracks.iter().filter_map(|track| {
        let packed = track.packed.as_ref()?;
        Some((track.media_file.as_str(), Some(packed.digest.as_str())))
    });
    let tracks = document.tracks.iter().map(|track| {
        // Cues are their own index.
        let file = if track.index_file.is_empty() { &track.media_file } else { &track.index_file };
        (file.as_str(), Some(track.index_digest.as_str()))
    });
    let sprites = document.images.iter().flat_map(|images| {
        let digests = images.digests.iter().map(|digest| Some(digest.as_str()));
        let digests = digests.chain(std::iter::repeat(None));
        images.files.iter().map(String::as_str).zip(digests)
    });
    let poster = document.poster.as_deref().map(|file| (file, document.poster_digest.as_deref()));
    sources.chain(packed).chain(tracks).chain(sprites).chain(poster).collect()
}

async fn digest_of(library: &Library, key: &ObjectKey) -> Result<(String, u64), ObjectError> {
    let reader = library.store().open(key, None).await?;
    let len = reader.meta().len_bytes;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = Vec::new();
    let mut at = 0;
    while at < len {
        let end = len.min(at + READ_BYTES);
        reader.read_into(at..end, &mut buffer).await?;
        hasher.update(&buffer);
        at = end;
    }
    Ok((hasher.finalize().to_hex().to_string(), len))
}
