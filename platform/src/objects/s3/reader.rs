//! Ranged reads of one version of an object on S3.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use object_store::{GetOptions, GetRange, ObjectStore as _};

use super::super::{ObjectError, ObjectKey, ObjectMeta, SLICE_BYTES_MAX, SourceVersion};
use super::block_cache::{BLOCK_BYTES, Missing, ObjectId, Slot};
use super::run::Run;
use super::{S3Store, failure};

/// Blocks between two wanted ones that are cheaper to fetch with them than by a GET of their own.
const GAP_BLOCKS_MAX: u64 = 1;

/// Bytes that a stream asks for at a time. One such window is read ahead.
const WINDOW_BYTES: u64 = 4 << 20;

/// An object's name, size and tag. Clones share them.
#[derive(Clone, Debug)]
pub struct S3Reader {
    store: S3Store,
    key: ObjectKey,
    meta: Arc<ObjectMeta>,
    id: Arc<ObjectId>,
    path: object_store::path::Path,
}

impl S3Reader {
    pub(super) fn new(
        store: S3Store,
        key: ObjectKey,
        meta: ObjectMeta,
    ) -> Result<Self, ObjectError> {
        let path = store.path(&key)?;
        let SourceVersion::Etag { etag, .. } = &meta.version else {
            let reason = "it was recorded in another kind of store".to_owned();
            return Err(ObjectError::Changed { key, reason });
        };
        let id = Arc::new(ObjectId { key: key.to_string(), etag: etag.clone() });
        Ok(Self { store, key, meta: Arc::new(meta), id, path })
    }

    pub fn key(&self) -> &ObjectKey {
        &self.key
    }

    pub fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    /// Every GET compares versions itself.
    pub fn check(&self) -> Result<(), ObjectError> {
        Ok(())
    }

    /// Starts fetching the missing blocks of `range`.
    pub fn begin(&self, range: Range<u64>) -> Result<(), ObjectError> {
        self.meta.check_range(&self.key, &range)?;
        let end = range.end.min(range.start.saturating_add(SLICE_BYTES_MAX));
        drop(self.request(blocks_of(&(range.start..end))));
        Ok(())
    }

    /// When `read` crosses into a window, begins the one behind it.
    pub fn go_on(&self, read: &Range<u64>, end: u64) -> Result<(), ObjectError> {
        let window = read.end / WINDOW_BYTES;
        if read.start / WINDOW_BYTES == window {
            return Ok(());
        }
        let ahead_end = end.min((window + 2).saturating_mul(WINDOW_BYTES));
        self.begin(read.end.min(ahead_end)..ahead_end)
    }

    /// Fetches the missing blocks of `ranges`, in as few GETs as there are gaps, at once.
    pub async fn prepare(&self, ranges: &[Range<u64>]) -> Result<(), ObjectError> {
        let mut spans = Vec::with_capacity(ranges.len());
        for range in ranges {
            self.check_size(range)?;
            spans.push(blocks_of(range));
        }
        spans.retain(|span| !span.is_empty());
        spans.sort_unstable_by_key(|span| span.start);
        spans.dedup_by(|next, span| {
            let is_near = next.start <= span.end.saturating_add(GAP_BLOCKS_MAX);
            if is_near {
                span.end = span.end.max(next.end);
            }
            is_near
        });
        let blocks: u64 = spans.iter().map(|span| span.end - span.start).sum();
        self.check_len(blocks.saturating_sub(2).saturating_mul(BLOCK_BYTES))?;
        for slot in self.request(spans.into_iter().flatten()) {
            slot.block().await?;
        }
        Ok(())
    }

    /// The bytes of `range`, a piece a block. What is missing comes in one GET for each gap.
    pub async fn slice(&self, range: Range<u64>) -> Result<Vec<Bytes>, ObjectError> {
        self.check_size(&range)?;
        let first = range.start / BLOCK_BYTES;
        let slots = self.request(blocks_of(&range));
        let mut pieces = Vec::with_capacity(slots.len());
        for (index, slot) in (first..).zip(slots) {
            pieces.push(part_of(&slot.block().await?, index, &range));
        }
        Ok(pieces)
    }

