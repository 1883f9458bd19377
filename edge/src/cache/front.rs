//! The cache as its callers see it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{self, HeaderMap};
use http::{Request, Response, StatusCode};
use quick_cache::sync::Cache as Bounded;
use tokio::sync::{Notify, Semaphore, watch};

use super::answer::{Asking, Errand, Joined};
use super::body::CacheBody;
use super::disk::{DiskTier, PurgeLog};
use super::key::{CacheKey, KeyHash};
use super::memory::MemoryTier;
use super::metrics::CacheMetrics;
use super::policy::{CacheStatus, RequestControl};
use super::purge::{Purge, Purges};
use super::respond::problem;
use super::settings::Settings;
use super::slices::Whole;
use super::tags::{TagRow, TagTable};
use super::variants::Variants;
use super::writer::{Clock, Fills};
use crate::fetch::Fetch;

/// Objects whose first request is remembered, so that the second one puts them on disk.
const SEEN_MAX: usize = 65_536;
/// URLs known to hold what can't be stored.
const PRIVATE_MAX: usize = 16_384;
/// Objects whose origin failed a moment ago.
const FAILING_MAX: usize = 16_384;
/// Objects known to be large.
const LARGE_MAX: usize = 16_384;
/// Objects being written to disk at a time.
const DISK_WRITES_MAX: usize = 4;

/// Answers requests from what is stored, and stores what it may. Clones share everything.
pub struct Cache<F> {
    shared: Arc<Shared<F>>,
}

impl<F> Clone for Cache<F> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

pub(super) struct Shared<F> {
    pub(super) fetch: F,
    pub(super) settings: Settings,
    pub(super) memory: MemoryTier,
    pub(super) disk: Option<Arc<DiskTier>>,
    pub(super) purges: Purges,
    pub(super) purge_log: Option<Arc<PurgeLog>>,
    pub(super) tags: TagTable,
    pub(super) variants: Variants,
    pub(super) fills: Fills,
    pub(super) private: Bounded<KeyHash, SystemTime>,
    pub(super) failing: Bounded<KeyHash, SystemTime>,
    pub(super) seen: Bounded<KeyHash, ()>,
    /// Objects that are worth slicing, and those whose origin has no ranges.
    pub(super) large: Bounded<KeyHash, Arc<Whole>>,
    pub(super) no_ranges: Bounded<KeyHash, ()>,
    pub(super) disk_writes: Arc<Semaphore>,
    prefetches: Arc<Semaphore>,
    pub(super) sweep_wanted: Notify,
    scanned: watch::Sender<bool>,
    pub(super) metrics: CacheMetrics,
}

/// What a purge achieved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Purging {
    /// It outlasts a restart: it is on disk, or nothing else is.
    pub is_durable: bool,
}

