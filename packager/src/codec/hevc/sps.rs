//! Sequence parameter set (ITU-T H.265 7.3.2.2), as far as pictures and slice headers need it.

use super::ref_pic_set::RefPicSet;
use super::vui;
use crate::codec::avc::cropped;
use crate::codec::bits::{BitReader, Parsed};
use crate::track::ColorInfo;

#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::codec) struct Sps {
    pub(in crate::codec) id: u32,
    /// Luma samples inside the conformance window.
    pub(in crate::codec) width: u16,
    pub(in crate::codec) height: u16,
    pub(in crate::codec) pixel_aspect: Option<(u32, u32)>,
    pub(in crate::codec) color: Option<ColorInfo>,
    pub(super) separate_colour_planes: bool,
    /// `ChromaArrayType`: 0 where luma stands alone.
    pub(super) chroma_array_type: u32,
    pub(super) poc_lsb_bits: u32,
    /// `PicSizeInCtbsY`.
    pub(super) picture_size_ctbs: u32,
    pub(super) sample_adaptive_offset: bool,
    pub(super) ref_pic_sets: Vec<RefPicSet>,
    /// `used_by_curr_pic_lt_sps_flag` of each; `None` without long-term references.
    pub(super) long_term_refs: Option<Vec<bool>>,
    pub(super) temporal_mvp: bool,
    /// `motion_vector_resolution_control_idc` (screen content coding).
    pub(super) mv_resolution_control_idc: u8,
}

const PICTURE_SAMPLES_MAX: u32 = 65_535;
const REF_PIC_SETS_MAX: u32 = 64;
const LONG_TERM_REFS_MAX: u32 = 32;

impl Sps {
    /// `unit` is the whole NAL unit with its header.
    pub(in crate::codec) fn parse(unit: &[u8]) -> Parsed<Self> {
        let mut bits = BitReader::escaped(unit.get(2..).unwrap_or_default());
        bits.skip(4)?; // sps_video_parameter_set_id
        let sub_layers_minus1 = bits.bits(3)?;
        bits.skip(1)?; // sps_temporal_id_nesting_flag
        skip_profile_tier_level(&mut bits, sub_layers_minus1)?;
        let id = bits.ue_max(15, "sps_seq_parameter_set_id is above 15")?;
        let format = bits.ue_max(3, "chroma_format_idc is above 3")?;
        let separate_colour_planes = format == 3 && bits.bit()?;
        let (coded, [width, height]) = parse_size(&mut bits, format)?;
        let too_deep = "the bit depth is above 16";
        let depths = [8 + bits.ue_max(8, too_deep)?, 8 + bits.ue_max(8, too_deep)?];
        let poc_lsb_bits = 4 + bits.ue_max(12, "log2_max_pic_order_cnt_lsb_minus4 is above 12")?;
        let orders_from = if bits.bit()? { 0 } else { sub_layers_minus1 };
        for _ in orders_from..=sub_layers_minus1 {
            skip_ues(&mut bits, 3)?; // buffering, reordering, latency
        }
        let picture_size_ctbs = parse_coding_blocks(&mut bits, coded)?;
        skip_ues(&mut bits, 4)?; // transform block sizes and depths
        if bits.bit()? && bits.bit()? {
            skip_scaling_lists(&mut bits)?;
        }
        bits.skip(1)?; // amp_enabled_flag
        let sample_adaptive_offset = bits.bit()?;
        if bits.bit()? {
            bits.skip(8)?; // pcm sample bit depths
            skip_ues(&mut bits, 2)?; // pcm block sizes
            bits.skip(1)?; // pcm_loop_filter_disabled_flag
        }
        let ref_pic_sets = parse_ref_pic_sets(&mut bits)?;
        let long_term_refs =
            if bits.bit()? { Some(parse_long_term_refs(&mut bits, poc_lsb_bits)?) } else { None };
        let temporal_mvp = bits.bit()?;
        bits.skip(1)?; // strong_intra_smoothing_enabled_flag
        let (pixel_aspect, color) =
            if bits.bit()? { vui::parse(&mut bits, sub_layers_minus1)? } else { (None, None) };
        let mv_resolution_control_idc = parse_extensions(&mut bits, format, depths)?;
        Ok(Self {
            id,
            width,
            height,
            pixel_aspect,
            color,
            separate_colour_planes,
            chroma_array_type: if separate_colour_planes { 0 } else { format },
            poc_lsb_bits,
            picture_size_ctbs,
            sample_adaptive_offset,
            ref_pic_sets,
            long_term_refs,
            temporal_mvp,
            mv_resolution_control_idc,
        })
    }
}

