//! SQLite: one file, one thread that writes, some that read.
//!
//! In WAL mode readers see the last commit and never wait. Writers would take turns anyway, so
//! there is one, and it makes many transactions durable with one `fsync` ([`writer`]).

mod connection;
mod constraints;
mod errors;
mod job;
mod reader;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::oneshot;

pub(super) use connection::Session;
pub(super) use connection::open;
use job::{Job, Typed};
use reader::Read;

use super::BoxFuture;
use super::error::{DbError, QUEUE_FULL};
use super::metrics::Metrics;
use super::queue::{Refused, Sender, queue};
use super::settings::Settings;
use super::statement::Statement;
use super::tx::{Bounds, Tx};
use super::value::{Row, Value};

/// Statements that may wait for a reader.
const READS_MAX: usize = 4096;

pub(super) struct Sqlite {
    writes: Sender<Box<dyn Job>>,
    reads: Sender<Read>,
    metrics: Metrics,
    threads: Vec<JoinHandle<()>>,
}

impl Sqlite {
    /// Starts the threads. The tables are there already.
    pub(super) fn start(
        path: &Path,
        settings: &Settings,
        metrics: &Metrics,
    ) -> Result<Self, DbError> {
        let (writes, to_write) = queue(settings.queue);
        let (reads, to_read) = queue(READS_MAX);
        let writing = open(path, false)?;
        let constraints = Arc::new(constraints::Constraints::read(&writing.connection)?);
        let fail = |error: std::io::Error| DbError::open(format!("cannot start a thread: {error}"));
        let writer = writer::Writer::new(writing, path, Arc::clone(&constraints), metrics.clone());
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let mut threads =
            vec![thread("db-writer").spawn(move || writer.run(&to_write)).map_err(fail)?];
        for number in 0..settings.pool_size.max(1) {
            let opened = open(path, true)?;
            let (to_read, constraints) = (to_read.clone(), Arc::clone(&constraints));
            let metrics = metrics.clone();
            let run = move || reader::run(opened, &to_read, &constraints, &metrics);
            threads.push(thread(&format!("db-reader-{number}")).spawn(run).map_err(fail)?);
        }
        Ok(Self { writes, reads, metrics: metrics.clone(), threads })
    }

    /// Lets the threads finish what waits for them, and waits for their end.
    pub(super) fn close(self) {
        drop((self.writes, self.reads));
        for thread in self.threads {
            // A thread that has panicked has ended too.
            drop(thread.join());
        }
    }

    pub(super) async fn read(
        &self,
        statement: &'static Statement,
        params: Vec<Value>,
        deadline: Instant,
    ) -> Result<Vec<Row>, DbError> {
        let (reply, answer) = oneshot::channel();
        self.reads
            .send(Read { statement, params, deadline, reply })
            .map_err(|refused| self.refused(refused))?;
        answer.await.map_err(|_| gone())?
    }

    pub(super) async fn tx<F, I, T, E>(
        &self,
        bounds: Bounds,
        deadline: Instant,
        input: I,
        closure: F,
    ) -> Result<T, E>
    where
        F: for<'a> Fn(&'a mut Tx, &'a I) -> BoxFuture<'a, Result<T, E>> + Send + Sync + 'static,
        I: Send + Sync + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Typed::new(closure, input, bounds, deadline, reply);
        self.writes.send(Box::new(job)).map_err(|refused| E::from(self.refused(refused)))?;
        self.metrics.waiting.inc();
        answer.await.map_err(|_| E::from(gone()))?
    }

    fn refused(&self, refused: Refused) -> DbError {
        match refused {
            Refused::Full => {
                self.metrics.refused.inc();
                DbError::Busy { reason: QUEUE_FULL }
            }
            Refused::Closed => gone(),
        }
    }
}

fn gone() -> DbError {
    DbError::Unavailable { reason: "the database's thread has ended; restart the server".into() }
}
