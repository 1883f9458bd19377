//! A warm title: its document, the resident part of each index, and open readers.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use packager::fmp4::{SingleFile, wvtt_single_file};
use packager::index::{
    BlockPlace, HEADER_BYTES, SegmentEntry, SegmentSamples, Sidecar, SidecarHeader, StoredBlock,
    TrackFacts, TrackIndex, segment_samples,
};
use packager::plan::CutList;
use packager::presentation::{Accessibility, Presentation, PresentedImages, PresentedTrack};
use packager::text::{CueTrack, MPEGTS_ORIGIN_TS, read_stored, write_segment};
use packager::track::{MediaParams, TextCodec, TextParams, TrackInfo};
use packager::{PackageError, Timescale};
use platform::objects::{ObjectReader, ObjectStore, SourceVersion};

use crate::OriginError;
use crate::asset::{AssetDocument, TrackDocument};
use crate::bundle::{IndexFiles, fetch_files};

/// First read of a sidecar: enough for the head and table of a short title.
const FIRST_READ_BYTES: u64 = 64 << 10;
/// Largest text file that is kept as cues in memory.
const TEXT_BYTES_MAX: u64 = 32 << 20;

/// A title that requests are answered from.
#[derive(Debug)]
pub struct LoadedAsset {
    pub document: AssetDocument,
    /// In the order of the document.
    pub tracks: Vec<Arc<LoadedTrack>>,
    accessibility: Vec<Vec<Accessibility>>,
}

/// A track that requests are answered from.
#[derive(Debug)]
pub struct LoadedTrack {
    pub document: TrackDocument,
    pub index: TrackIndex,
    pub content: TrackContent,
    /// The track of the same file that the blocks of this one count along.
    guide: Option<Arc<Self>>,
    /// Laid out when first asked for.
    single_file: OnceLock<Option<Arc<SingleFile>>>,
}

/// Where a track's media comes from.
#[derive(Debug)]
pub enum TrackContent {
    /// Samples in a media object, with their blocks in the sidecar or between them. In the second
    /// case `sidecar` is the media object as well: the sidecar was read whole and is not needed.
    Samples { media: Arc<ObjectReader>, sidecar: Arc<ObjectReader>, block_place: BlockPlace },
    /// Cues in memory.
    Cues(CueTrack),
}

impl LoadedAsset {
    /// Reads the indexes of a title and opens its files.
    ///
    /// # Errors
    /// [`OriginError::CorruptAsset`] when a file is missing or does not fit the document, and
    /// [`OriginError::SourceChanged`] when the media is not what was indexed.
    pub async fn open(store: &ObjectStore, document: AssetDocument) -> Result<Self, OriginError> {
        // On a local disk there is nothing to gain from reading everything at once.
        let files = match store.is_remote() {
            true => fetch_files(store, &document).await?,
            false => IndexFiles::new(),
        };
        Self::open_with(store, document, files).await
    }

    /// Opens a title whose small files, or some of them, were read already.
    pub(crate) async fn open_with(
        store: &ObjectStore,
        document: AssetDocument,
        files: IndexFiles,
    ) -> Result<Self, OriginError> {
        let mut readers = Readers { store, document: &document, files, open: HashMap::new() };
        let mut opened = Vec::with_capacity(document.tracks.len());
        for track in &document.tracks {
            opened.push(open_track(&mut readers, track).await?);
        }
        let tracks = join_guides(&document, opened)?;
        let accessibility = document.tracks.iter().map(|track| {
            track.accessibility.iter().map(|&name| Accessibility::from(name)).collect()
        });
        Ok(Self { tracks, accessibility: accessibility.collect(), document })
    }

    pub fn track(&self, name: &str) -> Option<&Arc<LoadedTrack>> {
        self.tracks.iter().find(|track| track.document.name == name)
    }

