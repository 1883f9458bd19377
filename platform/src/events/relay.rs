//! The relay: carries events from the log to the consumers of this process.
//!
//! **Numbers.** SQLite has one writer, and the number of a row is the order of commits. On PostgreSQL
//! transactions commit in another order than they insert in, and whoever reads on from the last number
//! of an identity column misses the rows that were committed late. There the relay gives the numbers
//! itself, to rows that are committed, under the lock of one row: a row without a number is never
//! passed over, and one that was committed after another could see it comes after it.
//!
//! **Leases.** Each consumer is moved by one process at a time. A process that dies is followed by
//! another when its lease has run out; one that only slept finds its inbox rows refused.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::consumer::Consumer;
use super::dispatch::{Dispatch, StepError};
use super::metrics::EventMetrics;
use super::store::{
    ADD_CONSUMER, DROP_LEASE, HAS_NEW, LAST_NUMBER, LOCK_COUNTER, NUMBER_NEW, SET_COUNTER,
    TAKE_LEASE,
};
use crate::db::{Db, DbError, params};

/// Rows that get their numbers in one transaction.
const NUMBERED_AT_ONCE: i64 = 1_000;
/// After an error of the database.
const PAUSE: Duration = Duration::from_secs(1);

/// How the relay goes about it.
#[derive(Clone, Copy, Debug)]
pub struct RelayOptions {
    /// How often is looked for events of other processes and for what is due again. Events of this
    /// process are seen when they commit.
    pub poll: Duration,
    /// Events that are read at once.
    pub batch: i64,
    /// After this long another process takes over from one that is dead.
    pub lease: Duration,
    /// A dead letter after so many.
    pub attempts_max: u32,
    /// Before the second attempt; twice as long before each further one.
    pub backoff: Duration,
    pub backoff_max: Duration,
    /// Milliseconds since 1970.
    pub clock: fn() -> i64,
}

impl Default for RelayOptions {
    fn default() -> Self {
        Self {
            poll: Duration::from_millis(250),
            batch: 256,
            lease: Duration::from_secs(15),
            attempts_max: 5,
            backoff: Duration::from_secs(1),
            backoff_max: Duration::from_secs(300),
            clock: system_ms,
        }
    }
}

impl RelayOptions {
    /// How long to wait after so many attempts.
    pub(super) fn backoff_ms(&self, attempts: i64) -> i64 {
        let doubled = u32::try_from(attempts - 1).unwrap_or(0).min(20);
        let pause = self.backoff.saturating_mul(1 << doubled).min(self.backoff_max);
        i64::try_from(pause.as_millis()).unwrap_or(i64::MAX / 2)
    }
}

/// Carries events to consumers.
#[derive(Clone)]
pub struct Relay {
    db: Db,
    consumers: Arc<[Consumer]>,
    options: RelayOptions,
    metrics: EventMetrics,
    /// Of this process and this relay.
    owner: String,
}

impl Relay {
    pub fn new(db: Db, consumers: Vec<Consumer>, options: RelayOptions) -> Self {
        let (metrics, owner) = (EventMetrics::default(), Uuid::now_v7().to_string());
        Self { db, consumers: consumers.into(), options, metrics, owner }
    }

    pub fn metrics(&self) -> &EventMetrics {
        &self.metrics
    }

