//! What `asset.json` says of sources and tracks.

use packager::presentation::TrackClass;
use packager::track::{MediaParams, TrackKind};

use super::prepare::{Prepared, TextFile};
use super::publish::StoredSource;
use super::{ScannedSource, ScannedTrack};
use crate::asset::{Kind, SourceDocument, TrackDocument};

pub(crate) fn source_documents(
    prepared: &Prepared,
    stored: Vec<StoredSource>,
    sources: Vec<ScannedSource>,
) -> Vec<SourceDocument> {
    let given = prepared.movies.iter().map(|path| {
        path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    });
    // Sources whose tracks were packed are not stored.
    let stored = stored.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
    given
        .zip(sources)
        .zip(stored)
        .map(|((given_name, source), stored)| {
            let (file, version) = stored.map(|stored| (stored.file, stored.version)).unzip();
            SourceDocument {
                file,
                given_name,
                len_bytes: source.len_bytes,
                digest: source.digest,
                version,
            }
        })
        .collect()
}

/// What the document says of a track before its files are known.
pub(crate) fn track_document(scanned: &ScannedTrack) -> TrackDocument {
    let track = scanned.track();
    let info = &track.track.info;
    let class = match &info.media {
        MediaParams::Video(video) => TrackClass::of_video(video.width, video.height),
        MediaParams::Audio(_) => TrackClass::Audio,
        MediaParams::Text(_) => TrackClass::Text,
    };
    TrackDocument {
        name: track.name.clone(),
        kind: info.kind().into(),
        class: class.into(),
        revision: String::new(),
        media_file: String::new(),
        packed: None,
        index_file: String::new(),
        index_digest: String::new(),
        language: info.language.clone(),
        label: track.label.clone(),
        role: track.role.into(),
        is_default: track.is_default,
        accessibility: track.accessibility.iter().map(|&a| a.into()).collect(),
    }
}

pub(crate) fn text_document(name: String, label: String, file: &TextFile) -> TrackDocument {
    TrackDocument {
        name,
        kind: TrackKind::Text.into(),
        class: TrackClass::Text.into(),
        revision: String::new(),
        media_file: String::new(),
        packed: None,
        index_file: String::new(),
        index_digest: String::new(),
        language: file.language.clone(),
        label,
        role: file.role.into(),
        is_default: file.is_default,
        accessibility: file.accessibility.iter().map(|&a| a.into()).collect(),
    }
}

/// `label`, or `label (2)` and so on where a text track has it already.
pub(crate) fn free_label(documents: &[TrackDocument], label: &str) -> String {
    let is_taken = |label: &str| {
        documents.iter().any(|track| track.kind == Kind::Text && track.label == label)
    };
    let numbered = (2..).map(|n| format!("{label} ({n})"));
    let mut candidates = std::iter::once(label.to_owned()).chain(numbered);
    candidates.find(|label| !is_taken(label)).expect("numbers don't run out")
}
