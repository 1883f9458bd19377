//! The folder of rings: `DIR/keys/rings/PURPOSE`, each file replaced whole, behind one lock.
//!
//! Processes may share the folder. Whoever writes holds `lock` by `flock(2)` and looks at what lies
//! there first; whoever reads needs no lock, since a file appears whole.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use zeroize::Zeroizing;

use super::KeyError;
use super::file::FILE_BYTES_MAX;
use super::purpose::Purpose;

/// Where rings lie.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

/// Held while a ring is replaced.
pub(super) struct FolderLock {
    _file: File,
}

/// By which a file that was replaced is told from its successor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stamp {
    inode: u64,
    modified_ns: i128,
    len_bytes: u64,
}

impl Folder {
    /// The folder of a data directory, which is made if there is none.
    pub(super) fn open(keys: &Path) -> Result<Self, KeyError> {
        let path = keys.join("rings");
        let fail = |source| KeyError::Io { path: path.clone(), source };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(fail)?;
        Ok(Self { path })
    }

    pub(super) fn path_of(&self, purpose: Purpose) -> PathBuf {
        self.path.join(purpose.as_str())
    }

    pub(super) fn lock(&self) -> Result<FolderLock, KeyError> {
        let path = self.path.join("lock");
        let fail = |source| KeyError::Io { path: path.clone(), source };
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = file.open(&path).map_err(fail)?;
        flock(&file, FlockOperation::LockExclusive).map_err(|error| fail(error.into()))?;
        Ok(FolderLock { _file: file })
    }

    pub(super) fn stamp(&self, purpose: Purpose) -> Option<Stamp> {
        std::fs::metadata(self.path_of(purpose)).ok().map(|metadata| Stamp::of(&metadata))
    }

    /// The bytes of a ring's file; none when there is no file.
    pub(super) fn read(
        &self,
        purpose: Purpose,
    ) -> Result<Option<(Zeroizing<Vec<u8>>, Stamp)>, KeyError> {
        let path = self.path_of(purpose);
        let fail = |source| KeyError::Io { path: path.clone(), source };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(error)),
        };
        let metadata = file.metadata().map_err(fail)?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(KeyError::Exposed { path });
        }
        if FILE_BYTES_MAX < metadata.len() {
            let reason = format!("it has {} bytes", metadata.len());
            return Err(KeyError::Unreadable { path, reason });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(metadata.len() as usize + 1));
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(fail)?;
        Ok(Some((bytes, Stamp::of(&metadata))))
    }

    /// Replaces a ring's file; when this returns, it is on the disk.
    pub(super) fn replace(
        &self,
        _lock: &FolderLock,
        purpose: Purpose,
        bytes: &[u8],
    ) -> Result<Stamp, KeyError> {
        let path = self.path_of(purpose);
        replace(&path, bytes, 0o600).map_err(|source| KeyError::Io { path, source })
    }

    /// Replaces the file of public keys, which everyone may read.
    pub(super) fn replace_public(&self, _lock: &FolderLock, bytes: &[u8]) -> Result<(), KeyError> {
        let path = self.public_path();
        let written = replace(&path, bytes, 0o644);
        written.map(drop).map_err(|source| KeyError::Io { path, source })
    }

    /// `DIR/keys/public.json`.
    pub(super) fn public_path(&self) -> PathBuf {
        self.path.with_file_name("public.json")
    }
}

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        let modified_ns =
            i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        Self { inode: metadata.ino(), modified_ns, len_bytes: metadata.len() }
    }
}

fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<Stamp> {
    // One writer at a time: what a crash left there is overwritten.
    let unfinished = path.with_extension("unfinished");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(mode).open(&unfinished)?;
    // The mode above counts only for a file that is new.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    File::open(folder)?.sync_all()?;
    Ok(Stamp::of(&file.metadata()?))
}
