//! Threads that read.

use std::time::Instant;

use tokio::sync::oneshot;

use super::connection::{Opened, run as run_statement};
use super::constraints::Constraints;
use crate::db::error::{DbError, TOO_LATE};
use crate::db::metrics::Metrics;
use crate::db::queue::Receiver;
use crate::db::statement::Statement;
use crate::db::tx::{Answer, Want};
use crate::db::value::{Row, Value};

/// A statement that waits for a reader.
pub(super) struct Read {
    pub(super) statement: &'static Statement,
    pub(super) params: Vec<Value>,
    pub(super) deadline: Instant,
    pub(super) reply: oneshot::Sender<Result<Vec<Row>, DbError>>,
}

/// Answers reads until nobody can ask any more.
pub(super) fn run(
    opened: Opened,
    reads: &Receiver<Read>,
    constraints: &Constraints,
    metrics: &Metrics,
) {
    let Opened { connection, alarm } = opened;
    while let Some(read) = reads.next() {
        if read.reply.is_closed() {
            continue;
        }
        let answer = if read.deadline <= Instant::now() {
            metrics.refused.inc();
            Err(DbError::Busy { reason: TOO_LATE })
        } else {
            metrics.in_use.inc();
            alarm.set(read.deadline);
            let answer =
                run_statement(&connection, constraints, read.statement, &read.params, Want::Rows);
            alarm.clear();
            metrics.in_use.dec();
            answer.map(Answer::rows)
        };
        drop(read.reply.send(answer));
    }
}
