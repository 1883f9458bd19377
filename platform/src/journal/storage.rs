//! Where a journal's files are: a folder, or what a test puts in its place.
//!
//! The trait says as much as durability takes: bytes are safe after `sync_data` of their file, names
//! after `sync` of the folder. The tests have an implementation that keeps only what was synced.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// A flat folder of files.
pub trait Storage: Send + Sync + 'static {
    /// For messages.
    fn name(&self) -> String;
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes a file that must not exist.
    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>>;
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>>;
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Gives a file a name, in place of the file that had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Makes what `create`, `remove` and `rename` did durable.
    fn sync(&self) -> io::Result<()>;
}

/// An open file.
pub trait StorageFile: Send + Sync {
    fn len_bytes(&self) -> io::Result<u64>;
    /// Fills `buffer` from `offset` on, as far as there are bytes.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    fn set_len(&self, len_bytes: u64) -> io::Result<()>;
    /// Makes the bytes and the length durable.
    fn sync_data(&self) -> io::Result<()>;
}

/// A folder of the file system, held by a lock: one journal writes in it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    folder: File,
    /// Let go when the last descriptor is closed, even by a crash.
    _lock: File,
}

impl Folder {
    /// Makes the folder where it is missing, readable by its owner alone. None when another holds it.
    ///
    /// # Errors
    /// When the folder can't be made, read or locked.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(path.join("lock"))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
        Ok(Some(Self { path: path.to_owned(), folder: File::open(path)?, _lock: lock }))
    }
}

impl Storage for Folder {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            // A name that is no text is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        Ok(Box::new(options.open(self.path.join(name))?))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let file = OpenOptions::new().read(true).write(true).open(self.path.join(name))?;
        Ok(Box::new(file))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn sync(&self) -> io::Result<()> {
        self.folder.sync_all()
    }
}

impl StorageFile for File {
    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match FileExt::read_at(self, &mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        Self::set_len(self, len_bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }
}
