//! The disk tier: a file per object, an index in memory, nothing that a kill can tear.
//!
//! Calls block; the cache makes them on threads for it. Objects are written under a temporary name
//! and renamed, so what has a name was written whole by its process, and checksums find what the
//! disk made of it since. No call fails the request that it serves: a tier that can't write counts,
//! says so once a minute, and holds what it held.
//!
//! ```text
//! objects/ab/ab…   32 hexadecimal digits: the object's key and selecting values
//! tmp/             what is being written
//! index.snapshot   the index, written anew now and then
//! vary.snapshot    what each URL varies by
//! purges.log       purges that outlast a restart
//! ```

mod budget;
mod format;
mod index;
mod purge_log;
mod reading;
mod vary_file;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

pub use format::{FIXED_BYTES, FormatError, Lengths, Meta, encode_front, parse_rest};
pub use index::DiskIndex;
pub use purge_log::{PurgeLog, parse_purge_line};
pub use reading::Reading;
pub use vary_file::{VaryRow, decode_vary, encode_vary};

use budget::WriteBudget;

use super::key::KeyHash;
use super::metrics::CacheMetrics;
use super::object::Object;
use super::pieces::Pieces;

/// After a failed write, how long the next one waits for the disk to get better.
const PAUSE: Duration = Duration::from_secs(1);
const LOG_INTERVAL: Duration = Duration::from_secs(60);
/// What is freed when the disk is full for a reason that isn't ours: a part of what we hold.
const FREED_PART: u64 = 64;

#[derive(Clone, Debug)]
pub struct DiskSettings {
    pub folder: PathBuf,
    pub bytes_max: u64,
    /// Larger objects stay in memory. At most 4 GiB.
    pub object_bytes_max: u64,
    /// Bytes written a second; 0 is no bound.
    pub write_bytes_per_second: u64,
    pub snapshot_interval: Duration,
}

#[derive(Debug)]
pub struct DiskTier {
    settings: DiskSettings,
    index: Mutex<DiskIndex>,
    next_name: AtomicU64,
    budget: Mutex<WriteBudget>,
    trouble: Mutex<Trouble>,
    /// Another process writes to the folder; locked for reading while this one does.
    is_frozen: RwLock<bool>,
    metrics: CacheMetrics,
    /// Of the index at the last snapshot, to leave out writing the same again.
    changes: AtomicU64,
    changes_saved: AtomicU64,
    /// An error number that writes fail with.
    #[cfg(test)]
    fault: std::sync::atomic::AtomicI32,
}

#[derive(Debug, Default)]
struct Trouble {
    paused_until: Option<Instant>,
    logged: Option<Instant>,
}

impl DiskTier {
    /// Opens a folder and reads the snapshot, if a whole one is there. [`Self::scan`] finds the rest.
    pub fn open(settings: DiskSettings, metrics: CacheMetrics) -> io::Result<Self> {
        fs::create_dir_all(settings.folder.join("objects"))?;
        fs::create_dir_all(settings.folder.join("tmp"))?;
        let snapshot = fs::read(settings.folder.join("index.snapshot")).unwrap_or_default();
        let index = DiskIndex::decode(&snapshot).unwrap_or_default();
        let budget = WriteBudget::new(settings.write_bytes_per_second, Instant::now());
        let tier = Self {
            settings,
            budget: Mutex::new(budget),
            index: Mutex::new(index),
            next_name: AtomicU64::new(0),
            trouble: Mutex::default(),
            is_frozen: RwLock::default(),
            metrics,
            changes: AtomicU64::new(0),
            changes_saved: AtomicU64::new(0),
            #[cfg(test)]
            fault: std::sync::atomic::AtomicI32::new(0),
        };
        tier.remove_leftovers();
        tier.show();
        Ok(tier)
    }

    /// Writes the index down and nothing from then on, when what is being written is there. What
    /// is there is still read.
    pub fn freeze(&self) {
        let mut is_frozen = self.is_frozen.write().unwrap_or_else(PoisonError::into_inner);
        self.write_snapshot();
        *is_frozen = true;
    }

    /// Writes again: nobody else does.
    pub fn thaw(&self) {
        *self.is_frozen.write().unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// The right to write, while it is held.
    pub fn may_write(&self) -> Option<RwLockReadGuard<'_, bool>> {
        let is_frozen = self.is_frozen.read().unwrap_or_else(PoisonError::into_inner);
        (!*is_frozen).then_some(is_frozen)
    }

    pub fn settings(&self) -> &DiskSettings {
        &self.settings
    }

    pub fn contains(&self, hash: &KeyHash) -> bool {
        self.index.lock().expect("no holder panics").contains(hash)
    }

    pub fn hashes(&self) -> Vec<KeyHash> {
        self.index.lock().expect("no holder panics").hashes()
    }

