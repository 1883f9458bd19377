//! A read-only mapping of a sealed file, whose bytes go to the kernel and nowhere else.
//!
//! The one module of this crate with `unsafe` code. Two calls need it:
//!
//! * `mmap(2)`. Rust's rule is that the bytes behind a `&[u8]` don't change. The store writes an
//!   object once, seals it (mode 0444) and replaces it by renaming another file over it, which
//!   leaves this one's bytes alone. Whoever changes a sealed file behind our back changes bytes
//!   that only the kernel reads: `writev(2)` sends what it finds, and of a file that was cut short
//!   it answers EFAULT, where a load by our own code would raise SIGBUS. Hence the rule for
//!   callers: slices of a mapping are sent, never looked at.
//! * `mincore(2)`, which writes one byte a page into a buffer that is sized for it here.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use memmap2::{Advice, Mmap};

use super::mapped::Registration;

/// Pages that one call of `mincore(2)` looks at.
const PAGES_PER_CALL: usize = 1024;

/// A mapped file. Clones share the mapping, which lives as long as the last slice of it.
///
/// `whole` is dropped first: when it is the last, the registration goes with it, and `map`, which
/// keeps the addresses taken, after it.
#[derive(Clone, Debug)]
pub(super) struct Mapping {
    whole: Bytes,
    map: Arc<Mmap>,
}

/// Keeps the mapping while slices of it live. Fields are dropped in this order: the registration
/// ends before the mapping does.
struct Owner {
    _registration: Registration,
    map: Arc<Mmap>,
}

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}

impl Mapping {
    /// Maps the first `len` bytes of a sealed file.
    pub(super) fn of(file: &Arc<File>, len: usize) -> io::Result<Self> {
        // SAFETY: the file is sealed and its bytes are read by the kernel alone; see above.
        let map = unsafe { memmap2::MmapOptions::new().len(len).map(&**file) }?;
        let map = Arc::new(map);
        let registration = Registration::new(&map, Arc::clone(file));
        let owner = Owner { _registration: registration, map: Arc::clone(&map) };
        Ok(Self { whole: Bytes::from_owner(owner), map })
    }

    /// Bytes to be sent. Costs a reference count.
    pub(super) fn slice(&self, range: Range<usize>) -> Bytes {
        self.whole.slice(range)
    }

    /// Whether all pages of `range` are in memory now.
    pub(super) fn is_resident(&self, range: Range<usize>) -> io::Result<bool> {
        let page_bytes = rustix::param::page_size();
        let end = range.end.min(self.map.len());
        let mut start = range.start / page_bytes * page_bytes;
        let mut pages = [0_u8; PAGES_PER_CALL];
        while start < end {
            let len = (end - start).min(PAGES_PER_CALL * page_bytes);
            let count = len.div_ceil(page_bytes);
            let first = self.map.as_ptr().wrapping_add(start).cast_mut();
            // SAFETY: `start..start + len` lies in the mapping, its begin on a page; `pages` has
            // `count` bytes, one for each page, since `count` is at most PAGES_PER_CALL.
            let outcome = unsafe { libc::mincore(first.cast(), len, pages.as_mut_ptr()) };
            if outcome != 0 {
                return Err(io::Error::last_os_error());
            }
            if pages[..count].iter().any(|page| page & 1 == 0) {
                return Ok(false);
            }
            start += len;
        }
        Ok(true)
    }

    /// Reads the pages of `range` into memory. Waits for the disk.
    ///
    /// Reading ahead of the whole range comes first, as populating alone reads page by page.
    /// `MADV_POPULATE_READ` (Linux 5.14) answers EFAULT where a load would raise SIGBUS, and EINVAL
    /// on older kernels, where reading ahead has to do.
    pub(super) fn populate(&self, range: Range<usize>) -> io::Result<()> {
        let len = range.end.saturating_sub(range.start);
        self.map.advise_range(Advice::WillNeed, range.start, len)?;
        match self.map.advise_range(Advice::PopulateRead, range.start, len) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            outcome => outcome,
        }
    }
}
