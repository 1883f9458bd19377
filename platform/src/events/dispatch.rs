//! One consumer's step through the log.
//!
//! Everything in front of the consumer's cursor is either in its inbox or put aside. A step tries what
//! was put aside and is due; then it reads what is new, and moves the cursor when all of that was
//! handled or put aside. A crash in between repeats part of it, and the inbox makes that harmless.
//!
//! An event that fails is put aside, and all later ones of its key behind it, so that a key's events
//! are handled in order however long one of them takes.

use std::collections::HashSet;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::consumer::{Consumer, HandlerError};
use super::event::Event;
use super::metrics::EventMetrics;
use super::relay::RelayOptions;
use super::store::{
    CURSOR, DONE, DUE, FAILED_AGAIN, FIND, IS_BLOCKED, IS_TAKEN, MOVE_CURSOR, PUT_ASIDE, READ_NEW,
    TAKE,
};
use crate::db::{Db, DbError, TenantId, Tx, params};

/// Events of a tenant in one transaction.
const RUN_EVENTS: usize = 64;
/// Tenants, or keys of a tenant, at once.
const RUNS_AT_ONCE: usize = 16;
const ERROR_BYTES_MAX: usize = 500;

/// Why a step ended early. Nothing is lost: the next step begins where this one began.
#[derive(Debug, thiserror::Error)]
pub(super) enum StepError {
    #[error("another process has taken over")]
    LeaseLost,

    #[error(transparent)]
    Db(#[from] DbError),
}

/// A consumer and the right to move it.
#[derive(Clone)]
pub(super) struct Dispatch {
    pub(super) db: Db,
    pub(super) consumer: Consumer,
    pub(super) lease: String,
    pub(super) owner: String,
    pub(super) options: RelayOptions,
    pub(super) metrics: EventMetrics,
}

/// Why a run of events was rolled back.
enum RunError {
    /// This one can't be handled.
    Event {
        index: usize,
        reason: String,
    },
    Step(StepError),
}

impl From<DbError> for RunError {
    fn from(error: DbError) -> Self {
        Self::Step(error.into())
    }
}

/// What a transaction needs to handle events.
struct Run {
    dispatch: Dispatch,
    events: Vec<Event>,
}

impl Dispatch {
    /// How many events were handled or put aside.
    pub(super) async fn step(&self) -> Result<usize, StepError> {
        let retried = self.retry_due().await?;
        Ok(retried + self.read_new().await?)
    }

    async fn read_new(&self) -> Result<usize, StepError> {
        let system = self.db.system();
        let cursor = system.query_one(&CURSOR, params![self.consumer.name]).await?.get::<i64>(0)?;
        let rows = system.query(&READ_NEW, params![cursor, self.options.batch]).await?;
        let Some(last) = rows.last() else { return Ok(0) };
        let (last, count) = (last.get::<i64>(1)?, rows.len());
        let mut tenants: Vec<(TenantId, Vec<Event>)> = Vec::new();
        for row in &rows {
            // A topic of a newer release is one that nobody here wants.
            if !self.consumer.wants(&row.get::<String>(3)?) {
                continue;
            }
            let event = Event::of_row(row)?;
            match tenants.iter_mut().find(|(tenant, _)| *tenant == event.tenant) {
                Some((_, events)) => events.push(event),
                None => tenants.push((event.tenant.clone(), vec![event])),
            }
        }
        stream::iter(tenants.into_iter().map(Ok))
            .try_for_each_concurrent(RUNS_AT_ONCE, |(tenant, events)| async move {
                self.handle_tenant(&tenant, events).await
            })
            .await?;
        self.move_cursor(cursor, last).await?;
        Ok(count)
    }

    async fn move_cursor(&self, from: i64, to: i64) -> Result<(), StepError> {
        let input = (self.consumer.name, from, to, self.lease.clone(), self.owner.clone());
        let scope = self.db.system();
        let moved = scope.tx(input, |tx, (name, from, to, lease, owner)| {
            Box::pin(async move {
                tx.execute(&MOVE_CURSOR, params![name, from, to, lease, owner]).await
            })
        });
        let moved: Result<u64, DbError> = moved.await;
        // It was set back for a replay, or the lease has gone.
        if moved? == 0 { Err(StepError::LeaseLost) } else { Ok(()) }
    }

