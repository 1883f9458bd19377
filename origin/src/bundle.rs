//! What opening a title reads, as one object: for stores where every read is a round trip.
//!
//! A node that never saw a title needs its document and the index of each track before it can
//! read a sample. `indexes.bin` holds copies of them all, so that it asks for this object and, at
//! the same time, for the version of `asset.json`. Where both agree the title is open after one
//! round trip; where they don't, or the bundle is missing, the files themselves are read. So it
//! is never more than a hint, and it is written after the document that makes a title.
//!
//! ```text
//!  0  8   "SVTITLE" and the format version, 1
//!  8  32  BLAKE3 of all that follows
//! 40  u32 bytes of the head, little-endian
//! 44  head: JSON ([`Head`])
//!     the document, then each file, in the order of the head
//! ```

use std::collections::HashMap;

use bytes::Bytes;
use platform::objects::{ObjectError, ObjectKey, ObjectStore, SourceVersion};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::OriginError;
use crate::asset::{AssetDocument, AssetId, TrackDocument};

/// Largest bundle that is written and read. Three hours in ten tracks are about a megabyte.
pub(crate) const BUNDLE_BYTES_MAX: u64 = 32 << 20;
/// Largest index or text file of a track: what `packager` accepts as head and table.
pub(crate) const INDEX_FILE_BYTES_MAX: u64 = 129 << 20;
const MAGIC: [u8; 8] = *b"SVTITLE\x01";
const DIGEST_BYTES: usize = 32;
const LEN_BYTES: usize = 4;

/// Index and text files of a title, by name.
pub(crate) type IndexFiles = HashMap<String, Bytes>;

/// An opened bundle.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// Of the `asset.json` that it belongs to.
    pub(crate) version: SourceVersion,
    pub(crate) document: AssetDocument,
    pub(crate) files: IndexFiles,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    document_version: SourceVersion,
    document_bytes: usize,
    files: Vec<HeadFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadFile {
    name: String,
    len_bytes: usize,
}

/// Key of a title's bundle.
pub(crate) fn bundle_key(id: &AssetId) -> Result<ObjectKey, ObjectError> {
    id.key("indexes.bin")
}

/// The bundle of `document`, which is stored at `version`. `files` are as [`fetch_files`] gives
/// them.
pub(crate) fn write_bundle(
    document: &[u8],
    version: &SourceVersion,
    files: &IndexFiles,
) -> Vec<u8> {
    let mut in_order: Vec<_> = files.iter().collect();
    in_order.sort_unstable_by_key(|(name, _)| *name);
    let head = Head {
        document_version: version.clone(),
        document_bytes: document.len(),
        files: in_order
            .iter()
            .map(|(name, bytes)| HeadFile { name: (*name).clone(), len_bytes: bytes.len() })
            .collect(),
    };
    let head = serde_json::to_vec(&head).expect("plain data with string keys serialises");
    let mut out = Vec::new();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[0; DIGEST_BYTES]);
    out.extend_from_slice(&(head.len() as u32).to_le_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(document);
    for (_, bytes) in in_order {
        out.extend_from_slice(bytes);
    }
    let payload = MAGIC.len() + DIGEST_BYTES;
    let digest = blake3::hash(&out[payload..]);
    out[MAGIC.len()..payload].copy_from_slice(digest.as_bytes());
    out
}

impl Bundle {
    /// Reads a bundle and holds its files to the digests that its document has of them.
    ///
    /// # Errors
    /// Why it can't be used. The title may be well none the less.
    pub(crate) fn parse(id: &AssetId, bytes: &Bytes) -> Result<Self, String> {
        let too_short = || "it is cut short".to_owned();
        let mut rest = bytes.clone();
        if rest.len() < MAGIC.len() + DIGEST_BYTES + LEN_BYTES {
            return Err(too_short());
        }
        if rest.split_to(MAGIC.len()) != MAGIC.as_slice() {
            return Err("it is no bundle of this version".to_owned());
        }
        let digest = rest.split_to(DIGEST_BYTES);
        if blake3::hash(&rest).as_bytes() != digest.as_ref() {
            return Err("its checksum is wrong".to_owned());
        }
        let mut take =
            |len: usize| (len <= rest.len()).then(|| rest.split_to(len)).ok_or_else(too_short);
        let head_len = take(LEN_BYTES)?;
        let head_len = u32::from_le_bytes([head_len[0], head_len[1], head_len[2], head_len[3]]);
        let head: Head =
            serde_json::from_slice(&take(head_len as usize)?).map_err(|error| error.to_string())?;
        let document = AssetDocument::parse(id, &take(head.document_bytes)?)
            .map_err(|error| error.to_string())?;
        let mut files = IndexFiles::with_capacity(head.files.len());
        for HeadFile { name, len_bytes } in head.files {
            files.insert(name, take(len_bytes)?);
        }
        for (track, file) in wanted_files(&document) {
            let found = files.get(file).ok_or_else(|| format!("`{file}` is not in it"))?;
            check_digest(track, file, found)?;
        }
        Ok(Self { version: head.document_version, document, files })
    }
}

/// For fuzzing: reads `data` as what stands behind a checksum that fits. Nothing may panic.
pub fn fuzz_bundle(data: &[u8]) {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(blake3::hash(data).as_bytes());
    bytes.extend_from_slice(data);
    if let Ok(id) = AssetId::new("film") {
        let _ = Bundle::parse(&id, &bytes.into());
    }
}

/// The files of a title that are read whole when it is opened, all at once.
///
/// # Errors
/// [`OriginError::CorruptAsset`] naming a file that is missing or is not what was stored.
pub(crate) async fn fetch_files(
    store: &ObjectStore,
    document: &AssetDocument,
) -> Result<IndexFiles, OriginError> {
    let corrupt = |reason: String| OriginError::CorruptAsset { asset: document.id.clone(), reason };
    let mut fetches = JoinSet::new();
    for (index, (_, file)) in wanted_files(document).enumerate() {
        let (store, key) = (store.clone(), document.key(file)?);
        fetches.spawn(async move { (index, store.get(&key, INDEX_FILE_BYTES_MAX).await) });
    }
    let wanted: Vec<_> = wanted_files(document).collect();
    let mut files = IndexFiles::with_capacity(wanted.len());
    while let Some(fetched) = fetches.join_next().await {
        let (index, bytes) = fetched.map_err(|error| OriginError::Refused {
            reason: format!("reading an index failed: {error}"),
        })?;
        let (track, file) = wanted[index];
        let bytes = match bytes {
            Err(error @ ObjectError::NotFound { .. }) => return Err(corrupt(error.to_string())),
            bytes => bytes?,
        };
        check_digest(track, file, &bytes).map_err(corrupt)?;
        files.insert(file.to_owned(), bytes);
    }
    Ok(files)
}

/// Indexes without blocks, and cues.
fn wanted_files(document: &AssetDocument) -> impl Iterator<Item = (&TrackDocument, &str)> {
    document.tracks.iter().filter_map(|track| {
        if track.index_file.is_empty() {
            return Some((track, track.media_file.as_str()));
        }
        track.packed.as_ref().map(|_| (track, track.index_file.as_str()))
    })
}

fn check_digest(track: &TrackDocument, file: &str, bytes: &[u8]) -> Result<(), String> {
    if blake3::hash(bytes).to_hex().as_str() == track.index_digest {
        return Ok(());
    }
    Err(format!("{file}: the bytes are not those of ingest"))
}

#[cfg(test)]
mod tests;
