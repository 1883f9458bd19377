//! Puts together, in the data directory, what goes into an archive.
//!
//! Two kinds of files lie there. Objects are written once and renamed into place, so a hard link
//! keeps one for ever. The others change: they are copied while nobody takes a short turn
//! ([`Ownership::pause`](crate::ownership::Ownership::pause)), large ones only up to the length
//! that they have then, since those are logs that only grow. Each database is held at that moment
//! and copied after it.
//!
//! Titles come last and one by one: a title's document and the folders that it names are taken
//! again when the document has changed meanwhile, so each title is whole, and every title that a
//! database knew of is there unless it was removed. Ingests go on, and what they have not finished
//! is treated as after a crash, by its claim.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use platform::Staging;
use platform::db::{Snapshot, inspect, is_sqlite};
use rustix::fs::statvfs;

use super::manifest::SchemaVersion;
use super::{Database, LeftOut, Staged};
use crate::ownership::Pause;

/// Never in an archive: it belongs to a process, or to nobody.
pub const PASSING: [&str; 5] = ["lock", "admin.sock", "handover.sock", "tmp", "staging"];
/// What an edge keeps is fetched again.
const CACHE: &str = "cache";
const OBJECTS: &str = "objects";
/// In the folder of objects: those that are not finished.
const UNFINISHED: &str = ".unfinished";
/// In the folder of objects: what ingests under way have said that they write.
const CLAIMS: &str = "ingests";
/// Files up to this size are copied while writers wait.
const COPIED_AT_ONCE_BYTES: u64 = 1 << 20;
/// Files that are held open until they are copied.
const HELD_MAX: usize = 256;
/// How often a title is taken again that changes while it is taken.
const ROUNDS_MAX: usize = 50;
/// What is left free on the disk.
const SPARE_BYTES: u64 = 64 << 20;

struct Stage {
    data: PathBuf,
    /// None when they lie elsewhere.
    objects: Option<PathBuf>,
    staging: Staging,
    databases: Vec<(String, Snapshot)>,
    /// Grown large, to be copied when writers go on: where to, and how much.
    held: Vec<(File, Metadata, PathBuf)>,
    left_out: Vec<LeftOut>,
}

/// Stages the directory `data` and the folder of objects, if there is one. Whoever keeps the [`Staging`] keeps the files.
///
/// # Errors
/// When something can't be read, linked or written.
pub fn stage(
    data: &Path,
    objects: Option<&Path>,
    pause: Pause,
) -> anyhow::Result<(Staging, Staged)> {
    let begin = Instant::now();
    let staging = Staging::new(data).context("cannot make a staging folder")?;
    let mut stage = Stage {
        data: data.to_owned(),
        objects: objects.map(Path::to_owned),
        staging,
        databases: Vec::new(),
        held: Vec::new(),
        left_out: Vec::new(),
    };
    stage.copy_folder("")?;
    drop(pause);
    let paused_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    for (file, metadata, to) in std::mem::take(&mut stage.held) {
        copy(file, &metadata, &to).with_context(|| format!("cannot write {}", to.display()))?;
    }
    let databases = stage.write_databases()?;
    stage.link_objects()?;
    let folder = stage.staging.folder().to_owned();
    Ok((stage.staging, Staged { folder, databases, left_out: stage.left_out, paused_ms }))
}

impl Stage {
    fn leave_out(&mut self, what: &str, why: &str) {
        self.left_out.push(LeftOut { what: what.to_owned(), why: why.to_owned() });
    }

