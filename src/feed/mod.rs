//! The feed of this process: takes facts, acts on them, keeps them, and tells its followers.
//!
//! [`Feed::publish`] is all that whoever learns a fact has to know. What a source told comes in by
//! [`Feed::take`], goes the same way, and so reaches the followers of this process too. A fact is
//! acted upon and on the disk before any follower sees it, and before its publisher is answered.
//! What is decided lies in [`platform::feed`]; here are the clock, the disk and the sockets.

mod apply;
mod file;
mod follow;
mod heard;
mod metrics;
mod snapshot;
mod source;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use edge::cache::{Cache, Purge};
use edge::upstream::Upstreams;
use platform::feed::log::FACTS_MAX;
use platform::feed::{Epoch, Event, EventError, Fact, FactId, FactLog};
use platform::url_token::{Revocations, RevokeError};
use prometheus_client::registry::Registry;
use tokio::sync::watch;

pub use apply::{ScopeError, canonical};
pub use follow::{SourceState, follow};

use self::file::LogFile;
use self::metrics::FeedMetrics;
use self::snapshot::Snapshot;
use crate::clock;
use crate::ownership::{Ownership, Turn};

/// Clones are one feed.
#[derive(Clone)]
pub struct Feed(Arc<Inner>);

struct Inner {
    log: Mutex<FactLog>,
    file: Arc<Mutex<LogFile>>,
    /// Nothing is written while another process takes over.
    ownership: Ownership,
    /// Facts are taken one lot after the other, so that positions follow the disk.
    taking: tokio::sync::Mutex<()>,
    revocations: Arc<Revocations>,
    cache: Option<Cache<Upstreams>>,
    /// Position of the newest fact.
    head: watch::Sender<u64>,
    is_closed: watch::Sender<bool>,
    /// What followers are sent that know nothing, while any of them is being sent it.
    snapshot: tokio::sync::Mutex<Weak<Snapshot>>,
    sources: Mutex<Vec<SourceState>>,
    metrics: FeedMetrics,
}

/// What became of facts.
#[derive(Debug, Default)]
pub struct Taken {
    /// Facts that were news here.
    pub news: usize,
    /// Why others were not taken.
    pub refused: Vec<RefusedFact>,
    /// Facts hold now, and the disk would not have them: a restart forgets them.
    pub is_forgetful: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("another server has taken over; ask again")]
    Replaced,

    #[error("the system gives no random bytes: {0}")]
    Random(anyhow::Error),
}

