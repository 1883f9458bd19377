//! A transaction, as the closure that was given to [`super::Scope::tx`] sees it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::DbError;
use super::statement::Statement;
use super::tenant::TenantId;
use super::value::{Row, Value};
use super::{postgres, sqlite};

/// Whose statements run, and which are known.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    pub(super) tenant: Option<TenantId>,
    pub(super) known: Arc<Known>,
    /// Whether this transaction has published events. One for each call of [`super::Scope::tx`].
    pub(super) has_events: Arc<AtomicBool>,
}

/// The statements of the schemas that a database was opened with, by address.
#[derive(Debug, Default)]
pub(super) struct Known(pub(super) HashSet<usize>);

impl Bounds {
    /// The parameters as the engine gets them: the tenant first, unless the statement crosses
    /// tenants.
    pub(super) fn bind(
        &self,
        statement: &'static Statement,
        params: Vec<Value>,
    ) -> Result<Vec<Value>, DbError> {
        let name = statement.name();
        if cfg!(debug_assertions) && !self.known.0.contains(&address(statement)) {
            return Err(DbError::internal(format!(
                "`{}::{name}` is in no schema that the database was opened with; add its module's \
                 STATEMENTS to the Schema",
                statement.module()
            )));
        }
        let mut bound = Vec::with_capacity(params.len() + 1);
        match (&self.tenant, statement.is_system()) {
            (Some(tenant), false) => bound.push(Value::Text(tenant.as_str().to_owned())),
            (None, true) => {}
            (Some(_), true) => {
                let reason = format!("`{name}` crosses tenants; run it in Db::system()");
                return Err(DbError::internal(reason));
            }
            (None, false) => {
                let reason = format!("`{name}` is a tenant's; run it in Db::tenant()");
                return Err(DbError::internal(reason));
            }
        }
        bound.extend(params);
        if bound.len() != statement.parameters() {
            return Err(DbError::internal(format!(
                "`{name}` has {} parameters, {} were given (the scope binds the tenant as $1)",
                statement.parameters(),
                bound.len()
            )));
        }
        Ok(bound)
    }
}

pub(super) fn address(statement: &'static Statement) -> usize {
    std::ptr::from_ref(statement) as usize
}

/// What a statement is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Want {
    Rows,
    /// The number of rows that it changed.
    Count,
}

#[derive(Debug)]
pub(super) enum Answer {
    Rows(Vec<Row>),
    Count(u64),
}

impl Answer {
    pub(super) fn rows(self) -> Vec<Row> {
        match self {
            Self::Rows(rows) => rows,
            Self::Count(_) => Vec::new(),
        }
    }

    fn count(self) -> u64 {
        match self {
            Self::Rows(rows) => rows.len() as u64,
            Self::Count(count) => count,
        }
    }
}

pub(super) fn one(statement: &Statement, mut rows: Vec<Row>) -> Result<Option<Row>, DbError> {
    match rows.len() {
        0 | 1 => Ok(rows.pop()),
        rows => Err(DbError::NotOneRow { statement: statement.name(), rows }),
    }
}

pub(super) fn exactly_one(statement: &Statement, rows: Vec<Row>) -> Result<Row, DbError> {
    one(statement, rows)?.ok_or(DbError::NotOneRow { statement: statement.name(), rows: 0 })
}

/// A transaction that is under way. After a statement has failed it takes no other, and is rolled
/// back whatever the closure answers.
pub struct Tx {
    bounds: Bounds,
    session: Session,
    failed: Option<&'static str>,
}

pub(super) enum Session {
    Sqlite(sqlite::Session),
    Postgres(postgres::Session),
}

impl Tx {
    pub(super) fn new(bounds: Bounds, session: Session) -> Self {
        Self { bounds, session, failed: None }
    }

    pub(super) fn into_session(self) -> Session {
        self.session
    }

    /// The name of the statement that failed, after which nothing can be committed.
    pub(super) fn failed(&self) -> Option<&'static str> {
        self.failed
    }

    /// Whose transaction it is; none in [`super::Db::system`].
    pub fn tenant(&self) -> Option<&TenantId> {
        self.bounds.tenant.as_ref()
    }

    /// Tells those who wait in [`super::Db::committed_events`], once this transaction has committed.
    pub(crate) fn wake_relay(&self) {
        self.bounds.has_events.store(true, Ordering::Relaxed);
    }

    /// # Errors
    /// By cause, see [`DbError`]; the transaction is lost then.
    pub async fn query(
        &mut self,
        statement: &'static Statement,
        params: Vec<Value>,
    ) -> Result<Vec<Row>, DbError> {
        Ok(self.run(statement, params, Want::Rows).await?.rows())
    }

    /// # Errors
    /// As [`Self::query`], and when there are two rows or more.
    pub async fn query_opt(
        &mut self,
        statement: &'static Statement,
        params: Vec<Value>,
    ) -> Result<Option<Row>, DbError> {
        one(statement, self.query(statement, params).await?)
    }

    /// # Errors
    /// As [`Self::query`], and when there is not exactly one row.
    pub async fn query_one(
        &mut self,
        statement: &'static Statement,
        params: Vec<Value>,
    ) -> Result<Row, DbError> {
        exactly_one(statement, self.query(statement, params).await?)
    }

    /// Answers the number of rows that were changed.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn execute(
        &mut self,
        statement: &'static Statement,
        params: Vec<Value>,
    ) -> Result<u64, DbError> {
        Ok(self.run(statement, params, Want::Count).await?.count())
    }

    async fn run(
        &mut self,
        statement: &'static Statement,
        params: Vec<Value>,
        want: Want,
    ) -> Result<Answer, DbError> {
        if let Some(failed) = self.failed {
            let reason = format!("`{failed}` has failed; its transaction takes no more statements");
            return Err(DbError::internal(reason));
        }
        let params = match self.bounds.bind(statement, params) {
            Ok(params) => params,
            Err(error) => {
                self.failed = Some(statement.name());
                return Err(error);
            }
        };
        let answer = match &mut self.session {
            Session::Sqlite(session) => session.run(statement, &params, want),
            Session::Postgres(session) => session.run(statement, &params, want).await,
        };
        if answer.is_err() {
            self.failed = Some(statement.name());
        }
        answer
    }
}

impl std::fmt::Debug for Tx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tx").field("tenant", &self.bounds.tenant).finish_non_exhaustive()
    }
}

/// What the closure answered, judged by what became of its statements.
pub(super) fn outcome<T, E: From<DbError>>(tx: &Tx, answer: Result<T, E>) -> Result<T, E> {
    match (answer, tx.failed()) {
        (Ok(_), Some(failed)) => Err(E::from(DbError::internal(format!(
            "the transaction was to be committed although `{failed}` has failed; answer its error"
        )))),
        (answer, _) => answer,
    }
}