    /// Events of one tenant, in order: many in a transaction, and key by key if one of them fails.
    async fn handle_tenant(&self, tenant: &TenantId, events: Vec<Event>) -> Result<(), StepError> {
        for events in events.chunks(RUN_EVENTS) {
            match self.run(tenant, events.to_vec()).await {
                Ok(()) => {}
                Err(RunError::Step(error)) => return Err(error),
                Err(RunError::Event { .. }) => {
                    let keys = by_key(events);
                    stream::iter(keys.into_iter().map(Ok))
                        .try_for_each_concurrent(RUNS_AT_ONCE, |events| async move {
                            self.handle_key(tenant, events).await
                        })
                        .await?;
                }
            }
        }
        Ok(())
    }

    /// Events of one key, in order, up to the one that fails; that one and the rest are put aside.
    async fn handle_key(&self, tenant: &TenantId, events: Vec<Event>) -> Result<(), StepError> {
        let mut rest = &events[..];
        loop {
            match self.run(tenant, rest.to_vec()).await {
                Ok(()) => return Ok(()),
                Err(RunError::Step(error)) => return Err(error),
                Err(RunError::Event { index: 0, reason }) => {
                    return self.put_aside(tenant, rest, reason).await;
                }
                // What stands before it is kept; then it is the first.
                Err(RunError::Event { index, .. }) => {
                    let (before, from) = rest.split_at(index);
                    match self.run(tenant, before.to_vec()).await {
                        Ok(()) => rest = from,
                        Err(RunError::Step(error)) => return Err(error),
                        Err(RunError::Event { index: 0, reason }) => {
                            return self.put_aside(tenant, rest, reason).await;
                        }
                        // Fails now and did not before: begin again with what is left of it.
                        Err(RunError::Event { .. }) => {}
                    }
                }
            }
        }
    }

    async fn run(&self, tenant: &TenantId, events: Vec<Event>) -> Result<(), RunError> {
        let count = events.len() as u64;
        let run = Run { dispatch: self.clone(), events };
        let scope = self.db.tenant(tenant);
        scope.tx(run, |tx, run| Box::pin(run.handle(tx))).await?;
        self.metrics.handled.inc_by(count);
        Ok(())
    }

    async fn put_aside(
        &self,
        tenant: &TenantId,
        events: &[Event],
        reason: String,
    ) -> Result<(), StepError> {
        self.metrics.failed.inc();
        let due_ms = (self.options.clock)() + self.options.backoff_ms(1);
        let input = (self.consumer.name, events.to_vec(), due_ms, shortened(reason));
        let scope = self.db.tenant(tenant);
        let put = scope.tx(input, |tx, (name, events, due_ms, reason)| {
            Box::pin(async move {
                for (index, event) in events.iter().enumerate() {
                    let failed = Aside { state: "retry", attempts: 1, due_ms: *due_ms };
                    let aside = if index == 0 { failed } else { Aside::PARKED };
                    let reason = (index == 0).then_some(reason.as_str());
                    aside.put(tx, name, event, reason).await?;
                }
                Ok(())
            })
        });
        let put: Result<(), DbError> = put.await;
        Ok(put?)
    }

    /// Tries what is due, the first event of each key. How many there were.
    async fn retry_due(&self) -> Result<usize, StepError> {
        let now_ms = (self.options.clock)();
        let due = params![self.consumer.name, now_ms, self.options.batch];
        let rows = self.db.system().query(&DUE, due).await?;
        let rows = rows.iter().map(|row| row.decode::<(String, String, i64)>());
        let due = rows.collect::<Result<Vec<_>, _>>()?;
        let count = due.len();
        stream::iter(due)
            .map(|(tenant, event, attempts)| self.retry(tenant, event, attempts))
            .buffer_unordered(RUNS_AT_ONCE)
            .try_collect::<Vec<()>>()
            .await?;
        Ok(count)
    }

    async fn retry(&self, tenant: String, event: String, attempts: i64) -> Result<(), StepError> {
        let tenant = TenantId::new(&tenant)
            .map_err(|error| DbError::Decode { reason: format!("event {event}: {error}") })?;
        let scope = self.db.tenant(&tenant);
        let found = scope.query_opt(&FIND, params![&event]).await?;
        let events = found.iter().map(Event::of_row).collect::<Result<Vec<_>, _>>()?;
        let run = (Run { dispatch: self.clone(), events }, event.clone());
        let outcome = scope.tx(run, |tx, (run, event)| {
            Box::pin(async move {
                for event in &run.events {
                    run.handle_one(tx, 0, event).await?;
                }
                tx.execute(&DONE, params![run.dispatch.consumer.name, event]).await?;
                Ok(())
            })
        });
        match outcome.await {
            Ok(()) => {
                self.metrics.handled.inc();
                Ok(())
            }
            Err(RunError::Step(error)) => Err(error),
            Err(RunError::Event { reason, .. }) => {
                self.fail_again(&tenant, event, attempts + 1, reason).await
            }
        }
    }

