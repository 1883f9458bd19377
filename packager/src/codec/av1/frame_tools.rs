//! Quantiser, segmentation, global motion and film grain of a frame header (AV1 specification
//! 5.9.12 to 5.9.18, 5.9.24, 5.9.30): mostly skipped, but some of it decides what follows.

use super::frame::{FrameType, Parser};
use super::sequence::SequenceHeader;
use super::tile_info::skip_ns;
use crate::codec::bits::{BitReader, Parsed};

/// `FeatureData` of `SEG_LVL_ALT_Q` per segment, where that feature is enabled.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Segmentation {
    quantiser_deltas: [Option<i32>; 8],
}

impl Segmentation {
    /// 5.9.14; without new data the values of the primary reference stay.
    fn parse(&mut self, bits: &mut BitReader<'_>, has_no_primary: bool) -> Parsed<()> {
        /// `Segmentation_Feature_Bits`, the sign included.
        const FEATURE_BITS: [u32; 8] = [9, 7, 7, 7, 7, 3, 0, 0];
        if !bits.bit()? {
            *self = Self::default();
            return Ok(());
        }
        let mut updates_data = true;
        if !has_no_primary {
            if bits.bit()? {
                bits.skip(1)?; // segmentation_temporal_update
            }
            updates_data = bits.bit()?;
        }
        if !updates_data {
            return Ok(());
        }
        for delta in &mut self.quantiser_deltas {
            *delta = if bits.bit()? { Some(signed(bits, FEATURE_BITS[0])?) } else { None };
            for width in &FEATURE_BITS[1..] {
                if bits.bit()? {
                    bits.skip(*width)?;
                }
            }
        }
        Ok(())
    }
}

/// `su(n)` (4.10.6).
fn signed(bits: &mut BitReader<'_>, width: u32) -> Parsed<i32> {
    let value = bits.bits(width)? as i32;
    let sign = 1 << (width - 1);
    Ok(if value & sign != 0 { value - 2 * sign } else { value })
}

/// What the quantiser leaves out of the rest of the header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lossless {
    /// `CodedLossless`.
    pub(super) coded: bool,
}

impl Lossless {
    /// From quantization_params() to delta_lf_params().
    pub(super) fn parse(
        bits: &mut BitReader<'_>,
        sequence: &SequenceHeader,
        segmentation: &mut Segmentation,
        has_no_primary: bool,
        allow_intrabc: bool,
    ) -> Parsed<Self> {
        let base_q_idx = bits.bits(8)? as i32;
        let has_deltas = parse_quantiser_deltas(bits, sequence)?;
        segmentation.parse(bits, has_no_primary)?;
        if base_q_idx > 0 && bits.bit()? {
            bits.skip(2)?; // delta_q_res
            if !allow_intrabc && bits.bit()? {
                bits.skip(3)?; // delta_lf_res, delta_lf_multi
            }
        }
        let is_zero = |delta: &Option<i32>| base_q_idx + delta.unwrap_or(0) <= 0;
        let coded = !has_deltas && segmentation.quantiser_deltas.iter().all(is_zero);
        Ok(Self { coded })
    }
}

/// 5.9.12 behind `base_q_idx`: whether any delta differs from zero.
fn parse_quantiser_deltas(bits: &mut BitReader<'_>, sequence: &SequenceHeader) -> Parsed<bool> {
    let delta = |bits: &mut BitReader<'_>| -> Parsed<bool> {
        Ok(bits.bit()? && bits.bits(7)? != 0) // delta_coded, su(7)
    };
    let mut has_deltas = delta(bits)?;
    if !sequence.format.is_monochrome {
        let is_apart = sequence.separate_uv_delta_q && bits.bit()?; // diff_uv_delta
        for _ in 0..if is_apart { 4 } else { 2 } {
            has_deltas |= delta(bits)?;
        }
    }
    if bits.bit()? {
        bits.skip(8)?; // qm_y, qm_u
        if sequence.separate_uv_delta_q {
            bits.skip(4)?; // qm_v
        }
    }
    Ok(has_deltas)
}

/// 5.9.24. The values are coded relative to earlier ones, but their lengths don't depend on them.
pub(super) fn skip_global_motion(parser: &mut Parser<'_, '_>) -> Parsed<()> {
    let high_precision = u32::from(parser.allow_high_precision_mv);
    let bits = &mut parser.bits;
    for _ in 0..7 {
        if !bits.bit()? {
            continue; // is_global
        }
        // Bits of each parameter: GM_ABS_ALPHA_BITS, GM_ABS_TRANS_BITS, GM_ABS_TRANS_ONLY_BITS.
        let (count, width) = if bits.bit()? {
            (4, 12) // is_rot_zoom
        } else if bits.bit()? {
            (2, 9 - 1 + high_precision) // is_translation
        } else {
            (6, 12) // affine
        };
        for _ in 0..count {
            skip_subexp(bits, (2 << width) + 1)?;
        }
    }
    Ok(())
}

/// decode_subexp() (5.9.28).
fn skip_subexp(bits: &mut BitReader<'_>, symbols: u32) -> Parsed<()> {
    const K: u32 = 3;
    let (mut step, mut base) = (0, 0);
    loop {
        let width = if step == 0 { K } else { K + step - 1 };
        let span = 1 << width;
        if symbols <= base + 3 * span {
            return skip_ns(bits, symbols - base);
        }
        if !bits.bit()? {
            return bits.skip(width);
        }
        step += 1;
        base += span;
    }
}

/// 5.9.30.
pub(super) fn skip_film_grain(parser: &mut Parser<'_, '_>) -> Parsed<()> {
    let is_shown = parser.show_frame || parser.showable_frame;
    if !parser.sequence.film_grain_params_present || !is_shown || !parser.bits.bit()? {
        return Ok(());
    }
    let format = &parser.sequence.format;
    let bits = &mut parser.bits;
    bits.skip(16)?; // grain_seed
    if parser.frame_type == FrameType::Inter && !bits.bit()? {
        return bits.skip(3); // film_grain_params_ref_idx
    }
    let luma_points = bits.bits(4)?;
    bits.skip(16 * luma_points)?;
    let from_luma = !format.is_monochrome && bits.bit()?;
    let is_420 = format.subsampling_x && format.subsampling_y;
    let (mut cb_points, mut cr_points) = (0, 0);
    if !(format.is_monochrome || from_luma || is_420 && luma_points == 0) {
        cb_points = bits.bits(4)?;
        bits.skip(16 * cb_points)?;
        cr_points = bits.bits(4)?;
        bits.skip(16 * cr_points)?;
    }
    bits.skip(2)?; // grain_scaling_minus_8
    let lag = bits.bits(2)?;
    let luma_coefficients = 2 * lag * (lag + 1);
    let mut chroma_coefficients = luma_coefficients;
    if luma_points > 0 {
        chroma_coefficients += 1;
        bits.skip(8 * luma_coefficients)?;
    }
    for points in [cb_points, cr_points] {
        if from_luma || points > 0 {
            bits.skip(8 * chroma_coefficients)?;
        }
    }
    bits.skip(4)?; // ar_coeff_shift_minus_6, grain_scale_shift
    for points in [cb_points, cr_points] {
        if points > 0 {
            bits.skip(8 + 8 + 9)?; // mult, luma_mult, offset
        }
    }
    bits.skip(2) // overlap_flag, clip_to_restricted_range
}
