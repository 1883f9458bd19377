//! The database: one text of SQL on SQLite or on PostgreSQL.
//!
//! ```text
//! Db ── tenant(&id) ─┬─ Scope ── query ─────── a statement, read
//!    └─ system() ────┘        └─ tx(closure) ─ a transaction of several
//! ```
//!
//! Statements are declared with [`statements!`](crate::statements), tables by a [`Schema`]'s
//! migrations, which [`Db::open`] applies. `$1` of a tenant's statement is the tenant, bound by the
//! [`Scope`]; whatever crosses tenants is declared as `system` and runs in [`Db::system`] alone. On
//! PostgreSQL a policy on every table with a `tenant_id` is the second fence.
//!
//! A transaction is a closure over [`Tx`], which it may await and nothing else. It is run again
//! after a conflict, so it has no effect outside of the database. It ends with the closure's
//! answer: Ok commits, Err rolls back. [`Scope::tx`] answers once the commit is durable, and what
//! is read after that sees it.
//!
//! What counts (limits, slots, single use) is decided by one statement, never by a read and a write
//! after it: PostgreSQL runs transactions side by side.

mod error;
mod metrics;
mod migrate;
mod postgres;
mod queue;
mod schema;
mod settings;
mod sql;
mod sqlite;
mod statement;
mod tenant;
mod tx;
mod value;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use prometheus_client::registry::Registry;
use tokio::sync::watch;

pub use crate::{params, statements};
pub use error::DbError;
pub use migrate::{Migrated, migrate};
pub use schema::{Migration, Schema};
pub use settings::Settings;
pub use statement::Statement;
#[doc(hidden)]
pub use statement::numbered;
pub use tenant::{TenantId, TenantIdError};
pub use tx::Tx;
pub use value::{Decode, FromValue, Param, Row, Value};

use metrics::Metrics;
use settings::Target;
use tx::{Bounds, Known};

/// What a transaction's closure answers.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A database that is open. Clones share it; the last one closes it.
#[derive(Clone)]
pub struct Db(Arc<Shared>);

struct Shared {
    engine: Engine,
    known: Arc<Known>,
    deadline: Duration,
    metrics: Metrics,
    /// Counts transactions of this process that published events.
    committed_events: watch::Sender<u64>,
}

enum Engine {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
}

impl Db {
    /// Opens `sqlite:PATH` or `postgres://…` and brings its tables up to date.
    ///
    /// # Errors
    /// When it can't be reached, its tables are of a newer version, or its role could see past the
    /// policies.
    pub async fn open(url: &str, schemas: &[Schema]) -> Result<Self, DbError> {
        Self::open_with(&Settings::new(url), schemas).await
    }

    /// # Errors
    /// As [`Self::open`].
    pub async fn open_with(settings: &Settings, schemas: &[Schema]) -> Result<Self, DbError> {
        for migrated in migrate(settings, schemas, false).await? {
            tracing::info!(
                schema = migrated.schema,
                version = migrated.version,
                name = migrated.name,
                "the database's tables were changed"
            );
        }
        let metrics = Metrics::new();
        let engine = match settings.engine()? {
            Target::Sqlite(path) => {
                Engine::Sqlite(sqlite::Sqlite::start(&path, settings, &metrics)?)
            }
            Target::Postgres => Engine::Postgres(postgres::Postgres::start(settings, &metrics)?),
        };
        let known = schemas.iter().flat_map(Schema::statements).map(tx::address).collect();
        let known = Arc::new(Known(known));
        let committed_events = watch::Sender::new(0);
        let deadline = settings.deadline;
        Ok(Self(Arc::new(Shared { engine, known, deadline, metrics, committed_events })))
    }

    /// The rows of one tenant.
    pub fn tenant(&self, tenant: &TenantId) -> Scope {
        self.scope(Some(tenant.clone()))
    }

    /// The rows of every tenant, for `system` statements.
    pub fn system(&self) -> Scope {
        self.scope(None)
    }

    fn scope(&self, tenant: Option<TenantId>) -> Scope {
        let known = Arc::clone(&self.0.known);
        let bounds = Bounds { tenant, known, has_events: Arc::default() };
        Scope { db: self.clone(), bounds, deadline: self.0.deadline, is_serializable: false }
    }

