//! The second half of ingest: files into the store, and last the document that makes them a title.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use packager::text::{CueTrack, write_stored};
use packager::{MediaTime, Timescale};
use platform::objects::{Claim, ObjectError, ObjectKey, ObjectStore, PutMode, SourceVersion};

use super::documents::{free_label, source_documents, text_document, track_document};
use super::options::{IngestOptions, Layout};
use super::pack::{PackFolder, PackedMedia};
use super::prepare::{Prepared, prepare};
use super::report::{IngestReport, PresetReport, TrackReport};
use super::{Phase, Progress, ScannedSource, ScannedTrack, scan};
use crate::OriginError;
use crate::asset::{
    AssetDocument, AssetId, Kind, MUXER_OUTPUT, PackedDocument, RetiredGeneration, TrackDocument,
    revision,
};
use crate::library::Library;
use crate::preset::preset_reports;
use crate::sweep::claim_key;

/// How long an earlier generation is served after it was replaced.
pub const RETIRED_DAYS: u64 = 7;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// Called with each step of the work, from any thread.
pub type ProgressSink = Arc<dyn Fn(Progress) + Send + Sync>;

/// Makes a title of files.
///
/// # Errors
/// Whatever is wrong with the files, and [`OriginError::Refused`] when the title exists and is not
/// to be replaced. The store is then as it was.
pub async fn ingest(
    library: &Library,
    options: IngestOptions,
    progress: ProgressSink,
) -> Result<IngestReport, OriginError> {
    if library.store().is_remote() && options.layout != Layout::Packed {
        let reason = "object storage holds packed tracks only; leave out --layout source";
        return Err(OriginError::Refused { reason: reason.to_owned() });
    }
    let title = title_of(&options);
    let id = match &options.id {
        Some(id) => AssetId::new(id)?,
        None => AssetId::from_name(&title),
    };
    let previous = match library.document_versioned(&id).await {
        Ok(previous) if options.replace => Some(previous),
        Ok(_) => {
            return Err(OriginError::Refused {
                reason: format!(
                    "title `{id}` exists; replace it with --replace, or choose another --id"
                ),
            });
        }
        Err(OriginError::UnknownAsset { .. }) => None,
        Err(error) => return Err(error),
    };
    let (files, target) = (options.files.clone(), options.target);
    let prepared = blocking(move || prepare(&files, target)).await?;
    let generation = uuid::Uuid::now_v7().simple().to_string();
    let job = Job {
        store: library.store().clone(),
        temporary: library.temporary().to_owned(),
        claim: library.store().claim(&claim_key(&id, &generation)?).await?,
        generation,
        id,
        title,
        now_ms: options.now_ms,
        previous,
        layout: options.layout,
        progress,
    };
    let result = job.run(prepared).await;
    library.forget(&job.id).await;
    job.finish(library, result.as_ref().err()).await;
    result
}

/// What [`ingest`] would make of one file. Reads all of it, writes nothing.
///
/// # Errors
/// Whatever is wrong with the file.
pub fn probe(path: &std::path::Path, target: MediaTime) -> Result<IngestReport, OriginError> {
    let mut prepared = prepare(&[path.to_owned()], target)?;
    let (_, scanned) = scan(&mut prepared, &[path.to_owned()], None, &mut |_| {})?;
    let tracks = scanned.iter().map(|scanned| match scanned {
        ScannedTrack::Indexed { track, index, sidecar, .. } => {
            TrackReport::of(track, Some(index), sidecar.len())
        }
        ScannedTrack::Cues { track, cues } => TrackReport::of_cues(track, cues),
    });
    let title = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into());
    Ok(IngestReport {
        id: AssetId::from_name(&title).to_string(),
        title,
        duration_seconds: prepared.duration.as_seconds(),
        segment_count: prepared.cut_list.len(),
        tracks: tracks.collect(),
        presets: preset_reports(&scanned),
        left_out: prepared.left_out,
        warnings: prepared.warnings,
    })
}

