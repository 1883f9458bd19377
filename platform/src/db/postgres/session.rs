//! A transaction on a connection of the pool.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use deadpool_postgres::Object;
use futures_util::FutureExt;

use super::errors::{error, is_conflict, is_lost, lost_commit};
use super::{Postgres, run, tenant_setting, timeout_setting};
use crate::db::BoxFuture;
use crate::db::error::{ALWAYS_CHANGED, DbError, TOO_LATE};
use crate::db::statement::Statement;
use crate::db::tx::{self, Answer, Bounds, Tx, Want};
use crate::db::value::Value;

/// Pauses between attempts, doubled each time, of which a random half is waited.
const PAUSE_FIRST: Duration = Duration::from_millis(4);
const PAUSE_MAX: Duration = Duration::from_millis(250);
/// How long the answer to a COMMIT is waited for behind the deadline.
const COMMIT_GRACE: Duration = Duration::from_secs(5);

pub(in crate::db) struct Session {
    client: Option<Object>,
    uses_cache: bool,
    begin: &'static str,
    settings: [Value; 2],
    state: State,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// BEGIN goes along with the first statement.
    New,
    Begun,
    /// The connection is as it was before.
    Ended,
}

/// What a failed statement means for the transaction as a whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    Open,
    Conflict,
    Lost,
}

impl Session {
    fn new(
        postgres: &Postgres,
        client: Object,
        bounds: &Bounds,
        begin: &'static str,
        deadline: Instant,
    ) -> Self {
        Self {
            client: Some(client),
            uses_cache: postgres.uses_cache,
            begin,
            settings: [tenant_setting(bounds), timeout_setting(deadline)],
            state: State::New,
            fate: Fate::Open,
        }
    }

    pub(in crate::db) async fn run(
        &mut self,
        statement: &'static Statement,
        params: &[Value],
        want: Want,
    ) -> Result<Answer, DbError> {
        let client = self.client.as_ref().expect("a session has its connection until it ends");
        let answer = if self.state == State::New {
            // Begun from here on, should this future be dropped.
            self.state = State::Begun;
            let settings = self.settings.clone();
            run::begin(client, self.uses_cache, self.begin, settings, statement, (params, want))
                .await
        } else {
            run::run(client, self.uses_cache, statement.postgres(), params, want).await
        };
        answer.map_err(|cause| {
            if is_conflict(&cause) {
                self.fate = Fate::Conflict;
            } else if is_lost(&cause) {
                self.fate = Fate::Lost;
            }
            error(&cause, statement.name())
        })
    }

    async fn end(&mut self, sql: &str) -> Result<(), tokio_postgres::Error> {
        if self.state == State::Begun
            && let Some(client) = &self.client
        {
            client.batch_execute(sql).await?;
        }
        self.state = State::Ended;
        Ok(())
    }
}

impl Drop for Session {
    /// A connection in the middle of a transaction is closed instead of going back to the pool.
    fn drop(&mut self) {
        if self.state == State::Begun
            && let Some(client) = self.client.take()
        {
            drop(Object::take(client));
        }
    }
}

/// What came of one attempt.
enum Attempt<T, E> {
    Over(Result<T, E>),
    /// Nothing of it is kept.
    Again {
        why: DbError,
        is_lost: bool,
    },
}

