//! Picture parameter set (ITU-T H.264 7.3.2.2), as far as slice headers need it.

use crate::codec::bits::{BitReader, Parsed};

#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::codec) struct Pps {
    pub(in crate::codec) id: u32,
    pub(super) sps_id: u32,
    pub(super) cabac: bool,
    pub(super) pic_order_present: bool,
    /// `SliceGroupChangeRate`, for slice group map types 3 to 5 alone.
    pub(super) slice_group_change_rate: Option<u32>,
    /// `num_ref_idx_l0_default_active`, and of list 1.
    pub(super) ref_counts: [u32; 2],
    pub(super) weighted_pred: bool,
    pub(super) weighted_bipred_idc: u8,
    pub(super) deblocking_control_present: bool,
    pub(super) redundant_pic_cnt_present: bool,
}

/// `num_ref_idx_active_minus1` at most (7.4.2.2).
pub(super) const REF_INDEX_MAX: u32 = 31;

impl Pps {
    /// `unit` is the whole NAL unit with its header byte.
    pub(in crate::codec) fn parse(unit: &[u8]) -> Parsed<Self> {
        let mut bits = BitReader::escaped(unit.get(1..).unwrap_or_default());
        let id = bits.ue_max(255, "pic_parameter_set_id is above 255")?;
        let sps_id = bits.ue_max(31, "seq_parameter_set_id is above 31")?;
        let cabac = bits.bit()?;
        let pic_order_present = bits.bit()?;
        let slice_group_change_rate = parse_slice_groups(&mut bits)?;
        let too_many = "num_ref_idx_default_active_minus1 is above 31";
        let ref_counts =
            [1 + bits.ue_max(REF_INDEX_MAX, too_many)?, 1 + bits.ue_max(REF_INDEX_MAX, too_many)?];
        let weighted_pred = bits.bit()?;
        let weighted_bipred_idc = bits.bits8(2)?;
        for _ in 0..3 {
            bits.se()?; // pic_init_qp, pic_init_qs, chroma_qp_index_offset
        }
        let deblocking_control_present = bits.bit()?;
        bits.skip(1)?; // constrained_intra_pred_flag
        let redundant_pic_cnt_present = bits.bit()?;
        Ok(Self {
            id,
            sps_id,
            cabac,
            pic_order_present,
            slice_group_change_rate,
            ref_counts,
            weighted_pred,
            weighted_bipred_idc,
            deblocking_control_present,
            redundant_pic_cnt_present,
        })
    }
}

fn parse_slice_groups(bits: &mut BitReader<'_>) -> Parsed<Option<u32>> {
    let groups = 1 + bits.ue_max(7, "num_slice_groups_minus1 is above 7")?;
    if groups == 1 {
        return Ok(None);
    }
    match bits.ue()? {
        0 => {
            for _ in 0..groups {
                bits.ue()?; // run_length_minus1
            }
        }
        1 => {}
        2 => {
            for _ in 1..groups {
                bits.ue()?; // top_left
                bits.ue()?; // bottom_right
            }
        }
        3..=5 => {
            bits.skip(1)?; // slice_group_change_direction_flag
            let rate = bits.ue()?.checked_add(1).ok_or("slice_group_change_rate overflows")?;
            return Ok(Some(rate));
        }
        6 => {
            let id_bits = groups.next_power_of_two().trailing_zeros();
            // Each identifier takes a bit at least: a count that lies ends with the bytes.
            for _ in 0..=bits.ue()? {
                bits.skip(id_bits)?;
            }
        }
        _ => return Err("slice_group_map_type is above 6"),
    }
    Ok(None)
}
