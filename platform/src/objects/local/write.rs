//! Writing an object so that it is there whole or not at all.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::super::{ObjectError, ObjectKey, ObjectMeta, PutMode};
use super::{LocalStore, UNFINISHED, is_absent, meta_of};

/// Age at which an unfinished file belongs to nobody any more.
const UNFINISHED_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Rounds against a concurrent removal of the folder that an object goes to.
const ATTEMPTS_MAX: usize = 8;

impl LocalStore {
    /// Writes an object by way of an unfinished file that `fill` fills.
    pub(super) fn write(
        &self,
        key: &ObjectKey,
        mode: PutMode,
        fill: impl FnOnce(&mut File, &Path) -> Result<(), ObjectError>,
    ) -> Result<ObjectMeta, ObjectError> {
        let mut unfinished = Unfinished::create(&self.folder.join(UNFINISHED))?;
        let path = unfinished.path.clone();
        fill(&mut unfinished.file, &path)?;
        self.finish(unfinished, key, mode)
    }

    /// Moves the file at `source` into the store; `None` where a copy is needed.
    pub(super) fn adopt(
        &self,
        key: &ObjectKey,
        source: &Path,
    ) -> Result<Option<ObjectMeta>, ObjectError> {
        let Some(unfinished) = Unfinished::adopt(&self.folder.join(UNFINISHED), source)? else {
            return Ok(None);
        };
        self.finish(unfinished, key, PutMode::Overwrite).map(Some)
    }

    fn finish(
        &self,
        unfinished: Unfinished,
        key: &ObjectKey,
        mode: PutMode,
    ) -> Result<ObjectMeta, ObjectError> {
        let fail = |error: io::Error| ObjectError::io("finish", &unfinished.path, error);
        // Sealed: nothing of ours opens it for writing again.
        unfinished.file.set_permissions(Permissions::from_mode(0o444)).map_err(fail)?;
        unfinished.file.sync_all().map_err(fail)?;
        let meta = meta_of(&unfinished.file.metadata().map_err(fail)?);
        self.move_into_place(unfinished, key, mode)?;
        Ok(meta)
    }

    fn move_into_place(
        &self,
        unfinished: Unfinished,
        key: &ObjectKey,
        mode: PutMode,
    ) -> Result<(), ObjectError> {
        let path = self.path(key);
        let folder = path.parent().unwrap_or(&self.folder);
        let fail = |error: io::Error| ObjectError::io("write", &path, error);
        for attempt in 1.. {
            make_folders(&self.folder, folder).map_err(fail)?;
            match rename(&unfinished.path, &path, mode) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(ObjectError::Exists { key: key.clone() });
                }
                // The last object of the folder was just removed, and the folder with it.
                Err(error) if is_absent(&error) && attempt < ATTEMPTS_MAX => {}
                Err(error) => return Err(fail(error)),
            }
        }
        unfinished.keep();
        sync_folder(folder).map_err(fail)
    }

    /// Removes an object, and the folders above it that are empty then.
    pub(super) fn remove(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        let path = self.path(key);
        match std::fs::remove_file(&path) {
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(ObjectError::io("remove", &path, error)),
            Ok(()) => {}
        }
        for folder in path.ancestors().skip(1).take_while(|folder| **folder != *self.folder) {
            // A folder that is not empty stays, and those above it.
            if std::fs::remove_dir(folder).is_err() {
                let synced = sync_folder(folder);
                return synced.map_err(|error| ObjectError::io("sync", folder, error));
            }
        }
        sync_folder(&self.folder).map_err(|error| ObjectError::io("sync", &self.folder, error))
    }
}

/// Renames in one step: over what is there, or only if nothing is.
fn rename(from: &Path, to: &Path, mode: PutMode) -> io::Result<()> {
    match mode {
        PutMode::Overwrite => std::fs::rename(from, to),
        PutMode::IfAbsent => match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // File systems without that flag know links, which never replace either.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                std::fs::hard_link(from, to)?;
                std::fs::remove_file(from)
            }
            outcome => Ok(outcome?),
        },
    }
}

/// Makes the folders from `root` down to `folder`, and makes their names durable.
fn make_folders(root: &Path, folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let missing: Vec<&Path> =
        folder.ancestors().take_while(|folder| *folder != root && !folder.is_dir()).collect();
    std::fs::create_dir_all(folder)?;
    for folder in missing.into_iter().rev() {
        if let Some(above) = folder.parent() {
            sync_folder(above)?;
        }
    }
    Ok(())
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder) {
        Ok(folder) => folder.sync_all(),
        // Removed meanwhile: whoever did it syncs the folder above.
        Err(error) if is_absent(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes unfinished files that nobody works on any more.
pub(super) fn sweep(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let age = entry.metadata().and_then(|metadata| metadata.modified());
        let age = age.ok().and_then(|modified| modified.elapsed().ok());
        if age.is_some_and(|age| UNFINISHED_AGE < age) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A file under a name of its own, removed unless it is kept.
struct Unfinished {
    file: File,
    path: PathBuf,
    is_kept: bool,
}

impl Unfinished {
    fn create(folder: &Path) -> Result<Self, ObjectError> {
        let path = folder.join(uuid::Uuid::now_v7().to_string());
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create_new(true).mode(0o600);
        let file = options.open(&path).map_err(|error| ObjectError::io("make", &path, error))?;
        Ok(Self { file, path, is_kept: false })
    }

    /// Takes the file at `source`; `None` where it lies on another file system.
    fn adopt(folder: &Path, source: &Path) -> Result<Option<Self>, ObjectError> {
        let fail = |error: io::Error| ObjectError::io("take over", source, error);
        let file = File::open(source).map_err(fail)?;
        let path = folder.join(uuid::Uuid::now_v7().to_string());
        match std::fs::rename(source, &path) {
            Ok(()) => Ok(Some(Self { file, path, is_kept: false })),
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => Ok(None),
            Err(error) => Err(fail(error)),
        }
    }

    fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_kept {
            // What stays is swept up after a day.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
