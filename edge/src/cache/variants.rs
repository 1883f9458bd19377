//! What each URL varies by, as its newest answer said (RFC 9111 4.1).

use std::sync::Arc;
use std::sync::Mutex;

use http::HeaderMap;
use quick_cache::sync::Cache;

use super::disk::VaryRow;
use super::key::{CacheKey, KeyHash};
use super::policy::{SelectingValues, VaryNames, selecting_values};

/// URLs whose variation is remembered. One that is forgotten is asked for anew.
const URLS_MAX: usize = 65_536;

#[derive(Debug)]
struct Spec {
    names: VaryNames,
    /// Oldest first.
    variants: Mutex<Vec<KeyHash>>,
}

pub(super) struct Variants {
    specs: Cache<KeyHash, Arc<Spec>>,
    variants_max: usize,
}

/// Which object answers a request.
pub(super) struct Selected {
    pub hash: KeyHash,
    /// The URL is known to vary.
    pub varies: bool,
}

impl Variants {
    pub(super) fn new(variants_max: usize) -> Self {
        Self { specs: Cache::new(URLS_MAX), variants_max: variants_max.max(1) }
    }

    /// All that is known, to be written down.
    pub(super) fn rows(&self) -> Vec<VaryRow> {
        let row = |(key, spec): (KeyHash, Arc<Spec>)| VaryRow {
            key,
            names: spec.names.clone(),
            variants: spec.variants.lock().expect("no holder panics").clone(),
        };
        self.specs.iter().map(row).collect()
    }

    /// Takes back what was written down, unless something newer is known.
    pub(super) fn restore(&self, rows: Vec<VaryRow>) {
        for mut row in rows {
            if row.names.0.is_empty() || self.specs.get(&row.key).is_some() {
                continue;
            }
            let surplus = row.variants.len().saturating_sub(self.variants_max);
            row.variants.drain(..surplus);
            let variants = Mutex::new(row.variants);
            self.specs.insert(row.key, Arc::new(Spec { names: row.names, variants }));
        }
    }

    /// The variants of a URL, of which there may be none.
    pub(super) fn hashes(&self, key: &CacheKey) -> Vec<KeyHash> {
        self.specs
            .get(&key.hash())
            .map_or_else(Vec::new, |spec| spec.variants.lock().expect("no holder panics").clone())
    }

    /// `None` when the request's values are too long to keep: it goes past the cache.
    pub(super) fn select(&self, key: &CacheKey, request: &HeaderMap) -> Option<Selected> {
        let hash = key.hash();
        match self.specs.get(&hash) {
            None => Some(Selected { hash, varies: false }),
            Some(spec) => {
                let values = selecting_values(&spec.names, request)?;
                Some(Selected { hash: key.variant_hash(&values), varies: true })
            }
        }
    }

    /// Notes what a new answer varies by. Returns variants that there is no more room for.
    pub(super) fn note(
        &self,
        key: &CacheKey,
        names: &VaryNames,
        selecting: &SelectingValues,
    ) -> Vec<KeyHash> {
        let hash = key.hash();
        let known = self.specs.get(&hash);
        if names.0.is_empty() {
            if known.is_some() {
                self.specs.remove(&hash);
            }
            return Vec::new();
        }
        let spec = match known {
            Some(spec) if spec.names == *names => spec,
            _ => {
                let spec = Arc::new(Spec { names: names.clone(), variants: Mutex::default() });
                self.specs.insert(hash, spec.clone());
                spec
            }
        };
        let variant = key.variant_hash(selecting);
        let mut variants = spec.variants.lock().expect("no holder panics");
        variants.retain(|known| *known != variant);
        variants.push(variant);
        let surplus = variants.len().saturating_sub(self.variants_max);
        variants.drain(..surplus).collect()
    }
}
