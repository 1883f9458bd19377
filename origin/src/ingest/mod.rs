//! Ingest: files in, a title out.
//!
//! ```text
//! prepare   headers, tables, side files; plan the cuts        nothing written yet
//! copy      sources into the generation's directory           reflink where the disk can
//! scan      every sample once: index, checks, digest
//!           on a remote store also a media object per track; the sources are not copied then
//! publish   indexes, text, pictures, and last asset.json      one atomic put makes it a title
//! ```
//!
//! A failure before the last step removes what was written. A crash leaves a directory that no
//! document names, and the claim that it had ([`crate::sweep`]), by which it is found and removed.

mod documents;
mod finish;
mod inputs;
mod movie;
mod options;
mod pack;
mod pictures;
mod prepare;
mod publish;
mod reindex;
mod report;
mod scan;
mod tracks;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use packager::MediaTime;
use packager::index::{IndexBuilder, MediaIdentity, TrackEvent, TrackIndex};
use packager::text::SampleTextReader;
use packager::track::TrackKind;
use serde::Serialize;

pub use self::movie::read_movie_file;
pub use self::options::{IngestOptions, Layout};
pub use self::prepare::{Prepared, prepare};
pub use self::publish::{ProgressSink, RETIRED_DAYS, ingest, probe};
pub use self::reindex::{ReindexReport, reindex};
pub use self::report::{IngestReport, PresetReport, TrackReport};
pub use self::tracks::{ChosenTrack, LeftOut};

use self::pack::{PackWriter, PackedMedia};
use self::prepare::becomes_cues;
use self::scan::{CueSink, TrackSink, scan_source};
use crate::OriginError;

/// How far an ingest has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Progress {
    pub phase: Phase,
    pub done_bytes: u64,
    pub total_bytes: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Copy,
    Read,
    Publish,
}

/// A source that was read to its end.
pub struct ScannedSource {
    pub digest: String,
    pub len_bytes: u64,
}

/// A track that was read to its end.
pub enum ScannedTrack {
    Indexed {
        track: ChosenTrack,
        index: Box<TrackIndex>,
        sidecar: Vec<u8>,
        /// The media object of a packed track; else the samples lie in the source.
        packed: Option<PackedMedia>,
    },
    Cues {
        track: ChosenTrack,
        cues: packager::text::CueTrack,
    },
}

impl ScannedTrack {
    pub fn track(&self) -> &ChosenTrack {
        match self {
            Self::Indexed { track, .. } | Self::Cues { track, .. } => track,
        }
    }

    /// Bytes of its media object, if it has one of its own.
    fn packed_bytes(&self) -> u64 {
        match self {
            Self::Indexed { packed: Some(packed), .. } => packed.len_bytes,
            _ => 0,
        }
    }
}

