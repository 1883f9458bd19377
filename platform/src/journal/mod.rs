//! The journal: an append-only log in files, for telemetry (heartbeats, CMCD, beacons), of which there
//! is much and of which no single record is worth a database transaction.
//!
//! Records gather in a bounded queue; one thread writes and syncs them as a group, at most once in
//! [`JournalOptions::group_delay`], and at once after a pause. [`Journal::append`] returns when its
//! record is durable, [`Journal::offer`] at once, and drops and counts what the queue has no room for.
//! What was acknowledged survives a crash of process or machine; the bytes are those of [`format`],
//! what a start makes of them is described in [`recover`].
//!
//! Readers have durable cursors and see records that are durable, in order, at least once. Segments
//! are removed by age and size whether read or not. Erasure takes a key's records out of their
//! segments and leaves their numbers.
//!
//! A record whose append failed may be stored all the same: an error says "not known". A disk that is
//! full fails each append until it has room.

mod cursor;
mod error;
pub mod format;
mod metrics;
mod queue;
mod reader;
mod recover;
mod scan;
mod segments;
mod storage;
mod upkeep;
mod writer;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

pub use self::error::JournalError;
pub use self::metrics::JournalMetrics;
pub use self::queue::Record;
pub use self::reader::{Batch, BatchLimit, Entry, Reader};
pub use self::storage::{Folder, Storage, StorageFile};
pub use self::upkeep::Retention;

use self::format::{BODY_BYTES_LIMIT, KEY_BYTES_MAX, RECORD_HEADER_BYTES};
use self::queue::{Command, Queue};
use self::recover::recover;
use self::segments::Segments;
use self::writer::{Active, Writer};

/// Milliseconds since 1970, for the age of segments.
pub type Clock = fn() -> u64;

/// What a journal may take.
#[derive(Clone, Copy, Debug)]
pub struct JournalOptions {
    /// A new segment begins before one would be larger or when it is older. A group may be larger.
    pub segment_bytes: u64,
    pub segment_age: Duration,
    /// Records of this long share a sync.
    pub group_delay: Duration,
    /// Bytes that may wait for the disk.
    pub queue_bytes: usize,
    /// Of key and payload together, at most [`format::BODY_BYTES_LIMIT`].
    pub body_bytes_max: usize,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            segment_age: Duration::from_secs(3_600),
            group_delay: Duration::from_millis(5),
            queue_bytes: 8 << 20,
            body_bytes_max: 64 << 10,
        }
    }
}

/// A journal that this process writes. Clones share it; the last one to go ends it, after it has
/// written what waits.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    options: JournalOptions,
    queue: Arc<Queue>,
    room: Arc<Semaphore>,
    segments: Arc<Segments>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Held while segments are removed or rewritten.
    upkeep: Mutex<()>,
}

impl Journal {
    /// Opens the journal in a folder, which is made if it is missing. Reads files.
    ///
    /// # Errors
    /// When the folder can't be used, another process has it, or a segment is of another release.
    pub fn open(path: &Path, options: JournalOptions) -> Result<Self, JournalError> {
        let name = path.display().to_string();
        let folder = Folder::open(path).map_err(JournalError::io(&name, "open the folder"))?;
        let folder = folder.ok_or(JournalError::Locked { folder: name })?;
        Self::open_in(Arc::new(folder), options, system_ms)
    }