    /// Everything that the title has, for manifests to be written from.
    pub fn presentation(&self) -> Presentation<'_> {
        let tracks = self.tracks.iter().zip(&self.accessibility);
        let tracks = tracks.map(|(track, accessibility)| PresentedTrack {
            index: &track.index,
            name: &track.document.name,
            class: track.document.class.into(),
            revision: &track.document.revision,
            segments: track.index.presented_segments(),
            label: &track.document.label,
            role: track.document.role.into(),
            is_default: track.document.is_default,
            accessibility,
        });
        let images = self.document.images.iter().map(|images| PresentedImages {
            name: &images.name,
            revision: &images.revision,
            tile_width: images.tile_width,
            tile_height: images.tile_height,
            columns: images.columns,
            rows: images.rows,
            tile_duration_ms: images.tile_duration_ms,
            tile_count: images.tile_count,
            extension: &images.extension,
            file_bytes_max: images.file_bytes_max,
        });
        Presentation { tracks: tracks.collect(), images: images.collect() }
    }

    /// Bytes that the title holds in memory, about.
    pub fn resident_bytes(&self) -> u64 {
        let tracks: usize = self.tracks.iter().map(|track| track.resident_bytes()).sum();
        (tracks + self.document.cut_list.cuts.len() * size_of::<u64>() + 4_096) as u64
    }
}

impl LoadedTrack {
    fn new(document: TrackDocument, index: TrackIndex, content: TrackContent) -> Self {
        Self { document, index, content, guide: None, single_file: OnceLock::new() }
    }

    /// The track as one file; `None` for what a segment index can't describe.
    pub fn single_file(&self) -> Option<&Arc<SingleFile>> {
        let lay_out = || match &self.content {
            TrackContent::Samples { .. } => SingleFile::new(&self.index).ok().map(Arc::new),
            TrackContent::Cues(cues) => {
                wvtt_single_file(&self.index, &cues.cues).ok().map(Arc::new)
            }
        };
        self.single_file.get_or_init(lay_out).as_ref()
    }

    /// The segment with a number counted from 1; segments without samples don't exist.
    pub fn segment(&self, number: u64) -> Option<(usize, &SegmentEntry)> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        let entry = self.index.segments.get(index)?;
        (entry.sample_count > 0).then_some((index, entry))
    }

    /// Reads the samples of one segment from the index.
    pub async fn segment_samples(
        &self,
        entry: &SegmentEntry,
    ) -> Result<SegmentSamples, OriginError> {
        let guide_entry = self.guide_entry(entry);
        let guide = async {
            match (&self.guide, &guide_entry) {
                (Some(guide), Some(entry)) => guide.read_block(entry).await,
                _ => Ok(Vec::new()),
            }
        };
        // Side by side: on a remote store each waits for a round trip.
        let (bytes, guide_bytes) = tokio::try_join!(self.read_block(entry), guide)?;
        let guide = guide_entry.as_ref().map(|entry| StoredBlock { entry, bytes: &guide_bytes });
        Ok(segment_samples(StoredBlock { entry, bytes: &bytes }, guide)?)
    }

    /// The segment of the guide that stands where `entry` stands among this track's.
    fn guide_entry(&self, entry: &SegmentEntry) -> Option<SegmentEntry> {
        let guide = self.guide.as_ref()?;
        let segments = &self.index.segments;
        let position = segments.partition_point(|other| other.first_sample < entry.first_sample);
        // Segments without samples begin at the same sample, and come before the one that has it.
        let empty = segments.get(position..)?.iter().take_while(|other| other.sample_count == 0);
        let position = position + empty.count();
        Some(guide.index.segments.get(position).copied().unwrap_or_default())
    }

    async fn read_block(&self, entry: &SegmentEntry) -> Result<Vec<u8>, OriginError> {
        let TrackContent::Samples { media, sidecar, block_place } = &self.content else {
            return Ok(Vec::new());
        };
        let reader = match block_place {
            BlockPlace::Sidecar => sidecar,
            // Whoever reads the block wants the samples behind it next.
            BlockPlace::Media => {
                media.begin(entry.span())?;
                media
            }
        };
        let start = entry.block_offset_bytes;
        // The reader refuses ranges past its end before it takes memory for them.
        let end = start.saturating_add(u64::from(entry.block_len_bytes));
        let mut block = Vec::new();
        reader.read_into(start..end, &mut block).await?;
        Ok(block)
    }

    fn resident_bytes(&self) -> usize {
        let cues = match &self.content {
            TrackContent::Samples { .. } => 0,
            TrackContent::Cues(track) => {
                track.cues.iter().map(|cue| cue.payload.len() + 96).sum::<usize>()
            }
        };
        self.index.segments.len() * size_of::<SegmentEntry>()
            + self.index.iframes.len() * size_of::<packager::index::IFrameEntry>()
            + self.index.info.sample_entries.iter().map(Vec::len).sum::<usize>()
            + cues
            + 1_024
    }
}