    /// `sqlite` or `postgres`.
    pub fn engine(&self) -> &'static str {
        match &self.0.engine {
            Engine::Sqlite(_) => "sqlite",
            Engine::Postgres(_) => "postgres",
        }
    }

    /// Changes whenever a transaction of this process has committed events.
    pub(crate) fn committed_events(&self) -> watch::Receiver<u64> {
        self.0.committed_events.subscribe()
    }

    pub fn register_metrics(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
    }

    /// Finishes what was begun and closes the database, when this is the last clone of it.
    pub async fn close(self) {
        let Some(shared) = Arc::into_inner(self.0) else {
            return;
        };
        match shared.engine {
            // Only fails when the runtime ends, and the threads end then too.
            Engine::Sqlite(sqlite) => {
                drop(tokio::task::spawn_blocking(move || sqlite.close()).await);
            }
            Engine::Postgres(postgres) => postgres.close(),
        }
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("engine", &self.engine()).finish_non_exhaustive()
    }
}

/// A database with the right to see some of its rows.
#[derive(Clone, Debug)]
pub struct Scope {
    db: Db,
    bounds: Bounds,
    deadline: Duration,
    is_serializable: bool,
}

impl Scope {
    /// The tenant; none of [`Db::system`].
    pub fn tenant(&self) -> Option<&TenantId> {
        self.bounds.tenant.as_ref()
    }

    /// With another limit on the time of each call.
    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Transactions that PostgreSQL runs as if one after another, as SQLite always does; they run
    /// again when it can't.
    #[must_use]
    pub fn serializable(mut self) -> Self {
        self.is_serializable = true;
        self
    }

    /// Reads; a statement that changes something is refused.
    ///
    /// # Errors
    /// By cause, see [`DbError`].
    pub async fn query(
        &self,
        statement: &'static Statement,
        params: Vec<Value>,
    ) -> Result<Vec<Row>, DbError> {
        let params = self.bounds.bind(statement, params)?;
        let deadline = Instant::now() + self.deadline;
        match &self.db.0.engine {
            Engine::Sqlite(sqlite) => sqlite.read(statement, params, deadline).await,
            Engine::Postgres(postgres) => {
                postgres.read(&self.bounds, statement, &params, deadline).await
            }
        }
    }

    /// # Errors
    /// As [`Self::query`], and when there are two rows or more.
    pub async fn query_opt(
        &self,
        statement: &'static Statement,
        params: Vec<Value>,
    ) -> Result<Option<Row>, DbError> {
        tx::one(statement, self.query(statement, params).await?)
    }

    /// # Errors
    /// As [`Self::query`], and when there is not exactly one row.
    pub async fn query_one(
        &self,
        statement: &'static Statement,
        params: Vec<Value>,
    ) -> Result<Row, DbError> {
        tx::exactly_one(statement, self.query(statement, params).await?)
    }

    /// Runs `closure` in a transaction, more than once if it has to be.
    ///
    /// ```no_run
    /// # use platform::db::{Db, DbError, TenantId, params};
    /// # platform::statements! { ADD: "INSERT INTO thing (tenant_id, id) VALUES ($1, $2)"; }
    /// # async fn add(db: &Db, tenant: &TenantId, id: String) -> Result<u64, DbError> {
    /// db.tenant(tenant)
    ///     .tx(id, |tx, id| Box::pin(async move { tx.execute(&ADD, params![id]).await }))
    ///     .await
    /// # }
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    /// The closure's, or by cause, see [`DbError`].
    pub async fn tx<F, I, T, E>(&self, input: I, closure: F) -> Result<T, E>
    where
        F: for<'a> Fn(&'a mut Tx, &'a I) -> BoxFuture<'a, Result<T, E>> + Send + Sync + 'static,
        I: Send + Sync + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let deadline = Instant::now() + self.deadline;
        let has_events = Arc::<AtomicBool>::default();
        let bounds = Bounds { has_events: Arc::clone(&has_events), ..self.bounds.clone() };
        let outcome = match &self.db.0.engine {
            Engine::Sqlite(sqlite) => sqlite.tx(bounds, deadline, input, closure).await,
            Engine::Postgres(postgres) => {
                postgres.tx(bounds, self.is_serializable, deadline, input, closure).await
            }
        };
        if outcome.is_ok() && has_events.load(Ordering::Relaxed) {
            self.db.0.committed_events.send_modify(|count| *count += 1);
        }
        outcome
    }
}
