//! Colour, pixel shape and mastering metadata of a visual sample entry
//! (ISO/IEC 14496-12 12.1.4 and 12.1.5).

use super::boxes::Child;
use crate::PackageError;
use crate::track::{ColorInfo, VideoRange};

/// `transfer_characteristics` (ITU-T H.273 table 3).
const TRANSFER_PQ: u8 = 16;
const TRANSFER_HLG: u8 = 18;
/// "Unspecified", in all three columns.
pub(super) const UNSPECIFIED: u8 = 2;

/// `colr` of type `nclx`, or QuickTime's `nclc`, which knows no full range; other types (ICC
/// profiles) say nothing that a manifest carries.
pub(super) fn parse_colr(colr: &Child<'_>) -> Result<Option<ColorInfo>, PackageError> {
    let Some((kind, rest)) = colr.body.split_first_chunk::<4>() else {
        return Err(colr.invalid("it ends before its colour type"));
    };
    let full_range = match (kind, rest.get(6)) {
        (b"nclx", Some(flags)) => flags & 0x80 != 0,
        (b"nclc", _) => false,
        // Seen in the field: `nclx` without its last byte, as a copied `nclc` leaves it.
        (b"nclx", None) => false,
        _ => return Ok(None),
    };
    let [_, primaries, _, transfer, _, matrix] = *rest
        .first_chunk::<6>()
        .ok_or_else(|| colr.invalid("it ends inside its colour description"))?;
    Ok(Some(ColorInfo { primaries, transfer, matrix, full_range }))
}

/// `pasp` as a reduced fraction, horizontal spacing first. Zero means "unknown": square.
pub(super) fn parse_pasp(pasp: &Child<'_>) -> Result<(u32, u32), PackageError> {
    let [a, b, c, d, e, f, g, h] = *pasp
        .body
        .first_chunk::<8>()
        .ok_or_else(|| pasp.invalid("it ends inside its two spacings"))?;
    Ok(reduce(u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])))
}

pub(super) fn reduce(horizontal: u32, vertical: u32) -> (u32, u32) {
    if horizontal == 0 || vertical == 0 {
        return (1, 1);
    }
    let (mut a, mut b) = (horizontal, vertical);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    (horizontal / a, vertical / a)
}

/// `VIDEO-RANGE` from the transfer characteristics; where nothing names them, mastering metadata
/// (`mdcv`, `clli`) tells HDR10.
pub(super) fn range(color: Option<ColorInfo>, has_mastering_metadata: bool) -> VideoRange {
    match color.map_or(UNSPECIFIED, |color| color.transfer) {
        TRANSFER_PQ => VideoRange::Pq,
        TRANSFER_HLG => VideoRange::Hlg,
        0 | UNSPECIFIED if has_mastering_metadata => VideoRange::Pq,
        _ => VideoRange::Sdr,
    }
}

/// Sample aspect ratios 1 to 16 (ITU-T H.264 table E-1, H.265 table E.1).
const ASPECT_RATIOS: [(u32, u32); 16] = [
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
];

/// The ratio behind `aspect_ratio_idc`; `None` for "unspecified" and reserved values.
pub(super) fn aspect_ratio(idc: u8) -> Option<(u32, u32)> {
    ASPECT_RATIOS.get(usize::from(idc).checked_sub(1)?).copied()
}