/// An opened track, and the `track_ID` of its guide.
type OpenedTrack = (LoadedTrack, Option<u32>);

/// Gives each track its guide, which is one of the same media object that has none itself.
fn join_guides(
    document: &AssetDocument,
    opened: Vec<OpenedTrack>,
) -> Result<Vec<Arc<LoadedTrack>>, OriginError> {
    let mut tracks: Vec<Option<Arc<LoadedTrack>>> = opened.iter().map(|_| None).collect();
    let mut guided = Vec::new();
    for (position, (track, guide)) in opened.into_iter().enumerate() {
        match guide {
            None => tracks[position] = Some(Arc::new(track)),
            Some(guide) => guided.push((position, track, guide)),
        }
    }
    let guides: Vec<Arc<LoadedTrack>> = tracks.iter().flatten().cloned().collect();
    for (position, mut track, id) in guided {
        let is_guide = |other: &&Arc<LoadedTrack>| {
            other.index.info.source_track_id == id
                && other.document.media_file == track.document.media_file
        };
        let Some(guide) = guides.iter().find(is_guide) else {
            let file = &track.document.index_file;
            let reason = format!("{file}: track {id}, which its blocks count along, is not there");
            return Err(OriginError::CorruptAsset { asset: document.id.clone(), reason });
        };
        track.guide = Some(guide.clone());
        tracks[position] = Some(Arc::new(track));
    }
    Ok(tracks.into_iter().flatten().collect())
}

/// Opens each file of a title once, however many tracks lie in it.
struct Readers<'a> {
    store: &'a ObjectStore,
    document: &'a AssetDocument,
    files: IndexFiles,
    open: HashMap<String, Arc<ObjectReader>>,
}

impl Readers<'_> {
    async fn open(&mut self, file: &str) -> Result<Arc<ObjectReader>, OriginError> {
        if let Some(reader) = self.open.get(file) {
            return Ok(reader.clone());
        }
        let recorded = recorded_version(self.document, file);
        let opened = self.store.open(&self.document.key(file)?, recorded).await;
        let opened = opened.map_err(|e| OriginError::from(e).while_serving(&self.document.id));
        let reader = Arc::new(opened?);
        self.open.insert(file.to_owned(), reader.clone());
        Ok(reader)
    }
}

/// The version of a media object at ingest.
fn recorded_version<'a>(document: &'a AssetDocument, file: &str) -> Option<&'a SourceVersion> {
    let source = document.sources.iter().find(|source| source.file.as_deref() == Some(file));
    let packed = || document.tracks.iter().filter(|track| track.media_file == file);
    let packed = || packed().find_map(|track| track.packed.as_ref());
    source
        .and_then(|source| source.version.as_ref())
        .or_else(|| packed().map(|packed| &packed.version))
}

async fn open_track(
    readers: &mut Readers<'_>,
    track: &TrackDocument,
) -> Result<OpenedTrack, OriginError> {
    let corrupt = |error: PackageError| OriginError::CorruptAsset {
        asset: readers.document.id.clone(),
        reason: match error {
            PackageError::StaleIndex { .. } => {
                let cure = "make it anew with `streamverse assets reindex";
                format!("{}: {error}; {cure} {}`", track.index_file, readers.document.id)
            }
            _ => format!("{}: {error}", track.index_file),
        },
    };
    if track.index_file.is_empty() {
        return Ok((open_cues(readers, track).await?, None));
    }
    let document = readers.document;
    let sidecar = match readers.files.get(&track.index_file) {
        Some(bytes) => Sidecar::parse(bytes),
        None => Sidecar::parse(&read_resident(&*readers.open(&track.index_file).await?).await?),
    };
    let sidecar = sidecar.map_err(corrupt)?;
    let media = readers.open(&track.media_file).await?;
    if media.meta().len_bytes != sidecar.media.len_bytes {
        return Err(OriginError::SourceChanged {
            asset: document.id.clone(),
            reason: format!(
                "`{}` has {} bytes, its index knows {}",
                track.media_file,
                media.meta().len_bytes,
                sidecar.media.len_bytes
            ),
        });
    }
    let (mut index, guide) = (sidecar.index, sidecar.guide);
    index.info.language.clone_from(&track.language);
    let block_place = sidecar.block_place;
    let sidecar = match block_place {
        BlockPlace::Sidecar => readers.open(&track.index_file).await?,
        BlockPlace::Media => media.clone(),
    };
    let content = TrackContent::Samples { media, sidecar, block_place };
    Ok((LoadedTrack::new(track.clone(), index, content), guide))
}

