//! Reads the records of a segment in order, in bounded memory, and finds the next one behind damage.

use std::io;

use super::format::{BODY_BYTES_LIMIT, RECORD_HEADER_BYTES, RecordRef, sequence_at};
use super::storage::StorageFile;

/// Read at once; a whole record fits in besides.
const CHUNK_BYTES: usize = 256 << 10;
const RECORD_BYTES_MAX: usize = RECORD_HEADER_BYTES + BODY_BYTES_LIMIT;

/// What comes next in a segment.
#[derive(Debug)]
pub(super) enum Scanned<'a> {
    Record(RecordRef<'a>),
    /// Bytes from here on that are no record. What follows them comes next.
    Damage {
        offset: u64,
    },
    End,
}

/// A place in a segment, and the bytes around it.
pub(super) struct Scanner<'a> {
    file: &'a dyn StorageFile,
    salt: u32,
    /// Records have this sequence or a later one.
    expected: u64,
    end: u64,
    /// Of the first byte of `window`.
    window_offset: u64,
    window: Vec<u8>,
    /// In `window`.
    at: usize,
}

impl<'a> Scanner<'a> {
    /// Begins at `offset`, which is that of the record `expected` or the first one after it.
    pub(super) fn new(
        file: &'a dyn StorageFile,
        salt: u32,
        expected: u64,
        offset: u64,
        end: u64,
    ) -> Self {
        Self { file, salt, expected, end, window_offset: offset, window: Vec::new(), at: 0 }
    }

    /// Of what comes next.
    pub(super) fn offset(&self) -> u64 {
        self.window_offset + self.at as u64
    }

    /// The next sequence that a record can have.
    pub(super) fn expected(&self) -> u64 {
        self.expected
    }

    pub(super) fn next(&mut self) -> io::Result<Scanned<'_>> {
        self.fill()?;
        let offset = self.offset();
        if self.at == self.window.len() {
            return Ok(Scanned::End);
        }
        if self.take().is_some() {
            // Laid out once more: the borrow of the first time would outlive the step.
            let at = (offset - self.window_offset) as usize;
            let laid_out = RecordRef::layout(&self.window[at..]);
            let (record, _) = laid_out.map_err(|_| io::Error::other("a record has gone"))?;
            return Ok(Scanned::Record(record));
        }
        self.find()?;
        Ok(Scanned::Damage { offset })
    }

    /// Steps over the record at this place.
    fn take(&mut self) -> Option<()> {
        let record = RecordRef::parse(&self.window[self.at..], self.salt).ok()?;
        if record.sequence < self.expected {
            return None;
        }
        self.at += record.len_bytes();
        self.expected = record.sequence.saturating_add(1);
        Some(())
    }

    /// Goes on to the next record behind damage, or to the end.
    fn find(&mut self) -> io::Result<()> {
        loop {
            self.at += 1;
            self.fill()?;
            let rest = &self.window[self.at..];
            let Some(sequence) = sequence_at(rest) else {
                self.at = self.window.len();
                return Ok(());
            };
            // No more than these fit into a segment of this length.
            let most = self.expected.saturating_add(self.end / RECORD_HEADER_BYTES as u64);
            if (self.expected..=most).contains(&sequence)
                && RecordRef::parse(rest, self.salt).is_ok()
            {
                return Ok(());
            }
        }
    }

    /// Has a whole record at this place, if the segment has one.
    fn fill(&mut self) -> io::Result<()> {
        let have = self.window.len() - self.at;
        let left = self.end.saturating_sub(self.offset()) as usize;
        if have >= left.min(RECORD_BYTES_MAX) {
            return Ok(());
        }
        self.window.drain(..self.at);
        self.window_offset += self.at as u64;
        self.at = 0;
        let want = left.min(RECORD_BYTES_MAX + CHUNK_BYTES);
        self.window.resize(want, 0);
        let read = self.file.read_at(self.window_offset + have as u64, &mut self.window[have..])?;
        self.window.truncate(have + read);
        if have + read < want {
            // Shorter than it was said to be: that is its end.
            self.end = self.window_offset + self.window.len() as u64;
        }
        Ok(())
    }
}