impl Postgres {
    pub(in crate::db) async fn tx<F, I, T, E>(
        &self,
        bounds: Bounds,
        is_serializable: bool,
        deadline: Instant,
        input: I,
        closure: F,
    ) -> Result<T, E>
    where
        F: for<'a> Fn(&'a mut Tx, &'a I) -> BoxFuture<'a, Result<T, E>> + Send + Sync,
        I: Send + Sync,
        T: Send,
        E: From<DbError> + Send,
    {
        let begin = if is_serializable { "BEGIN ISOLATION LEVEL SERIALIZABLE" } else { "BEGIN" };
        let mut pause = PAUSE_FIRST;
        let mut lost = 0;
        loop {
            let client = self.client(deadline).await.map_err(E::from)?;
            self.metrics.in_use.inc();
            let session = Session::new(self, client, &bounds, begin, deadline);
            let attempt = self.attempt(session, &bounds, deadline, &input, &closure).await;
            self.metrics.in_use.dec();
            let why = match attempt {
                Attempt::Over(answer) => return answer,
                Attempt::Again { why, is_lost } => {
                    lost += u32::from(is_lost);
                    why
                }
            };
            // A pool whose connections are all lost gives them up one by one.
            if 2 < lost {
                return Err(E::from(why));
            }
            self.metrics.retries.inc();
            let waited = pause / 2 + pause.mul_f64(random() / 2.0);
            if deadline <= Instant::now() + waited {
                self.metrics.refused.inc();
                return Err(E::from(if lost == 0 {
                    DbError::Busy { reason: ALWAYS_CHANGED }
                } else {
                    why
                }));
            }
            tokio::time::sleep(waited).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn attempt<F, I, T, E>(
        &self,
        session: Session,
        bounds: &Bounds,
        deadline: Instant,
        input: &I,
        closure: &F,
    ) -> Attempt<T, E>
    where
        F: for<'a> Fn(&'a mut Tx, &'a I) -> BoxFuture<'a, Result<T, E>>,
        E: From<DbError>,
    {
        let mut tx = Tx::new(bounds.clone(), tx::Session::Postgres(session));
        let running = AssertUnwindSafe(async { closure(&mut tx, input).await }).catch_unwind();
        let answer = match tokio::time::timeout_at(deadline.into(), running).await {
            Ok(Ok(answer)) => tx::outcome(&tx, answer),
            Ok(Err(_)) => Err(E::from(DbError::internal("a transaction panicked; see the log"))),
            Err(_) => {
                self.metrics.refused.inc();
                return Attempt::Over(Err(E::from(DbError::Busy { reason: TOO_LATE })));
            }
        };
        let tx::Session::Postgres(mut session) = tx.into_session() else {
            unreachable!("it was made of PostgreSQL's");
        };
        match session.fate {
            Fate::Lost => {
                let reason = "the connection was lost".to_owned();
                return Attempt::Again { why: DbError::Unavailable { reason }, is_lost: true };
            }
            Fate::Conflict => {
                // An error closes the connection, and is of no interest otherwise.
                drop(self.in_time(deadline, session.end("ROLLBACK")).await);
                return Attempt::Again {
                    why: DbError::Busy { reason: ALWAYS_CHANGED },
                    is_lost: false,
                };
            }
            Fate::Open => {}
        }
        match answer {
            Ok(value) => self.commit(session, deadline, value).await,
            Err(error) => {
                drop(self.in_time(deadline, session.end("ROLLBACK")).await);
                Attempt::Over(Err(error))
            }
        }
    }

    async fn commit<T, E: From<DbError>>(
        &self,
        mut session: Session,
        deadline: Instant,
        value: T,
    ) -> Attempt<T, E> {
        let start = Instant::now();
        let committed = self.in_time(deadline, session.end("COMMIT")).await;
        self.metrics.commit_seconds.observe(start.elapsed().as_secs_f64());
        match committed {
            Some(Ok(())) => {
                self.metrics.commits.inc();
                Attempt::Over(Ok(value))
            }
            // The server has said that it didn't commit.
            Some(Err(cause)) if is_conflict(&cause) => {
                session.state = State::Ended;
                Attempt::Again { why: DbError::Busy { reason: ALWAYS_CHANGED }, is_lost: false }
            }
            Some(Err(cause)) if cause.as_db_error().is_some() && !is_lost(&cause) => {
                session.state = State::Ended;
                Attempt::Over(Err(E::from(error(&cause, "COMMIT"))))
            }
            Some(Err(cause)) => Attempt::Over(Err(E::from(lost_commit(&cause.to_string())))),
            None => Attempt::Over(Err(E::from(lost_commit("the deadline has passed")))),
        }
    }

    /// None when it takes too long.
    async fn in_time<T>(&self, deadline: Instant, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout_at((deadline + COMMIT_GRACE).into(), work).await.ok()
    }
}

/// From 0 to 1. Spreads retries, no more is asked of it.
fn random() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    (RandomState::new().hash_one(0) >> 11) as f64 / (1_u64 << 53) as f64
}
