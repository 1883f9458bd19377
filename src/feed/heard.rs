//! `DIR/feed-heard`: up to which time of its clock each source was heard to the end.
//!
//! It is written every few seconds and at the end. One that is older than it could be, or gone,
//! costs no more than a look at everything anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// More than sixteen sources with the longest names take.
const FILE_BYTES_MAX: u64 = 64 * 1024;

#[derive(Debug)]
pub(super) struct Heard {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_source: BTreeMap<String, u64>,
    is_written: bool,
}

impl Heard {
    /// What an earlier run heard of these sources.
    pub(super) fn open(data_dir: &Path, sources: &[String]) -> Self {
        let path = data_dir.join("feed-heard");
        let mut by_source = read(&path).unwrap_or_default();
        by_source.retain(|source, _| sources.contains(source));
        Self { path, state: Mutex::new(State { by_source, is_written: true }) }
    }

    pub(super) fn get(&self, source: &str) -> Option<u64> {
        self.state().by_source.get(source).copied()
    }

    pub(super) fn set(&self, source: &str, heard_ms: u64) {
        let mut state = self.state();
        state.is_written &= state.by_source.get(source) == Some(&heard_ms);
        state.by_source.insert(source.to_owned(), heard_ms);
    }

    /// Writes what is new; blocks.
    pub(super) fn save(&self) {
        let text = {
            let mut state = self.state();
            if std::mem::replace(&mut state.is_written, true) {
                return;
            }
            serde_json::to_vec(&state.by_source).expect("plain data with string keys")
        };
        let unfinished = self.path.with_extension("unfinished");
        let written = std::fs::write(&unfinished, text)
            .and_then(|()| std::fs::rename(&unfinished, &self.path));
        if let Err(error) = written {
            self.state().is_written = false;
            tracing::warn!(%error, "what the sources of the feed told was not noted");
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> Option<BTreeMap<String, u64>> {
    let metadata = std::fs::metadata(path).ok()?;
    let text = (metadata.len() <= FILE_BYTES_MAX).then(|| std::fs::read(path).ok())??;
    serde_json::from_slice(&text).ok()
}