    /// Carries events until `stop` says true or is dropped, and gives the leases back then.
    pub async fn run(&self, stop: watch::Receiver<bool>) {
        let mut tasks = JoinSet::new();
        for consumer in self.consumers.iter() {
            let (relay, dispatch, stop) = (self.clone(), self.dispatch(consumer), stop.clone());
            tasks.spawn(async move { relay.carry(&dispatch, stop).await });
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Carries events until there is nothing to do now: what waits for a second attempt waits on.
    ///
    /// # Errors
    /// When the database fails, or another relay has a consumer's lease.
    pub async fn drain(&self) -> Result<(), DbError> {
        let busy = |error| match error {
            StepError::Db(error) => error,
            StepError::LeaseLost => DbError::Busy { reason: "another relay has the lease" },
        };
        loop {
            let mut count = 0;
            for consumer in self.consumers.iter() {
                let dispatch = self.dispatch(consumer);
                self.register(&dispatch).await?;
                if !self.take_lease(&dispatch).await? {
                    return Err(busy(StepError::LeaseLost));
                }
                count += self.step(&dispatch).await.map_err(busy)?;
            }
            if count == 0 {
                return Ok(());
            }
        }
    }

    fn dispatch(&self, consumer: &Consumer) -> Dispatch {
        Dispatch {
            db: self.db.clone(),
            consumer: consumer.clone(),
            lease: format!("consumer/{}", consumer.name),
            owner: self.owner.clone(),
            options: self.options,
            metrics: self.metrics.clone(),
        }
    }

    async fn carry(&self, dispatch: &Dispatch, mut stop: watch::Receiver<bool>) {
        let mut committed = self.db.committed_events();
        let mut is_registered = false;
        while !*stop.borrow() {
            // Before looking: what commits from here on wakes at once.
            committed.borrow_and_update();
            let pause = match self.turn(dispatch, &mut is_registered).await {
                Ok(0) => self.options.poll,
                Ok(_) => continue,
                // Its holder renews it in a third of its time.
                Err(StepError::LeaseLost) => self.options.lease / 3,
                Err(StepError::Db(error)) => {
                    let consumer = dispatch.consumer.name;
                    tracing::warn!(consumer, %error, "events are not carried; trying again");
                    error.retry_after().unwrap_or(PAUSE)
                }
            };
            let holds = pause == self.options.poll;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                changed = committed.changed(), if holds => {
                    if changed.is_err() {
                        return;
                    }
                }
                stopped = stop.changed() => {
                    if stopped.is_err() {
                        break;
                    }
                }
            }
        }
        self.drop_lease(dispatch).await;
    }

    async fn turn(
        &self,
        dispatch: &Dispatch,
        is_registered: &mut bool,
    ) -> Result<usize, StepError> {
        if !*is_registered {
            self.register(dispatch).await?;
            *is_registered = true;
        }
        if !self.take_lease(dispatch).await? {
            return Err(StepError::LeaseLost);
        }
        self.step(dispatch).await
    }

    async fn step(&self, dispatch: &Dispatch) -> Result<usize, StepError> {
        number_new(&self.db).await?;
        dispatch.step().await
    }

    async fn register(&self, dispatch: &Dispatch) -> Result<(), DbError> {
        self.db
            .system()
            .tx(dispatch.consumer.name, |tx, name| {
                Box::pin(async move { tx.execute(&ADD_CONSUMER, params![name]).await.map(drop) })
            })
            .await
    }

    async fn take_lease(&self, dispatch: &Dispatch) -> Result<bool, DbError> {
        let now_ms = (self.options.clock)();
        let lease_ms = i64::try_from(self.options.lease.as_millis()).unwrap_or(i64::MAX / 2);
        let input = (dispatch.lease.clone(), self.owner.clone(), now_ms + lease_ms, now_ms);
        let scope = self.db.system();
        let taken = scope.tx(input, |tx, (lease, owner, expires_ms, now_ms)| {
            Box::pin(async move {
                let params = params![lease, owner, expires_ms, now_ms];
                Ok(tx.query_opt(&TAKE_LEASE, params).await?.is_some())
            })
        });
        taken.await
    }

    async fn drop_lease(&self, dispatch: &Dispatch) {
        let input = (dispatch.lease.clone(), self.owner.clone());
        let scope = self.db.system();
        let dropped = scope.tx(input, |tx, (lease, owner)| {
            Box::pin(async move { tx.execute(&DROP_LEASE, params![lease, owner]).await })
        });
        let dropped: Result<u64, DbError> = dropped.await;
        // It runs out by itself.
        if let Err(error) = dropped {
            tracing::info!(%error, "a lease could not be given back");
        }
    }
}

/// Numbers what is committed and has no number.
pub(super) async fn number_new(db: &Db) -> Result<(), DbError> {
    if db.engine() == "sqlite" {
        return Ok(());
    }
    while db.system().query_opt(&HAS_NEW, params![]).await?.is_some() {
        let scope = db.system();
        let numbered = scope.tx((), |tx, ()| {
            Box::pin(async move {
                let counter = tx.query_one(&LOCK_COUNTER, params![]).await?.get::<i64>(0)?;
                let last = tx.query_one(&LAST_NUMBER, params![]).await?.get::<i64>(0)?;
                let last = last.max(counter);
                let count = tx.execute(&NUMBER_NEW, params![last, NUMBERED_AT_ONCE]).await?;
                let count = i64::try_from(count).unwrap_or(NUMBERED_AT_ONCE);
                tx.execute(&SET_COUNTER, params![last + count]).await
            })
        });
        let numbered: Result<u64, DbError> = numbered.await;
        numbered?;
    }
    Ok(())
}

fn system_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
