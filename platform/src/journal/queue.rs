//! What waits for the disk: one growing group of records, bounded in bytes, and who waits for it.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::format::write_unsealed;

/// What came of a group: the sequence of its first record.
pub(super) type Outcome = Option<Result<u64, Arc<io::Error>>>;

/// A record on its way in.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// When it happened, milliseconds since 1970.
    pub time_ms: u64,
    /// What it is; the journal doesn't look at it.
    pub kind: u8,
    /// Whose it is: what [`super::Journal::erase`] goes by. May be empty.
    pub key: &'a [u8],
    pub payload: &'a [u8],
}

/// What the writing thread does besides.
pub(super) enum Command {
    /// Ends the segment, so that it can be rewritten or removed.
    Seal(oneshot::Sender<()>),
    /// Begins a new segment when the last one was made before this time.
    SealOlder { created_ms: u64, done: oneshot::Sender<()> },
}

/// Records that are written together.
pub(super) struct Group {
    pub(super) bytes: Vec<u8>,
    pub(super) records: u32,
    pub(super) outcome: watch::Sender<Outcome>,
}

/// What the thread takes out at once.
pub(super) struct Taken {
    pub(super) group: Option<Group>,
    pub(super) commands: Vec<Command>,
    pub(super) is_closing: bool,
}

#[derive(Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    /// Something came.
    some: Condvar,
}

struct Inner {
    bytes: Vec<u8>,
    records: u32,
    outcome: watch::Sender<Outcome>,
    commands: Vec<Command>,
    is_closing: bool,
    /// Memory of the last group.
    spare: Vec<u8>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            records: 0,
            outcome: watch::Sender::new(None),
            commands: Vec::new(),
            is_closing: false,
            spare: Vec::new(),
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a record and tells its place in the group and how to learn what comes of that. None when
    /// the queue is closed.
    pub(super) fn push(&self, record: &Record<'_>) -> Option<(u32, watch::Receiver<Outcome>)> {
        let mut inner = self.lock();
        let index = self.add(&mut inner, record)?;
        Some((index, inner.outcome.subscribe()))
    }

    /// Adds a record that nobody waits for.
    pub(super) fn push_unwatched(&self, record: &Record<'_>) -> bool {
        self.add(&mut self.lock(), record).is_some()
    }

    fn add(&self, inner: &mut Inner, record: &Record<'_>) -> Option<u32> {
        if inner.is_closing {
            return None;
        }
        write_unsealed(&mut inner.bytes, record.time_ms, record.kind, record.key, record.payload);
        let index = inner.records;
        inner.records += 1;
        if index == 0 {
            self.some.notify_one();
        }
        Some(index)
    }

    /// False when the queue is closed.
    pub(super) fn command(&self, command: Command) -> bool {
        let mut inner = self.lock();
        if inner.is_closing {
            return false;
        }
        inner.commands.push(command);
        self.some.notify_one();
        true
    }

    pub(super) fn close(&self) {
        self.lock().is_closing = true;
        self.some.notify_one();
    }

    /// Waits for something to do and takes it. Records are taken no earlier than `not_before`, so
    /// that more of them share a sync; commands and the end don't wait.
    pub(super) fn take(&self, not_before: Instant) -> Taken {
        let mut inner = self.lock();
        loop {
            let is_urgent = inner.is_closing || !inner.commands.is_empty();
            let wait = not_before.saturating_duration_since(Instant::now());
            if is_urgent || (inner.records > 0 && wait.is_zero()) {
                break;
            }
            inner = if inner.records > 0 {
                self.some.wait_timeout(inner, wait).unwrap_or_else(PoisonError::into_inner).0
            } else {
                self.some.wait(inner).unwrap_or_else(PoisonError::into_inner)
            };
        }
        let spare = std::mem::take(&mut inner.spare);
        let group = (inner.records > 0).then(|| Group {
            bytes: std::mem::replace(&mut inner.bytes, spare),
            records: std::mem::take(&mut inner.records),
            outcome: std::mem::replace(&mut inner.outcome, watch::Sender::new(None)),
        });
        Taken { group, commands: std::mem::take(&mut inner.commands), is_closing: inner.is_closing }
    }

    /// Gives the memory of a written group back.
    pub(super) fn recycle(&self, mut bytes: Vec<u8>) {
        bytes.clear();
        self.lock().spare = bytes;
    }
}

/// When the next group may be taken: one sync in `delay`, and at once after a pause.
pub(super) fn next_group(last_sync: Instant, delay: Duration) -> Instant {
    last_sync.checked_add(delay).unwrap_or(last_sync)
}