/// Header, head and table of a sidecar, in one read for short titles and two for long ones.
async fn read_resident(reader: &ObjectReader) -> Result<Vec<u8>, OriginError> {
    let len = reader.meta().len_bytes;
    let mut bytes = Vec::new();
    reader.read_into(0..len.min(FIRST_READ_BYTES), &mut bytes).await?;
    if bytes.len() < HEADER_BYTES {
        return Ok(bytes);
    }
    let Ok(header) = SidecarHeader::parse(&bytes) else {
        return Ok(bytes);
    };
    let wanted = header.resident_bytes().min(len);
    if wanted > bytes.len() as u64 {
        reader.read_into(0..wanted, &mut bytes).await?;
    }
    bytes.truncate(wanted as usize);
    Ok(bytes)
}

async fn open_cues(
    readers: &mut Readers<'_>,
    track: &TrackDocument,
) -> Result<LoadedTrack, OriginError> {
    let document = readers.document;
    let bytes = match readers.files.get(&track.media_file) {
        Some(bytes) => bytes.clone(),
        None => readers.store.get(&document.key(&track.media_file)?, TEXT_BYTES_MAX).await?,
    };
    let cues = read_stored(&bytes).map_err(|error| OriginError::CorruptAsset {
        asset: document.id.clone(),
        reason: format!("{}: {error}", track.media_file),
    })?;
    let index = cue_index(track, &cues, &document.cut_list, document.duration_ms);
    Ok(LoadedTrack::new(track.clone(), index, TrackContent::Cues(cues)))
}

/// Bytes of the WebVTT segment between two instants in milliseconds.
fn segment_len(cues: &CueTrack, start_ms: u64, end_ms: u64) -> u64 {
    let (start, end) = (Timescale::MILLIS.ticks(start_ms), Timescale::MILLIS.ticks(end_ms));
    write_segment(cues, start, end, MPEGTS_ORIGIN_TS).len() as u64
}

/// A table for a track of cues: one segment a cut, in milliseconds.
fn cue_index(
    track: &TrackDocument,
    cues: &CueTrack,
    cuts: &CutList,
    duration_ms: u64,
) -> TrackIndex {
    let start_ms = |index: usize| {
        let cut = cuts.cut(index).and_then(|cut| cut.rescale_round(Timescale::MILLIS));
        cut.map_or(duration_ms, |cut| cut.ticks.min(duration_ms))
    };
    let segments: Vec<SegmentEntry> = (0..cuts.len())
        .map(|index| {
            let (start, end) = (start_ms(index), start_ms(index + 1));
            SegmentEntry {
                decode_time: start,
                media_bytes: segment_len(cues, start, end),
                sample_count: u32::from(end > start),
                ..SegmentEntry::default()
            }
        })
        .collect();
    let bytes: u64 = segments.iter().map(|segment| segment.media_bytes).sum();
    let bitrate = |bytes: u64, ms: u64| (bytes * 8_000).checked_div(ms).unwrap_or(0);
    let peak = (0..segments.len())
        .map(|index| bitrate(segments[index].media_bytes, start_ms(index + 1) - start_ms(index)));
    TrackIndex {
        facts: TrackFacts {
            sample_count: u32::try_from(cues.cues.len()).unwrap_or(u32::MAX),
            average_bitrate: bitrate(bytes, duration_ms),
            peak_bitrate: peak.max().unwrap_or(0),
            ..TrackFacts::default()
        },
        info: TrackInfo {
            source_track_id: 0,
            timescale: Timescale::MILLIS,
            language: track.language.clone(),
            name: track.label.clone(),
            display_matrix: None,
            sample_entries: Vec::new(),
            media: MediaParams::Text(TextParams {
                codec: TextCodec::WebVtt,
                rfc6381: "wvtt".to_owned(),
            }),
        },
        iframes: Vec::new(),
        end_time: duration_ms,
        segments,
    }
}