    /// Opens the journal in a storage of the caller's, with a clock of the caller's.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_in(
        storage: Arc<dyn Storage>,
        options: JournalOptions,
        clock: Clock,
    ) -> Result<Self, JournalError> {
        let metrics = JournalMetrics::default();
        let found = recover(&storage, &metrics)?;
        let fail = JournalError::io(&storage.name(), "open the last segment");
        let active = match found.segments.last().filter(|_| found.is_last_open) {
            Some(last) => {
                let file = storage.open(&last.name()).map_err(fail)?;
                Some(Active { file, header: last.header, end_bytes: last.end_bytes })
            }
            None => None,
        };
        let next_sequence = found.next_sequence;
        let segments = Segments::new(storage, metrics, found.segments, next_sequence);
        let (segments, queue) = (Arc::new(segments), Arc::new(Queue::default()));
        let room = Arc::new(Semaphore::new(options.queue_bytes.min(Semaphore::MAX_PERMITS)));
        let writer = Writer {
            options,
            clock,
            queue: queue.clone(),
            room: room.clone(),
            segments: segments.clone(),
            active,
            next_sequence,
            is_failing: false,
        };
        let thread = std::thread::Builder::new().name("journal".to_owned());
        let thread = thread.spawn(move || writer.run()).map_err(segments.io("start a thread"))?;
        let (thread, upkeep) = (Mutex::new(Some(thread)), Mutex::new(()));
        Ok(Self { inner: Arc::new(Inner { options, queue, room, segments, thread, upkeep }) })
    }

    pub fn metrics(&self) -> &JournalMetrics {
        &self.inner.segments.metrics
    }

    /// Stores a record and returns its sequence when it is durable. Waits while the queue is full. A
    /// caller that goes away may leave the record or not.
    ///
    /// # Errors
    /// When the record is too large, the disk fails, or the journal is closed.
    pub async fn append(&self, record: Record<'_>) -> Result<u64, JournalError> {
        let bytes = self.inner.check(&record)?;
        let permit = self.inner.room.acquire_many(bytes).await.map_err(|_| JournalError::Closed)?;
        let pushed = self.inner.queue.push(&record);
        let (index, mut outcome) = pushed.ok_or(JournalError::Closed)?;
        // The thread gives the room back when the record is written.
        permit.forget();
        let outcome = outcome.wait_for(Option::is_some).await.map_err(|_| JournalError::Closed)?;
        match &*outcome {
            Some(Ok(first)) => Ok(first + u64::from(index)),
            Some(Err(source)) => Err(JournalError::NotStored { source: source.clone() }),
            None => Err(JournalError::Closed),
        }
    }

    /// Takes a record without waiting. False when it was dropped, which is counted.
    pub fn offer(&self, record: &Record<'_>) -> bool {
        let inner = &self.inner;
        let is_taken = inner.check(record).is_ok_and(|bytes| {
            inner.room.try_acquire_many(bytes).is_ok_and(|permit| {
                let is_pushed = inner.queue.push_unwatched(record);
                if is_pushed {
                    permit.forget();
                }
                is_pushed
            })
        });
        if !is_taken {
            self.metrics().dropped.inc();
        }
        is_taken
    }

    /// A reader with a durable place of this name. The oldest record is the first for a new name.
    ///
    /// # Errors
    /// When its place can't be read.
    pub fn reader(&self, name: &str) -> Result<Reader, JournalError> {
        Reader::open(self.inner.segments.clone(), name)
    }

    /// Ends a segment that is over age, and removes what is over `retention`. How many segments went.
    ///
    /// # Errors
    /// When files can't be removed.
    pub async fn retain(&self, retention: Retention, now_ms: u64) -> Result<usize, JournalError> {
        let age = retention.age.min(self.inner.options.segment_age);
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let created_ms = now_ms.saturating_sub(age_ms);
        self.command(|done| Command::SealOlder { created_ms, done }).await?;
        self.upkeep(move |segments| upkeep::retain(segments, retention, now_ms)).await
    }

    /// Takes the records of a key out, those that are durable by now. Their numbers stay, and so does
    /// what a file system, a snapshot or a backup keeps of removed files. How many there were.
    ///
    /// # Errors
    /// When segments can't be rewritten; some may be, and asking again does the rest.
    pub async fn erase(&self, key: &[u8]) -> Result<u64, JournalError> {
        self.command(Command::Seal).await?;
        let (key, end) = (key.to_vec(), *self.inner.segments.durable().borrow());
        self.upkeep(move |segments| upkeep::erase(segments, &key, end)).await
    }

    /// Writes what waits and ends. Later records are refused.
    pub async fn close(self) {
        self.inner.queue.close();
        let inner = self.inner.clone();
        // The thread's own panic has been reported by itself.
        let _ = tokio::task::spawn_blocking(move || inner.join()).await;
    }

    async fn command(
        &self,
        command: impl FnOnce(oneshot::Sender<()>) -> Command,
    ) -> Result<(), JournalError> {
        let (done, waiting) = oneshot::channel();
        if !self.inner.queue.command(command(done)) {
            return Err(JournalError::Closed);
        }
        waiting.await.map_err(|_| JournalError::Closed)
    }

    async fn upkeep<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Segments) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let inner = self.inner.clone();
        let work = move || {
            let _turn = inner.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
            work(&inner.segments)
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| JournalError::Closed)?
    }
}

impl Inner {
    /// What the record takes in the queue.
    fn check(&self, record: &Record<'_>) -> Result<u32, JournalError> {
        let bytes = record.key.len() + record.payload.len();
        // What is larger than the queue would wait for ever.
        let room = self.options.queue_bytes.saturating_sub(RECORD_HEADER_BYTES);
        let bytes_max = self.options.body_bytes_max.min(BODY_BYTES_LIMIT).min(room);
        if bytes_max < bytes {
            return Err(JournalError::TooLarge { bytes, bytes_max });
        }
        let key_bytes = record.key.len();
        if KEY_BYTES_MAX < key_bytes {
            return Err(JournalError::KeyTooLarge { bytes: key_bytes, bytes_max: KEY_BYTES_MAX });
        }
        Ok((RECORD_HEADER_BYTES + bytes) as u32)
    }

    fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Drop for Inner {
    /// The folder is free for another process when the last handle has gone.
    fn drop(&mut self) {
        self.queue.close();
        self.join();
    }
}

fn system_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
