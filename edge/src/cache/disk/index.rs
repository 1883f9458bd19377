//! Which objects lie on disk: 24 bytes each, and a table to find them.
//!
//! Eviction goes round like the hand of a clock: an object that was used since the hand last passed
//! is spared once. The order is that of writing, which costs nothing to keep.

use foldhash::fast::RandomState;
use indexmap::IndexMap;

use crate::cache::key::KeyHash;

const MAGIC: &[u8; 8] = b"STRMIDX1";
const ROW_BYTES: usize = 16 + 4 + 1;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Row {
    file_bytes: u32,
    is_hot: bool,
}

#[derive(Debug, Default)]
pub struct DiskIndex {
    rows: IndexMap<KeyHash, Row, RandomState>,
    hand: usize,
    bytes: u64,
}

impl DiskIndex {
    pub fn objects(&self) -> usize {
        self.rows.len()
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether an object is there; it counts as used.
    pub fn touch(&mut self, hash: &KeyHash) -> bool {
        self.rows.get_mut(hash).map(|row| row.is_hot = true).is_some()
    }

    pub fn contains(&self, hash: &KeyHash) -> bool {
        self.rows.contains_key(hash)
    }

    pub fn insert(&mut self, hash: KeyHash, file_bytes: u32) {
        let old = self.rows.insert(hash, Row { file_bytes, is_hot: false });
        self.bytes += u64::from(file_bytes);
        self.bytes -= old.map_or(0, |row| u64::from(row.file_bytes));
    }

    pub fn remove(&mut self, hash: &KeyHash) -> bool {
        let Some(row) = self.rows.swap_remove(hash) else {
            return false;
        };
        self.bytes -= u64::from(row.file_bytes);
        true
    }

    /// Takes objects out until `bytes_max` hold what is left.
    pub fn evict_to(&mut self, bytes_max: u64) -> Vec<KeyHash> {
        let mut evicted = Vec::new();
        while self.bytes > bytes_max && !self.rows.is_empty() {
            if self.hand >= self.rows.len() {
                self.hand = 0;
            }
            // Ends: a row spared once is cold when the hand comes back.
            let (hash, row) = self.rows.get_index_mut(self.hand).expect("the hand is inside");
            if row.is_hot {
                row.is_hot = false;
                self.hand += 1;
                continue;
            }
            let hash = *hash;
            self.remove(&hash);
            evicted.push(hash);
        }
        evicted
    }

    pub fn hashes(&self) -> Vec<KeyHash> {
        self.rows.keys().copied().collect()
    }

    /// Magic, rows, CRC-32C of both.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + self.rows.len() * ROW_BYTES + 4);
        out.extend_from_slice(MAGIC);
        for (hash, row) in &self.rows {
            out.extend_from_slice(&hash.0);
            out.extend_from_slice(&row.file_bytes.to_le_bytes());
            out.push(u8::from(row.is_hot));
        }
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out
    }

    /// `None` for anything but a whole snapshot.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, checksum) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let rows = body.strip_prefix(MAGIC)?;
        let (rows, []) = rows.as_chunks::<ROW_BYTES>() else {
            return None;
        };
        let mut index = Self {
            rows: IndexMap::with_capacity_and_hasher(rows.len(), RandomState::default()),
            ..Self::default()
        };
        for row in rows {
            let hash = KeyHash(row[..16].try_into().expect("sixteen"));
            let file_bytes = u32::from_le_bytes(row[16..20].try_into().expect("four"));
            let is_hot = row[20] != 0;
            let old = index.rows.insert(hash, Row { file_bytes, is_hot });
            index.bytes += u64::from(file_bytes);
            index.bytes -= old.map_or(0, |row| u64::from(row.file_bytes));
        }
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u128) -> KeyHash {
        KeyHash(number.to_be_bytes())
    }

    #[test]
    fn what_is_used_is_spared_once() {
        let mut index = DiskIndex::default();
        (0..4).for_each(|number| index.insert(hash(number), 10));
        assert!(index.touch(&hash(0)) && !index.touch(&hash(9)));
        assert_eq!(index.evict_to(30), [hash(1)]);
        assert_eq!(index.bytes(), 30);
        index.insert(hash(0), 5);
        assert_eq!(index.bytes(), 25, "an object that is written again counts once");
        assert_eq!(index.evict_to(0).len(), 3);
        assert_eq!((index.objects(), index.bytes()), (0, 0));
    }

    #[test]
    fn snapshots_read_back_whole_or_not_at_all() {
        let mut index = DiskIndex::default();
        (0..100).for_each(|number| index.insert(hash(number), number as u32));
        let bytes = index.encode();
        let read = DiskIndex::decode(&bytes).unwrap();
        assert_eq!((read.rows, read.bytes), (index.rows, index.bytes));
        for cut in 0..bytes.len() {
            assert!(DiskIndex::decode(&bytes[..cut]).is_none());
        }
        let mut damaged = bytes;
        damaged[40] ^= 1;
        assert!(DiskIndex::decode(&damaged).is_none());
    }
}
