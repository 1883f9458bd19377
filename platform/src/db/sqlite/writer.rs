//! The thread that writes: group commit.
//!
//! ```text
//! BEGIN IMMEDIATE
//!   SAVEPOINT tx … RELEASE tx           one transaction that answered Ok
//!   SAVEPOINT tx … ROLLBACK TO, RELEASE one that answered Err, panicked or was interrupted
//!   …                                   whatever has come meanwhile
//! COMMIT                                one fsync; then every caller is told
//! ```
//!
//! Nobody waits for a group to fill: it takes what the queue holds while it runs, and what comes
//! during a commit makes up the next one. A transaction may see what one before it in its group
//! wrote, and so nobody is told anything, not even of an error, before the commit.
//!
//! Some failures (a full disk, an interrupt in the middle of a write) make SQLite roll back the
//! whole group. The one that failed is told so, and the others run again: that is why a closure
//! must have no effect outside its transaction.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use super::connection::{Alarm, Opened, Session};
use super::constraints::Constraints;
use super::errors::{not_begun, not_committed};
use super::job::Job;
use crate::db::error::{DbError, TOO_LATE};
use crate::db::metrics::Metrics;
use crate::db::queue::Receiver;

/// Transactions in one commit.
const GROUP_MAX: usize = 256;
/// A group takes no further transaction after this time, so that the first need not wait longer.
const GROUP_TIME_MAX: Duration = Duration::from_millis(10);
/// Above this the write-ahead log is emptied, even if readers have to be waited for.
const LOG_BYTES_MAX: u64 = 64 << 20;
/// Commits between two looks at the log's size.
const COMMITS_BETWEEN_LOOKS: u32 = 256;
/// How often a COMMIT is tried that meets a lock.
const COMMIT_TRIES: u32 = 3;

pub(super) struct Writer {
    /// None while a transaction has it.
    connection: Option<Connection>,
    alarm: Alarm,
    log: PathBuf,
    constraints: Arc<Constraints>,
    metrics: Metrics,
    commits: u32,
}

impl Writer {
    pub(super) fn new(
        opened: Opened,
        path: &Path,
        constraints: Arc<Constraints>,
        metrics: Metrics,
    ) -> Self {
        let Opened { connection, alarm } = opened;
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        Self {
            connection: Some(connection),
            alarm,
            log: log.into(),
            constraints,
            metrics,
            commits: 0,
        }
    }

    /// Writes until nobody can ask any more.
    pub(super) fn run(mut self, jobs: &Receiver<Box<dyn Job>>) {
        let mut again = Vec::new();
        loop {
            let first = match again.pop() {
                Some(job) => job,
                None => match jobs.next() {
                    Some(job) => self.taken(job),
                    None => return,
                },
            };
            again = self.group(first, again, jobs);
            self.bound_log();
        }
    }

    fn taken(&self, job: Box<dyn Job>) -> Box<dyn Job> {
        self.metrics.waiting.dec();
        job
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection().prepare_cached(sql)?.raw_execute().map(drop)
    }

    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("a transaction gives the connection back")
    }

    /// One group. Answers those that have to run again because SQLite rolled it back.
    fn group(
        &mut self,
        first: Box<dyn Job>,
        mut again: Vec<Box<dyn Job>>,
        jobs: &Receiver<Box<dyn Job>>,
    ) -> Vec<Box<dyn Job>> {
        if let Err(error) = self.execute("BEGIN IMMEDIATE") {
            first.fail(not_begun(&error));
            return again;
        }
        let start = Instant::now();
        let mut done = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next.take() {
            match self.one(job) {
                Ran::Done(job) => done.push(job),
                Ran::Over => {}
                // Each time one falls out of the group, so that this ends.
                Ran::GroupLost => {
                    self.metrics.retries.inc_by(done.len() as u64);
                    again.extend(done.into_iter().rev());
                    return again;
                }
            }
            if done.len() < GROUP_MAX && start.elapsed() < GROUP_TIME_MAX {
                next = again.pop().or_else(|| jobs.try_next().map(|job| self.taken(job)));
            }
        }
        self.commit(done);
        again
    }

    /// One transaction within the group.
    fn one(&mut self, mut job: Box<dyn Job>) -> Ran {
        if job.is_abandoned() {
            return Ran::Over;
        }
        if job.deadline() <= Instant::now() {
            self.metrics.refused.inc();
            job.fail(DbError::Busy { reason: TOO_LATE });
            return Ran::Over;
        }
        if let Err(error) = self.execute("SAVEPOINT tx") {
            job.fail(not_begun(&error));
            return Ran::Over;
        }
        self.alarm.set(job.deadline());
        let connection = self.connection.take().expect("a transaction gives the connection back");
        let session = Session { connection, constraints: Arc::clone(&self.constraints) };
        let (session, is_kept) = job.run(session);
        self.connection = Some(session.connection);
        self.alarm.clear();
        if self.connection().is_autocommit() {
            if is_kept {
                job.fail(DbError::internal("SQLite rolled a transaction back without an error"));
            } else {
                // Its answer is its error.
                job.succeed();
            }
            return Ran::GroupLost;
        }
        let ended = if is_kept {
            self.execute("RELEASE tx")
        } else {
            self.execute("ROLLBACK TO tx").and_then(|()| self.execute("RELEASE tx"))
        };
        match ended {
            Ok(()) => Ran::Done(job),
            Err(error) => {
                tracing::warn!(%error, "a savepoint can't be ended: the group runs again");
                drop(self.execute("ROLLBACK"));
                job.fail(not_begun(&error));
                Ran::GroupLost
            }
        }
    }

    fn commit(&mut self, done: Vec<Box<dyn Job>>) {
        let start = Instant::now();
        let committed = self.try_commit();
        self.metrics.commit_seconds.observe(start.elapsed().as_secs_f64());
        match committed {
            Ok(()) => {
                self.metrics.group_size.observe(done.len() as f64);
                self.metrics.commits.inc_by(done.len() as u64);
                done.into_iter().for_each(|job| job.succeed());
            }
            Err(error) => {
                tracing::error!(%error, transactions = done.len(), "a commit has failed");
                if !self.connection().is_autocommit() {
                    drop(self.execute("ROLLBACK"));
                }
                for job in done {
                    job.fail(not_committed(&error));
                }
            }
        }
    }

    fn try_commit(&self) -> rusqlite::Result<()> {
        let mut tries = 1;
        loop {
            match self.execute("COMMIT") {
                Err(error)
                    if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                        && tries < COMMIT_TRIES =>
                {
                    tries += 1;
                }
                ended => return ended,
            }
        }
    }

    /// SQLite moves pages from the log to the file by itself, but begins the log anew only when no
    /// reader stands in its way at that moment.
    fn bound_log(&mut self) {
        self.commits += 1;
        if self.commits < COMMITS_BETWEEN_LOOKS {
            return;
        }
        self.commits = 0;
        let size = std::fs::metadata(&self.log).map_or(0, |log| log.len());
        if LOG_BYTES_MAX < size {
            let emptied =
                self.connection()
                    .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
            if !matches!(emptied, Ok(0)) {
                tracing::warn!(size, "the database's log can't be emptied while it is being read");
            }
        }
    }
}

/// What became of a transaction.
enum Ran {
    /// It is part of the group, with its answer.
    Done(Box<dyn Job>),
    /// Its caller knows.
    Over,
    /// The whole group is rolled back because of it. Its caller knows.
    GroupLost,
}
