//! `asset.json`: what the segments of a title depend on.
//!
//! The document is written last at ingest, by one atomic put, and says everything that a manifest
//! or a segment is computed from: which files belong to the title, how they were cut, and under
//! which revision each track's bytes are known. Nothing else in the store decides anything, so a
//! half-finished ingest is invisible.
//!
//! ```text
//! assets/{id}/asset.json                    the document that counts
//! assets/{id}/indexes.bin                   remote stores: all that opening the title reads
//! assets/{id}/{generation}/asset.json       the same, kept while the generation is served
//! assets/{id}/{generation}/source-1.mp4     a source as it was given: local stores
//! assets/{id}/{generation}/v1.samples       the samples of a track: remote stores
//! assets/{id}/{generation}/v1.idx           the index of a track
//! assets/{id}/{generation}/t1.vtt           text and pictures
//! ingests/{id}/{generation}                 claim of an ingest that is under way
//! ```

mod check;

use packager::plan::CutList;
use packager::presentation::{Accessibility, TrackClass, TrackRole};
use packager::track::TrackKind;
use platform::objects::{ObjectError, ObjectKey, SourceVersion};
use serde::{Deserialize, Serialize};

use crate::OriginError;

/// Folder of the object store that holds all titles.
pub const ASSETS_FOLDER: &str = "assets";
/// Version of the document's form.
const FORMAT: u32 = 1;
/// Part of every revision. To be raised when the bytes that the muxers write for the same source
/// change, so that caches never mix two outputs.
pub const MUXER_OUTPUT: u32 = 1;
/// Hexadecimal digits of a revision: 40 bits, enough to tell the few revisions of one track apart.
const REVISION_DIGITS: usize = 10;

/// The identifier of a title: path-safe, unique in a deployment.
#[derive(Clone, Debug, Eq, Hash, PartialEq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AssetId(String);

impl AssetId {
    pub const LEN_MAX: usize = 128;

    /// # Errors
    /// [`OriginError::InvalidAssetId`] unless `id` is 1 to 128 letters, digits, `-`, `_` or `.`,
    /// beginning with a letter or digit.
    pub fn new(id: &str) -> Result<Self, OriginError> {
        let starts_well = id.starts_with(|first: char| first.is_ascii_alphanumeric());
        let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if starts_well && id.len() <= Self::LEN_MAX && id.chars().all(is_safe) {
            Ok(Self(id.to_owned()))
        } else {
            Err(OriginError::InvalidAssetId { id: id.chars().take(Self::LEN_MAX).collect() })
        }
    }

    /// A safe identifier that reads like `name`: `Big Buck Bunny (2008)` gives
    /// `big-buck-bunny-2008`.
    pub fn from_name(name: &str) -> Self {
        let mut id = String::new();
        for c in name.chars() {
            if c.is_ascii_alphanumeric() {
                id.push(c.to_ascii_lowercase());
            } else if !id.is_empty() && !id.ends_with('-') {
                id.push('-');
            }
            if id.len() >= 64 {
                break;
            }
        }
        let id = id.trim_end_matches('-');
        Self(if id.is_empty() { "title".to_owned() } else { id.to_owned() })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Key of a file or folder of the title in the object store.
    ///
    /// # Errors
    /// [`ObjectError::InvalidKey`] when `file` can't be part of one.
    pub fn key(&self, file: &str) -> Result<ObjectKey, ObjectError> {
        format!("{ASSETS_FOLDER}/{}/{file}", self.0).parse()
    }
}

impl TryFrom<String> for AssetId {
    type Error = OriginError;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        Self::new(&id)
    }
}

impl From<AssetId> for String {
    fn from(id: AssetId) -> Self {
        id.0
    }
}

