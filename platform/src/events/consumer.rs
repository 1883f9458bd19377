//! Consumers: who wants to know of what, and what they do with it.

use std::sync::Arc;

use super::event::Event;
use super::topic::Topic;
use crate::db::{BoxFuture, DbError, Tx};

/// What is done with an event. Awaits nothing but its `Tx`, which is that of the event's tenant, and
/// has no effect outside of it: it may run more than once and is kept once.
pub type Handler = Arc<
    dyn for<'a> Fn(&'a mut Tx, &'a Event) -> BoxFuture<'a, Result<(), HandlerError>> + Send + Sync,
>;

/// Somebody who has to know. The name is for ever: its place in the log hangs on it.
#[derive(Clone)]
pub struct Consumer {
    pub name: &'static str,
    pub topics: &'static [Topic],
    pub handler: Handler,
}

/// Why an event could not be handled now. It is tried again, and is a dead letter at last.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// A database that is busy or away is not held against the event: everything waits for it.
    #[error(transparent)]
    Db(#[from] DbError),

    /// Stored and shown to operators: without personal data.
    #[error("{reason}")]
    Failed { reason: String },
}

impl Consumer {
    pub fn new<F>(name: &'static str, topics: &'static [Topic], handler: F) -> Self
    where
        F: for<'a> Fn(&'a mut Tx, &'a Event) -> BoxFuture<'a, Result<(), HandlerError>>
            + Send
            + Sync
            + 'static,
    {
        Self { name, topics, handler: Arc::new(handler) }
    }

    pub(super) fn wants(&self, topic: &str) -> bool {
        self.topics.iter().any(|wanted| wanted.name() == topic)
    }
}

impl HandlerError {
    /// Whether the event had no part in it.
    pub(super) fn is_passing(error: &DbError) -> bool {
        matches!(error, DbError::InDoubt { .. }) || error.retry_after().is_some()
    }
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").field("name", &self.name).field("topics", &self.topics).finish()
    }
}