    /// Copies the folder of that name in the data directory and what lies below it.
    fn copy_folder(&mut self, name: &str) -> anyhow::Result<()> {
        let from = self.data.join(name);
        for entry in super::tree::names(&from)? {
            let Ok(entry) = entry.into_string() else {
                self.leave_out(name, "it holds a file whose name is no UTF-8");
                continue;
            };
            if name.is_empty() && PASSING.contains(&entry.as_str()) {
                continue;
            }
            let name = if name.is_empty() { entry } else { format!("{name}/{entry}") };
            match name.as_str() {
                // Linked later, or unused.
                OBJECTS => {}
                _ if Some(&self.data.join(&name)) == self.objects.as_ref() => {}
                CACHE => self.leave_out(CACHE, "an edge fetches it again"),
                _ => self.copy_entry(&name).with_context(|| format!("cannot copy {name}"))?,
            }
        }
        Ok(())
    }

    fn copy_entry(&mut self, name: &str) -> anyhow::Result<()> {
        let (from, to) = (self.data.join(name), self.staging.files().join(name));
        let metadata = match std::fs::symlink_metadata(&from) {
            Ok(metadata) => metadata,
            // Removed since the folder was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if name.chars().any(char::is_control) {
            self.leave_out(&name.escape_debug().to_string(), "its name has a control character");
        } else if metadata.is_dir() {
            DirBuilder::new().mode(metadata.mode() & 0o777 | 0o700).create(&to)?;
            return self.copy_folder(name);
        } else if metadata.is_symlink() {
            self.leave_out(name, "it is a symbolic link: what it points at lies elsewhere");
        } else if metadata.is_file() {
            return self.copy_file(name, &from, &to);
        }
        // Sockets and pipes belong to a process.
        Ok(())
    }

    fn copy_file(&mut self, name: &str, from: &Path, to: &Path) -> anyhow::Result<()> {
        if is_part_of_database(from)? {
            return Ok(());
        }
        if is_sqlite(from)? {
            self.databases.push((name.to_owned(), Snapshot::begin(from)?));
            return Ok(());
        }
        let file = match File::open(from) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        let metadata = file.metadata()?;
        if COPIED_AT_ONCE_BYTES < metadata.len() && self.held.len() < HELD_MAX {
            self.held.push((file, metadata, to.to_owned()));
            return Ok(());
        }
        Ok(copy(file, &metadata, to)?)
    }

    fn write_databases(&mut self) -> anyhow::Result<Vec<Database>> {
        let mut written = Vec::new();
        for (name, snapshot) in std::mem::take(&mut self.databases) {
            let (from, to) = (self.data.join(&name), self.staging.files().join(&name));
            let needed_bytes = std::fs::metadata(&from)?.len();
            need_space(&self.data, needed_bytes, "a copy of the database")?;
            snapshot.write_to(&to)?;
            drop(snapshot);
            std::fs::set_permissions(&to, Permissions::from_mode(0o600))?;
            let inspected = inspect(&to)?;
            if let Some(damage) = inspected.damages.first() {
                bail!(
                    "the database {} is damaged: {damage}. A backup of it would be no use; keep \
                     the last good one",
                    from.display()
                );
            }
            let schemas = inspected.schemas.into_iter();
            let schemas = schemas.map(|(name, version)| SchemaVersion { name, version }).collect();
            written.push(Database { path: name, schemas });
        }
        Ok(written)
    }

    fn link_objects(&mut self) -> anyhow::Result<()> {
        let to = self.staging.files().join(OBJECTS);
        let Some(from) = self.objects.clone() else {
            self.leave_out(
                "titles",
                "they lie on S3: keep versions there, or copy the bucket; `assets verify` compares \
                 them with their checksums",
            );
            return Ok(());
        };
        DirBuilder::new().mode(0o755).create(&to)?;
        // Claims before and after: an ingest that begins or ends meanwhile has left one by then,
        // and by it what it wrote is known to be unfinished.
        link_claims(&from.join(CLAIMS), &to.join(CLAIMS))?;
        for name in super::tree::names(&from)? {
            if name != UNFINISHED && name != CLAIMS {
                link_folder(&from.join(&name), &to.join(&name))?;
            }
        }
        link_claims(&from.join(CLAIMS), &to.join(CLAIMS))?;
        Ok(())
    }
}

