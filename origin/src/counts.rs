//! How often each title was asked for, and how many bytes of it.
//!
//! An origin in the same process as its edge has no cache in front that would count by tag, so it
//! counts itself. Titles that don't exist are not counted: who guesses names fills no table.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::asset::AssetId;

/// Titles that are counted apart; further ones share one row.
const ASSETS_MAX: usize = 10_000;

#[derive(Debug, Default)]
struct Counters {
    answers: AtomicU64,
    bytes: AtomicU64,
}

impl Counters {
    fn add(&self, bytes: u64) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// One row of [`AssetCounts::rows`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AssetRow {
    /// `None` for all that came after the table was full.
    pub asset: Option<AssetId>,
    pub answers: u64,
    /// Of answers' bodies, as announced.
    pub bytes: u64,
}

#[derive(Debug, Default)]
pub(crate) struct AssetCounts {
    rows: RwLock<HashMap<AssetId, Arc<Counters>>>,
    others: Counters,
}

impl AssetCounts {
    pub(crate) fn add(&self, asset: &AssetId, bytes: u64) {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counters) = rows.get(asset) {
            return counters.add(bytes);
        }
        drop(rows);
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        if rows.len() < ASSETS_MAX || rows.contains_key(asset) {
            rows.entry(asset.clone()).or_default().add(bytes);
        } else {
            self.others.add(bytes);
        }
    }

    /// The most asked for first; what is counted together comes last.
    pub(crate) fn rows(&self) -> Vec<AssetRow> {
        let row = |asset: Option<&AssetId>, counters: &Counters| AssetRow {
            asset: asset.cloned(),
            answers: counters.answers.load(Ordering::Relaxed),
            bytes: counters.bytes.load(Ordering::Relaxed),
        };
        let table = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        let mut rows: Vec<_> = table.iter().map(|(asset, c)| row(Some(asset), c)).collect();
        rows.sort_by(|a, b| (b.answers, &a.asset).cmp(&(a.answers, &b.asset)));
        rows.extend(Some(row(None, &self.others)).filter(|row| row.answers > 0));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_counted_apart_up_to_a_bound() {
        let counts = AssetCounts::default();
        let id = |number: usize| AssetId::new(&format!("title-{number}")).expect("a good name");
        for number in 0..ASSETS_MAX + 5 {
            counts.add(&id(number), 10);
        }
        counts.add(&id(7), 5);
        let rows = counts.rows();
        assert_eq!(rows.len(), ASSETS_MAX + 1);
        assert_eq!(rows[0], AssetRow { asset: Some(id(7)), answers: 2, bytes: 15 });
        assert_eq!(rows[ASSETS_MAX], AssetRow { asset: None, answers: 5, bytes: 50 });
    }
}
