//! Bytes of an object: a list of slices, addressed by offset.

use bytes::{Bytes, BytesMut};

/// Sizes of slices once an object is whole. 64 KiB cost nothing more to send than larger ones.
pub const PIECE_BYTES: usize = 64 * 1024;
/// Slices up to this size are put together as they come, so that an origin that sends single bytes
/// doesn't cost a list entry for each.
const MERGE_BYTES: usize = 1024;

/// Grows at its end; what is there never changes.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    /// Each with the offset of its first byte.
    parts: Vec<(u64, Bytes)>,
    len_bytes: u64,
}

impl Pieces {
    pub fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    pub fn push(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        let count = bytes.len();
        match self.parts.last_mut() {
            Some((_, last)) if last.len() + count <= MERGE_BYTES => {
                let mut merged = BytesMut::with_capacity(last.len() + count);
                merged.extend_from_slice(last);
                merged.extend_from_slice(&bytes);
                *last = merged.freeze();
            }
            _ => self.parts.push((self.len_bytes, bytes)),
        }
        self.len_bytes += count as u64;
    }

    /// What lies at `start`, up to the end of its slice or to `end`. `None` when it isn't there.
    pub fn at(&self, start: u64, end: u64) -> Option<Bytes> {
        if start >= end.min(self.len_bytes) {
            return None;
        }
        let index = self.parts.partition_point(|(first, _)| *first <= start) - 1;
        let (first, part) = &self.parts[index];
        let from = (start - first) as usize;
        let to = part.len().min((end - first).try_into().unwrap_or(usize::MAX));
        Some(part.slice(from..to))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.parts.iter().map(|(_, part)| part)
    }

    /// The same bytes in slices of [`PIECE_BYTES`]. Slices that are large enough are shared, not
    /// copied; small ones hold buffers of the connection they came over, which then go free.
    pub fn compact(self) -> Self {
        let is_good = |index: usize, part: &Bytes| {
            part.len() >= PIECE_BYTES / 2 || (index + 1 == self.parts.len() && index > 0)
        };
        if self.parts.iter().enumerate().all(|(index, (_, part))| is_good(index, part)) {
            return self;
        }
        let mut compact = Self::default();
        let mut buffer = BytesMut::new();
        for (_, mut part) in self.parts {
            while !part.is_empty() {
                if buffer.is_empty() {
                    let left = (self.len_bytes - compact.len_bytes) as usize;
                    buffer.reserve(left.min(PIECE_BYTES));
                }
                let head = part.split_to(part.len().min(PIECE_BYTES - buffer.len()));
                buffer.extend_from_slice(&head);
                if buffer.len() == PIECE_BYTES {
                    let piece = std::mem::take(&mut buffer).freeze();
                    compact.len_bytes += piece.len() as u64;
                    compact.parts.push((compact.len_bytes - piece.len() as u64, piece));
                }
            }
        }
        if !buffer.is_empty() {
            compact.parts.push((compact.len_bytes, buffer.freeze()));
        }
        compact.len_bytes = self.len_bytes;
        compact
    }
}

impl FromIterator<Bytes> for Pieces {
    fn from_iter<I: IntoIterator<Item = Bytes>>(parts: I) -> Self {
        let mut pieces = Self::default();
        parts.into_iter().for_each(|part| pieces.push(part));
        pieces
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(pieces: &Pieces) -> Vec<u8> {
        pieces.iter().flat_map(|part| part.to_vec()).collect()
    }

    proptest! {
        /// However bytes arrive, every offset yields them, before and after compaction.
        #[test]
        fn offsets_find_their_bytes(
            sizes in prop::collection::vec(prop_oneof![1..4_usize, 500..2_000_usize, 60_000..140_000_usize], 0..12),
            at in any::<prop::sample::Index>(),
        ) {
            let mut whole = Vec::new();
            let mut pieces = Pieces::default();
            for size in sizes {
                let part: Vec<u8> = (0..size).map(|i| (i * 7 + whole.len()) as u8).collect();
                whole.extend_from_slice(&part);
                pieces.push(part.into());
            }
            for pieces in [pieces.clone(), pieces.compact()] {
                prop_assert_eq!(pieces.len_bytes(), whole.len() as u64);
                prop_assert!(all(&pieces) == whole);
                prop_assert!(pieces.at(whole.len() as u64, u64::MAX).is_none());
                if !whole.is_empty() {
                    let start = at.index(whole.len());
                    let end = (start + 70_000).min(whole.len());
                    let found = pieces.at(start as u64, end as u64).unwrap();
                    prop_assert!(!found.is_empty());
                    prop_assert!(found == whole[start..start + found.len()]);
                    prop_assert!(start + found.len() <= end);
                }
            }
        }
    }
}
