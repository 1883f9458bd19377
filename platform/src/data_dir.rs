//! The data directory: one process owns it, and its parts have fixed names.
//!
//! | path | what |
//! | --- | --- |
//! | `lock` | held by `flock(2)` while a process owns the directory; its text is that process's id |
//! | `admin.sock` | where commands speak to the server that owns the directory |
//! | `objects/` | the embedded object store |
//! | `tmp/` | files that are not finished; emptied when the directory is taken over |

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// A data directory that this process owns until the value is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// The lock belongs to the open file and ends with it, even after a crash.
    _lock: File,
}

/// Why a data directory can't be taken.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error(
        "{} is in use by process {owner}; stop it, use its --server address, or name another \
         directory with --data", path.display()
    )]
    Owned { path: PathBuf, owner: String },

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
        let dir = Self { path, _lock: lock };
        dir.lay_out().map_err(|source| DataDirError::Io { path: dir.path.clone(), source })?;
        Ok(dir)
    }

    fn lay_out(&self) -> io::Result<()> {
        std::fs::create_dir_all(self.objects())?;
        match std::fs::remove_dir_all(self.temporary()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::fs::create_dir(self.temporary())?;
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
    let write_id = |lock: &mut File| {
        lock.set_len(0)?;
        lock.rewind()?;
        writeln!(lock, "{}", std::process::id())
    };
    write_id(&mut lock).map_err(fail)?;
    Ok(lock)
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
    fn a_file_is_no_data_directory() {
        let path = scratch("file");
        std::fs::write(&path, "x").unwrap();
        let message = DataDir::open(&path).unwrap_err().to_string();
        assert!(message.contains("writable"), "{message}");
        std::fs::remove_file(&path).unwrap();
    }
}
