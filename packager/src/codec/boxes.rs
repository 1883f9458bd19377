//! The boxes inside a sample entry (ISO/IEC 14496-12 4.2 and 8.5.2), borrowed from its bytes.

use crate::{FourCc, PackageError};

/// Boxes on one level of a sample entry; real ones hold fewer than ten.
const CHILDREN_MAX: usize = 64;

#[derive(Clone, Copy, Debug)]
pub(super) struct Child<'a> {
    pub(super) kind: FourCc,
    pub(super) body: &'a [u8],
    /// Of the box header in the source, for error messages.
    pub(super) offset: u64,
}

impl<'a> Child<'a> {
    pub(super) fn body_offset(&self) -> u64 {
        self.offset.saturating_add(8)
    }

    pub(super) fn invalid(&self, reason: &'static str) -> PackageError {
        PackageError::InvalidBox { kind: self.kind, offset: self.offset, reason }
    }

    /// The body behind version and flags.
    pub(super) fn full_box(&self) -> Result<(u8, &'a [u8]), PackageError> {
        match self.body {
            [version, _, _, _, rest @ ..] => Ok((*version, rest)),
            _ => Err(PackageError::Truncated {
                kind: self.kind,
                offset: self.offset,
                wanted: 12,
                left: self.body.len() as u64 + 8,
            }),
        }
    }
}

/// The boxes that tile `bytes`, which begin at `offset` in the source.
///
/// Fewer than eight bytes after the last box, and a box whose size is zero, end the list:
/// QuickTime closes lists of atoms with four zero bytes.
pub(super) fn children(bytes: &[u8], offset: u64) -> Result<Vec<Child<'_>>, PackageError> {
    let mut list = Vec::new();
    let mut at = 0_usize;
    while let Some(header) = bytes.get(at..at.saturating_add(8)) {
        let size = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let kind = FourCc([header[4], header[5], header[6], header[7]]);
        let place = offset.saturating_add(at as u64);
        if size == 0 {
            break;
        }
        let left = bytes.len() - at;
        if size < 8 {
            return Err(PackageError::InvalidBox {
                kind,
                offset: place,
                reason: "its size is smaller than a box header",
            });
        }
        if size > left {
            return Err(PackageError::Truncated {
                kind,
                offset: place,
                wanted: size as u64,
                left: left as u64,
            });
        }
        if list.len() == CHILDREN_MAX {
            return Err(PackageError::LimitExceeded {
                what: "boxes in a sample entry",
                max: CHILDREN_MAX as u64,
            });
        }
        list.push(Child { kind, body: &bytes[at + 8..at + size], offset: place });
        at += size;
    }
    Ok(list)
}
