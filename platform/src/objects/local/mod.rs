//! Objects as files in a folder.
//!
//! An object is written under a name of its own in `.unfinished`, synced, sealed against writing
//! and renamed into place; the folders above it are synced after it. A crash leaves the old object,
//! the new one, or an unfinished file that is swept up later: never half an object.

mod claim;
mod copy;
pub(crate) mod mapped;
mod mapping;
mod reader;
#[cfg(test)]
mod tests;
mod write;

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::{
    ObjectEntry, ObjectError, ObjectKey, ObjectMeta, ObjectMetrics, PutMode, SourceVersion,
    blocking,
};

pub use claim::LocalClaim;
pub use reader::LocalReader;

/// The folder of unfinished files. Keys can't begin with a dot.
const UNFINISHED: &str = ".unfinished";

/// Deepest folder that a listing enters; a key has fewer parts.
const FOLDER_DEPTH_MAX: usize = 450;

/// A folder of objects. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LocalStore {
    folder: Arc<Path>,
    metrics: ObjectMetrics,
}

impl LocalStore {
    /// Opens the folder, making it if it is missing, and sweeps out what a crash left unfinished.
    pub fn at(folder: &Path) -> Result<Self, ObjectError> {
        let unfinished = folder.join(UNFINISHED);
        std::fs::create_dir_all(&unfinished)
            .map_err(|error| ObjectError::io("make", &unfinished, error))?;
        let folder =
            folder.canonicalize().map_err(|error| ObjectError::io("find", folder, error))?;
        write::sweep(&unfinished).map_err(|error| ObjectError::io("sweep", &unfinished, error))?;
        Ok(Self { folder: folder.into(), metrics: ObjectMetrics::default() })
    }

    /// The whole object and its version.
    pub async fn get_versioned(
        &self,
        key: &ObjectKey,
        max_bytes: u64,
    ) -> Result<(Bytes, ObjectMeta), ObjectError> {
        let (store, key) = (self.clone(), key.clone());
        blocking(move || store.get_now(&key, max_bytes)).await
    }

    fn get_now(&self, key: &ObjectKey, max_bytes: u64) -> Result<(Bytes, ObjectMeta), ObjectError> {
        let (file, metadata) = self.open_file(key)?;
        let too_large =
            |len_bytes| ObjectError::TooLarge { key: key.clone(), len_bytes, max_bytes };
        if max_bytes < metadata.len() {
            return Err(too_large(metadata.len()));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
        // A file that grows meanwhile is not read on for ever.
        file.take(max_bytes.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| ObjectError::io("read", &self.path(key), error))?;
        if max_bytes < bytes.len() as u64 {
            return Err(too_large(bytes.len() as u64));
        }
        Ok((bytes.into(), meta_of(&metadata)))
    }

    pub async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, ObjectError> {
        let (store, key) = (self.clone(), key.clone());
        blocking(move || {
            let path = store.path(&key);
            match std::fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() => Ok(meta_of(&metadata)),
                Ok(_) => Err(ObjectError::NotFound { key }),
                Err(error) => Err(missing_or(error, "look at", &path, &key)),
            }
        })
        .await
    }

    pub async fn open(
        &self,
        key: &ObjectKey,
        recorded: Option<&SourceVersion>,
    ) -> Result<LocalReader, ObjectError> {
        let (store, key, recorded) = (self.clone(), key.clone(), recorded.cloned());
        blocking(move || {
            let (file, metadata) = store.open_file(&key)?;
            let meta = meta_of(&metadata);
            if let Some(recorded) = recorded
                && let Some(reason) = recorded.difference(&meta.version)
            {
                return Err(ObjectError::Changed { key, reason });
            }
            Ok(LocalReader::new(key, file, meta, store.metrics))
        })
        .await
    }

    pub async fn put(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        mode: PutMode,
    ) -> Result<ObjectMeta, ObjectError> {
        let (store, key) = (self.clone(), key.clone());
        blocking(move || {
            store.write(&key, mode, |file, path| {
                use std::io::Write;
                file.write_all(&bytes).map_err(|error| ObjectError::io("write", path, error))
            })
        })
        .await
    }

    pub async fn put_file(
        &self,
        key: &ObjectKey,
        source: &Path,
    ) -> Result<ObjectMeta, ObjectError> {
        let (store, key, source) = (self.clone(), key.clone(), source.to_owned());
        blocking(move || {
            store.write(&key, PutMode::Overwrite, |file, path| {
                copy::copy_sealed(&key, &source, file, path)
            })
        })
        .await
    }

