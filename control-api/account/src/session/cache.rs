//! What is known of sessions without asking the database for each request.
//!
//! Bounded in entries and in age. What this process ends is forgotten at once; what another
//! process ends is noticed when its fact comes over the event log, or at the latest when the entry
//! is too old.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use moka::sync::Cache;

/// Entries: a few hundred bytes each.
const ENTRIES_MAX: u64 = 100_000;
/// After this long the database is asked again.
pub(crate) const AGE_MAX_MS: i64 = 5_000;

/// A live session.
#[derive(Debug)]
pub(crate) struct Fact {
    pub(crate) user_id: String,
    pub(crate) authenticated_at_ms: i64,
    pub(crate) profile_id: Option<String>,
    pub(crate) read_at_ms: i64,
}

/// By tenant and session.
pub(crate) struct SessionCache {
    live: Cache<(String, String), Arc<Fact>>,
    /// Counts what was forgotten, so that what was read before isn't kept after.
    forgotten: AtomicU64,
}

impl SessionCache {
    pub(crate) fn new() -> Self {
        Self { live: Cache::new(ENTRIES_MAX), forgotten: AtomicU64::new(0) }
    }

    pub(crate) fn get(&self, tenant: &str, session_id: &str, now_ms: i64) -> Option<Arc<Fact>> {
        let fact = self.live.get(&(tenant.to_owned(), session_id.to_owned()))?;
        (0..AGE_MAX_MS).contains(&(now_ms - fact.read_at_ms)).then_some(fact)
    }

    /// To be taken before the database is read, and given to [`SessionCache::put`].
    pub(crate) fn mark(&self) -> u64 {
        self.forgotten.load(Ordering::Acquire)
    }

    /// Keeps what was read, unless something was forgotten since `mark`: it may be this.
    pub(crate) fn put(&self, tenant: &str, session_id: &str, fact: Arc<Fact>, mark: u64) {
        let key = (tenant.to_owned(), session_id.to_owned());
        self.live.insert(key.clone(), fact);
        if self.forgotten.load(Ordering::Acquire) != mark {
            self.live.invalidate(&key);
        }
    }

    /// The session has ended, or something about it has changed.
    pub(crate) fn forget(&self, tenant: &str, session_id: &str) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        self.live.invalidate(&(tenant.to_owned(), session_id.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(read_at_ms: i64) -> Arc<Fact> {
        Arc::new(Fact {
            user_id: "u".to_owned(),
            authenticated_at_ms: 0,
            profile_id: None,
            read_at_ms,
        })
    }

    #[test]
    fn entries_age_and_are_forgotten() {
        let cache = SessionCache::new();
        cache.put("t", "s", fact(1_000), cache.mark());
        assert!(cache.get("t", "s", 1_000 + AGE_MAX_MS - 1).is_some());
        assert!(cache.get("t", "s", 1_000 + AGE_MAX_MS).is_none());
        assert!(cache.get("t", "s", 999).is_none(), "a clock that went back");
        assert!(cache.get("other", "s", 1_000).is_none());
        cache.forget("t", "s");
        assert!(cache.get("t", "s", 1_000).is_none());
    }

    #[test]
    fn what_was_read_before_an_end_is_not_kept_after() {
        let cache = SessionCache::new();
        let mark = cache.mark();
        cache.forget("t", "s");
        cache.put("t", "s", fact(0), mark);
        assert!(cache.get("t", "s", 0).is_none());
    }
}