    /// Adds what the snapshot doesn't know, by names and lengths alone. What the snapshot knows and
    /// the disk doesn't have is found when it is asked for.
    pub fn scan(&self) {
        for shard in 0..=255_u8 {
            let folder = self.settings.folder.join(format!("objects/{shard:02x}"));
            let Ok(entries) = fs::read_dir(folder) else {
                continue;
            };
            for entry in entries.flatten() {
                let Some(hash) = entry.file_name().to_str().and_then(KeyHash::from_hex) else {
                    continue;
                };
                if self.contains(&hash) {
                    continue;
                }
                if let Some(bytes) = entry.metadata().ok().and_then(|m| u32::try_from(m.len()).ok())
                {
                    self.index.lock().expect("no holder panics").insert(hash, bytes);
                    self.changes.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        self.evict_to(self.settings.bytes_max);
        self.show();
    }

    /// Reads an object whole and checks every byte of it. What doesn't hold is removed.
    pub fn read(&self, hash: &KeyHash) -> Option<(Meta, Pieces)> {
        let mut reading = self.open_object(hash)?;
        match reading.read_all() {
            Ok(body) => Some((reading.meta, body)),
            Err(error) => {
                self.read_failed(hash, &error);
                None
            }
        }
    }

    /// Reads an object's head, and checks it. What doesn't hold is removed.
    pub fn open_object(&self, hash: &KeyHash) -> Option<Reading> {
        if !self.index.lock().expect("no holder panics").touch(hash) {
            return None;
        }
        match self.open_file(hash) {
            Ok(reading) => Some(reading),
            Err(error) => {
                self.read_failed(hash, &error);
                None
            }
        }
    }

    /// What a file says of its object, without counting as a use.
    pub fn peek(&self, hash: &KeyHash) -> Option<Meta> {
        self.open_file(hash).ok().map(|reading| reading.meta)
    }

    fn open_file(&self, hash: &KeyHash) -> io::Result<Reading> {
        let file = File::open(self.path(hash))?;
        let reading = Reading::open(file, self.settings.object_bytes_max)?;
        if reading.meta.key.variant_hash(&reading.meta.selecting) != *hash {
            return Err(reading::rotten(FormatError::Meta));
        }
        Ok(reading)
    }

    /// Counts a failed read, and removes what failed.
    pub fn read_failed(&self, hash: &KeyHash, error: &io::Error) {
        let is_rotten = error.get_ref().is_some_and(|error| error.is::<FormatError>());
        if is_rotten {
            self.metrics.disk_rotten.inc();
        } else if error.kind() != io::ErrorKind::NotFound {
            self.metrics.disk_errors.inc();
        }
        if error.kind() != io::ErrorKind::NotFound {
            self.log("read", error);
        }
        self.remove(hash);
    }

    /// Writes an object, evicting others for it. False when it isn't on disk afterwards.
    pub fn write(&self, object: &Object) -> bool {
        let body_bytes = object.body.len_bytes();
        if body_bytes > self.settings.object_bytes_max || self.is_paused() {
            return false;
        }
        let Some(front) = encode_front(&Meta::of(&object.key, &object.head), &object.body) else {
            return false;
        };
        let file_bytes = front.len() as u64 + body_bytes;
        let Ok(row_bytes) = u32::try_from(file_bytes) else {
            return false;
        };
        if file_bytes > self.settings.bytes_max {
            return false;
        }
        let mut budget = self.budget.lock().expect("no holder panics");
        if !budget.spend(file_bytes, Instant::now()) {
            self.metrics.disk_writes_dropped.inc();
            return false;
        }
        drop(budget);
        self.evict_to(self.settings.bytes_max - file_bytes);
        let Some(writing) = self.may_write() else {
            return false;
        };
        match self.write_file(&object.hash, &front, &object.body) {
            Ok(()) => {
                self.index.lock().expect("no holder panics").insert(object.hash, row_bytes);
                self.metrics.disk_writes.inc();
                self.changes.fetch_add(1, Ordering::Relaxed);
                self.show();
                true
            }
            Err(error) => {
                // Making room takes the right anew.
                drop(writing);
                self.write_failed(&error);
                false
            }
        }
    }

    fn write_file(&self, hash: &KeyHash, front: &[u8], body: &Pieces) -> io::Result<()> {
        let number = self.next_name.fetch_add(1, Ordering::Relaxed);
        let name = format!("tmp/{}-{number}", std::process::id());
        let temporary = self.settings.folder.join(name);
        let result = self.write_temporary(&temporary, front, body).and_then(|()| {
            let path = self.path(hash);
            match fs::rename(&temporary, &path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    fs::create_dir_all(path.parent().expect("objects lie in folders"))?;
                    fs::rename(&temporary, &path)
                }
                result => result,
            }
        });
        if result.is_err() {
            // What can't be removed now goes at the next start.
            let _ = fs::remove_file(&temporary);
        }
        result
    }

    fn write_temporary(&self, path: &Path, front: &[u8], body: &Pieces) -> io::Result<()> {
        #[cfg(test)]
        match self.fault.load(Ordering::Relaxed) {
            0 => {}
            number => return Err(io::Error::from_raw_os_error(number)),
        }
        let mut file = File::create_new(path)?;
        file.write_all(front)?;
        body.iter().try_for_each(|part| file.write_all(part))
    }

    /// Takes an object out, if it is there.
    pub fn remove(&self, hash: &KeyHash) {
        if self.index.lock().expect("no holder panics").remove(hash) {
            self.changes.fetch_add(1, Ordering::Relaxed);
        }
        if self.may_write().is_some() {
            // A file that stays is found by the next scan, and then holds what it says or is rotten.
            let _ = fs::remove_file(self.path(hash));
        }
        self.show();
    }

    fn evict_to(&self, bytes_max: u64) {
        let Some(_writing) = self.may_write() else {
            return;
        };
        let evicted = self.index.lock().expect("no holder panics").evict_to(bytes_max);
        for hash in &evicted {
            let _ = fs::remove_file(self.path(hash));
        }
        if !evicted.is_empty() {
            self.metrics.disk_evictions.inc_by(evicted.len() as u64);
            self.changes.fetch_add(1, Ordering::Relaxed);
            self.show();
        }
    }

    /// Writes the index down, if it changed.
    pub fn save_snapshot(&self) {
        if let Some(_writing) = self.may_write() {
            self.write_snapshot();
        }
    }

    fn write_snapshot(&self) {
        let changes = self.changes.load(Ordering::Relaxed);
        if changes == self.changes_saved.load(Ordering::Relaxed) {
            return;
        }
        let bytes = self.index.lock().expect("no holder panics").encode();
        match purge_log::replace(&self.settings.folder.join("index.snapshot"), &bytes) {
            Ok(()) => self.changes_saved.store(changes, Ordering::Relaxed),
            Err(error) => {
                self.metrics.disk_errors.inc();
                self.log("snapshot", &error);
            }
        }
    }

    /// Writes down what URLs vary by.
    pub fn save_vary(&self, rows: &[VaryRow]) {
        let Some(_writing) = self.may_write() else { return };
        let path = self.settings.folder.join("vary.snapshot");
        if let Err(error) = purge_log::replace(&path, &encode_vary(rows)) {
            self.metrics.disk_errors.inc();
            self.log("snapshot", &error);
        }
    }

    /// What URLs varied by when it was last written down.
    pub fn load_vary(&self) -> Vec<VaryRow> {
        let bytes = fs::read(self.settings.folder.join("vary.snapshot")).unwrap_or_default();
        decode_vary(&bytes).unwrap_or_default()
    }

    fn write_failed(&self, error: &io::Error) {
        self.metrics.disk_errors.inc();
        let pause = Instant::now() + PAUSE;
        self.trouble.lock().expect("no holder panics").paused_until = Some(pause);
        self.log("write", error);
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            let bytes = self.index.lock().expect("no holder panics").bytes();
            self.evict_to(bytes - bytes / FREED_PART);
        }
    }

    fn is_paused(&self) -> bool {
        let until = self.trouble.lock().expect("no holder panics").paused_until;
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Once a minute at most: a full disk fails every write.
    fn log(&self, action: &str, error: &io::Error) {
        let mut trouble = self.trouble.lock().expect("no holder panics");
        if trouble.logged.is_none_or(|logged| logged.elapsed() >= LOG_INTERVAL) {
            trouble.logged = Some(Instant::now());
            let folder = self.settings.folder.display();
            tracing::warn!(%folder, action, %error, "disk cache fails; going on from memory");
        }
    }

    /// Removes what processes that are gone left half written.
    fn remove_leftovers(&self) {
        let Ok(entries) = fs::read_dir(self.settings.folder.join("tmp")) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let pid = name.to_str().and_then(|name| name.split('-').next());
            let is_alive = pid.is_some_and(|pid| {
                pid != std::process::id().to_string() && Path::new("/proc").join(pid).exists()
            });
            if !is_alive {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn path(&self, hash: &KeyHash) -> PathBuf {
        let name = hash.to_hex();
        self.settings.folder.join("objects").join(&name[..2]).join(&name)
    }

    fn show(&self) {
        let index = self.index.lock().expect("no holder panics");
        self.metrics.disk_bytes.set(i64::try_from(index.bytes()).unwrap_or(i64::MAX));
        self.metrics.disk_objects.set(i64::try_from(index.objects()).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests;
