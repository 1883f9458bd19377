//! Ranged reads of a local object.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::super::{ObjectError, ObjectKey, ObjectMeta, ObjectMetrics, blocking};
use super::mapping::Mapping;
use super::meta_of;

/// Gap between two ranges that is cheaper to read than to skip.
const GAP_BYTES_MAX: usize = 16 * 1024;

/// An open file and, once it was sliced, its mapping. Clones share both.
#[derive(Clone, Debug)]
pub struct LocalReader {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    key: ObjectKey,
    file: Arc<File>,
    meta: ObjectMeta,
    mapping: OnceLock<Mapping>,
    /// Whether reads that refuse to wait are supported by this file system.
    has_nowait: AtomicBool,
    metrics: ObjectMetrics,
}

impl LocalReader {
    pub(super) fn new(
        key: ObjectKey,
        file: File,
        meta: ObjectMeta,
        metrics: ObjectMetrics,
    ) -> Self {
        metrics.files_open.inc();
        let has_nowait = AtomicBool::new(true);
        let (file, mapping) = (Arc::new(file), OnceLock::new());
        Self { shared: Arc::new(Shared { key, file, meta, mapping, has_nowait, metrics }) }
    }

    pub fn key(&self) -> &ObjectKey {
        &self.shared.key
    }

    pub fn meta(&self) -> &ObjectMeta {
        &self.shared.meta
    }

    /// Compares the open file's size and time with those at opening.
    pub fn check(&self) -> Result<(), ObjectError> {
        let metadata = self.shared.file.metadata().map_err(|error| self.fail(error))?;
        match self.meta().version.difference(&meta_of(&metadata).version) {
            None => Ok(()),
            Some(reason) => Err(ObjectError::Changed { key: self.key().clone(), reason }),
        }
    }

    /// Reads the cold pages among `ranges` into memory, on a thread that may wait.
    pub async fn prepare(&self, ranges: &[Range<u64>]) -> Result<(), ObjectError> {
        let spans = self.spans(ranges)?;
        if spans.is_empty() {
            return Ok(());
        }
        let mapping = self.mapping()?;
        let mut cold = Vec::new();
        for span in spans {
            if !mapping.is_resident(span.clone()).map_err(|error| self.fail(error))? {
                cold.push(span);
            }
        }
        if cold.is_empty() {
            self.shared.metrics.pages_warm.inc();
            return Ok(());
        }
        self.shared.metrics.pages_cold.inc();
        let (reader, mapping) = (self.clone(), mapping.clone());
        blocking(move || {
            // Beyond a cut-off end there is nothing to populate.
            reader.check()?;
            cold.into_iter()
                .try_for_each(|span| mapping.populate(span))
                .map_err(|error| reader.fail(error))
        })
        .await
    }

    /// A slice of the mapping without a look at residency: for ranges that were prepared.
    pub fn slice_prepared(&self, range: Range<u64>) -> Result<Bytes, ObjectError> {
        let range = self.in_memory(&range)?;
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        Ok(self.mapping()?.slice(range))
    }

    /// [`Self::prepare`] and [`Self::slice_prepared`] of one range.
    pub async fn slice(&self, range: Range<u64>) -> Result<Bytes, ObjectError> {
        self.prepare(std::slice::from_ref(&range)).await?;
        self.slice_prepared(range)
    }