pub(super) fn skip_ues(bits: &mut BitReader<'_>, count: u32) -> Parsed<()> {
    for _ in 0..count {
        bits.ue()?;
    }
    Ok(())
}

/// 7.3.3 with `profilePresentFlag` 1.
fn skip_profile_tier_level(bits: &mut BitReader<'_>, sub_layers_minus1: u32) -> Parsed<()> {
    bits.skip(88 + 8)?;
    let mut present = Vec::new();
    for _ in 0..sub_layers_minus1 {
        present.push((bits.bit()?, bits.bit()?));
    }
    if sub_layers_minus1 > 0 {
        bits.skip(2 * (8 - sub_layers_minus1))?;
    }
    for (has_profile, has_level) in present {
        bits.skip(if has_profile { 88 } else { 0 })?;
        bits.skip(if has_level { 8 } else { 0 })?;
    }
    Ok(())
}

/// Coded and cropped width and height.
fn parse_size(bits: &mut BitReader<'_>, format: u32) -> Parsed<([u32; 2], [u16; 2])> {
    let too_large = "the picture is larger than 65 535 samples";
    let width = bits.ue_max(PICTURE_SAMPLES_MAX, too_large)?;
    let height = bits.ue_max(PICTURE_SAMPLES_MAX, too_large)?;
    let window =
        if bits.bit()? { [bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?] } else { [0; 4] };
    // SubWidthC and SubHeightC, table 6-1.
    let (unit_x, unit_y) = match format {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let cropped_size = [
        cropped(width, window[0], window[1], unit_x)?,
        cropped(height, window[2], window[3], unit_y)?,
    ];
    Ok(([width, height], cropped_size))
}

fn parse_coding_blocks(bits: &mut BitReader<'_>, [width, height]: [u32; 2]) -> Parsed<u32> {
    let too_large = "the coding tree block is larger than 64 samples";
    let log2_min = 3 + bits.ue_max(3, too_large)?;
    let log2_ctb = log2_min + bits.ue_max(6 - log2_min, too_large)?;
    let ctb = 1 << log2_ctb;
    Ok(width.div_ceil(ctb) * height.div_ceil(ctb))
}

/// 7.3.4.
pub(super) fn skip_scaling_lists(bits: &mut BitReader<'_>) -> Parsed<()> {
    for size_id in 0..4_u32 {
        for _ in 0..if size_id == 3 { 2 } else { 6 } {
            if !bits.bit()? {
                bits.ue()?; // scaling_list_pred_matrix_id_delta
                continue;
            }
            let dc = u32::from(size_id > 1);
            for _ in 0..dc + 64.min(1 << (4 + (size_id << 1))) {
                bits.se()?;
            }
        }
    }
    Ok(())
}

fn parse_ref_pic_sets(bits: &mut BitReader<'_>) -> Parsed<Vec<RefPicSet>> {
    let count = bits.ue_max(REF_PIC_SETS_MAX, "num_short_term_ref_pic_sets is above 64")?;
    let mut sets = Vec::new();
    for _ in 0..count {
        sets.push(RefPicSet::parse_in_sps(bits, &sets)?);
    }
    Ok(sets)
}

fn parse_long_term_refs(bits: &mut BitReader<'_>, poc_lsb_bits: u32) -> Parsed<Vec<bool>> {
    let count = bits.ue_max(LONG_TERM_REFS_MAX, "num_long_term_ref_pics_sps is above 32")?;
    (0..count)
        .map(|_| {
            bits.skip(poc_lsb_bits)?;
            bits.bit()
        })
        .collect()
}

/// The extensions after the VUI; only screen content coding reaches into slice headers.
fn parse_extensions(bits: &mut BitReader<'_>, format: u32, depths: [u32; 2]) -> Parsed<u8> {
    if !bits.bit()? {
        return Ok(0);
    }
    let [range, multilayer, three_d, screen_content] =
        [bits.bit()?, bits.bit()?, bits.bit()?, bits.bit()?];
    bits.skip(4)?; // sps_extension_4bits
    if !screen_content {
        return Ok(0);
    }
    bits.skip(if range { 9 } else { 0 })?;
    bits.skip(if multilayer { 1 } else { 0 })?;
    if three_d {
        return Err("3D and screen content coding extensions in one parameter set");
    }
    bits.skip(1)?; // sps_curr_pic_ref_enabled_flag
    if bits.bit()? {
        skip_ues(bits, 2)?; // palette sizes
        if bits.bit()? {
            let entries = 1 + bits.ue_max(127, "the palette predictor has over 128 entries")?;
            let [luma, chroma] = depths;
            let components = if format == 0 { luma } else { luma + 2 * chroma };
            bits.skip(entries * components)?;
        }
    }
    bits.bits8(2)
}