    async fn fail_again(
        &self,
        tenant: &TenantId,
        event: String,
        attempts: i64,
        reason: String,
    ) -> Result<(), StepError> {
        self.metrics.failed.inc();
        let is_dead = i64::from(self.options.attempts_max) <= attempts;
        if is_dead {
            self.metrics.dead.inc();
            let consumer = self.consumer.name;
            tracing::error!(consumer, event, attempts, reason, "an event is a dead letter");
        }
        let state = if is_dead { "dead" } else { "retry" };
        let due_ms = (self.options.clock)() + self.options.backoff_ms(attempts);
        let params = (self.consumer.name, event, attempts, state, due_ms, shortened(reason));
        let scope = self.db.tenant(tenant);
        let failed = scope.tx(params, |tx, params| {
            Box::pin(async move {
                let (name, event, attempts, state, due_ms, reason) = params;
                let params = params![name, event, attempts, state, due_ms, reason];
                tx.execute(&FAILED_AGAIN, params).await
            })
        });
        let failed: Result<u64, DbError> = failed.await;
        failed?;
        Ok(())
    }
}

impl Run {
    async fn handle(&self, tx: &mut Tx) -> Result<(), RunError> {
        let name = self.dispatch.consumer.name;
        let (mut seen, mut blocked) = (HashSet::new(), HashSet::new());
        for (index, event) in self.events.iter().enumerate() {
            if seen.insert(&event.key) {
                let found = tx.query_opt(&IS_BLOCKED, params![name, &event.key]).await?;
                if found.is_some() {
                    blocked.insert(&event.key);
                }
            }
            if blocked.contains(&event.key) {
                // Not what was handled before a crash moved the cursor back.
                let taken = tx.query_opt(&IS_TAKEN, params![name, event.id]).await?;
                if taken.is_none() {
                    Aside::PARKED.put(tx, name, event, None).await?;
                }
            } else {
                self.handle_one(tx, index, event).await?;
            }
        }
        Ok(())
    }

    async fn handle_one(&self, tx: &mut Tx, index: usize, event: &Event) -> Result<(), RunError> {
        let Dispatch { consumer, lease, owner, .. } = &self.dispatch;
        let take = params![consumer.name, event.id, event.sequence, lease, owner];
        if tx.execute(&TAKE, take).await? == 0 {
            let taken = tx.query_opt(&IS_TAKEN, params![consumer.name, event.id]).await?;
            return match taken {
                Some(_) => Ok(()),
                None => Err(RunError::Step(StepError::LeaseLost)),
            };
        }
        if event.data.is_none() {
            return Ok(());
        }
        (consumer.handler)(tx, event).await.map_err(|error| match error {
            HandlerError::Db(error) if HandlerError::is_passing(&error) => error.into(),
            error => RunError::Event { index, reason: error.to_string() },
        })
    }
}

/// How an event is put aside.
struct Aside {
    state: &'static str,
    attempts: i64,
    due_ms: i64,
}

impl Aside {
    /// Behind another event of its key; due as soon as that has gone.
    const PARKED: Self = Self { state: "parked", attempts: 0, due_ms: 0 };

    async fn put(
        self,
        tx: &mut Tx,
        consumer: &str,
        event: &Event,
        reason: Option<&str>,
    ) -> Result<(), DbError> {
        let Self { state, attempts, due_ms } = self;
        let Event { id, sequence, key, .. } = event;
        let params = params![consumer, id, sequence, key, state, attempts, due_ms, reason];
        tx.execute(&PUT_ASIDE, params).await?;
        Ok(())
    }
}

/// In the order of the keys' first events; each key's own in their order.
fn by_key(events: &[Event]) -> Vec<Vec<Event>> {
    let mut keys: Vec<Vec<Event>> = Vec::new();
    for event in events {
        match keys.iter_mut().find(|events| events[0].key == event.key) {
            Some(events) => events.push(event.clone()),
            None => keys.push(vec![event.clone()]),
        }
    }
    keys
}

fn shortened(mut reason: String) -> String {
    let end =
        (0..=ERROR_BYTES_MAX.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end));
    reason.truncate(end.unwrap_or(0));
    // PostgreSQL's text has no NUL.
    reason.replace('\0', " ")
}