/// Links a folder's files, then what lies below it, and begins again when a file has changed since:
/// a title's document then names other folders.
fn link_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    for round in 0..ROUNDS_MAX {
        if round != 0 {
            std::thread::sleep(Duration::from_millis(20));
            match std::fs::remove_dir_all(to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        if link_once(from, to)? {
            return Ok(());
        }
    }
    bail!("{} changes all the time; try again when less is ingested", from.display())
}

/// False when something has changed.
fn link_once(from: &Path, to: &Path) -> anyhow::Result<bool> {
    let listed = match super::tree::names(from) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error.into()),
    };
    DirBuilder::new().mode(0o755).create(to)?;
    let (mut folders, mut linked) = (Vec::new(), Vec::new());
    for name in listed {
        let (from, to) = (from.join(&name), to.join(&name));
        let Ok(metadata) = std::fs::symlink_metadata(&from) else { return Ok(false) };
        if metadata.is_dir() {
            folders.push((from, to));
        } else if metadata.is_file() {
            match std::fs::hard_link(&from, &to) {
                Ok(()) => linked.push((from, to)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(link_fault(&from, error)),
            }
        }
    }
    for (from, to) in folders {
        link_folder(&from, &to)?;
    }
    for (from, to) in linked {
        let Ok(now) = std::fs::symlink_metadata(&from) else { return Ok(false) };
        if now.ino() != std::fs::symlink_metadata(&to)?.ino() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Links claims beside those that are there. One that goes meanwhile is that of an ingest that has
/// ended.
fn link_claims(from: &Path, to: &Path) -> anyhow::Result<()> {
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let listed = match super::tree::names(from) {
        Err(error) if gone(&error) => return Ok(()),
        listed => listed?,
    };
    match DirBuilder::new().mode(0o755).create(to) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
        _ => {}
    }
    for name in listed {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            link_claims(&from, &to)?;
            continue;
        }
        match std::fs::hard_link(&from, &to) {
            Err(error) if gone(&error) || error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(link_fault(&from, error)),
            Ok(()) => {}
        }
    }
    Ok(())
}

fn link_fault(from: &Path, error: io::Error) -> anyhow::Error {
    let from = from.display();
    if error.kind() == io::ErrorKind::CrossesDevices {
        return anyhow::anyhow!(
            "{from} lies on another file system than the data directory, so it can't be linked; \
             put both on one"
        );
    }
    anyhow::Error::new(error).context(format!(
        "cannot link {from}; the file system has to know hard links, and the files have to belong \
         to the server's user"
    ))
}

/// Whether it is a journal or an index of a database beside it.
fn is_part_of_database(path: &Path) -> io::Result<bool> {
    let Some(text) = path.to_str() else { return Ok(false) };
    let mut endings = ["-wal", "-shm", "-journal"].iter();
    match endings.find_map(|ending| text.strip_suffix(ending)) {
        Some(database) if Path::new(database).is_file() => is_sqlite(Path::new(database)),
        _ => Ok(false),
    }
}

/// As much as the file had when it was opened, with its time and mode.
fn copy(file: File, metadata: &Metadata, to: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut copy = options.write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(&mut file.take(metadata.len()), &mut copy)?;
    copy.set_modified(metadata.modified()?)?;
    copy.set_permissions(Permissions::from_mode(metadata.mode() & 0o777))
}

/// # Errors
/// When the file system of `folder` has too little.
pub fn need_space(folder: &Path, needed_bytes: u64, what: &str) -> anyhow::Result<()> {
    let space = statvfs(folder).with_context(|| format!("cannot look at {}", folder.display()))?;
    let free_bytes = space.f_bavail.saturating_mul(space.f_frsize);
    if free_bytes < needed_bytes.saturating_add(SPARE_BYTES) {
        bail!(
            "{what} takes {} MB and {} has {} MB free; make room, or name another place",
            needed_bytes.div_ceil(1_000_000),
            folder.display(),
            free_bytes / 1_000_000
        );
    }
    Ok(())
}
