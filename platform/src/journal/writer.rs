//! The thread that writes: takes what has gathered, writes and syncs it as one group, tells who
//! waits.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Semaphore, oneshot};

use super::format::{SEGMENT_HEADER_BYTES, SegmentHeader, seal_group};
use super::queue::{Command, Group, Queue, next_group};
use super::segments::{Segment, Segments};
use super::storage::StorageFile;
use super::{Clock, JournalOptions};

pub(super) struct Writer {
    pub(super) options: JournalOptions,
    pub(super) clock: Clock,
    pub(super) queue: Arc<Queue>,
    /// Bytes that the queue has room for.
    pub(super) room: Arc<Semaphore>,
    pub(super) segments: Arc<Segments>,
    /// The segment that is written: the last of the list.
    pub(super) active: Option<Active>,
    pub(super) next_sequence: u64,
    pub(super) is_failing: bool,
}

pub(super) struct Active {
    pub(super) file: Box<dyn StorageFile>,
    pub(super) header: SegmentHeader,
    pub(super) end_bytes: u64,
}

impl Writer {
    pub(super) fn run(mut self) {
        let mut last_sync = Instant::now();
        loop {
            let taken = self.queue.take(next_group(last_sync, self.options.group_delay));
            if let Some(group) = taken.group {
                self.commit(group);
                last_sync = Instant::now();
            }
            for command in taken.commands {
                self.obey(command);
            }
            if taken.is_closing {
                self.room.close();
                return;
            }
        }
    }

    fn commit(&mut self, mut group: Group) {
        let bytes = group.bytes.len() as u64;
        let first = self.next_sequence;
        let start = Instant::now();
        let outcome = self.write(&mut group.bytes, first);
        let metrics = &self.segments.metrics;
        metrics.sync.observe(start.elapsed().as_secs_f64());
        metrics.group_records.observe(group.records.into());
        // Also after a failure: some of these records may be on the disk under these numbers.
        self.next_sequence += u64::from(group.records);
        match &outcome {
            Ok(()) => {
                metrics.records.inc_by(group.records.into());
                metrics.bytes.inc_by(bytes);
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("the journal is written again");
                }
                if let Some(active) = &self.active {
                    self.segments.advance(self.next_sequence, active.end_bytes);
                }
            }
            Err(error) => {
                metrics.failed.inc_by(group.records.into());
                // Once, so that a full disk is told and not shouted.
                if !std::mem::replace(&mut self.is_failing, true) {
                    let journal = self.segments.storage.name();
                    tracing::error!(journal, %error, "records are not stored");
                }
                self.abandon();
            }
        }
        // Nobody may wait for these records.
        group.outcome.send_replace(Some(outcome.map(|()| first).map_err(Arc::new)));
        self.room.add_permits(group.bytes.len());
        self.queue.recycle(group.bytes);
    }

    fn write(&mut self, bytes: &mut [u8], first: u64) -> io::Result<()> {
        let now_ms = (self.clock)();
        if self.active.as_ref().is_some_and(|active| self.is_full(active, bytes.len(), now_ms)) {
            self.active = None;
        }
        let active = match &mut self.active {
            Some(active) => active,
            None => self.active.insert(begin_segment(&self.segments, first, now_ms)?),
        };
        seal_group(bytes, first, active.header.salt);
        active.file.write_all_at(active.end_bytes, bytes)?;
        active.file.sync_data()?;
        active.end_bytes += bytes.len() as u64;
        Ok(())
    }

    fn is_full(&self, active: &Active, bytes: usize, now_ms: u64) -> bool {
        let is_empty = active.end_bytes == SEGMENT_HEADER_BYTES as u64;
        let age_ms = now_ms.saturating_sub(active.header.created_ms);
        let is_large = self.options.segment_bytes < active.end_bytes + bytes as u64;
        let age_ms_max = self.options.segment_age.as_millis();
        !is_empty && (is_large || age_ms_max <= u128::from(age_ms))
    }

    /// Leaves the segment after a failure. After a failed sync nobody knows which of its last bytes
    /// are on the disk, and a second sync would say nothing about them: the next group goes into a
    /// new file. What was synced before stays.
    fn abandon(&mut self) {
        let Some(active) = self.active.take() else { return };
        // What can't be cut off now is found as a torn or a whole group later; both are right.
        let _ = active.file.set_len(active.end_bytes).and_then(|()| active.file.sync_data());
        let is_empty = active.end_bytes == SEGMENT_HEADER_BYTES as u64;
        let first = active.header.first_sequence;
        if is_empty && 1 < self.segments.lock().len() {
            self.segments
                .change(|list| list.retain(|segment| segment.header.first_sequence != first));
            let _ = self.segments.storage.remove(&super::segments::file_name(first));
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Seal(done) => self.seal(done),
            Command::SealOlder { created_ms, done } => {
                let last = self.segments.lock().last().cloned();
                let is_old = |last: &Segment| last.header.created_ms < created_ms;
                if last.is_some_and(|last| !last.is_empty() && is_old(&last)) {
                    let now_ms = (self.clock)();
                    match begin_segment(&self.segments, self.next_sequence, now_ms) {
                        Ok(active) => self.active = Some(active),
                        Err(error) => tracing::warn!(%error, "no new segment can be begun"),
                    }
                }
                let _ = done.send(());
            }
        }
    }

    fn seal(&mut self, done: oneshot::Sender<()>) {
        let is_empty = |active: &Active| active.end_bytes == SEGMENT_HEADER_BYTES as u64;
        if !self.active.as_ref().is_some_and(is_empty) {
            self.active = None;
        }
        // Whoever asked may have gone.
        let _ = done.send(());
    }
}

/// Makes a segment, durable with its name before a record is written to it.
fn begin_segment(segments: &Segments, first_sequence: u64, now_ms: u64) -> io::Result<Active> {
    let mut salt = [0; 4];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| io::Error::other("no random bytes"))?;
    let header =
        SegmentHeader { salt: u32::from_le_bytes(salt), first_sequence, created_ms: now_ms };
    let segment = Segment::new(header);
    let file = segments.storage.create(&segment.name())?;
    let write = || {
        file.write_all_at(0, &header.to_bytes())?;
        file.sync_data()?;
        segments.storage.sync()
    };
    if let Err(error) = write() {
        // What is left of it has no records and the number of none.
        let _ = segments.storage.remove(&segment.name());
        return Err(error);
    }
    let end_bytes = segment.end_bytes;
    segments.change(|list| list.push(segment));
    Ok(Active { file, header, end_bytes })
}
