//! Tile layout of a frame (AV1 specification 5.9.15).

use super::frame::FrameSize;
use crate::codec::bits::{BitReader, Parsed};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::codec) struct TileInfo {
    columns: u32,
    rows: u32,
    /// Bits of a tile number.
    pub(super) number_bits: u32,
    /// `TileSizeBytes`.
    pub(super) size_bytes: usize,
}

const MAX_TILE_WIDTH: u32 = 4096;
const MAX_TILE_AREA: u32 = 4096 * 2304;
const MAX_TILE_COLS: u32 = 64;
const MAX_TILE_ROWS: u32 = 64;

impl TileInfo {
    pub(super) fn count(&self) -> u32 {
        self.columns * self.rows
    }

    pub(super) fn parse(
        bits: &mut BitReader<'_>,
        size: FrameSize,
        has_large_superblocks: bool,
    ) -> Parsed<Self> {
        // Superblocks of 128 or 64 luma samples over a grid of 8.
        let superblock_log2 = if has_large_superblocks { 7 } else { 6 };
        let in_superblocks = |samples: u32| {
            let padded = u64::from(samples).next_multiple_of(8);
            padded.div_ceil(1 << superblock_log2) as u32
        };
        let grid = Grid { columns: in_superblocks(size.width), rows: in_superblocks(size.height) };
        let max_tile_width = MAX_TILE_WIDTH >> superblock_log2;
        let max_tile_area = MAX_TILE_AREA >> (2 * superblock_log2);
        let min_log2_columns = tile_log2(max_tile_width.into(), grid.columns.into());
        let min_log2_tiles = min_log2_columns.max(tile_log2(max_tile_area.into(), grid.area()));

        let (columns, rows, columns_log2, rows_log2);
        if bits.bit()? {
            columns_log2 = parse_increments(bits, min_log2_columns, grid.columns, MAX_TILE_COLS)?;
            columns = uniform_count(grid.columns, columns_log2);
            let min_log2_rows = min_log2_tiles.saturating_sub(columns_log2);
            rows_log2 = parse_increments(bits, min_log2_rows, grid.rows, MAX_TILE_ROWS)?;
            rows = uniform_count(grid.rows, rows_log2);
        } else {
            let widest;
            (columns, widest) = parse_sizes(bits, grid.columns, max_tile_width, MAX_TILE_COLS)?;
            let max_area =
                if min_log2_tiles > 0 { grid.area() >> (min_log2_tiles + 1) } else { grid.area() };
            let max_height = (max_area / u64::from(widest)).clamp(1, u32::MAX.into()) as u32;
            (rows, _) = parse_sizes(bits, grid.rows, max_height, MAX_TILE_ROWS)?;
            columns_log2 = tile_log2(1, columns.into());
            rows_log2 = tile_log2(1, rows.into());
        }
        let number_bits = columns_log2 + rows_log2;
        let mut size_bytes = 0;
        if number_bits > 0 {
            bits.skip(number_bits)?; // context_update_tile_id
            size_bytes = 1 + bits.bits(2)? as usize;
        }
        Ok(Self { columns, rows, number_bits, size_bytes })
    }
}

/// The frame in superblocks.
struct Grid {
    columns: u32,
    rows: u32,
}

impl Grid {
    fn area(&self) -> u64 {
        u64::from(self.columns) * u64::from(self.rows)
    }
}

/// The least `k` with `block << k` at least `target`.
fn tile_log2(block: u64, target: u64) -> u32 {
    target.div_ceil(block).next_power_of_two().trailing_zeros()
}

/// `increment_tile_cols_log2`, or of the rows.
fn parse_increments(
    bits: &mut BitReader<'_>,
    min_log2: u32,
    superblocks: u32,
    tiles_max: u32,
) -> Parsed<u32> {
    let max_log2 = tile_log2(1, superblocks.min(tiles_max).into());
    let mut log2 = min_log2;
    while log2 < max_log2 && bits.bit()? {
        log2 += 1;
    }
    if 1 << log2 > tiles_max { Err("the frame has more than 64 tiles in a row") } else { Ok(log2) }
}

/// Tiles of equal size, the last of which may be smaller.
fn uniform_count(superblocks: u32, log2: u32) -> u32 {
    superblocks.div_ceil(superblocks.div_ceil(1 << log2))
}

/// Count and greatest size of tiles that are spelled out one by one.
fn parse_sizes(
    bits: &mut BitReader<'_>,
    superblocks: u32,
    tile_max: u32,
    tiles_max: u32,
) -> Parsed<(u32, u32)> {
    let (mut count, mut widest, mut left) = (0, 0, superblocks);
    while left > 0 {
        if count == tiles_max {
            return Err("the frame has more than 64 tiles in a row");
        }
        let size = 1 + parse_ns(bits, left.min(tile_max))?;
        widest = widest.max(size);
        left = left.saturating_sub(size);
        count += 1;
    }
    Ok((count, widest))
}

/// `ns(n)` (4.10.7): a number below `count`, which is not zero.
fn parse_ns(bits: &mut BitReader<'_>, count: u32) -> Parsed<u32> {
    let width = count.ilog2() + 1;
    let short = ((1_u64 << width) - u64::from(count)) as u32;
    let value = bits.bits(width - 1)?;
    if value < short {
        return Ok(value);
    }
    Ok((value << 1) - short + bits.bits(1)?)
}

pub(super) fn skip_ns(bits: &mut BitReader<'_>, count: u32) -> Parsed<()> {
    parse_ns(bits, count).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_symmetric_numbers_follow_their_table() {
        // n = 5: 00, 01, 10, 110, 111.
        let bytes = [0b0001_1011, 0b0111_0000];
        let mut bits = BitReader::new(&bytes);
        let read: Vec<_> = (0..5).map(|_| parse_ns(&mut bits, 5).unwrap()).collect();
        assert_eq!(read, [0, 1, 2, 3, 4]);
        assert_eq!(parse_ns(&mut bits, 1), Ok(0), "one value takes no bit");
    }

    #[test]
    fn logarithms_round_up() {
        assert_eq!(tile_log2(1, 1), 0);
        assert_eq!(tile_log2(1, 5), 3);
        assert_eq!(tile_log2(64, 65), 1);
        assert_eq!(tile_log2(64, 1), 0);
    }
}