    /// Takes over a file that nobody else uses: by moving it, or where it lies on another file
    /// system, by copying it.
    pub async fn put_own_file(
        &self,
        key: &ObjectKey,
        source: &Path,
    ) -> Result<ObjectMeta, ObjectError> {
        let (store, asked, file) = (self.clone(), key.clone(), source.to_owned());
        match blocking(move || store.adopt(&asked, &file)).await? {
            Some(meta) => Ok(meta),
            None => self.put_file(key, source).await,
        }
    }

    pub async fn list(
        &self,
        folder: Option<&ObjectKey>,
        max_entries: usize,
    ) -> Result<Vec<ObjectEntry>, ObjectError> {
        let (store, folder) = (self.clone(), folder.cloned());
        blocking(move || {
            let mut entries = Vec::new();
            let prefix = folder.as_ref().map(|key| key.as_str().to_owned()).unwrap_or_default();
            store.list_folder(&prefix, &prefix, 0, max_entries, &mut entries)?;
            entries.sort_unstable_by(|one: &ObjectEntry, other| one.key.cmp(&other.key));
            Ok(entries)
        })
        .await
    }

    pub async fn list_folders(&self, folder: &ObjectKey) -> Result<Vec<String>, ObjectError> {
        let path = self.path(folder);
        blocking(move || {
            let fail = |error| ObjectError::io("list", &path, error);
            let listing = match std::fs::read_dir(&path) {
                Ok(listing) => listing,
                Err(error) if is_absent(&error) => return Ok(Vec::new()),
                Err(error) => return Err(fail(error)),
            };
            let mut names = Vec::new();
            for entry in listing {
                let entry = entry.map_err(fail)?;
                let is_folder = entry.file_type().map_err(fail)?.is_dir();
                // Names that are no part of a key are not ours.
                let Ok(name) = entry.file_name().into_string() else { continue };
                if is_folder && name.parse::<ObjectKey>().is_ok() {
                    names.push(name);
                }
            }
            names.sort_unstable();
            Ok(names)
        })
        .await
    }

    fn list_folder(
        &self,
        asked: &str,
        prefix: &str,
        depth: usize,
        max_entries: usize,
        entries: &mut Vec<ObjectEntry>,
    ) -> Result<(), ObjectError> {
        let path = self.folder.join(prefix);
        let fail = |error| ObjectError::io("list", &path, error);
        let listing = match std::fs::read_dir(&path) {
            Ok(listing) => listing,
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(fail(error)),
        };
        for entry in listing {
            let entry = entry.map_err(fail)?;
            // Names that are no part of a key are not ours.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let text = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            let Ok(key) = text.parse::<ObjectKey>() else { continue };
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(error) if is_absent(&error) => continue,
                Err(error) => return Err(fail(error)),
            };
            if metadata.is_dir() && depth < FOLDER_DEPTH_MAX {
                self.list_folder(asked, key.as_str(), depth + 1, max_entries, entries)?;
            } else if metadata.is_file() {
                if entries.len() == max_entries {
                    return Err(ObjectError::TooMany { folder: asked.to_owned(), max_entries });
                }
                entries.push(ObjectEntry { key, len_bytes: metadata.len() });
            }
        }
        Ok(())
    }

    pub async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        let (store, key) = (self.clone(), key.clone());
        blocking(move || store.remove(&key)).await
    }

    pub fn metrics(&self) -> &ObjectMetrics {
        &self.metrics
    }

    /// The folder of all objects.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where an object lies.
    pub fn path(&self, key: &ObjectKey) -> PathBuf {
        self.folder.join(key.as_str())
    }

    fn open_file(&self, key: &ObjectKey) -> Result<(File, Metadata), ObjectError> {
        let path = self.path(key);
        let open = || {
            let file = File::open(&path)?;
            let metadata = file.metadata()?;
            Ok((file, metadata))
        };
        match open() {
            Ok((_, metadata)) if !metadata.is_file() => {
                Err(ObjectError::NotFound { key: key.clone() })
            }
            Ok(opened) => Ok(opened),
            Err(error) => Err(missing_or(error, "open", &path, key)),
        }
    }
}

fn meta_of(metadata: &Metadata) -> ObjectMeta {
    let seconds_ns = metadata.mtime().saturating_mul(1_000_000_000);
    let version = SourceVersion::File {
        len_bytes: metadata.len(),
        modified_ns: seconds_ns.saturating_add(metadata.mtime_nsec()),
        inode: Some(metadata.ino()),
    };
    ObjectMeta { len_bytes: metadata.len(), version }
}

/// A part of the path that is a file makes a key absent as well.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn missing_or(error: io::Error, action: &'static str, path: &Path, key: &ObjectKey) -> ObjectError {
    if is_absent(&error) {
        return ObjectError::NotFound { key: key.clone() };
    }
    ObjectError::io(action, path, error)
}