/// Reads every sample of the chosen tracks. `paths` are the movies, where they are to be read
/// from; `progress` gets bytes read so far over all of them. With `pack_into`, tracks are packed
/// and their media objects written into that folder.
///
/// # Errors
/// The sample that is wrong, or the track that can't be cut where the others are.
pub fn scan(
    prepared: &mut Prepared,
    paths: &[PathBuf],
    pack_into: Option<&Path>,
    progress: &mut dyn FnMut(u64),
) -> Result<(Vec<ScannedSource>, Vec<ScannedTrack>), OriginError> {
    let mut sources = Vec::with_capacity(paths.len());
    let mut scanned: Vec<(usize, ScannedTrack)> = Vec::new();
    let mut read_bytes = 0;
    let tracks = std::mem::take(&mut prepared.tracks);
    let mut by_source: Vec<Vec<(usize, ChosenTrack)>> = paths.iter().map(|_| Vec::new()).collect();
    for (position, track) in tracks.into_iter().enumerate() {
        by_source[track.source].push((position, track));
    }
    for (path, mut tracks) in paths.iter().zip(by_source) {
        let mut sinks = Vec::with_capacity(tracks.len());
        for (_, track) in &mut tracks {
            sinks.push(sink(track, prepared, pack_into)?);
        }
        let is_video = |track: &ChosenTrack| track.track.info.kind() == TrackKind::Video;
        let sinks_are_video: Vec<bool> = tracks.iter().map(|(_, track)| is_video(track)).collect();
        let mut sinks = give_guides(sinks, &sinks_are_video);
        let (digest, len_bytes) =
            scan_source(path, &mut sinks, &mut |at| progress(read_bytes + at))?;
        read_bytes += len_bytes;
        let media = media_identity(&digest, len_bytes);
        for ((position, track), sink) in tracks.into_iter().zip(sinks) {
            let track = match sink {
                TrackSink::Index(builder) => {
                    let (index, sidecar) = builder.finish(media);
                    ScannedTrack::Indexed { track, index: Box::new(index), sidecar, packed: None }
                }
                TrackSink::Packed(builder, writer) => {
                    let path = writer.path().display().to_string();
                    let packed =
                        writer.finish().map_err(|source| OriginError::Io { path, source })?;
                    let media = media_identity(&packed.digest, packed.len_bytes);
                    let (index, sidecar) = builder.finish(media);
                    let packed = Some(packed);
                    ScannedTrack::Indexed { track, index: Box::new(index), sidecar, packed }
                }
                TrackSink::Cues(sink) => ScannedTrack::Cues { track, cues: sink.finish() },
            };
            scanned.push((position, track));
        }
        sources.push(ScannedSource { digest: digest.to_hex().to_string(), len_bytes });
    }
    scanned.sort_by_key(|(position, _)| *position);
    Ok((sources, scanned.into_iter().map(|(_, track)| track).collect()))
}

/// Lets the indexes of sound and text count along the pictures of their file.
fn give_guides(sinks: Vec<TrackSink>, is_video: &[bool]) -> Vec<TrackSink> {
    let places = sinks.iter().zip(is_video).filter_map(|(sink, is_video)| match sink {
        TrackSink::Index(builder) if *is_video => Some(Arc::new(builder.places())),
        _ => None,
    });
    let places: Vec<_> = places.collect();
    let with_guide = |(sink, is_video): (TrackSink, &bool)| match sink {
        TrackSink::Index(builder) if !is_video => {
            TrackSink::Index(Box::new(builder.beside(&places)))
        }
        sink => sink,
    };
    sinks.into_iter().zip(is_video).map(with_guide).collect()
}

fn media_identity(digest: &blake3::Hash, len_bytes: u64) -> MediaIdentity {
    let mut short_digest = [0; 16];
    short_digest.copy_from_slice(&digest.as_bytes()[..16]);
    MediaIdentity { len_bytes, digest: short_digest }
}

/// Takes the sample table out of `track` and makes what its samples go into.
fn sink(
    track: &mut ChosenTrack,
    prepared: &Prepared,
    pack_into: Option<&Path>,
) -> Result<TrackSink, OriginError> {
    let table = std::mem::take(&mut track.track.table);
    let time_origin = prepared.time_origins.get(track.source).copied().flatten();
    let info = &track.track.info;
    if becomes_cues(track) {
        let entry = info.sample_entries.first().map_or(&[][..], Vec::as_slice);
        let reader = SampleTextReader::new(info.source_track_id, info.timescale, entry)?;
        return Ok(TrackSink::Cues(CueSink::new(reader, table)));
    }
    let events = track.track.events.iter().filter_map(|event| {
        let before_sample = event.first_sample as usize;
        let (kind, bytes) = (event.kind, &event.bytes);
        TrackEvent::rebased(kind, bytes, before_sample, &table, info.timescale, time_origin)
    });
    let events: Vec<_> = events.collect();
    let builder = IndexBuilder::new(&track.name, info.clone(), table, events, &prepared.cut_list)?;
    let Some(folder) = pack_into else {
        return Ok(TrackSink::Index(Box::new(builder)));
    };
    let path = folder.join(format!("{}.samples", track.name));
    let shown = path.display().to_string();
    let writer =
        PackWriter::create(path).map_err(|source| OriginError::Io { path: shown, source })?;
    Ok(TrackSink::Packed(Box::new(builder.packed()), Box::new(writer)))
}

/// The segment length that cuts are planned for.
pub fn target_duration(seconds: u32) -> MediaTime {
    packager::Timescale::MILLIS.ticks(u64::from(seconds.clamp(1, 60)) * 1_000)
}
