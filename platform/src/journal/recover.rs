//! What a journal finds on the disk at its start.
//!
//! Of all segments but the last only the headers are read: they were ended after their records were
//! synced. In the last one a crash may have left part of a group, in any order of its sectors. It is
//! read through, and the first bytes that are no record begin one of two things:
//!
//! * a torn group: nothing of a later group follows. It was never acknowledged, and is cut off;
//! * damage: a whole record of a later group follows, which was written only after these bytes had
//!   been synced. Nothing is cut, the segment is ended, and readers step over the damage.
//!
//! Damage within the very last group looks like a torn one and is treated as such: nothing on the
//! disk tells whether its sync returned.

use std::io;
use std::sync::Arc;

use super::error::JournalError;
use super::format::{HeaderFault, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::metrics::JournalMetrics;
use super::scan::{Scanned, Scanner};
use super::segments::{Segment, UNFINISHED, file_name, first_sequence};
use super::storage::{Storage, StorageFile};

/// A journal as it was found.
pub(super) struct Found {
    pub(super) segments: Vec<Segment>,
    /// The last segment can be written on.
    pub(super) is_last_open: bool,
    pub(super) next_sequence: u64,
}

pub(super) fn recover(
    storage: &Arc<dyn Storage>,
    metrics: &JournalMetrics,
) -> Result<Found, JournalError> {
    let name = storage.name();
    let mut names = storage.list().map_err(JournalError::io(&name, "list the segments"))?;
    for unfinished in names.iter().filter(|file| file.ends_with(UNFINISHED)) {
        storage.remove(unfinished).map_err(JournalError::io(&name, "remove a rest"))?;
    }
    names.retain(|file| first_sequence(file).is_some());
    names.sort_unstable();
    let mut segments = Vec::with_capacity(names.len());
    for (index, file) in names.iter().enumerate() {
        let is_last = index + 1 == names.len();
        if let Some(segment) = read_header(storage, file, is_last)? {
            segments.push(segment);
        }
    }
    // A segment ends where the next one begins.
    for index in 1..segments.len() {
        segments[index - 1].next_sequence = segments[index].header.first_sequence;
    }
    let Some(last) = segments.last_mut() else {
        return Ok(Found { segments, is_last_open: false, next_sequence: 1 });
    };
    let fail = JournalError::io(&name, "read the last segment");
    let is_last_open = recover_last(storage, last, metrics).map_err(fail)?;
    let next_sequence = last.next_sequence;
    Ok(Found { segments, is_last_open, next_sequence })
}

/// None for a last segment whose header was never synced, so that nothing in it was either.
fn read_header(
    storage: &Arc<dyn Storage>,
    file: &str,
    is_last: bool,
) -> Result<Option<Segment>, JournalError> {
    let read = || -> io::Result<_> {
        let opened = storage.open(file)?;
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        let read_bytes = opened.read_at(0, &mut bytes)?;
        Ok((SegmentHeader::parse(&bytes[..read_bytes]), opened.len_bytes()?))
    };
    let fail = |fault| JournalError::Segment { file: file.to_owned(), fault };
    let io = JournalError::io(&storage.name(), "read a segment");
    let (header, end_bytes) = read().map_err(io)?;
    match header {
        Ok(header) if file_name(header.first_sequence) == file => {
            Ok(Some(Segment { end_bytes, ..Segment::new(header) }))
        }
        // Another segment's header, under this name.
        Ok(_) => Err(fail(HeaderFault::Checksum)),
        // Records are written only after the header is durable: a version that is not known and
        // bytes behind the header are somebody's records.
        Err(HeaderFault::Short | HeaderFault::Magic | HeaderFault::Checksum)
            if is_last && end_bytes <= SEGMENT_HEADER_BYTES as u64 =>
        {
            let io = JournalError::io(&storage.name(), "remove a segment without a header");
            storage.remove(file).and_then(|()| storage.sync()).map_err(io)?;
            Ok(None)
        }
        Err(fault) => Err(fail(fault)),
    }
}

/// Whether the segment can be written on.
fn recover_last(
    storage: &Arc<dyn Storage>,
    last: &mut Segment,
    metrics: &JournalMetrics,
) -> io::Result<bool> {
    let file = storage.open(&last.name())?;
    let len_bytes = last.end_bytes;
    let torn = read_through(&*file, last, len_bytes)?;
    let Some((offset, sequence)) = torn else {
        // Read, and not known to be synced: the process may have died, and the machine may yet.
        file.sync_data()?;
        storage.sync()?;
        last.end_bytes = len_bytes;
        return Ok(true);
    };
    if let Verdict::Torn = judge(&*file, last, offset, sequence, len_bytes)? {
        metrics.torn_bytes.inc_by(len_bytes - offset);
        tracing::info!(
            segment = last.name(),
            bytes = len_bytes - offset,
            "cut off what a crash interrupted"
        );
        file.set_len(offset)?;
        file.sync_data()?;
        storage.sync()?;
        (last.next_sequence, last.end_bytes) = (sequence, offset);
        return Ok(true);
    }
    metrics.damages.inc();
    tracing::error!(
        segment = last.name(),
        offset,
        "a segment is damaged; its other records are kept, and a new segment is begun"
    );
    // No record of the damaged bytes can have had a sequence behind these.
    let lost_max = (len_bytes - offset) / RECORD_HEADER_BYTES as u64 + 1;
    last.next_sequence = sequence.saturating_add(lost_max);
    file.sync_data()?;
    storage.sync()?;
    Ok(false)
}

/// Where the first bytes stand that are no record, and the sequence that is missing there.
fn read_through(
    file: &dyn StorageFile,
    last: &mut Segment,
    len_bytes: u64,
) -> io::Result<Option<(u64, u64)>> {
    let header = last.header;
    let start = SEGMENT_HEADER_BYTES as u64;
    let mut scanner = Scanner::new(file, header.salt, header.first_sequence, start, len_bytes);
    loop {
        let expected = scanner.expected();
        match scanner.next()? {
            Scanned::Record(record) => last.next_sequence = record.sequence + 1,
            Scanned::Damage { offset } => return Ok(Some((offset, expected))),
            Scanned::End => return Ok(None),
        }
    }
}

enum Verdict {
    Torn,
    Damaged,
}

/// Whether the bytes at `offset`, where `sequence` is missing, were synced once.
fn judge(
    file: &dyn StorageFile,
    last: &Segment,
    offset: u64,
    sequence: u64,
    len_bytes: u64,
) -> io::Result<Verdict> {
    let mut scanner = Scanner::new(file, last.header.salt, sequence, offset, len_bytes);
    loop {
        match scanner.next()? {
            Scanned::Record(record) if sequence < record.group_first() => {
                return Ok(Verdict::Damaged);
            }
            Scanned::Record(_) | Scanned::Damage { .. } => {}
            Scanned::End => return Ok(Verdict::Torn),
        }
    }
}