impl<F: Fetch> Cache<F> {
    /// Opens the disk tier, if one is set. One that can't be opened is said so, and done without.
    /// Blocks while it reads the index's snapshot, then scans the folder in the background.
    pub fn open(fetch: F, settings: Settings, metrics: CacheMetrics) -> Self {
        let purges = Purges::default();
        let (mut disk, mut purge_log) = (None, None);
        if let Some(wanted) = settings.disk.clone() {
            let folder = wanted.folder.clone();
            match open_disk(&folder, wanted, &purges, &metrics) {
                Ok((tier, log)) => (disk, purge_log) = (Some(tier), Some(log)),
                Err(error) => {
                    metrics.disk_errors.inc();
                    let folder = folder.display();
                    tracing::warn!(%folder, %error, "no disk cache; going on from memory");
                }
            }
        }
        let scanned = watch::Sender::new(disk.is_none());
        if let Some(tier) = disk.clone() {
            let scanned = scanned.clone();
            tokio::task::spawn_blocking(move || {
                tier.scan();
                scanned.send_replace(true);
            });
        }
        let memory = MemoryTier::new(
            settings.live_bytes,
            settings.vod_bytes,
            settings.live_lifetime_max,
            settings.live_prefixes.clone(),
        );
        let variants = Variants::new(settings.variants_max);
        variants.restore(disk.as_ref().map_or_else(Vec::new, |disk| disk.load_vary()));
        let shared = Shared {
            fetch,
            memory,
            disk,
            purges,
            purge_log,
            tags: TagTable::default(),
            variants,
            fills: Fills::default(),
            private: Bounded::new(PRIVATE_MAX),
            failing: Bounded::new(FAILING_MAX),
            seen: Bounded::new(SEEN_MAX),
            large: Bounded::new(LARGE_MAX),
            no_ranges: Bounded::new(LARGE_MAX),
            disk_writes: Arc::new(Semaphore::new(DISK_WRITES_MAX)),
            prefetches: Arc::new(Semaphore::new(settings.prefetches_max)),
            sweep_wanted: Notify::new(),
            scanned,
            metrics,
            settings,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Answers one request. Its target is canonical, its host in the URI or in `Host`.
    pub async fn answer(&self, request: Request<()>, now: SystemTime) -> Response<CacheBody> {
        let (parts, ()) = request.into_parts();
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let host = match parts.uri.authority() {
            Some(authority) => authority.as_str(),
            None => parts
                .headers
                .get(header::HOST)
                .and_then(|host| host.to_str().ok())
                .unwrap_or_default(),
        };
        let Some(key) = CacheKey::new(host, target, &self.shared.settings.query_allowed) else {
            let mut response = problem(StatusCode::BAD_REQUEST, "bad_host_or_target");
            let status = CacheStatus { is_made_here: true, ..CacheStatus::default() };
            status.append_to(response.headers_mut(), &self.shared.settings.policy.name);
            return response;
        };
        let asking = Asking {
            key,
            target,
            method: &parts.method,
            headers: &parts.headers,
            control: RequestControl::of_request(&parts.headers),
            clock: Clock::start(now),
        };
        self.shared.answer(&asking).await
    }

    /// The key of a canonical host and target, as purges take it.
    pub fn key(&self, host: &str, target: &str) -> Option<CacheKey> {
        CacheKey::new(host, target, &self.shared.settings.query_allowed)
    }

    /// Purges at once in every tier, fills under way included, and writes it down.
    pub async fn purge(&self, purge: Purge, now: SystemTime) -> Purging {
        self.purge_all(vec![purge], now).await
    }

    /// As [`Self::purge`], for many at the price of one write to the disk.
    pub async fn purge_all(&self, purges: Vec<Purge>, now: SystemTime) -> Purging {
        self.shared.metrics.purges.inc_by(purges.len() as u64);
        let stamped = |purge: Purge| (self.shared.purges.apply(&purge, now), purge);
        let stamped: Vec<_> = purges.into_iter().map(stamped).collect();
        self.shared.free_purged(stamped.iter().map(|(_, purge)| purge)).await;
        let Some(log) = self.shared.purge_log.clone() else {
            return Purging { is_durable: self.shared.disk.is_none() };
        };
        let disk = self.shared.disk.clone();
        let write = move || {
            let writing = disk.as_ref().map(|disk| disk.may_write());
            if matches!(writing, Some(None)) {
                return Err(std::io::Error::other("another process writes to the folder"));
            }
            let last = stamped.len().saturating_sub(1);
            let mut lines = stamped.iter().enumerate();
            lines.try_for_each(|(at, (stamp, purge))| log.append(purge, *stamp, at == last))
        };
        let is_durable = matches!(tokio::task::spawn_blocking(write).await, Ok(Ok(())));
        if !is_durable {
            self.shared.metrics.disk_errors.inc();
            tracing::warn!("a purge could not be written down and won't outlast a restart");
        }
        Purging { is_durable }
    }

    /// Fetches an object that somebody will probably ask for, within a budget. False when it is
    /// there already, being fetched, not storable, or over the budget.
    pub fn prefetch(&self, host: &str, target: &str, headers: &HeaderMap, now: SystemTime) -> bool {
        let shared = &self.shared;
        let Some(key) = CacheKey::new(host, target, &shared.settings.query_allowed) else {
            return false;
        };
        let clock = Clock::start(now);
        let Some(selected) = shared.variants.select(&key, headers) else {
            return false;
        };
        let is_there = shared.memory.get(&selected.hash).is_some()
            || shared.disk.as_ref().is_some_and(|disk| disk.contains(&selected.hash));
        if is_there || shared.is_private(&selected.hash, now) {
            return false;
        }
        let Ok(permit) = shared.prefetches.clone().try_acquire_owned() else {
            shared.metrics.prefetches_refused.inc();
            return false;
        };
        let joined = shared.join(Errand {
            key: &key,
            hash: selected.hash,
            prior: None,
            headers,
            clock,
            permit: Some(permit),
            slice: None,
        });
        let is_started = matches!(joined, Joined::Fill { is_leader: true, .. });
        if is_started {
            shared.metrics.prefetches.inc();
        }
        is_started
    }

    /// Where objects come from.
    pub fn fetch(&self) -> &F {
        &self.shared.fetch
    }

    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    pub fn metrics(&self) -> &CacheMetrics {
        &self.shared.metrics
    }

    /// Waits until the disk's index is complete.
    pub async fn wait_for_scan(&self) {
        let mut scanned = self.shared.scanned.subscribe();
        // The sender lives as long as the cache.
        let _ = scanned.wait_for(|scanned| *scanned).await;
    }

    /// Hits by tag, the most used first.
    pub fn tag_rows(&self) -> Vec<TagRow> {
        self.shared.tags.rows()
    }

    /// Runs until dropped: keeps the snapshots of the disk tier and the gauges up to date, and gives
    /// back the room of what was purged.
    pub async fn maintain(&self) {
        tokio::select! {
            () = self.shared.sweep_forever() => {}
            () = self.snapshot_forever() => {}
        }
    }

    async fn snapshot_forever(&self) {
        let disk = self.shared.disk.as_ref();
        let interval =
            disk.map_or(Duration::from_secs(60), |disk| disk.settings().snapshot_interval);
        loop {
            tokio::time::sleep(interval).await;
            self.show();
            let cache = self.clone();
            // A panic of the thread would be the snapshot's loss alone.
            let _ = tokio::task::spawn_blocking(move || cache.save()).await;
        }
    }

    /// Writes down the index and what URLs vary by; blocks. For the end of the process, too.
    pub fn save(&self) {
        if let Some(disk) = &self.shared.disk {
            disk.save_snapshot();
            disk.save_vary(&self.shared.variants.rows());
        }
    }

    /// Leaves the disk to another process: writes the index down, and nothing from then on but
    /// memory. Blocks while something is being written.
    pub fn freeze(&self) {
        if let Some(disk) = &self.shared.disk {
            disk.save_vary(&self.shared.variants.rows());
            disk.freeze();
        }
    }

    /// The disk is this process's own again.
    pub fn thaw(&self) {
        if let Some(disk) = &self.shared.disk {
            disk.thaw();
        }
        if let Some(log) = &self.shared.purge_log {
            log.reopen();
        }
    }

    /// Brings the gauges of the memory tier up to date.
    pub fn show(&self) {
        let (live, vod) = self.shared.memory.bytes();
        self.shared.metrics.live_bytes.set(i64::try_from(live).unwrap_or(i64::MAX));
        self.shared.metrics.vod_bytes.set(i64::try_from(vod).unwrap_or(i64::MAX));
    }
}

fn open_disk(
    folder: &Path,
    settings: super::disk::DiskSettings,
    purges: &Purges,
    metrics: &CacheMetrics,
) -> std::io::Result<(Arc<DiskTier>, Arc<PurgeLog>)> {
    let tier = DiskTier::open(settings, metrics.clone())?;
    // Without its purges a disk would bring back what was purged: no log, no disk.
    let log = PurgeLog::open(folder.join("purges.log"), purges)?;
    Ok((Arc::new(tier), Arc::new(log)))
}
