//! A folder of messages, for development and for machines without a mail server.
//!
//! A message appears whole or not at all, readable by the owner alone: it may hold what opens an
//! account. The oldest go first when there are too many, and all that are too old.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Clone, Debug)]
pub(super) struct Folder {
    path: PathBuf,
    messages_max: usize,
    days_max: u64,
}

impl Folder {
    pub(super) fn open(path: PathBuf, messages_max: usize, days_max: u64) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(Self { path, messages_max, days_max })
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8], now_ms: i64) -> io::Result<()> {
        let unfinished = self.path.join(format!("{name}.{:016x}", crate::resilience::random()));
        let write = || {
            let mut options = fs::OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&unfinished)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&unfinished, self.path.join(name))?;
            fs::File::open(&self.path)?.sync_all()
        };
        write().inspect_err(|_| drop(fs::remove_file(&unfinished)))?;
        self.tidy(UNIX_EPOCH + Duration::from_millis(u64::try_from(now_ms).unwrap_or(0)))
    }

    /// Removes what is too old, the leavings of writers that died, and the oldest beyond the number.
    fn tidy(&self, now: SystemTime) -> io::Result<()> {
        let oldest = now.checked_sub(Duration::from_secs(self.days_max * 86_400));
        let mut messages = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let facts = entry.metadata()?;
            if !facts.is_file() {
                continue;
            }
            let changed = facts.modified()?;
            if oldest.is_some_and(|oldest| changed < oldest) {
                let _ = fs::remove_file(entry.path());
            } else if entry.path().extension().is_some_and(|extension| extension == "eml") {
                messages.push((changed, entry.path()));
            }
        }
        messages.sort();
        let surplus = messages.len().saturating_sub(self.messages_max);
        for (_, path) in &messages[..surplus] {
            // Another writer may have done it.
            let _ = fs::remove_file(path);
        }
        Ok(())
    }
}