#[derive(Debug, thiserror::Error)]
pub enum RefusedFact {
    #[error(transparent)]
    Revocation(#[from] RevokeError),

    #[error(transparent)]
    Event(#[from] EventError),

    #[error(transparent)]
    Scope(#[from] ScopeError),
}

impl Feed {
    /// The feed of a data directory. `cache` is what purges act upon, where there is one.
    ///
    /// # Errors
    /// When its file can't be read or written.
    pub fn open(
        data_dir: &Path,
        revocations: Arc<Revocations>,
        cache: Option<Cache<Upstreams>>,
        ownership: Ownership,
    ) -> anyhow::Result<Self> {
        let now_ms = clock::now_ms();
        let (log, file) = file::open(&data_dir.join("feed.log"), new_epoch(now_ms)?, now_ms)?;
        Ok(Self(Arc::new(Inner {
            log: Mutex::new(log),
            file: Arc::new(Mutex::new(file)),
            ownership,
            taking: tokio::sync::Mutex::default(),
            revocations,
            cache,
            head: watch::Sender::new(0),
            is_closed: watch::Sender::new(false),
            snapshot: tokio::sync::Mutex::default(),
            sources: Mutex::default(),
            metrics: FeedMetrics::new(),
        })))
    }

    pub fn register_metrics(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
    }

    /// Acts on facts that are news to everybody, and tells every follower.
    ///
    /// # Errors
    /// When the system gives no random bytes, or another process has taken over.
    pub async fn publish(&self, facts: Vec<Fact>) -> Result<Taken, PublishError> {
        let turn = self.0.ownership.turn().await.ok_or(PublishError::Replaced)?;
        let at_ms = clock::now_ms();
        let event = |fact| Ok(Event { id: new_id(at_ms)?, at_ms, fact });
        let events = facts.into_iter().map(event).collect::<anyhow::Result<Vec<_>>>();
        let taken = self.take_in(&turn, events.map_err(PublishError::Random)?).await;
        self.0.metrics.published.inc_by(taken.news as u64);
        Ok(taken)
    }

    /// As [`Self::publish`], after a while, if the process lives that long.
    pub fn publish_later(&self, fact: Fact, delay: Duration) {
        let feed = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            if let Err(error) = feed.publish(vec![fact]).await {
                tracing::error!(%error, "a fact was not published");
            }
        });
    }

    /// Acts on facts that may be known, and tells every follower those that weren't. What comes
    /// when another process has taken over is that one's, which asks for it itself.
    pub async fn take(&self, events: Vec<Event>) -> Taken {
        match self.0.ownership.turn().await {
            Some(turn) => self.take_in(&turn, events).await,
            None => Taken { is_forgetful: true, ..Taken::default() },
        }
    }

    async fn take_in(&self, _turn: &Turn, events: Vec<Event>) -> Taken {
        let inner = &self.0;
        let _taking = inner.taking.lock().await;
        let mut taken = Taken::default();
        let mut sorted = Sorted::default();
        {
            let log = inner.log();
            for event in events {
                sorted.add(event, &log, inner.cache.as_ref(), &mut taken.refused);
            }
        }
        let revoked = self.revoke(sorted.revocations, &mut taken).await;
        if let Some(cache) = &inner.cache
            && !sorted.purges.is_empty()
        {
            let purging = cache.purge_all(sorted.purges, SystemTime::now()).await;
            taken.is_forgetful |= !purging.is_durable;
        }
        // What the cache may forget must not count as known after a restart.
        if !taken.is_forgetful {
            taken.is_forgetful = !self.write_down(&sorted.purged).await;
        }
        let now_ms = clock::now_ms();
        let mut log = inner.log();
        for event in revoked.into_iter().chain(sorted.purged) {
            taken.news += usize::from(log.append(event, now_ms).is_some());
        }
        inner.metrics.refused.inc_by(taken.refused.len() as u64);
        inner.head.send_replace(log.head());
        taken
    }

    /// The revocations that are news.
    async fn revoke(&self, events: Vec<Event>, taken: &mut Taken) -> Vec<Event> {
        if events.is_empty() {
            return events;
        }
        let list = self.0.revocations.clone();
        let merging = tokio::task::spawn_blocking(move || {
            let entry = |event: &Event| match &event.fact {
                Fact::SessionRevoked { session, until } => (session.clone(), *until),
                Fact::CachePurged { .. } => (String::new(), 0),
            };
            let entries: Vec<_> = events.iter().map(entry).collect();
            let entries: Vec<_> = entries.iter().map(|(name, until)| (&**name, *until)).collect();
            let merged = list.merge(&entries, clock::now_s());
            let mut events: Vec<_> = events.into_iter().map(Some).collect();
            let news = merged.news.iter().filter_map(|index| events.get_mut(*index)?.take());
            (news.collect(), merged.refused, merged.not_kept)
        });
        let Ok((news, refused, not_kept)) = merging.await else {
            // A panic of that thread is reported by itself; what it took is unknown.
            taken.is_forgetful = true;
            return Vec::new();
        };
        taken.refused.extend(refused.into_iter().map(|(_, error)| error.into()));
        if let Some(error) = not_kept {
            tracing::error!(%error, "revoked sessions hold until the next start only");
            taken.is_forgetful = true;
        }
        news
    }

    /// Whether the purges are on the disk.
    async fn write_down(&self, purges: &[Event]) -> bool {
        if purges.is_empty() {
            return true;
        }
        let (file, purges) = (self.0.file.clone(), purges.to_vec());
        let (now_ms, feed) = (clock::now_ms(), self.clone());
        let writing = tokio::task::spawn_blocking(move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.append(&purges, now_ms, || {
                let log = feed.0.log();
                (log.since_ms(), log.purges())
            })
        });
        match writing.await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(%error, "purges were not written down and won't outlast a restart");
                false
            }
            Err(_) => false,
        }
    }

    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.0.revocations
    }

    /// Followers that are connected.
    pub fn followers(&self) -> u64 {
        u64::try_from(self.0.metrics.followers.get()).unwrap_or(0)
    }

    /// What is known of the sources that this process follows.
    pub fn sources(&self) -> Vec<SourceState> {
        self.0.sources.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Facts that were taken in this run.
    pub fn head(&self) -> u64 {
        *self.0.head.borrow()
    }

    /// Brings what depends on the time up to date, for whoever reads the metrics now.
    pub fn show(&self) {
        self.0.metrics.show(&self.sources(), clock::now_ms());
    }

    /// Has the file written anew with the next fact: another process put its own in its place.
    pub fn doubt_file(&self) {
        self.0.file.lock().unwrap_or_else(PoisonError::into_inner).doubt();
    }

    /// Ends the followers' connections, which otherwise would never end.
    pub fn close(&self) {
        self.0.is_closed.send_replace(true);
    }
}

impl Inner {
    fn log(&self) -> MutexGuard<'_, FactLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Facts by what has to be done about them.
#[derive(Default)]
struct Sorted {
    revocations: Vec<Event>,
    purged: Vec<Event>,
    /// What the cache makes of `purged`.
    purges: Vec<Purge>,
}

impl Sorted {
    fn add(
        &mut self,
        event: Event,
        log: &FactLog,
        cache: Option<&Cache<Upstreams>>,
        refused: &mut Vec<RefusedFact>,
    ) {
        let is_repeated = |known: &Event| known.id == event.id;
        if log.knows(event.id) || self.purged.iter().any(is_repeated) {
            return;
        }
        if let Err(error) = event.fact.check() {
            return refused.push(error.into());
        }
        match &event.fact {
            Fact::SessionRevoked { .. } => self.revocations.push(event),
            Fact::CachePurged { scope, is_soft } => match apply::purge(scope, *is_soft, cache) {
                Ok(purge) => {
                    self.purges.extend(purge);
                    self.purged.push(event);
                }
                Err(error) => refused.push(error.into()),
            },
        }
    }
}

fn new_id(now_ms: u64) -> anyhow::Result<FactId> {
    let mut random = [0; 10];
    platform::secret_file::fill_random(&mut random)?;
    Ok(FactId::new(now_ms, random))
}

fn new_epoch(now_ms: u64) -> anyhow::Result<Epoch> {
    Ok(Epoch(new_id(now_ms)?))
}

/// Facts that are handled in one lot: few enough for a moment's work, enough for one write to the
/// disk to be worth it.
const LOT: usize = 2_048;
const _: () = assert!(LOT < FACTS_MAX);
