//! `sidx`: where subsegments lie and when they play (ISO/IEC 14496-12 8.16.3).

use super::TRACK_ID;
use crate::Timescale;
use crate::fmp4::box_writer::{BoxWriter, FULL_BOX_BYTES};

/// `reference_count` has 16 bits.
pub(in crate::fmp4) const REFERENCES_MAX: usize = u16::MAX as usize;
/// `referenced_size` has 31 bits; the one above says what is referenced.
pub(in crate::fmp4) const REFERENCED_BYTES_MAX: u64 = 0x7fff_ffff;

const FIXED_BYTES: u64 = FULL_BOX_BYTES + 4 + 4 + 8 + 8 + 2 + 2;
const REFERENCE_BYTES: u64 = 12;

/// One run of bytes that follows the `sidx`, in order and without gaps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::fmp4) struct Reference {
    /// At most [`REFERENCED_BYTES_MAX`].
    pub(in crate::fmp4) size_bytes: u32,
    pub(in crate::fmp4) duration_ticks: u32,
    pub(in crate::fmp4) access: StreamAccess,
}

/// How a subsegment starts (`starts_with_SAP`, `SAP_type`; types in Annex I).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::fmp4) enum StreamAccess {
    /// Nothing is known.
    None,
    /// Decoding can start here, but it is not known whether pictures shown before the first one
    /// can be decoded.
    Unknown,
    /// Type 1: everything from here on can be decoded and shown.
    Closed,
}

impl StreamAccess {
    /// `starts_with_SAP` (1 bit), `SAP_type` (3 bits), `SAP_delta_time` (28 bits, 0).
    fn bits(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Unknown => 0x8000_0000,
            Self::Closed => 0x9000_0000,
        }
    }
}

pub(in crate::fmp4) fn sidx_bytes(reference_count: usize) -> u64 {
    FIXED_BYTES + REFERENCE_BYTES * reference_count as u64
}

/// Writes a segment index, version 1, whose first subsegment starts right behind it.
///
/// ```text
/// u32  reference_ID                 the track
/// u32  timescale
/// u64  earliest_presentation_time   ticks
/// u64  first_offset                 0
/// u16  reserved
/// u16  reference_count              n
/// n ×  u32  reference_type (1 bit, 0: media), referenced_size (31 bits)
///      u32  subsegment_duration     ticks
///      u32  starts_with_SAP, SAP_type, SAP_delta_time
/// ```
pub(in crate::fmp4) fn write_sidx(
    w: &mut BoxWriter,
    timescale: Timescale,
    earliest_presentation_time: u64,
    references: &[Reference],
) {
    debug_assert!(references.len() <= REFERENCES_MAX);
    w.write_full_box(b"sidx", 1, 0, |w| {
        w.u32(TRACK_ID);
        w.u32(timescale.get());
        w.u64(earliest_presentation_time);
        w.u64(0);
        w.u16(0);
        w.u16(references.len() as u16);
        for reference in references {
            debug_assert!(u64::from(reference.size_bytes) <= REFERENCED_BYTES_MAX);
            w.u32(reference.size_bytes);
            w.u32(reference.duration_ticks);
            w.u32(reference.access.bits());
        }
    });
}