    pub async fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), ObjectError> {
        let end = offset_bytes.saturating_add(buffer.len() as u64);
        let mut rest = buffer;
        for piece in self.slice(offset_bytes..end).await? {
            let (filled, left) = rest.split_at_mut(piece.len());
            filled.copy_from_slice(&piece);
            rest = left;
        }
        Ok(())
    }

    /// The first piece of `rest`, with up to two windows of it asked for.
    ///
    /// `requested_to` is where earlier calls have asked to. Only the block that is answered is
    /// held: blocks that are dropped from memory before their turn are asked for again, together.
    pub(in super::super) async fn next_piece(
        &self,
        rest: &Range<u64>,
        requested_to: &mut u64,
    ) -> Result<Bytes, ObjectError> {
        let index = rest.start / BLOCK_BYTES;
        let first_start = index * BLOCK_BYTES;
        while *requested_to < rest.end && *requested_to <= first_start + WINDOW_BYTES {
            // Windows begin and end on blocks, so that no block belongs to two.
            let window_start = *requested_to / BLOCK_BYTES * BLOCK_BYTES;
            let window_end = (window_start + WINDOW_BYTES).min(rest.end);
            drop(self.request(blocks_of(&(*requested_to..window_end))));
            *requested_to = window_end;
        }
        // The block was asked for above or by an earlier call. If it is gone again, so are its
        // neighbours, and they come together.
        let is_known = self.store.shared.blocks.knows(&self.id, index);
        let end = if is_known { first_start + BLOCK_BYTES } else { first_start + WINDOW_BYTES };
        let slots = self.request(blocks_of(&(rest.start..end.min(rest.end))));
        let first = slots.into_iter().next();
        let first = first.expect("a range that is not empty has a block");
        Ok(part_of(&first.block().await?, index, rest))
    }

    fn check_size(&self, range: &Range<u64>) -> Result<(), ObjectError> {
        let len = self.meta.check_range(&self.key, range)?;
        self.check_len(len as u64)
    }

    fn check_len(&self, len_bytes: u64) -> Result<(), ObjectError> {
        if SLICE_BYTES_MAX < len_bytes {
            let (key, max_bytes) = (self.key.clone(), SLICE_BYTES_MAX);
            return Err(ObjectError::TooLarge { key, len_bytes, max_bytes });
        }
        Ok(())
    }

    /// Looks blocks up and starts the fetches that are due.
    ///
    /// Each runs in a task of its own: whoever asked first may go away, others may have joined.
    fn request(&self, indexes: impl Iterator<Item = u64>) -> Vec<Slot> {
        let (slots, missing) = self.store.shared.blocks.look_up(&self.id, indexes);
        for Missing { blocks, run } in missing {
            let fetch = Fetch { reader: self.clone(), left: blocks, run };
            tokio::spawn(fetch.run());
        }
        slots
    }
}

/// The fetch of one run.
struct Fetch {
    reader: S3Reader,
    /// Blocks that have not arrived.
    left: Range<u64>,
    run: Arc<Run>,
}

impl Fetch {
    async fn run(mut self) {
        if let Err(failure) = self.fetch().await {
            self.give_up(failure);
        }
    }

    async fn fetch(&mut self) -> Result<(), ObjectError> {
        let reader = self.reader.clone();
        let shared = &reader.store.shared;
        let _request = reader.store.request().await;
        shared.metrics.remote_gets.inc();
        let start = self.left.start * BLOCK_BYTES;
        let end = (self.left.end * BLOCK_BYTES).min(reader.meta.len_bytes);
        let options = GetOptions {
            range: Some(GetRange::Bounded(start..end)),
            if_match: Some(reader.id.etag.clone()),
            ..GetOptions::default()
        };
        let answer = shared.client.get_opts(&reader.path, options).await;
        let answer = answer.map_err(|error| failure(&reader.key, error))?;
        reader.check_answer(&answer.meta, &answer.range, &(start..end))?;

        let mut body = answer.into_stream();
        let mut block = BytesMut::new();
        while let Some(piece) = body.next().await {
            let mut piece = piece.map_err(|error| failure(&reader.key, error))?;
            shared.metrics.remote_bytes.inc_by(piece.len() as u64);
            while !piece.is_empty() && !self.left.is_empty() {
                let block_len = self.block_len();
                if block.is_empty() {
                    block.reserve(block_len);
                }
                let take = piece.len().min(block_len - block.len());
                block.extend_from_slice(&piece.split_to(take));
                if block.len() == block_len {
                    self.arrive(std::mem::take(&mut block).freeze());
                }
            }
        }
        if self.left.is_empty() {
            return Ok(());
        }
        let reason = "the answer ended early".to_owned();
        Err(ObjectError::Remote { key: reader.key.to_string(), reason })
    }

