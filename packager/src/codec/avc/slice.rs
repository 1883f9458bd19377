//! Slice header (ITU-T H.264 7.3.3): read to its last bit, because the first protected byte of a
//! slice is the one after the byte that holds that bit (ISO/IEC 23001-7 10.2). Some players never
//! read `senc` and find the border by the same parse, so an approximation would not play.

use super::pps::REF_INDEX_MAX;
use super::sps::PicOrderCount;
use super::{ParameterSets, Pps, Sps, nal_type};
use crate::codec::bits::{BitReader, Parsed};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct SliceHeader {
    /// Bytes from the NAL unit header up to and including the last byte with header bits.
    pub(super) size_bytes: usize,
    pub(super) is_intra: bool,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum SliceType {
    P,
    B,
    I,
    Sp,
    Si,
}

impl SliceType {
    fn is_intra(self) -> bool {
        matches!(self, Self::I | Self::Si)
    }
}

/// Entries of one reference list modification or marking list: twice the 32 references of a field
/// pair and the end mark, with room to spare.
const COMMANDS_MAX: usize = 128;

impl SliceHeader {
    /// `unit` is a NAL unit of type 1, 2 or 5 with its header byte.
    pub(super) fn parse(unit: &[u8], sets: &ParameterSets) -> Parsed<Self> {
        let header = *unit.first().ok_or("an empty NAL unit is no slice")?;
        let (ref_idc, unit_type) = (header >> 5 & 3, header & 0x1f);
        let mut bits = BitReader::escaped(&unit[1..]);

        bits.ue()?; // first_mb_in_slice
        let slice_type = parse_slice_type(&mut bits)?;
        let (sps, pps) = sets.of_slice(bits.ue()?)?;
        let is_idr = unit_type == nal_type::IDR;
        skip_picture_position(&mut bits, sps, pps, is_idr)?;
        if pps.redundant_pic_cnt_present {
            bits.ue()?;
        }
        if slice_type == SliceType::B {
            bits.skip(1)?; // direct_spatial_mv_pred_flag
        }
        if !slice_type.is_intra() {
            skip_references(&mut bits, sps, pps, slice_type)?;
        }
        if ref_idc != 0 {
            skip_reference_marking(&mut bits, is_idr)?;
        }
        if pps.cabac && !slice_type.is_intra() {
            bits.ue()?; // cabac_init_idc
        }
        skip_quantiser_and_filter(&mut bits, pps, slice_type)?;
        if let Some(rate) = pps.slice_group_change_rate {
            bits.skip(change_cycle_bits(sps.pic_size_in_map_units, rate))?;
        }
        Ok(Self { size_bytes: 1 + bits.bytes_read(), is_intra: slice_type.is_intra() })
    }
}

fn parse_slice_type(bits: &mut BitReader<'_>) -> Parsed<SliceType> {
    Ok(match bits.ue_max(9, "slice_type is above 9")? % 5 {
        0 => SliceType::P,
        1 => SliceType::B,
        2 => SliceType::I,
        3 => SliceType::Sp,
        _ => SliceType::Si,
    })
}

/// From `colour_plane_id` to the picture order count.
fn skip_picture_position(
    bits: &mut BitReader<'_>,
    sps: &Sps,
    pps: &Pps,
    is_idr: bool,
) -> Parsed<()> {
    if sps.separate_colour_planes {
        bits.skip(2)?; // colour_plane_id
    }
    bits.skip(sps.frame_num_bits)?;
    let is_field = !sps.frame_mbs_only && bits.bit()?;
    if is_field {
        bits.skip(1)?; // bottom_field_flag
    }
    if is_idr {
        bits.ue()?; // idr_pic_id
    }
    let has_bottom_delta = pps.pic_order_present && !is_field;
    match sps.poc {
        PicOrderCount::Lsb { bits: lsb_bits } => {
            bits.skip(lsb_bits)?;
            if has_bottom_delta {
                bits.se()?; // delta_pic_order_cnt_bottom
            }
        }
        PicOrderCount::Deltas { always_zero: false } => {
            bits.se()?; // delta_pic_order_cnt[0]
            if has_bottom_delta {
                bits.se()?; // delta_pic_order_cnt[1]
            }
        }
        PicOrderCount::Deltas { always_zero: true } | PicOrderCount::Output => {}
    }
    Ok(())
}

/// Reference counts, list modification and weights of a P, SP or B slice.
fn skip_references(
    bits: &mut BitReader<'_>,
    sps: &Sps,
    pps: &Pps,
    slice_type: SliceType,
) -> Parsed<()> {
    let is_b = slice_type == SliceType::B;
    let lists = if is_b { 2 } else { 1 };
    let mut counts = pps.ref_counts;
    if bits.bit()? {
        for count in &mut counts[..lists] {
            *count = 1 + bits.ue_max(REF_INDEX_MAX, "num_ref_idx_active_minus1 is above 31")?;
        }
    }
    for _ in 0..lists {
        skip_list_modification(bits)?;
    }
    let is_weighted = if is_b { pps.weighted_bipred_idc == 1 } else { pps.weighted_pred };
    if is_weighted {
        skip_weights(bits, sps.chroma_array_type != 0, &counts[..lists])?;
    }
    Ok(())
}

/// 7.3.3.1, one list.
fn skip_list_modification(bits: &mut BitReader<'_>) -> Parsed<()> {
    if !bits.bit()? {
        return Ok(());
    }
    for _ in 0..COMMANDS_MAX {
        match bits.ue()? {
            0..=2 => bits.ue()?,
            3 => return Ok(()),
            _ => return Err("modification_of_pic_nums_idc is above 3"),
        };
    }
    Err("a reference list modification has no end")
}

/// 7.3.3.2.
fn skip_weights(bits: &mut BitReader<'_>, has_chroma: bool, counts: &[u32]) -> Parsed<()> {
    bits.ue()?; // luma_log2_weight_denom
    if has_chroma {
        bits.ue()?; // chroma_log2_weight_denom
    }
    for _ in 0..counts.iter().sum() {
        if bits.bit()? {
            bits.se()?;
            bits.se()?;
        }
        if has_chroma && bits.bit()? {
            for _ in 0..4 {
                bits.se()?;
            }
        }
    }
    Ok(())
}

/// 7.3.3.3.
fn skip_reference_marking(bits: &mut BitReader<'_>, is_idr: bool) -> Parsed<()> {
    if is_idr {
        return bits.skip(2); // no_output_of_prior_pics_flag, long_term_reference_flag
    }
    if !bits.bit()? {
        return Ok(());
    }
    for _ in 0..COMMANDS_MAX {
        match bits.ue()? {
            0 => return Ok(()),
            1 | 2 | 4 | 6 => {
                bits.ue()?;
            }
            3 => {
                bits.ue()?;
                bits.ue()?;
            }
            5 => {}
            _ => return Err("memory_management_control_operation is above 6"),
        }
    }
    Err("a reference marking has no end")
}

fn skip_quantiser_and_filter(
    bits: &mut BitReader<'_>,
    pps: &Pps,
    slice_type: SliceType,
) -> Parsed<()> {
    bits.se()?; // slice_qp_delta
    if slice_type == SliceType::Sp {
        bits.skip(1)?; // sp_for_switch_flag
    }
    if matches!(slice_type, SliceType::Sp | SliceType::Si) {
        bits.se()?; // slice_qs_delta
    }
    if pps.deblocking_control_present && bits.ue()? != 1 {
        bits.se()?; // slice_alpha_c0_offset_div2
        bits.se()?; // slice_beta_offset_div2
    }
    Ok(())
}

/// Ceil(Log2(PicSizeInMapUnits ÷ SliceGroupChangeRate + 1)) (7.4.3), the division exact: the
/// least `n` with `2ⁿ · rate ≥ size + rate`.
fn change_cycle_bits(size: u32, rate: u32) -> u32 {
    let (size, rate) = (u64::from(size), u64::from(rate));
    (size + rate).div_ceil(rate).next_power_of_two().trailing_zeros()
}

#[cfg(test)]
mod tests {
    use super::change_cycle_bits;

    #[test]
    fn the_change_cycle_is_sized_by_exact_division() {
        assert_eq!(change_cycle_bits(99, 99), 1);
        assert_eq!(change_cycle_bits(99, 33), 2);
        assert_eq!(change_cycle_bits(100, 33), 3, "4.03 needs three bits");
        assert_eq!(change_cycle_bits(99, u32::MAX), 1);
    }
}
