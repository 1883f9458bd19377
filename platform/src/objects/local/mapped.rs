//! Which file a piece of memory is a mapping of.
//!
//! A listener that is about to write such a piece to a plain socket has the kernel send the file's
//! pages instead (`sendfile(2)`), which spares their copy into the socket: more than half of the
//! processor time of a large answer. HTTP code in between passes the bytes on and need not know.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, PoisonError, RwLock};

/// Mappings by the address of their first byte.
static MAPPED: RwLock<BTreeMap<usize, Mapped>> = RwLock::new(BTreeMap::new());

#[derive(Clone, Debug)]
struct Mapped {
    len: usize,
    file: Arc<File>,
}

/// Notes a mapping of a file from its beginning for as long as the value lives. It must not outlive
/// the mapping, since another may take its addresses.
#[derive(Debug)]
pub(super) struct Registration {
    address: usize,
}

impl Registration {
    pub(super) fn new(mapping: &[u8], file: Arc<File>) -> Self {
        let address = mapping.as_ptr().addr();
        let mut mapped = MAPPED.write().unwrap_or_else(PoisonError::into_inner);
        mapped.insert(address, Mapped { len: mapping.len(), file });
        Self { address }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        MAPPED.write().unwrap_or_else(PoisonError::into_inner).remove(&self.address);
    }
}

/// The file that `piece` is mapped from, and where it begins in it.
pub(crate) fn file_of(piece: &[u8]) -> Option<(Arc<File>, u64)> {
    let address = piece.as_ptr().addr();
    let mapped = MAPPED.read().unwrap_or_else(PoisonError::into_inner);
    let (start, mapping) = mapped.range(..=address).next_back()?;
    let offset = address - start;
    let is_inside = offset.checked_add(piece.len()).is_some_and(|end| end <= mapping.len);
    is_inside.then(|| (Arc::clone(&mapping.file), offset as u64))
}
