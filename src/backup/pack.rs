//! From the staging folder to an archive.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use platform::Staging;
use rustix::fs::{FlockOperation, flock};

use super::archive::{Meta, Reader, Writer};
use super::manifest::Part;
use super::stage::need_space;
use super::{Manifest, Staged, tree};
use crate::clock;
use crate::work::{Event, EventSink};

const BUFFER_BYTES: usize = 1 << 20;
const TOLD_EVERY: Duration = Duration::from_millis(200);

/// Where an archive goes.
#[derive(Debug)]
pub enum Goal {
    Stdout,
    /// Absolute.
    File(PathBuf),
}

impl Goal {
    /// # Errors
    /// When nothing should be written there.
    pub fn new(file: &Path, data: &Path) -> anyhow::Result<Self> {
        if file == Path::new("-") {
            if io::stdout().is_terminal() {
                bail!("an archive is not for a terminal; give a file, or pipe it somewhere");
            }
            return Ok(Self::Stdout);
        }
        let file = std::path::absolute(file)?;
        let folder = folder_of(&file);
        let folder = folder
            .canonicalize()
            .with_context(|| format!("cannot write into {}", folder.display()))?;
        if data.canonicalize().is_ok_and(|data| folder.starts_with(data)) {
            bail!("a backup within the data directory is none, and the next one would hold it");
        }
        match std::fs::symlink_metadata(&file) {
            Ok(metadata) if !(metadata.is_file() && is_backup(&file)) => bail!(
                "{} is there and is no backup, so it is not replaced; name another file",
                file.display()
            ),
            _ => Ok(Self::File(file)),
        }
    }
}

fn is_backup(file: &Path) -> bool {
    let Ok(file) = File::open(file) else { return false };
    let mut archive = tar::Archive::new(file);
    Reader::open(&mut archive).is_ok_and(|reader| {
        serde_json::from_slice::<serde_json::Value>(reader.manifest())
            .is_ok_and(|manifest| manifest["kind"] == Manifest::KIND)
    })
}

fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new("/"))
}

/// Tells of progress now and then.
pub struct Told {
    sink: EventSink,
    phase: &'static str,
    done_bytes: u64,
    total_bytes: u64,
    last: Instant,
}

impl Told {
    pub fn new(sink: EventSink, phase: &'static str, total_bytes: u64) -> Self {
        let told = Self { sink, phase, done_bytes: 0, total_bytes, last: Instant::now() };
        told.tell();
        told
    }

    pub fn add(&mut self, bytes: u64) {
        self.done_bytes += bytes;
        if TOLD_EVERY < self.last.elapsed() || self.done_bytes == self.total_bytes {
            self.last = Instant::now();
            self.tell();
        }
    }

    fn tell(&self) {
        let phase = self.phase.to_owned();
        let (done_bytes, total_bytes) = (self.done_bytes, self.total_bytes);
        (self.sink)(Event::Progress { phase, done_bytes, total_bytes });
    }
}

/// Writes what was staged. A file appears when it is whole and on the disk.
///
/// # Errors
/// When something can't be read or written. Nothing is left then.
pub fn pack(
    staging: &Staging,
    staged: Staged,
    goal: &Goal,
    sink: EventSink,
) -> anyhow::Result<Manifest> {
    let manifest = measure(&staging.files(), staged)?;
    let told = Told::new(sink, "pack", manifest.bytes);
    match goal {
        Goal::Stdout => {
            let out = io::stdout().lock();
            write(staging, &manifest, BufWriter::with_capacity(BUFFER_BYTES, out), told)?;
        }
        Goal::File(path) => {
            need_space(folder_of(path), manifest.bytes, "the archive")?;
            write_file(staging, &manifest, path, told)?;
        }
    }
    Ok(manifest)
}

/// Counts what will be in the archive.
fn measure(files: &Path, staged: Staged) -> anyhow::Result<Manifest> {
    let (mut entries, mut bytes) = (0, 0);
    let mut parts: Vec<Part> = Vec::new();
    tree::walk(files, &mut |name, _, metadata| -> io::Result<()> {
        entries += 1;
        let top = name.split('/').next().unwrap_or(name);
        if parts.last().is_none_or(|part| part.name != top) {
            parts.push(Part { name: top.to_owned(), files: 0, bytes: 0 });
        }
        if let Some(part) = parts.last_mut().filter(|_| metadata.is_file()) {
            part.files += 1;
            part.bytes += metadata.len();
            bytes += metadata.len();
        }
        Ok(())
    })?;
    Ok(Manifest::new(staged, parts, entries, bytes))
}

fn write<W: Write>(
    staging: &Staging,
    manifest: &Manifest,
    out: W,
    mut told: Told,
) -> anyhow::Result<W> {
    let sums = scratch(&staging.folder().join("checksums"))?;
    let json = serde_json::to_vec_pretty(manifest)?;
    let mut writer = Writer::new(out, sums, &json, clock::now_ms())?;
    tree::walk(&staging.files(), &mut |name, path, metadata| -> anyhow::Result<()> {
        let seconds = u64::try_from(metadata.mtime()).unwrap_or(0);
        let ns = u64::try_from(metadata.mtime_nsec()).unwrap_or(0);
        let modified_ns = seconds.saturating_mul(1_000_000_000).saturating_add(ns);
        let meta = Meta { mode: metadata.mode(), modified_ns };
        if metadata.is_dir() {
            writer.folder(name, meta)?;
        } else {
            writer.file(name, meta, metadata.len(), path, &mut |bytes| told.add(bytes))?;
        }
        Ok(())
    })?;
    let mut out = writer.finish()?;
    out.flush().context("cannot write the archive")?;
    Ok(out)
}

fn write_file(
    staging: &Staging,
    manifest: &Manifest,
    path: &Path,
    told: Told,
) -> anyhow::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".unfinished");
    let unfinished = PathBuf::from(name);
    let fail = || format!("cannot write {}", unfinished.display());
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options
        .custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0))
        .open(&unfinished)
        .with_context(fail)?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        bail!("{} is being written by another backup", unfinished.display());
    }
    // One that was killed may have left it.
    file.set_len(0).and_then(|()| file.set_permissions(Permissions::from_mode(0o600)))?;
    let written = || -> anyhow::Result<()> {
        let out = BufWriter::with_capacity(BUFFER_BYTES, file);
        let out = write(staging, manifest, out, told)?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error).with_context(fail)?;
        file.sync_all().with_context(fail)?;
        std::fs::rename(&unfinished, path).with_context(fail)?;
        File::open(folder_of(path))?.sync_all().with_context(fail)
    };
    let outcome = written();
    if outcome.is_err() {
        drop(std::fs::remove_file(&unfinished));
    }
    outcome
}

/// An empty file for this process.
///
/// # Errors
/// When it can't be made.
pub fn scratch(path: &Path) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true).mode(0o600);
    options.open(path).with_context(|| format!("cannot write {}", path.display()))
}
