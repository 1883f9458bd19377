//! HTTP/2 streams that can be ended one by one.
//!
//! hyper runs each stream in a task of its own and polls the body only when the client has granted
//! window, so that a body never learns that it waits. The executor here runs each of these tasks
//! beside a [`StreamWatch`]; ending the watch drops the task, which resets the stream alone
//! (RST_STREAM, RFC 9113 6.4) and leaves the connection to its other streams.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper::rt::Executor;
use tokio::sync::Notify;

use super::activity::{Activity, Mark};

/// Notes since when a stream's client takes nothing.
#[derive(Debug)]
pub(super) struct StreamWatch {
    waiting_since: Mark,
    end: Notify,
}

impl StreamWatch {
    fn new() -> Self {
        Self { waiting_since: Mark::none(), end: Notify::new() }
    }

    /// The watch of the stream whose task is running, where it is an HTTP/2 stream.
    pub(super) fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    /// A piece was handed over: until the next is asked for, the client's window decides.
    pub(super) fn waits_for_client(&self, now_millis: u64) {
        self.waiting_since.set(now_millis);
    }

    pub(super) fn client_took(&self) {
        self.waiting_since.clear();
    }

    pub(super) fn end_if_stalled(&self, now_millis: u64, limit: Duration) {
        if self.waiting_since.is_older(now_millis, limit) {
            self.end.notify_one();
        }
    }
}

tokio::task_local! {
    static CURRENT: Arc<StreamWatch>;
}

/// Spawns hyper's tasks of one connection.
#[derive(Clone)]
pub(super) struct StreamExecutor {
    pub(super) activity: Arc<Activity>,
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        let watch = Arc::new(StreamWatch::new());
        self.activity.watch_stream(&watch);
        tokio::spawn(async move {
            tokio::select! {
                _ = CURRENT.scope(Arc::clone(&watch), task) => {}
                () = watch.end.notified() => {
                    tracing::debug!("reset a stream whose client takes no bytes");
                }
            }
        });
    }
}