    /// Fills `buffer` from memory; `false` where some of it is not there.
    pub fn read_at_once(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<bool, ObjectError> {
        let end = offset_bytes.saturating_add(buffer.len() as u64);
        self.meta().check_range(self.key(), &(offset_bytes..end))?;
        let is_whole = self.read_without_waiting(offset_bytes, buffer)? == buffer.len();
        if is_whole {
            self.shared.metrics.pages_warm.inc();
        }
        Ok(is_whole)
    }

    /// Fills `buffer`: from memory at once where it can, else on a thread that may wait.
    pub async fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), ObjectError> {
        let end = offset_bytes.saturating_add(buffer.len() as u64);
        self.meta().check_range(self.key(), &(offset_bytes..end))?;
        let done = self.read_without_waiting(offset_bytes, buffer)?;
        let rest = &mut buffer[done..];
        if rest.is_empty() {
            self.shared.metrics.pages_warm.inc();
            return Ok(());
        }
        self.shared.metrics.pages_cold.inc();
        let (reader, len) = (self.clone(), rest.len());
        let cold = blocking(move || {
            let mut bytes = vec![0; len];
            reader
                .shared
                .file
                .read_exact_at(&mut bytes, offset_bytes + done as u64)
                .map_err(|error| reader.fail(error))?;
            Ok(bytes)
        });
        rest.copy_from_slice(&cold.await?);
        Ok(())
    }

    /// Reads what is in memory (preadv2(2), RWF_NOWAIT) and answers how much that was.
    fn read_without_waiting(
        &self,
        offset_bytes: u64,
        buffer: &mut [u8],
    ) -> Result<usize, ObjectError> {
        let mut done = 0;
        while done < buffer.len() && self.shared.has_nowait.load(Ordering::Relaxed) {
            let mut slices = [IoSliceMut::new(&mut buffer[done..])];
            let offset_bytes = offset_bytes + done as u64;
            let nowait = ReadWriteFlags::NOWAIT;
            match preadv2(&*self.shared.file, &mut slices, offset_bytes, nowait) {
                // The file ends early; the reading that waits finds the same and says so.
                Ok(0) | Err(Errno::AGAIN) => break,
                Ok(bytes) => done += bytes,
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                    self.shared.has_nowait.store(false, Ordering::Relaxed);
                }
                Err(error) => return Err(self.fail(error.into())),
            }
        }
        Ok(done)
    }

    fn mapping(&self) -> Result<&Mapping, ObjectError> {
        if let Some(mapping) = self.shared.mapping.get() {
            return Ok(mapping);
        }
        let whole = self.in_memory(&(0..self.meta().len_bytes))?;
        let mapping =
            Mapping::of(&self.shared.file, whole.end).map_err(|error| self.fail(error))?;
        // Of two that map at once, one is kept.
        Ok(self.shared.mapping.get_or_init(|| mapping))
    }

    fn in_memory(&self, range: &Range<u64>) -> Result<Range<usize>, ObjectError> {
        let len = self.meta().check_range(self.key(), range)?;
        let out_of_range = |_| ObjectError::OutOfRange {
            key: self.key().clone(),
            len_bytes: self.meta().len_bytes,
            range: range.clone(),
        };
        let start = usize::try_from(range.start).map_err(out_of_range)?;
        Ok(start..start + len)
    }

    /// The ranges in order, neighbours joined.
    pub(super) fn spans(&self, ranges: &[Range<u64>]) -> Result<Vec<Range<usize>>, ObjectError> {
        let mut spans = Vec::with_capacity(ranges.len());
        for range in ranges {
            spans.push(self.in_memory(range)?);
        }
        spans.retain(|span| !span.is_empty());
        spans.sort_unstable_by_key(|span| span.start);
        spans.dedup_by(|next, span| {
            let is_near = next.start <= span.end.saturating_add(GAP_BYTES_MAX);
            if is_near {
                span.end = span.end.max(next.end);
            }
            is_near
        });
        Ok(spans)
    }

    /// An I/O failure of this file. An end that came early means that the file has changed.
    fn fail(&self, error: io::Error) -> ObjectError {
        let key = self.key().clone();
        let is_cut = error.kind() == io::ErrorKind::UnexpectedEof
            || error.raw_os_error() == Some(libc::EFAULT);
        if is_cut {
            return ObjectError::Changed { key, reason: "it was cut short".to_owned() };
        }
        ObjectError::Io { action: "read", path: key.to_string(), source: Arc::new(error) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.metrics.files_open.dec();
    }
}
