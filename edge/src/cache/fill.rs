//! One answer on its way in, and everyone who waits for it.
//!
//! The writer is a task of its own: it outlives whoever asked first. Readers follow it by offset,
//! from its first byte: none has a queue, so a slow one holds nothing up, and what is held in memory
//! is the object, once.

use std::sync::{Arc, Mutex, OnceLock, RwLock};

use bytes::Bytes;
use http::Response;
use tokio::sync::watch;

use super::metrics::CacheMetrics;
use super::object::Object;
use super::pieces::Pieces;
use super::policy::{Refusal, StoredHead};
use super::slices::Slice;
use crate::fetch::{FetchBody, FetchError};

/// How far a fill has come. It only goes forward.
#[derive(Clone, Debug)]
pub enum Stage {
    Asking,
    /// The outcome is known; of a streaming one, so many bytes are there.
    Open {
        bytes: u64,
    },
    Whole {
        bytes: u64,
    },
    Broken(FetchError),
}

/// What the asking led to.
#[derive(Debug)]
pub enum Outcome {
    /// The answer is being stored; its bytes follow.
    Streaming(Arc<FillHead>),
    /// A whole object: from disk, or stored before and now validated, or stale and better than
    /// nothing.
    Object {
        object: Arc<Object>,
        origin: ObjectOrigin,
    },
    /// The object is to be had in another way than was tried: whole, or in slices. Look again.
    Reshaped,
    /// Nobody but the one who asked may have it. The rest asks for itself.
    Private(Refusal),
    Failed(FetchError),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ObjectOrigin {
    Disk,
    Validated,
    /// In place of an error; the status, if there was one.
    OnError(Option<u16>),
}

#[derive(Debug)]
pub struct FillHead {
    pub head: StoredHead,
    /// As announced.
    pub len_bytes: Option<u64>,
    /// Fresh on arrival, so that one answer is for all who wait (RFC 9111 4).
    pub is_shared: bool,
    /// The bytes are those of a slice; the head is the whole's.
    pub slice: Option<Slice>,
    /// The bytes come from disk: a hit for everyone.
    pub is_from_disk: bool,
}

#[derive(Debug)]
pub struct Fill {
    stage: watch::Sender<Stage>,
    outcome: OnceLock<Outcome>,
    pieces: RwLock<Pieces>,
    /// The answer that only one may have.
    private: Mutex<Option<Response<FetchBody>>>,
    metrics: CacheMetrics,
}

impl Fill {
    pub fn new(metrics: CacheMetrics) -> Self {
        Self {
            stage: watch::Sender::new(Stage::Asking),
            outcome: OnceLock::new(),
            pieces: RwLock::default(),
            private: Mutex::default(),
            metrics,
        }
    }

    /// Waits until it is known what becomes of the request. The writer answers in bounded time.
    pub async fn outcome(&self) -> &Outcome {
        let mut stage = self.stage.subscribe();
        // The sender lives as long as `self`.
        let _ = stage.wait_for(|stage| !matches!(stage, Stage::Asking)).await;
        self.outcome.get_or_init(|| {
            Outcome::Failed(FetchError::Unreachable {
                upstream: "origin".to_owned(),
                reason: "the fetch ended without an answer".to_owned(),
            })
        })
    }

    pub fn take_private(&self) -> Option<Response<FetchBody>> {
        self.private.lock().expect("no holder panics").take()
    }

    /// Follows the writer through a range; waits for what isn't there yet.
    pub async fn read(
        &self,
        stage: &mut watch::Receiver<Stage>,
        start: u64,
        end: u64,
    ) -> Result<Option<Bytes>, FetchError> {
        loop {
            // A range ends where it ends, however the answer does.
            if start >= end {
                return Ok(None);
            }
            let now = stage.borrow_and_update().clone();
            // Seen after the stage, the pieces are at least as long as it says.
            if let Some(bytes) = self.pieces.read().expect("no holder panics").at(start, end) {
                return Ok(Some(bytes));
            }
            match now {
                Stage::Broken(error) => return Err(error),
                Stage::Whole { .. } => return Ok(None),
                Stage::Asking | Stage::Open { .. } => {}
            }
            if stage.changed().await.is_err() {
                return Ok(None);
            }
        }
    }

    pub fn subscribe(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    pub(super) fn resolve(&self, outcome: Outcome) {
        // Resolved once: the writer says it in one place.
        let _ = self.outcome.set(outcome);
        self.stage.send_replace(Stage::Open { bytes: 0 });
    }

    pub(super) fn resolve_private(&self, refusal: Refusal, response: Response<FetchBody>) {
        *self.private.lock().expect("no holder panics") = Some(response);
        self.resolve(Outcome::Private(refusal));
    }

    /// Adds bytes; how many there are now.
    pub(super) fn push(&self, bytes: Bytes) -> u64 {
        let count = bytes.len();
        let len = {
            let mut pieces = self.pieces.write().expect("no holder panics");
            pieces.push(bytes);
            pieces.len_bytes()
        };
        self.metrics.filling_bytes.inc_by(count as i64);
        self.stage.send_replace(Stage::Open { bytes: len });
        len
    }

    /// How far it has come.
    pub(super) fn len_bytes(&self) -> u64 {
        self.pieces.read().expect("no holder panics").len_bytes()
    }

    pub(super) fn whole(&self) -> Pieces {
        self.pieces.read().expect("no holder panics").clone()
    }

    pub(super) fn finish(&self, result: Result<(), FetchError>) {
        let bytes = self.len_bytes();
        self.stage.send_replace(match result {
            Ok(()) => Stage::Whole { bytes },
            Err(error) => Stage::Broken(error),
        });
    }

    pub(super) fn is_finished(&self) -> bool {
        matches!(*self.stage.borrow(), Stage::Whole { .. } | Stage::Broken(_))
    }

    pub(super) fn is_asking(&self) -> bool {
        matches!(*self.stage.borrow(), Stage::Asking)
    }
}

impl Drop for Fill {
    fn drop(&mut self) {
        let bytes = self.pieces.get_mut().map_or(0, |pieces| pieces.len_bytes());
        self.metrics.filling_bytes.dec_by(bytes as i64);
    }
}
