//! Video usability information (ITU-T H.265 E.2.1) and the HRD parameters inside it (E.2.2): read
//! to the end, because the extensions of the SPS come after it.

use super::sps::skip_ues;
use crate::codec::avc;
use crate::codec::bits::{BitReader, Parsed};
use crate::track::ColorInfo;

/// `cpb_cnt_minus1` at most.
const CPB_COUNT_MAX: u32 = 32;

#[expect(clippy::type_complexity, reason = "one pair, named at its caller")]
pub(super) fn parse(
    bits: &mut BitReader<'_>,
    sub_layers_minus1: u32,
) -> Parsed<(Option<(u32, u32)>, Option<ColorInfo>)> {
    let signal = avc::parse_vui(bits)?;
    if bits.bit()? {
        skip_ues(bits, 2)?; // chroma sample locations
    }
    bits.skip(3)?; // neutral_chroma_indication, field_seq, frame_field_info_present
    if bits.bit()? {
        skip_ues(bits, 4)?; // default display window
    }
    if bits.bit()? {
        bits.skip(64)?; // vui_num_units_in_tick, vui_time_scale
        if bits.bit()? {
            bits.ue()?; // vui_num_ticks_poc_diff_one_minus1
        }
        if bits.bit()? {
            skip_hrd(bits, sub_layers_minus1)?;
        }
    }
    if bits.bit()? {
        bits.skip(3)?; // tiles_fixed_structure, motion_vectors_over_pic_boundaries, restricted_ref
        skip_ues(bits, 5)?;
    }
    Ok(signal)
}

/// E.2.2 with `commonInfPresentFlag` 1.
fn skip_hrd(bits: &mut BitReader<'_>, sub_layers_minus1: u32) -> Parsed<()> {
    let kinds = u32::from(bits.bit()?) + u32::from(bits.bit()?); // NAL, VCL
    let mut has_sub_pictures = false;
    if kinds > 0 {
        has_sub_pictures = bits.bit()?;
        bits.skip(if has_sub_pictures { 19 } else { 0 })?;
        bits.skip(8)?; // bit_rate_scale, cpb_size_scale
        bits.skip(if has_sub_pictures { 4 } else { 0 })?;
        bits.skip(15)?; // lengths of the delays
    }
    for _ in 0..=sub_layers_minus1 {
        // fixed_pic_rate_general_flag implies fixed_pic_rate_within_cvs_flag.
        let is_fixed = bits.bit()? || bits.bit()?;
        let mut is_low_delay = false;
        if is_fixed {
            bits.ue()?; // elemental_duration_in_tc_minus1
        } else {
            is_low_delay = bits.bit()?;
        }
        let cpb_count = if is_low_delay {
            1
        } else {
            1 + bits.ue_max(CPB_COUNT_MAX - 1, "cpb_cnt_minus1 is above 31")?
        };
        for _ in 0..kinds * cpb_count {
            skip_ues(bits, if has_sub_pictures { 4 } else { 2 })?;
            bits.skip(1)?; // cbr_flag
        }
    }
    Ok(())
}
