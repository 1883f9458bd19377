//! The segments of a journal as readers, upkeep and the writing thread share them.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::error::JournalError;
use super::format::{SEGMENT_HEADER_BYTES, SegmentHeader};
use super::metrics::JournalMetrics;
use super::storage::{Storage, StorageFile};

const SUFFIX: &str = ".journal";
/// Of a rewritten segment that is not in its place yet.
pub(super) const UNFINISHED: &str = ".unfinished";

/// A segment on the disk.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) header: SegmentHeader,
    /// Of its last durable record, one more; `header.first_sequence` while it has none.
    pub(super) next_sequence: u64,
    /// Of its durable records.
    pub(super) end_bytes: u64,
    /// Counts rewritings, so that a place in the old file isn't used in the new one.
    pub(super) generation: u32,
}

impl Segment {
    pub(super) fn new(header: SegmentHeader) -> Self {
        Self {
            header,
            next_sequence: header.first_sequence,
            end_bytes: SEGMENT_HEADER_BYTES as u64,
            generation: 0,
        }
    }

    pub(super) fn name(&self) -> String {
        file_name(self.header.first_sequence)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.next_sequence == self.header.first_sequence
    }
}

pub(super) fn file_name(first_sequence: u64) -> String {
    format!("{first_sequence:020}{SUFFIX}")
}

/// The first sequence of a segment by the name of its file.
pub(super) fn first_sequence(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let is_number = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

/// A segment and its file.
type Opened = (Segment, Box<dyn StorageFile>);

/// All segments in order, the one that is written last.
pub(super) struct Segments {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) metrics: JournalMetrics,
    list: Mutex<Vec<Segment>>,
    /// The sequence after the last durable record.
    durable: watch::Sender<u64>,
}

impl Segments {
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        metrics: JournalMetrics,
        list: Vec<Segment>,
        next_sequence: u64,
    ) -> Self {
        let segments = Self {
            storage,
            metrics,
            list: Mutex::new(list),
            durable: watch::Sender::new(next_sequence),
        };
        segments.change(|_| {});
        segments
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<Segment>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the list and tells the metrics.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Vec<Segment>) -> T) -> T {
        let mut list = self.lock();
        let outcome = change(&mut list);
        self.metrics.segments.set(i64::try_from(list.len()).unwrap_or(i64::MAX));
        let bytes = list.iter().map(|segment| segment.end_bytes).sum::<u64>();
        self.metrics.stored_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        outcome
    }

    /// The last segment has records up to here, and they are durable.
    pub(super) fn advance(&self, next_sequence: u64, end_bytes: u64) {
        self.change(|list| {
            if let Some(last) = list.last_mut() {
                (last.next_sequence, last.end_bytes) = (next_sequence, end_bytes);
            }
        });
        self.durable.send_replace(next_sequence);
    }

    pub(super) fn durable(&self) -> watch::Receiver<u64> {
        self.durable.subscribe()
    }

    /// The segment with the record `sequence`, or the first one after it that has records; opened.
    /// The lock is held meanwhile, so that nothing is put in the file's place.
    pub(super) fn open_at(&self, sequence: u64) -> Result<Option<Opened>, JournalError> {
        let list = self.lock();
        let found = list.iter().find(|segment| sequence < segment.next_sequence);
        let Some(segment) = found else { return Ok(None) };
        let file = self.open(segment).map_err(self.io("open a segment"))?;
        Ok(Some((segment.clone(), file)))
    }

    pub(super) fn open(&self, segment: &Segment) -> io::Result<Box<dyn StorageFile>> {
        self.storage.open(&segment.name())
    }

    pub(super) fn io(
        &self,
        action: &'static str,
    ) -> impl FnOnce(io::Error) -> JournalError + use<> {
        JournalError::io(&self.storage.name(), action)
    }
}