/// Runs work that reads files on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OriginError> + Send + 'static,
) -> Result<T, OriginError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(OriginError::Refused { reason: format!("reading failed: {error}") }),
    }
}

fn title_of(options: &IngestOptions) -> String {
    if let Some(title) = &options.title {
        return title.clone();
    }
    let stem = options.files.first().and_then(|path| path.file_stem());
    stem.map_or_else(|| "title".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// A movie in the store.
pub(crate) struct StoredSource {
    pub(crate) file: String,
    pub(crate) version: SourceVersion,
}

/// One ingest.
pub(crate) struct Job {
    pub(super) store: ObjectStore,
    temporary: PathBuf,
    /// Keeps others from taking the generation's folder for one that a crash left.
    pub(super) claim: Claim,
    pub(super) id: AssetId,
    pub(super) generation: String,
    title: String,
    now_ms: u64,
    /// What is replaced, and the version of it that was read.
    pub(super) previous: Option<(AssetDocument, SourceVersion)>,
    layout: Layout,
    progress: ProgressSink,
}

impl Job {
    fn key(&self, file: &str) -> Result<ObjectKey, ObjectError> {
        self.id.key(&format!("{}/{file}", self.generation))
    }

    async fn run(&self, mut prepared: Prepared) -> Result<IngestReport, OriginError> {
        // Kept until the end: what is in it is removed with it.
        let pack_folder = self.pack_folder()?;
        let pack_into = pack_folder.as_ref().map(|folder| folder.path().to_owned());
        let stored = match pack_folder {
            Some(_) => Vec::new(),
            None => self.copy_sources(&prepared).await?,
        };
        let paths = self.readable_paths(&prepared, &stored);
        let total_bytes = total_bytes(&paths);
        let progress = self.progress.clone();
        let (prepared, sources, scanned) = blocking(move || {
            let mut report = |done_bytes| {
                progress(Progress { phase: Phase::Read, done_bytes, total_bytes });
            };
            let (sources, scanned) =
                scan(&mut prepared, &paths, pack_into.as_deref(), &mut report)?;
            Ok((prepared, sources, scanned))
        })
        .await?;
        let (mut tracks, mut reports) =
            self.put_tracks(&prepared, &stored, &sources, &scanned).await?;
        self.put_side_files(&prepared, &mut tracks, &mut reports).await?;
        let images = self.put_thumbnails(prepared.thumbnails.as_ref()).await?;
        let (poster, poster_digest) = self.put_poster(&prepared).await?.unzip();
        let duration_ms = prepared.duration.rescale_ceil(Timescale::MILLIS).map_or(0, |t| t.ticks);
        let document = AssetDocument {
            format: AssetDocument::FORMAT,
            id: self.id.clone(),
            tenant: "default".to_owned(),
            title: self.title.clone(),
            created_ms: self.now_ms,
            generation: self.generation.clone(),
            duration_ms,
            muxer_output: MUXER_OUTPUT,
            cut_list: prepared.cut_list.clone(),
            sources: source_documents(&prepared, stored, sources),
            tracks,
            images,
            poster,
            poster_digest,
            retired: self.retired(),
        };
        self.put_document(&document).await?;
        Ok(self.ingest_report(&document, &prepared, reports, preset_reports(&scanned)))
    }

    /// Where tracks are packed, if they are.
    fn pack_folder(&self) -> Result<Option<PackFolder>, OriginError> {
        if self.layout != Layout::Packed {
            return Ok(None);
        }
        let path = self.temporary.join(format!("ingest-{}", self.generation));
        let shown = path.display().to_string();
        let folder = PackFolder::create(path);
        folder.map(Some).map_err(|source| OriginError::Io { path: shown, source })
    }

    /// Puts the movies into the store; gives their names there.
    async fn copy_sources(&self, prepared: &Prepared) -> Result<Vec<StoredSource>, OriginError> {
        let total = total_bytes(&prepared.movies);
        let mut files = Vec::with_capacity(prepared.movies.len());
        let mut done = 0;
        for (index, path) in prepared.movies.iter().enumerate() {
            self.report(Phase::Copy, done, total);
            let file = format!("source-{}.mp4", index + 1);
            let key = self.key(&file)?;
            let meta = match self.borrow(&key, path) {
                true => self.store.head(&key).await?,
                false => self.store.put_file(&key, path).await?,
            };
            done += total_bytes(std::slice::from_ref(path));
            files.push(StoredSource { file, version: meta.version.portable() });
        }
        self.report(Phase::Copy, total, total);
        Ok(files)
    }

    /// Gives the source a second name in the store; `false` where that can't be.
    fn borrow(&self, key: &ObjectKey, path: &std::path::Path) -> bool {
        let Some(local) = self.store.local_path(key).filter(|_| self.layout == Layout::Borrowed)
        else {
            return false;
        };
        let made = local.parent().map(std::fs::create_dir_all);
        made.is_some_and(|made| made.is_ok()) && std::fs::hard_link(path, &local).is_ok()
    }

    /// Where the sources can be read without a detour: the copies, where they are local files, so
    /// that the index describes what will be served whatever happens to the originals.
    fn readable_paths(&self, prepared: &Prepared, stored: &[StoredSource]) -> Vec<PathBuf> {
        let copy = |source: &StoredSource| self.store.local_path(&self.key(&source.file).ok()?);
        let movies = prepared.movies.iter().enumerate();
        movies
            .map(|(index, original)| {
                stored.get(index).and_then(copy).unwrap_or_else(|| original.clone())
            })
            .collect()
    }

    async fn put_tracks(
        &self,
        prepared: &Prepared,
        stored: &[StoredSource],
        sources: &[ScannedSource],
        scanned: &[ScannedTrack],
    ) -> Result<(Vec<TrackDocument>, Vec<TrackReport>), OriginError> {
        let mut documents = Vec::with_capacity(scanned.len());
        let mut reports = Vec::with_capacity(scanned.len());
        let total_bytes = scanned.iter().map(ScannedTrack::packed_bytes).sum::<u64>().max(1);
        let mut done_bytes = 0;
        for scanned in scanned {
            self.report(Phase::Publish, done_bytes, total_bytes);
            done_bytes += scanned.packed_bytes();
            let track = scanned.track();
            match scanned {
                ScannedTrack::Indexed { index, sidecar, packed, .. } => {
                    // Blocks of packed tracks lie between the samples.
                    let blocks = index.segments.iter().map(|entry| entry.block_len_bytes as usize);
                    let blocks_bytes = if packed.is_some() { blocks.sum() } else { 0 };
                    let packed = self.put_packed(&track.name, packed.as_ref()).await?;
                    let source_file = || stored.get(track.source).map(|source| source.file.clone());
                    let (media_file, packed) = match packed {
                        Some((file, packed)) => (file, Some(packed)),
                        None => (source_file().unwrap_or_default(), None),
                    };
                    let index_file = format!("{}.idx", track.name);
                    self.put(&index_file, Bytes::copy_from_slice(sidecar)).await?;
                    let source = &sources[track.source];
                    documents.push(TrackDocument {
                        revision: revision(
                            &source.digest,
                            track.track.info.source_track_id,
                            &prepared.cut_list,
                        ),
                        media_file,
                        packed,
                        index_digest: blake3::hash(sidecar).to_hex().to_string(),
                        index_file,
                        ..track_document(scanned)
                    });
                    reports.push(TrackReport::of(track, Some(index), sidecar.len() + blocks_bytes));
                }
                ScannedTrack::Cues { cues, .. } => {
                    let document = self.put_cues(cues, track_document(scanned)).await?;
                    reports.push(TrackReport::of_cues(track, cues));
                    documents.push(document);
                }
            }
        }
        self.report(Phase::Publish, total_bytes, total_bytes);
        Ok((documents, reports))
    }

    /// Stores the media object of a packed track; gives its name and what the document says of it.
    async fn put_packed(
        &self,
        track: &str,
        packed: Option<&PackedMedia>,
    ) -> Result<Option<(String, PackedDocument)>, OriginError> {
        let Some(packed) = packed else {
            return Ok(None);
        };
        let file = format!("{track}.samples");
        let meta = self.store.put_own_file(&self.key(&file)?, &packed.path).await?;
        let document = PackedDocument {
            len_bytes: packed.len_bytes,
            digest: packed.digest.to_hex().to_string(),
            version: meta.version.portable(),
        };
        Ok(Some((file, document)))
    }

    /// Stores cues and fills in what the document says of them.
    async fn put_cues(
        &self,
        cues: &CueTrack,
        document: TrackDocument,
    ) -> Result<TrackDocument, OriginError> {
        let bytes = write_stored(cues)?;
        let digest = blake3::hash(&bytes).to_hex().to_string();
        let media_file = format!("{}.vtt", document.name);
        self.put(&media_file, bytes.into()).await?;
        let revision = digest[..10].to_owned();
        Ok(TrackDocument { media_file, revision, index_digest: digest, ..document })
    }

    async fn put_side_files(
        &self,
        prepared: &Prepared,
        documents: &mut Vec<TrackDocument>,
        reports: &mut Vec<TrackReport>,
    ) -> Result<(), OriginError> {
        for file in &prepared.side_files {
            let number = documents.iter().filter(|track| track.kind == Kind::Text).count() + 1;
            let label = free_label(documents, &file.label);
            let document = text_document(format!("t{number}"), label, file);
            let document = self.put_cues(&file.cues, document).await?;
            reports.push(TrackReport {
                name: document.name.clone(),
                kind: "text",
                codecs: "wvtt".to_owned(),
                language: document.language.clone(),
                label: document.label.clone(),
                width: None,
                height: None,
                frame_rate: None,
                channels: None,
                sample_rate: None,
                average_bitrate: 0,
                peak_bitrate: 0,
                sample_count: file.cues.cues.len() as u32,
                index_bytes: 0,
            });
            documents.push(document);
        }
        Ok(())
    }

    pub(crate) async fn put(&self, file: &str, bytes: Bytes) -> Result<(), OriginError> {
        Ok(self.store.put(&self.key(file)?, bytes, PutMode::Overwrite).await.map(drop)?)
    }

    /// The generations that stay: what is replaced now, and what was within the last days.
    fn retired(&self) -> Vec<RetiredGeneration> {
        let Some((previous, _)) = &self.previous else {
            return Vec::new();
        };
        let now =
            RetiredGeneration { generation: previous.generation.clone(), retired_ms: self.now_ms };
        let still = previous.retired.iter().filter(|retired| {
            self.now_ms.saturating_sub(retired.retired_ms) < RETIRED_DAYS * DAY_MS
        });
        std::iter::once(now).chain(still.cloned()).collect()
    }

    fn report(&self, phase: Phase, done_bytes: u64, total_bytes: u64) {
        (self.progress)(Progress { phase, done_bytes, total_bytes });
    }

    fn ingest_report(
        &self,
        document: &AssetDocument,
        prepared: &Prepared,
        tracks: Vec<TrackReport>,
        presets: Vec<PresetReport>,
    ) -> IngestReport {
        IngestReport {
            id: document.id.to_string(),
            title: document.title.clone(),
            duration_seconds: prepared.duration.as_seconds(),
            segment_count: document.cut_list.len(),
            tracks,
            presets,
            left_out: prepared.left_out.clone(),
            warnings: prepared.warnings.clone(),
        }
    }
}

fn total_bytes(paths: &[PathBuf]) -> u64 {
    paths.iter().filter_map(|path| std::fs::metadata(path).ok()).map(|meta| meta.len()).sum()
}
