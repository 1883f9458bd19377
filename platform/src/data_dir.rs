//! The data directory: one process owns it, and its parts have fixed names.
//!
//! | path | what |
//! | --- | --- |
//! | `lock` | held by `flock(2)` while a process owns the directory; its text is that process's id |
//! | `admin.sock` | where commands speak to the server that owns the directory |
//! | `handover.sock` | where a new server asks for the directory and the sockets ([`crate::handover`]) |
//! | `objects/` | the embedded object store |
//! | `tmp/` | files that are not finished; emptied when the directory is taken over |
//! | `staging/` | backups under way, each with a lock; swept when the directory is taken over |

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FlockOperation, flock};

use crate::staging;

/// A data directory that this process owns until the value is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// The lock belongs to the open file and ends with its last descriptor, even after a crash.
    /// None when it was given to another process.
    lock: Mutex<Option<File>>,
    /// Tells the process that owned the directory before, by its end, that this one is done with it.
    _link: Option<OwnedFd>,
}

/// Why a data directory can't be taken.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error(
        "{} is in use by process {owner}; stop it, use its --server address, replace it with \
         `serve --take-over`, or name another directory with --data", path.display()
    )]
    Owned { path: PathBuf, owner: String },

    #[error("what was handed over is not the lock of {}; name the same directory with --data", path.display())]
    Other { path: PathBuf },

    #[error("cannot use {} as data directory: {source}; check that it is writable", path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl DataDir {
    /// Takes the directory, making it and its parts where they are missing.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let fail = |source| DataDirError::Io { path: path.to_owned(), source };
        std::fs::create_dir_all(path).map_err(fail)?;
        // Absolute, so that a later change of the working directory moves nothing.
        let path = path.canonicalize().map_err(fail)?;
        let lock = take_lock(&path)?;
        Self::own(path, lock, None)
    }

    /// Takes the directory over from a process that gave its `lock`, and writes to it no more.
    ///
    /// `link` is kept as long as the directory: by its end that process learns when this one has
    /// given it up.
    ///
    /// # Errors
    /// When the lock is that of another directory, or isn't held.
    pub fn take_over(path: &Path, lock: OwnedFd, link: OwnedFd) -> Result<Self, DataDirError> {
        let fail = |source| DataDirError::Io { path: path.to_owned(), source };
        let path = path.canonicalize().map_err(fail)?;
        let mut lock = File::from(lock);
        let (given, there) = (lock.metadata(), std::fs::metadata(path.join("lock")));
        let (given, there) = (given.map_err(fail)?, there.map_err(fail)?);
        if (given.dev(), given.ino()) != (there.dev(), there.ino()) {
            return Err(DataDirError::Other { path });
        }
        // Held by the same open file, this changes nothing; else it is free or another's.
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| fail(error.into()))?;
        write_id(&mut lock).map_err(fail)?;
        Self::own(path, lock, Some(link))
    }

    fn own(path: PathBuf, lock: File, link: Option<OwnedFd>) -> Result<Self, DataDirError> {
        let dir = Self { path, lock: Mutex::new(Some(lock)), _link: link };
        dir.lay_out().map_err(|source| DataDirError::Io { path: dir.path.clone(), source })?;
        Ok(dir)
    }

    /// The lock, for a process that takes over.
    ///
    /// # Errors
    /// When it was given away, or no descriptor is left.
    pub fn lock(&self) -> io::Result<OwnedFd> {
        match &*self.lock.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(lock) => Ok(lock.try_clone()?.into()),
            None => Err(io::Error::other("the data directory was given to another process")),
        }
    }

    /// Another process owns the directory now.
    pub fn give_up(&self) {
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The process that was to take over is gone: the lock names this one again.
    ///
    /// # Errors
    /// When the lock can't be written.
    pub fn keep(&self) -> io::Result<()> {
        match &mut *self.lock.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(lock) => write_id(lock),
            None => Ok(()),
        }
    }

    fn lay_out(&self) -> io::Result<()> {
        std::fs::create_dir_all(self.objects())?;
        match std::fs::remove_dir_all(self.temporary()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::fs::create_dir(self.temporary())?;
        staging::sweep(&self.path)?;
        std::fs::set_permissions(self.temporary(), Permissions::from_mode(0o700))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of the embedded object store.
    pub fn objects(&self) -> PathBuf {
        self.path.join("objects")
    }

    /// A folder for unfinished files, on the same file system as the objects.
    pub fn temporary(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// Where the server that owns a data directory listens for commands.
    pub fn admin_socket(path: &Path) -> PathBuf {
        path.join("admin.sock")
    }
}

fn take_lock(path: &Path) -> Result<File, DataDirError> {
    let fail = |source| DataDirError::Io { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut lock = options.open(path.join("lock")).map_err(fail)?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut owner = String::new();
            // Without its id the message is poorer and still right.
            let _ = lock.take(32).read_to_string(&mut owner);
            let owner = owner.trim();
            let owner = if owner.is_empty() { "of unknown id" } else { owner }.to_owned();
            return Err(DataDirError::Owned { path: path.to_owned(), owner });
        }
        Err(error) => return Err(fail(error.into())),
    }
    write_id(&mut lock).map_err(fail)?;
    Ok(lock)
}

fn write_id(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("data-dir-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn one_owner_at_a_time() {
        let path = scratch("owner");
        let first = DataDir::open(&path).unwrap();
        let refused = DataDir::open(&path).unwrap_err();
        let message = refused.to_string();
        assert!(matches!(refused, DataDirError::Owned { .. }), "{message}");
        assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
        std::fs::write(first.temporary().join("unfinished"), "x").unwrap();
        drop(first);

        let second = DataDir::open(&path).unwrap();
        assert!(second.objects().is_dir());
        assert_eq!(std::fs::read_dir(second.temporary()).unwrap().count(), 0);
        std::fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn a_lock_that_is_handed_over_is_never_free() {
        let (path, other) = (scratch("handed"), scratch("handed-other"));
        let (first, foreign) = (DataDir::open(&path).unwrap(), DataDir::open(&other).unwrap());
        let link = || OwnedFd::from(File::open("/dev/null").unwrap());
        let error = DataDir::take_over(&path, foreign.lock().unwrap(), link()).unwrap_err();
        assert!(matches!(error, DataDirError::Other { .. }), "{error}");

        let second = DataDir::take_over(&path, first.lock().unwrap(), link()).unwrap();
        assert!(matches!(DataDir::open(&path), Err(DataDirError::Owned { .. })));
        first.give_up();
        assert!(first.lock().is_err());
        drop(first);
        assert!(matches!(DataDir::open(&path), Err(DataDirError::Owned { .. })));
        drop(second);
        DataDir::open(&path).unwrap();
        // A lock that nobody holds is taken, one that is held otherwise is not.
        let unlocked = OwnedFd::from(File::open(path.join("lock")).unwrap());
        let owner = DataDir::open(&path).unwrap();
        assert!(DataDir::take_over(&path, unlocked, link()).is_err());
        drop(owner);
        for path in [path, other] {
            std::fs::remove_dir_all(&path).unwrap();
        }
    }

    #[test]
    fn a_file_is_no_data_directory() {
        let path = scratch("file");
        std::fs::write(&path, "x").unwrap();
        let message = DataDir::open(&path).unwrap_err().to_string();
        assert!(message.contains("writable"), "{message}");
        std::fs::remove_file(&path).unwrap();
    }
}