impl std::fmt::Display for AssetId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetDocument {
    pub format: u32,
    pub id: AssetId,
    pub tenant: String,
    pub title: String,
    pub created_ms: u64,
    /// Names the directory of this ingest's files.
    pub generation: String,
    pub duration_ms: u64,
    pub muxer_output: u32,
    pub cut_list: CutList,
    pub sources: Vec<SourceDocument>,
    /// Video first, then audio, then text; within a kind in order of preference.
    pub tracks: Vec<TrackDocument>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<ImagesDocument>,
    /// File of the poster, a JPEG.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poster: Option<String>,
    /// BLAKE3 of the poster, hexadecimal; absent in documents from before pictures had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poster_digest: Option<String>,
    /// Earlier ingests that are still served, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<RetiredGeneration>,
}

/// A file that was given to ingest.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceDocument {
    /// Name in the generation's directory; absent where the tracks were packed and the source was
    /// not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Name that it was given under.
    pub given_name: String,
    pub len_bytes: u64,
    /// BLAKE3, hexadecimal.
    pub digest: String,
    /// Of the stored copy, as it was when it was read: what it is compared with when it is opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<SourceVersion>,
}

/// The media object of a packed track.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackedDocument {
    pub len_bytes: u64,
    /// BLAKE3, hexadecimal.
    pub digest: String,
    /// As it was stored: what every read asks for.
    pub version: SourceVersion,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackDocument {
    /// `v1`, `a2`, `t1`: unique in the title, used in URLs.
    pub name: String,
    pub kind: Kind,
    pub class: Class,
    /// See [`revision`].
    pub revision: String,
    /// File that the samples lie in; for WebVTT text the cues themselves.
    pub media_file: String,
    /// That file, where it holds this track alone with the blocks of the index between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packed: Option<PackedDocument>,
    /// Index of the track.
    pub index_file: String,
    /// BLAKE3 of the index, hexadecimal.
    pub index_digest: String,
    pub language: String,
    pub label: String,
    pub role: Role,
    pub is_default: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accessibility: Vec<AccessibilityName>,
}

/// Thumbnail sprites: a regular grid of pictures, a fixed time apart.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagesDocument {
    pub name: String,
    pub revision: String,
    pub files: Vec<String>,
    /// BLAKE3 of each file, hexadecimal; empty in documents from before pictures had one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub digests: Vec<String>,
    pub tile_width: u32,
    pub tile_height: u32,
    pub columns: u32,
    pub rows: u32,
    pub tile_duration_ms: u64,
    pub tile_count: u64,
    /// Of the files: `jpg`, `png` or `webp`.
    pub extension: String,
    pub file_bytes_max: u64,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetiredGeneration {
    pub generation: String,
    pub retired_ms: u64,
}

impl AssetDocument {
    pub const FORMAT: u32 = FORMAT;

    /// # Errors
    /// [`OriginError::CorruptAsset`] when the bytes are not a document of this version, or one that
    /// no ingest writes.
    pub fn parse(id: &AssetId, bytes: &[u8]) -> Result<Self, OriginError> {
        let corrupt = |reason: String| OriginError::CorruptAsset { asset: id.clone(), reason };
        let document: Self = serde_json::from_slice(bytes)
            .map_err(|error| corrupt(format!("asset.json is not readable: {error}")))?;
        if document.format != FORMAT {
            return Err(corrupt(format!(
                "asset.json has format {}, this version reads {FORMAT}",
                document.format
            )));
        }
        if document.id != *id {
            return Err(corrupt(format!("asset.json belongs to `{}`", document.id)));
        }
        document.check().map_err(|reason| corrupt(format!("asset.json: {reason}")))?;
        Ok(document)
    }

    /// Key of a file of this generation in the object store.
    ///
    /// # Errors
    /// [`ObjectError::InvalidKey`] when `file` can't be part of one.
    pub fn key(&self, file: &str) -> Result<ObjectKey, ObjectError> {
        self.id.key(&format!("{}/{file}", self.generation))
    }

    /// Whether the files of a generation are served, now or as an earlier one.
    pub fn names(&self, generation: &str) -> bool {
        let mut retired = self.retired.iter();
        self.generation == generation || retired.any(|retired| retired.generation == generation)
    }

    pub fn track(&self, name: &str) -> Option<&TrackDocument> {
        self.tracks.iter().find(|track| track.name == name)
    }
}

