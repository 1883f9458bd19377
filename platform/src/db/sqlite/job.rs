//! A transaction on its way through the writer's queue.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::sync::oneshot;

use super::connection::Session;
use crate::db::BoxFuture;
use crate::db::error::DbError;
use crate::db::tx::{self, Bounds, Tx};

/// A transaction of any type.
pub(super) trait Job: Send {
    fn deadline(&self) -> Instant;

    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;

    /// Runs the closure, keeping its answer. Gives back the connection, and whether the
    /// transaction is to be kept.
    fn run(&mut self, session: Session) -> (Session, bool);

    /// Tells the caller what the closure answered: it is durable.
    fn succeed(self: Box<Self>);

    /// Tells the caller that nothing came of it.
    fn fail(self: Box<Self>, error: DbError);
}

pub(super) struct Typed<F, I, T, E> {
    closure: F,
    input: I,
    bounds: Bounds,
    deadline: Instant,
    answer: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, I, T, E> Typed<F, I, T, E> {
    pub(super) fn new(
        closure: F,
        input: I,
        bounds: Bounds,
        deadline: Instant,
        reply: oneshot::Sender<Result<T, E>>,
    ) -> Self {
        Self { closure, input, bounds, deadline, answer: None, reply }
    }
}

impl<F, I, T, E> Job for Typed<F, I, T, E>
where
    F: for<'a> Fn(&'a mut Tx, &'a I) -> BoxFuture<'a, Result<T, E>> + Send + Sync,
    I: Send + Sync,
    T: Send,
    E: From<DbError> + Send,
{
    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(&mut self, session: Session) -> (Session, bool) {
        let mut tx = Tx::new(self.bounds.clone(), tx::Session::Sqlite(session));
        let polled = catch_unwind(AssertUnwindSafe(|| {
            // A statement's future is ready when it is first polled, so that a future that is not
            // waits for something else, which nobody would ever wake here.
            let mut future = (self.closure)(&mut tx, &self.input);
            future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        }));
        let answer = match polled {
            Ok(Poll::Ready(answer)) => tx::outcome(&tx, answer),
            Ok(Poll::Pending) => Err(E::from(DbError::internal(
                "a transaction awaited something other than its Tx; do that before or after it",
            ))),
            Err(_) => Err(E::from(DbError::internal("a transaction panicked; see the log"))),
        };
        let is_kept = answer.is_ok();
        self.answer = Some(answer);
        let tx::Session::Sqlite(session) = tx.into_session() else {
            unreachable!("it was made of SQLite's");
        };
        (session, is_kept)
    }

    fn succeed(self: Box<Self>) {
        if let Some(answer) = self.answer {
            // Whoever has left doesn't want to know.
            drop(self.reply.send(answer));
        }
    }

    fn fail(self: Box<Self>, error: DbError) {
        drop(self.reply.send(Err(E::from(error))));
    }
}
