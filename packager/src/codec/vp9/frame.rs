//! Uncompressed header (VP9 specification 6.2): read to its last bit, which is where protection
//! may begin.

use crate::codec::bits::{BitReader, Parsed};

pub(super) struct FrameHeader {
    pub(super) is_key: bool,
    /// Bytes of the header, the last one padded.
    pub(super) size_bytes: usize,
}

/// Width of the frame in each slot, in luma samples: tile bits depend on it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct References {
    widths: [Option<u32>; 8],
}

const SYNC_CODE: u32 = 0x49_8342;

impl FrameHeader {
    /// `frame` is not empty. Stores the frame into the slots that it refreshes.
    pub(super) fn parse(frame: &[u8], references: &mut References) -> Parsed<Self> {
        let bits = &mut BitReader::new(frame);
        if bits.bits(2)? != 2 {
            return Err("a frame does not begin with its marker");
        }
        let profile = bits.bits(1)? | bits.bits(1)? << 1;
        if profile == 3 {
            bits.skip(1)?; // reserved_zero
        }
        if bits.bit()? {
            bits.skip(3)?; // frame_to_show_map_idx
            return Ok(Self { is_key: false, size_bytes: bits.bytes_read() });
        }
        let is_key = !bits.bit()?;
        let show_frame = bits.bit()?;
        let error_resilient = bits.bit()?;
        let (width, refresh) = if is_key {
            check_sync_code(bits)?;
            skip_color_config(bits, profile)?;
            (parse_frame_size(bits)?, 0xff)
        } else {
            parse_non_key(bits, references, profile, show_frame, error_resilient)?
        };
        if !error_resilient {
            bits.skip(2)?; // refresh_frame_context, frame_parallel_decoding_mode
        }
        bits.skip(2)?; // frame_context_idx
        skip_loop_filter(bits)?;
        bits.skip(8)?; // base_q_idx
        for _ in 0..3 {
            skip_if(bits, 5)?; // delta_q
        }
        skip_segmentation(bits)?;
        skip_tile_info(bits, width)?;
        if bits.bits(16)? == 0 {
            return Err("a frame has no compressed header");
        }
        for slot in (0..8).filter(|slot| refresh >> slot & 1 == 1) {
            references.widths[slot] = Some(width);
        }
        Ok(Self { is_key, size_bytes: bits.bytes_read() })
    }
}

fn check_sync_code(bits: &mut BitReader<'_>) -> Parsed<()> {
    if bits.bits(24)? == SYNC_CODE { Ok(()) } else { Err("a frame has a wrong sync code") }
}

/// Width and `refresh_frame_flags` of an intra-only or inter frame.
fn parse_non_key(
    bits: &mut BitReader<'_>,
    references: &References,
    profile: u32,
    show_frame: bool,
    error_resilient: bool,
) -> Parsed<(u32, u8)> {
    let intra_only = !show_frame && bits.bit()?;
    if !error_resilient {
        bits.skip(2)?; // reset_frame_context
    }
    if intra_only {
        check_sync_code(bits)?;
        if profile > 0 {
            skip_color_config(bits, profile)?;
        }
        let refresh = bits.bits8(8)?;
        return Ok((parse_frame_size(bits)?, refresh));
    }
    let refresh = bits.bits8(8)?;
    let mut slots = [0; 3];
    for slot in &mut slots {
        *slot = bits.bits(3)? as usize;
        bits.skip(1)?; // ref_frame_sign_bias
    }
    let width = parse_frame_size_with_refs(bits, references, slots)?;
    bits.skip(1)?; // allow_high_precision_mv
    if !bits.bit()? {
        bits.skip(2)?; // raw_interpolation_filter
    }
    Ok((width, refresh))
}

fn skip_color_config(bits: &mut BitReader<'_>, profile: u32) -> Parsed<()> {
    const CS_RGB: u32 = 7;
    let has_any_subsampling = profile & 1 == 1;
    if profile >= 2 {
        bits.skip(1)?; // ten_or_twelve_bit
    }
    if bits.bits(3)? == CS_RGB {
        bits.skip(u32::from(has_any_subsampling)) // reserved_zero
    } else {
        // color_range; subsampling_x, subsampling_y, reserved_zero
        bits.skip(if has_any_subsampling { 4 } else { 1 })
    }
}

/// frame_size() and render_size(): the width.
fn parse_frame_size(bits: &mut BitReader<'_>) -> Parsed<u32> {
    let width = 1 + bits.bits(16)?;
    bits.skip(16)?;
    skip_if(bits, 32)?; // render_and_frame_size_different
    Ok(width)
}

fn parse_frame_size_with_refs(
    bits: &mut BitReader<'_>,
    references: &References,
    slots: [usize; 3],
) -> Parsed<u32> {
    for slot in slots {
        if bits.bit()? {
            let width = references.widths.get(slot).copied().flatten();
            skip_if(bits, 32)?; // render_and_frame_size_different
            return width.ok_or("a frame refers to one that was never coded");
        }
    }
    parse_frame_size(bits)
}

/// A flag, and `count` bits where it is set.
fn skip_if(bits: &mut BitReader<'_>, count: u32) -> Parsed<()> {
    if bits.bit()? { bits.skip(count) } else { Ok(()) }
}

fn skip_loop_filter(bits: &mut BitReader<'_>) -> Parsed<()> {
    bits.skip(6 + 3)?; // loop_filter_level, loop_filter_sharpness
    if bits.bit()? && bits.bit()? {
        for _ in 0..4 + 2 {
            skip_if(bits, 7)?; // loop_filter_ref_deltas, loop_filter_mode_deltas
        }
    }
    Ok(())
}

fn skip_segmentation(bits: &mut BitReader<'_>) -> Parsed<()> {
    /// Bits of each feature, the sign included.
    const FEATURE_BITS: [u32; 4] = [9, 7, 2, 0];
    if !bits.bit()? {
        return Ok(());
    }
    if bits.bit()? {
        for _ in 0..7 {
            skip_if(bits, 8)?; // segmentation_tree_probs
        }
        if bits.bit()? {
            for _ in 0..3 {
                skip_if(bits, 8)?; // segmentation_pred_prob
            }
        }
    }
    if bits.bit()? {
        bits.skip(1)?; // segmentation_abs_or_delta_update
        for _ in 0..8 {
            for width in FEATURE_BITS {
                skip_if(bits, width)?;
            }
        }
    }
    Ok(())
}

/// 6.2.11 and 7.2.11: tiles are 256 to 4096 samples wide.
fn skip_tile_info(bits: &mut BitReader<'_>, width: u32) -> Parsed<()> {
    const MIN_TILE_SUPERBLOCKS: u32 = 4;
    const MAX_TILE_SUPERBLOCKS: u32 = 64;
    let superblocks = width.div_ceil(64);
    let min_log2 = superblocks.div_ceil(MAX_TILE_SUPERBLOCKS).next_power_of_two().trailing_zeros();
    let max_log2 = (superblocks / MIN_TILE_SUPERBLOCKS).max(1).ilog2();
    for _ in min_log2..max_log2 {
        if !bits.bit()? {
            break; // increment_tile_cols_log2
        }
    }
    skip_if(bits, 1) // tile_rows_log2
}