/// The revision of a track: changes whenever the bytes behind its URLs would.
pub fn revision(source_digest: &str, source_track_id: u32, cuts: &CutList) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&MUXER_OUTPUT.to_le_bytes());
    hasher.update(source_digest.as_bytes());
    hasher.update(&source_track_id.to_le_bytes());
    hasher.update(&cuts.timescale.get().to_le_bytes());
    for cut in &cuts.cuts {
        hasher.update(&cut.to_le_bytes());
    }
    hasher.finalize().to_hex()[..REVISION_DIGITS].to_owned()
}

/// A model enumeration as the document spells it.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident = $model:ty { $($variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($variant),+ }

        impl From<$model> for $name {
            fn from(value: $model) -> Self {
                match value { $(<$model>::$variant => Self::$variant),+ }
            }
        }

        impl From<$name> for $model {
            fn from(value: $name) -> Self {
                match value { $($name::$variant => Self::$variant),+ }
            }
        }
    };
}

named!(Kind = TrackKind { Video, Audio, Text });
named!(Class = TrackClass { Audio, Sd, Hd, Uhd, Text, Image });
named!(
    Role = TrackRole {
        Main,
        Alternate,
        Commentary,
        Dub,
        Subtitle,
        Caption,
        ForcedSubtitle,
        Description,
    }
);
named!(AccessibilityName = Accessibility { DescribesVideo, HardOfHearing, EasyToRead });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_path_safe() {
        for good in ["a", "movie-7", "x_y.z", &"a".repeat(128)] {
            assert!(AssetId::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "-a", "a/b", "a b", "ä", &"a".repeat(129)] {
            assert!(AssetId::new(bad).is_err(), "{bad}");
        }
        assert_eq!(AssetId::from_name("Big Buck Bunny (2008)").as_str(), "big-buck-bunny-2008");
        assert_eq!(AssetId::from_name("…").as_str(), "title");
    }

    /// A document from before tracks were packed.
    #[test]
    fn documents_of_stored_sources_stay_readable() {
        let version = r#"{"kind": "file", "len_bytes": 9, "modified_ns": 5}"#;
        let text = format!(
            r#"{{"format": 1, "id": "film", "tenant": "default", "title": "Film", "created_ms": 1,
            "generation": "g", "duration_ms": 1000, "muxer_output": 1,
            "cut_list": {{"timescale": 1000, "cuts": [0]}},
            "sources": [{{"file": "source-1.mp4", "given_name": "a.mp4", "len_bytes": 9,
                "digest": "d1", "version": {version}}}],
            "tracks": [{{"name": "v1", "kind": "video", "class": "hd", "revision": "0f1e2d3c4b",
                "media_file": "source-1.mp4", "index_file": "v1.idx", "index_digest": "d2",
                "language": "und", "label": "", "role": "main", "is_default": true}}]}}"#
        );
        let id = AssetId::new("film").unwrap();
        let document = AssetDocument::parse(&id, text.as_bytes()).unwrap();
        assert_eq!(document.sources[0].file.as_deref(), Some("source-1.mp4"));
        assert_eq!(document.sources[0].version.as_ref().map(SourceVersion::len_bytes), Some(9));
        assert!(document.tracks[0].packed.is_none());
        let written: serde_json::Value = serde_json::to_value(&document).unwrap();
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(written, read, "a local title's document is written as before");
    }

    #[test]
    fn a_revision_follows_source_track_and_cuts() {
        let timescale = packager::Timescale::new(1_000).unwrap();
        let cuts = CutList { timescale, cuts: vec![0, 6_000] };
        let other = CutList { timescale, cuts: vec![0, 4_000] };
        let base = revision("d1", 1, &cuts);
        assert_eq!(base.len(), REVISION_DIGITS);
        assert_eq!(base, revision("d1", 1, &cuts));
        assert_ne!(base, revision("d2", 1, &cuts));
        assert_ne!(base, revision("d1", 2, &cuts));
        assert_ne!(base, revision("d1", 1, &other));
    }
}
