//! Readers: batches in order from a durable place on, each at least once.

use std::sync::Arc;

use tokio::sync::watch;

use super::cursor;
use super::error::JournalError;
use super::format::SEGMENT_HEADER_BYTES;
use super::scan::{Scanned, Scanner};
use super::segments::{Segment, Segments};
use super::storage::StorageFile;

/// A record as it was stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    pub sequence: u64,
    pub time_ms: u64,
    pub kind: u8,
    pub key: Vec<u8>,
    pub payload: Vec<u8>,
}

/// What comes next.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Batch {
    pub entries: Vec<Entry>,
    /// Sequences that are no more: removed by age or size, lost to a full disk or to damage. Erased
    /// records are not counted.
    pub skipped: u64,
    /// What [`Reader::commit`] makes the reader's place.
    pub next_sequence: u64,
}

/// Reads a journal from its own place on. One at a time has a name.
pub struct Reader {
    segments: Arc<Segments>,
    durable: watch::Receiver<u64>,
    name: String,
    committed: u64,
    /// What was read and is not committed lies before this.
    position: u64,
    /// Where `position` is in which segment.
    place: Option<Place>,
}

#[derive(Clone, Copy)]
struct Place {
    first_sequence: u64,
    generation: u32,
    offset: u64,
}

/// How much a batch may hold.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimit {
    pub records: usize,
    /// Of keys and payloads; a single record may be larger.
    pub bytes: usize,
}

impl Reader {
    /// A new name begins at the oldest record.
    pub(super) fn open(segments: Arc<Segments>, name: &str) -> Result<Self, JournalError> {
        cursor::check_name(name)?;
        let committed = cursor::load(&segments, name)?.unwrap_or(1);
        let durable = segments.durable();
        Ok(Self {
            segments,
            durable,
            name: name.to_owned(),
            committed,
            position: committed,
            place: None,
        })
    }

    /// The sequence in front of which everything is committed.
    pub fn committed(&self) -> u64 {
        self.committed
    }

    /// Waits until there is something to read. False when the journal is closed and all is read.
    pub async fn ready(&mut self) -> bool {
        let position = self.position;
        self.durable.wait_for(|next| position < *next).await.is_ok()
    }

    /// What comes after the last batch, committed or not; nothing when there is nothing yet. Reads
    /// files: called from a thread that may wait.
    ///
    /// # Errors
    /// When a segment can't be read. The same batch comes again.
    pub fn read(&mut self, limit: BatchLimit) -> Result<Batch, JournalError> {
        let mut batch = Batch { next_sequence: self.position, ..Batch::default() };
        let mut bytes = 0;
        while batch.entries.len() < limit.records && bytes < limit.bytes {
            let Some((segment, file)) = self.segments.open_at(batch.next_sequence)? else { break };
            self.read_segment(&segment, &*file, limit, &mut batch, &mut bytes)?;
        }
        self.position = batch.next_sequence;
        Ok(batch)
    }

    fn read_segment(
        &mut self,
        segment: &Segment,
        file: &dyn StorageFile,
        limit: BatchLimit,
        batch: &mut Batch,
        bytes: &mut usize,
    ) -> Result<(), JournalError> {
        let header = segment.header;
        batch.skip_to(header.first_sequence.max(batch.next_sequence));
        let offset = match self.place.take() {
            Some(place) if place.fits(segment) => place.offset,
            _ => SEGMENT_HEADER_BYTES as u64,
        };
        let mut scanner =
            Scanner::new(file, header.salt, header.first_sequence, offset, segment.end_bytes);
        loop {
            let is_full = limit.records <= batch.entries.len() || limit.bytes <= *bytes;
            let next = scanner.offset();
            if is_full {
                self.place = Some(Place::new(segment, next));
                return Ok(());
            }
            match scanner.next().map_err(self.segments.io("read a segment"))? {
                Scanned::Record(record) if record.sequence < batch.next_sequence => {}
                Scanned::Record(record) => {
                    batch.skip_to(record.sequence);
                    batch.next_sequence = record.sequence + 1;
                    if !record.is_erased {
                        *bytes += record.key.len() + record.payload.len();
                        batch.entries.push(Entry {
                            sequence: record.sequence,
                            time_ms: record.time_ms,
                            kind: record.kind,
                            key: record.key.to_vec(),
                            payload: record.payload.to_vec(),
                        });
                    }
                }
                Scanned::Damage { offset } => {
                    self.segments.metrics.damages.inc();
                    let segment = segment.name();
                    tracing::error!(segment, offset, "records of a segment can't be read");
                }
                Scanned::End => {
                    batch.skip_to(segment.next_sequence);
                    self.place = Some(Place::new(segment, next));
                    return Ok(());
                }
            }
        }
    }

    /// Makes the end of a batch this reader's durable place.
    ///
    /// # Errors
    /// When it can't be stored; the batch may come again.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), JournalError> {
        cursor::save(&self.segments, &self.name, batch.next_sequence)?;
        self.committed = batch.next_sequence;
        Ok(())
    }

    /// Goes back to the last committed place, to read again.
    pub fn rewind(&mut self) {
        (self.position, self.place) = (self.committed, None);
    }

    /// Goes to a place of its own choice, without committing it: reading again from there on.
    pub fn seek(&mut self, sequence: u64) {
        (self.position, self.place) = (sequence.max(1), None);
    }
}

impl Batch {
    fn skip_to(&mut self, sequence: u64) {
        self.skipped += sequence.saturating_sub(self.next_sequence);
        self.next_sequence = self.next_sequence.max(sequence);
    }
}

impl Place {
    fn new(segment: &Segment, offset: u64) -> Self {
        let (first_sequence, generation) = (segment.header.first_sequence, segment.generation);
        Self { first_sequence, generation, offset }
    }

    fn fits(&self, segment: &Segment) -> bool {
        let same = segment.header.first_sequence == self.first_sequence;
        same && segment.generation == self.generation
    }
}
