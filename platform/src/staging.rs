//! Folders of `DIR/staging`: what is put together there lives as long as somebody works with it.
//!
//! Each has a `lock` that its users hold shared by `flock(2)`. The last one to go removes it. When
//! that one is killed, whoever asks next does ([`Staging::has_ended`], [`sweep`]): a lock that
//! nobody holds is left behind.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// A folder that this value keeps.
#[derive(Debug)]
pub struct Staging {
    folder: PathBuf,
    lock: File,
}

impl Staging {
    /// Makes one in the data directory `data`.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn new(data: &Path) -> io::Result<Self> {
        let all = all_of(data);
        match DirBuilder::new().mode(0o700).create(&all) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let folder = all.join(uuid::Uuid::now_v7().to_string());
        DirBuilder::new().mode(0o700).create(&folder)?;
        let mut options = OpenOptions::new();
        let path = folder.join("lock");
        let lock = options.read(true).write(true).create_new(true).mode(0o600).open(path)?;
        flock(&lock, FlockOperation::NonBlockingLockShared)?;
        let staging = Self { folder, lock };
        DirBuilder::new().mode(0o700).create(staging.files())?;
        Ok(staging)
    }

    /// Uses one that another process has made.
    ///
    /// # Errors
    /// When it is gone.
    pub fn join(folder: &Path) -> io::Result<Self> {
        let lock = File::open(folder.join("lock"))?;
        flock(&lock, FlockOperation::NonBlockingLockShared)?;
        Ok(Self { folder: folder.to_owned(), lock })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What was put together.
    pub fn files(&self) -> PathBuf {
        self.folder.join("files")
    }

    /// Whether nobody else uses it. It is removed then.
    pub fn has_ended(&self) -> bool {
        if flock(&self.lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            // A lock that is turned into another one may be lost on the way.
            let _ = flock(&self.lock, FlockOperation::NonBlockingLockShared);
            return false;
        }
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            if error.kind() != io::ErrorKind::NotFound {
                let folder = self.folder.display();
                tracing::warn!(%folder, %error, "a staging folder is left until the next start");
            }
        }
        true
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        self.has_ended();
    }
}

fn all_of(data: &Path) -> PathBuf {
    data.join("staging")
}

/// Removes what nobody uses any more.
///
/// # Errors
/// When it can't be removed.
pub(crate) fn sweep(data: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(all_of(data)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let folder = entry?.path();
        let is_used = File::open(folder.join("lock"))
            .is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err());
        if !is_used {
            std::fs::remove_dir_all(&folder)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_user_removes_it() {
        let data = tempfile::tempdir().unwrap();
        let first = Staging::new(data.path()).unwrap();
        let folder = first.folder().to_owned();
        std::fs::write(first.files().join("a"), "a").unwrap();
        let second = Staging::join(&folder).unwrap();
        sweep(data.path()).unwrap();
        assert!(!first.has_ended());
        drop(first);
        assert!(second.files().join("a").exists());
        sweep(data.path()).unwrap();
        assert!(second.files().join("a").exists());
        drop(second);
        assert!(!folder.exists());
        assert!(Staging::join(&folder).is_err());
    }

    #[test]
    fn what_a_crash_left_is_swept() {
        let data = tempfile::tempdir().unwrap();
        let staging = Staging::new(data.path()).unwrap();
        let left = data.path().join("staging/left");
        std::fs::create_dir_all(left.join("files")).unwrap();
        sweep(data.path()).unwrap();
        assert!(!left.exists());
        assert!(staging.files().exists());
    }
}
