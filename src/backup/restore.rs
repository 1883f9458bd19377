//! From an archive to a data directory.
//!
//! All happens in `.NAME.restoring` beside the directory, which is renamed when nothing can fail
//! any more: a crash leaves the directory as it was, or whole, and a folder that the next restore
//! removes.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use platform::db::inspect;
use rustix::fs::{FlockOperation, flock, syncfs};

use super::archive::{Reader, Unpacked};
use super::pack::{Told, scratch};
use super::stage::{PASSING, need_space};
use super::{Database, Manifest};
use crate::work::EventSink;

/// Files and folders that are taken: a hundred thousand titles have a tenth of it.
const ENTRIES_MAX: u64 = 20_000_000;
/// Purges after a backup are known to nobody: followers confirm what they keep when it is missing.
const FEED_LOG: &str = "feed.log";

/// A data directory that is not in its place yet; dropped, it is removed.
#[derive(Debug)]
pub struct Restoring {
    folder: PathBuf,
    /// Where it will be.
    goal: PathBuf,
    _lock: File,
}

impl Restoring {
    /// # Errors
    /// When there is something at `goal` already, or nothing can be made beside it.
    pub fn begin(goal: &Path) -> anyhow::Result<Self> {
        let goal = std::path::absolute(goal)?;
        let (Some(parent), Some(name)) = (goal.parent(), goal.file_name()) else {
            bail!("{} can't be a data directory; name another with --data", goal.display());
        };
        std::fs::create_dir_all(parent)
            .with_context(|| format!("cannot make {}", parent.display()))?;
        refuse_used(&goal, parent)?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(".restoring");
        let folder = parent.join(hidden);
        let fail = || format!("cannot make {}", folder.display());
        make(&folder).with_context(fail)?;
        let lock = lock(&folder)?;
        // What a restore left that was killed.
        let files = folder.join("data");
        match std::fs::remove_dir_all(&files) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(fail);
            }
            _ => {}
        }
        DirBuilder::new().mode(0o700).create(&files).with_context(fail)?;
        Ok(Self { folder, goal, _lock: lock })
    }

    /// The data directory as it will be.
    pub fn files(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Unpacks an archive and compares every file with its checksum.
    ///
    /// # Errors
    /// When it is none of ours, was damaged, or doesn't fit on the disk.
    pub fn unpack(&self, archive: impl Read, sink: EventSink) -> anyhow::Result<Manifest> {
        let mut archive = tar::Archive::new(archive);
        let reader = Reader::open(&mut archive)?;
        let manifest = Manifest::parse(reader.manifest())?;
        if ENTRIES_MAX < manifest.entries {
            bail!("the archive says that it holds {} files; that is too many", manifest.entries);
        }
        need_space(&self.folder, manifest.bytes, "what is in the archive")?;
        let mut told = Told::new(sink, "unpack", manifest.bytes);
        let max = Unpacked { entries: manifest.entries, bytes: manifest.bytes };
        let sums = scratch(&self.folder.join("checksums"))?;
        reader.unpack(&self.files(), sums, max, &mut |bytes| told.add(bytes))?;
        for name in PASSING {
            if std::fs::symlink_metadata(self.files().join(name)).is_ok() {
                bail!("the archive is refused: it holds `{name}`, which no `backup` writes");
            }
        }
        match std::fs::remove_file(self.files().join(FEED_LOG)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        Ok(manifest)
    }

    /// # Errors
    /// When one is missing, damaged, or of another version than the manifest says.
    pub fn check_databases(&self, databases: &[Database]) -> anyhow::Result<()> {
        for database in databases {
            let is_inside = !database.path.split('/').any(|part| matches!(part, "" | "." | ".."));
            let path = self.files().join(&database.path);
            if !is_inside || !path.is_file() {
                bail!("the archive is refused: it says that `{}` is a database", database.path);
            }
            let inspected = inspect(&path)?;
            if let Some(damage) = inspected.damages.first() {
                bail!("the database {} is damaged: {damage}; use another backup", database.path);
            }
            let listed = database.schemas.iter().map(|schema| (&schema.name, schema.version));
            if !listed.eq(inspected.schemas.iter().map(|(name, version)| (name, *version))) {
                bail!(
                    "the database {} has other tables than the archive says; use another backup",
                    database.path
                );
            }
        }
        Ok(())
    }

    /// Puts the directory into its place.
    ///
    /// # Errors
    /// When something came there meanwhile, or the disk fails.
    pub fn finish(self) -> anyhow::Result<PathBuf> {
        let fail = || format!("cannot put {} into its place", self.goal.display());
        let files = self.files();
        syncfs(File::open(&files)?).map_err(io::Error::from).with_context(fail)?;
        if let Ok(metadata) = std::fs::metadata(&self.goal) {
            std::fs::set_permissions(&files, metadata.permissions()).with_context(fail)?;
        }
        // Takes the place of an empty folder, and of nothing else (rename(2)).
        std::fs::rename(&files, &self.goal).with_context(fail)?;
        let parent = self.goal.parent().unwrap_or(Path::new("/"));
        File::open(parent)?.sync_all().with_context(fail)?;
        Ok(self.goal.clone())
    }
}

impl Drop for Restoring {
    fn drop(&mut self) {
        // What is left is removed by the next restore.
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

fn refuse_used(goal: &Path, parent: &Path) -> anyhow::Result<()> {
    let metadata = match std::fs::symlink_metadata(goal) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata.with_context(|| format!("cannot look at {}", goal.display()))?,
    };
    let shown = goal.display();
    if !metadata.is_dir() {
        bail!("{shown} is not a folder; name a new one with --data");
    }
    if std::fs::read_dir(goal)?.next().is_some() {
        bail!(
            "{shown} is not empty, and nothing in it is touched; restore into a new directory with \
             --data, or move this one away"
        );
    }
    if metadata.dev() != std::fs::metadata(parent)?.dev() {
        bail!(
            "{shown} is where a file system is mounted, and can't be replaced at once; restore into \
             a directory below it, such as {shown}/data"
        );
    }
    Ok(())
}

fn make(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // Never somebody's link to elsewhere.
            if std::fs::symlink_metadata(folder)?.is_dir() { Ok(()) } else { Err(error) }
        }
        made => made,
    }
}

fn lock(folder: &Path) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let path = folder.join("lock");
    let lock = options.open(&path).with_context(|| format!("cannot make {}", path.display()))?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        bail!("another restore into this directory is under way");
    }
    Ok(lock)
}
