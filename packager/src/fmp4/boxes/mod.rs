//! Wire layouts, one box or one family of boxes in each file. Decisions are made by the callers.

pub(super) mod dinf;
pub(super) mod ftyp;
pub(super) mod hdlr;
pub(super) mod mdat;
pub(super) mod mdhd;
pub(super) mod media_header;
pub(super) mod mfhd;
pub(super) mod mvex;
pub(super) mod mvhd;
pub(super) mod sidx;
pub(super) mod stbl;
pub(super) mod tfdt;
pub(super) mod tfhd;
pub(super) mod tkhd;
pub(super) mod trun;
pub(super) mod vttc;
pub(super) mod wvtt;

/// `track_ID` of the one track in every file that is written.
pub(super) const TRACK_ID: u32 = 1;

/// The identity transformation of `mvhd` and `tkhd` (ISO/IEC 14496-12 8.2.2.2): 16.16 fixed point,
/// the last column 2.30.
pub(super) const IDENTITY_MATRIX: [i32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];
