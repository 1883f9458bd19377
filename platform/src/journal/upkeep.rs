//! Retention and erasure: whole segments are removed, records of a key are taken out of theirs.

use std::io;

use super::error::JournalError;
use super::format::{RecordRef, SEGMENT_HEADER_BYTES};
use super::scan::{Scanned, Scanner};
use super::segments::{Segment, Segments, UNFINISHED};
use super::storage::StorageFile;

/// What is kept. The segment that is written stays in any case.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// A segment goes when all its records were written longer ago.
    pub age: std::time::Duration,
    /// The oldest segments go until all together have no more bytes than this.
    pub bytes: u64,
}

/// Removes what is too old or too much, the oldest first. How many segments went.
pub(super) fn retain(
    segments: &Segments,
    retention: Retention,
    now_ms: u64,
) -> Result<usize, JournalError> {
    let age_ms = u64::try_from(retention.age.as_millis()).unwrap_or(u64::MAX);
    let mut removed = 0;
    loop {
        let expired = {
            let list = segments.lock();
            let [oldest, next, ..] = &list[..] else { break };
            let bytes = list.iter().map(|segment| segment.end_bytes).sum::<u64>();
            // The next one was made when the oldest was full.
            let is_old = next.header.created_ms < now_ms.saturating_sub(age_ms);
            (is_old || retention.bytes < bytes).then(|| oldest.name())
        };
        let Some(name) = expired else { break };
        let fail = segments.io("remove a segment");
        match segments.storage.remove(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
            _ => {}
        }
        segments.change(|list| list.remove(0));
        segments.metrics.expired_segments.inc();
        removed += 1;
    }
    segments.storage.sync().map_err(segments.io("remove a segment"))?;
    Ok(removed)
}

/// Takes the records of a key out of all segments in front of `end`. How many there were.
pub(super) fn erase(segments: &Segments, key: &[u8], end: u64) -> Result<u64, JournalError> {
    let (mut sequence, mut erased) = (0, 0);
    while let Some((segment, file)) = segments.open_at(sequence)? {
        if end <= segment.header.first_sequence {
            break;
        }
        let fail = segments.io("erase records");
        let found = count(&segment, &*file, key).and_then(|found| {
            if found > 0 {
                rewrite(segments, &segment, &*file, key)?;
            }
            Ok(found)
        });
        let found = found.map_err(fail)?;
        segments.metrics.erased.inc_by(found);
        erased += found;
        sequence = segment.next_sequence;
    }
    Ok(erased)
}

fn scanner<'a>(segment: &Segment, file: &'a dyn StorageFile) -> Scanner<'a> {
    let (header, start) = (segment.header, SEGMENT_HEADER_BYTES as u64);
    Scanner::new(file, header.salt, header.first_sequence, start, segment.end_bytes)
}

fn is_of(record: &RecordRef<'_>, key: &[u8]) -> bool {
    !record.is_erased && record.key == key
}

fn count(segment: &Segment, file: &dyn StorageFile, key: &[u8]) -> io::Result<u64> {
    let (mut scanner, mut found) = (scanner(segment, file), 0);
    loop {
        match scanner.next()? {
            Scanned::Record(record) => found += u64::from(is_of(&record, key)),
            Scanned::Damage { .. } => {}
            Scanned::End => return Ok(found),
        }
    }
}

/// Written beside the segment and put in its place whole: a crash leaves the one or the other.
fn rewrite(
    segments: &Segments,
    segment: &Segment,
    file: &dyn StorageFile,
    key: &[u8],
) -> io::Result<()> {
    let (name, storage) = (segment.name(), &segments.storage);
    let unfinished = format!("{name}{UNFINISHED}");
    match storage.remove(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let copy = || {
        let target = storage.create(&unfinished)?;
        let end_bytes = copy_without(segment, file, &*target, key)?;
        target.sync_data()?;
        // Readers open files under the same lock: none sees the new file at a place of the old one.
        segments.change(|list| {
            storage.rename(&unfinished, &name)?;
            let first = segment.header.first_sequence;
            if let Some(found) = list.iter_mut().find(|one| one.header.first_sequence == first) {
                found.generation += 1;
                found.end_bytes = end_bytes;
            }
            io::Result::Ok(())
        })?;
        storage.sync()
    };
    copy().inspect_err(|_| {
        let _ = storage.remove(&unfinished);
    })
}

const WRITE_BYTES: usize = 256 << 10;

fn copy_without(
    segment: &Segment,
    file: &dyn StorageFile,
    target: &dyn StorageFile,
    key: &[u8],
) -> io::Result<u64> {
    let salt = segment.header.salt;
    let mut out = segment.header.to_bytes().to_vec();
    let mut written = 0;
    let mut scanner = scanner(segment, file);
    loop {
        match scanner.next()? {
            Scanned::Record(record) if is_of(&record, key) => {
                record.erased().write(salt, &mut out);
            }
            Scanned::Record(record) => record.write(salt, &mut out),
            // Nobody can say whose they were: they go.
            Scanned::Damage { .. } => {}
            Scanned::End => break,
        }
        if WRITE_BYTES <= out.len() {
            target.write_all_at(written, &out)?;
            written += out.len() as u64;
            out.clear();
        }
    }
    target.write_all_at(written, &out)?;
    Ok(written + out.len() as u64)
}
