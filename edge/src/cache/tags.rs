//! Hits by `Cache-Tag`: which title is watched from the cache.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Tags that are counted apart; further ones share one row.
const TAGS_MAX: usize = 10_000;
const OTHERS: &str = "(others)";

/// Counts of one tag. An answer with several tags counts under each.
#[derive(Debug, Default)]
pub struct TagCounters {
    pub hits: AtomicU64,
    pub misses: AtomicU64,
    /// Bytes that came from the origin.
    pub filled_bytes: AtomicU64,
}

/// One row of [`TagTable::rows`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TagRow {
    pub tag: String,
    pub hits: u64,
    pub misses: u64,
    pub filled_bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct TagTable {
    rows: Mutex<HashMap<Box<str>, Arc<TagCounters>>>,
}

impl TagTable {
    /// Counters of each tag. Objects hold them, so a hit looks nothing up.
    pub(super) fn counters(&self, tags: &[Box<str>]) -> Vec<Arc<TagCounters>> {
        if tags.is_empty() {
            return Vec::new();
        }
        let mut rows = self.rows.lock().expect("no holder panics");
        tags.iter()
            .map(|tag| {
                let is_new = !rows.contains_key(tag);
                let name =
                    if is_new && rows.len() >= TAGS_MAX { OTHERS.into() } else { tag.clone() };
                rows.entry(name).or_default().clone()
            })
            .collect()
    }

    /// Counters of each tag, with a fetch of so many bytes counted.
    pub(super) fn filled(&self, tags: &[Box<str>], bytes: u64) -> Vec<Arc<TagCounters>> {
        let counters = self.counters(tags);
        for row in &counters {
            row.misses.fetch_add(1, Ordering::Relaxed);
            row.filled_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        counters
    }

    /// All rows, the most used first.
    pub(super) fn rows(&self) -> Vec<TagRow> {
        let table = self.rows.lock().expect("no holder panics");
        let mut rows: Vec<_> = table
            .iter()
            .map(|(tag, counters)| TagRow {
                tag: tag.to_string(),
                hits: counters.hits.load(Ordering::Relaxed),
                misses: counters.misses.load(Ordering::Relaxed),
                filled_bytes: counters.filled_bytes.load(Ordering::Relaxed),
            })
            .collect();
        rows.sort_by(|a, b| (b.hits + b.misses, &a.tag).cmp(&(a.hits + a.misses, &b.tag)));
        rows
    }
}