    fn block_len(&self) -> usize {
        let start = self.left.start * BLOCK_BYTES;
        let len = (self.reader.meta.len_bytes - start).min(BLOCK_BYTES);
        usize::try_from(len).unwrap_or(usize::MAX)
    }

    fn arrive(&mut self, block: Bytes) {
        let blocks = &self.reader.store.shared.blocks;
        blocks.arrived(&self.reader.id, self.left.start, &self.run, block);
        self.left.start += 1;
    }

    fn give_up(&mut self, failure: ObjectError) {
        let left = std::mem::take(&mut self.left);
        self.reader.store.shared.blocks.failed(&self.reader.id, left, &self.run, failure);
    }
}

impl Drop for Fetch {
    /// However a fetch ends, nobody waits for it for ever.
    fn drop(&mut self) {
        if !self.left.is_empty() {
            let (key, reason) = (self.reader.key.to_string(), "the fetch was stopped".to_owned());
            self.give_up(ObjectError::Remote { key, reason });
        }
    }
}

impl S3Reader {
    /// Whether an answer is of the recorded version and of the range that was asked for.
    fn check_answer(
        &self,
        meta: &object_store::ObjectMeta,
        answered: &Range<u64>,
        asked: &Range<u64>,
    ) -> Result<(), ObjectError> {
        let etag = meta.e_tag.clone().unwrap_or_default();
        let found = SourceVersion::Etag { len_bytes: meta.size, etag };
        if let Some(reason) = self.meta.version.difference(&found) {
            return Err(ObjectError::Changed { key: self.key.clone(), reason });
        }
        if answered != asked {
            let reason = format!("asked for bytes {asked:?} and got {answered:?}");
            return Err(ObjectError::Remote { key: self.key.to_string(), reason });
        }
        Ok(())
    }
}

/// The blocks that `range` touches.
fn blocks_of(range: &Range<u64>) -> Range<u64> {
    if range.is_empty() {
        return 0..0;
    }
    range.start / BLOCK_BYTES..range.end.div_ceil(BLOCK_BYTES)
}

/// What of the block at `index` lies in `range`, which touches it.
fn part_of(block: &Bytes, index: u64, range: &Range<u64>) -> Bytes {
    let block_start = index * BLOCK_BYTES;
    let within = |offset: u64| {
        let offset = offset.saturating_sub(block_start).min(block.len() as u64);
        usize::try_from(offset).unwrap_or(block.len())
    };
    block.slice(within(range.start)..within(range.end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The parts of a range's blocks, joined, are the range: nothing lost, nothing twice.
        #[test]
        fn blocks_tile_a_range(
            start in 0..5 * BLOCK_BYTES,
            len in 0..3 * BLOCK_BYTES,
            tail in 0..2 * BLOCK_BYTES,
        ) {
            let range = start..start + len;
            let object_bytes = range.end + tail;
            let mut next = range.start;
            for index in blocks_of(&range) {
                let block_start = index * BLOCK_BYTES;
                let block_len = BLOCK_BYTES.min(object_bytes - block_start);
                // Only lengths matter here: every block is a view of the same zeros.
                let block = Bytes::from_static(&[0; BLOCK_BYTES as usize]);
                let block = block.slice(..usize::try_from(block_len).unwrap());
                let part = part_of(&block, index, &range);
                prop_assert!(!part.is_empty());
                prop_assert_eq!(next, block_start.max(range.start));
                next += part.len() as u64;
            }
            prop_assert_eq!(next, range.end);
        }
    }
}
