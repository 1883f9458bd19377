//! Picture parameter set (ITU-T H.265 7.3.2.3), as far as slice headers need it.

use super::sps::{skip_scaling_lists, skip_ues};
use crate::codec::bits::{BitReader, Parsed};

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::codec) struct Pps {
    pub(in crate::codec) id: u32,
    pub(super) sps_id: u32,
    pub(super) dependent_slices: bool,
    pub(super) output_flag_present: bool,
    pub(super) extra_slice_header_bits: u32,
    pub(super) cabac_init_present: bool,
    /// `num_ref_idx_l0_default_active`, and of list 1.
    pub(super) ref_counts: [u32; 2],
    pub(super) slice_chroma_qp_offsets_present: bool,
    pub(super) weighted_pred: bool,
    pub(super) weighted_bipred: bool,
    /// Tiles or wavefronts: slice headers list entry points.
    pub(super) has_entry_points: bool,
    pub(super) loop_filter_across_slices: bool,
    pub(super) deblocking_override_enabled: bool,
    pub(super) deblocking_disabled: bool,
    pub(super) lists_modification_present: bool,
    pub(super) slice_header_extension_present: bool,
    pub(super) chroma_qp_offset_list_enabled: bool,
    /// `pps_curr_pic_ref_enabled_flag` (screen content coding).
    pub(super) current_picture_ref: bool,
    pub(super) slice_act_qp_offsets_present: bool,
}

/// `num_ref_idx_active_minus1` at most (7.4.7.1).
pub(super) const REF_INDEX_MAX: u32 = 14;
/// Tile columns or rows: twice what level 7.2 allows.
const TILES_MAX: u32 = 64;

impl Pps {
    /// `unit` is the whole NAL unit with its header.
    pub(in crate::codec) fn parse(unit: &[u8]) -> Parsed<Self> {
        let mut bits = BitReader::escaped(unit.get(2..).unwrap_or_default());
        let mut pps = Self {
            id: bits.ue_max(63, "pps_pic_parameter_set_id is above 63")?,
            sps_id: bits.ue_max(15, "pps_seq_parameter_set_id is above 15")?,
            dependent_slices: bits.bit()?,
            output_flag_present: bits.bit()?,
            extra_slice_header_bits: bits.bits(3)?,
            ..Self::default()
        };
        bits.skip(1)?; // sign_data_hiding_enabled_flag
        pps.cabac_init_present = bits.bit()?;
        for count in &mut pps.ref_counts {
            *count = 1 + bits.ue_max(REF_INDEX_MAX, "num_ref_idx_default_active is above 15")?;
        }
        bits.se()?; // init_qp_minus26
        bits.skip(1)?; // constrained_intra_pred_flag
        let transform_skip = bits.bit()?;
        if bits.bit()? {
            bits.ue()?; // diff_cu_qp_delta_depth
        }
        bits.se()?; // pps_cb_qp_offset
        bits.se()?; // pps_cr_qp_offset
        pps.slice_chroma_qp_offsets_present = bits.bit()?;
        pps.weighted_pred = bits.bit()?;
        pps.weighted_bipred = bits.bit()?;
        bits.skip(1)?; // transquant_bypass_enabled_flag
        let has_tiles = bits.bit()?;
        pps.has_entry_points = bits.bit()? || has_tiles;
        if has_tiles {
            skip_tiles(&mut bits)?;
        }
        pps.loop_filter_across_slices = bits.bit()?;
        if bits.bit()? {
            pps.parse_deblocking(&mut bits)?;
        }
        if bits.bit()? {
            skip_scaling_lists(&mut bits)?;
        }
        pps.lists_modification_present = bits.bit()?;
        bits.ue()?; // log2_parallel_merge_level_minus2
        pps.slice_header_extension_present = bits.bit()?;
        if bits.bit()? {
            pps.parse_extensions(&mut bits, transform_skip)?;
        }
        Ok(pps)
    }

    fn parse_deblocking(&mut self, bits: &mut BitReader<'_>) -> Parsed<()> {
        self.deblocking_override_enabled = bits.bit()?;
        self.deblocking_disabled = bits.bit()?;
        if !self.deblocking_disabled {
            bits.se()?; // pps_beta_offset_div2
            bits.se()?; // pps_tc_offset_div2
        }
        Ok(())
    }

    fn parse_extensions(&mut self, bits: &mut BitReader<'_>, transform_skip: bool) -> Parsed<()> {
        let [range, multilayer, three_d, screen_content] =
            [bits.bit()?, bits.bit()?, bits.bit()?, bits.bit()?];
        bits.skip(4)?; // pps_extension_4bits
        if range {
            self.parse_range_extension(bits, transform_skip)?;
        }
        if screen_content {
            // Those two say nothing about slice headers of the base layer; their length matters
            // only here, and no encoder combines them with screen content coding.
            if multilayer || three_d {
                return Err("multilayer and screen content coding in one parameter set");
            }
            self.current_picture_ref = bits.bit()?;
            self.slice_act_qp_offsets_present = bits.bit()? && bits.bit()?;
        }
        Ok(())
    }

    /// 7.3.2.3.2.
    fn parse_range_extension(
        &mut self,
        bits: &mut BitReader<'_>,
        transform_skip: bool,
    ) -> Parsed<()> {
        if transform_skip {
            bits.ue()?; // log2_max_transform_skip_block_size_minus2
        }
        bits.skip(1)?; // cross_component_prediction_enabled_flag
        self.chroma_qp_offset_list_enabled = bits.bit()?;
        if self.chroma_qp_offset_list_enabled {
            bits.ue()?; // diff_cu_chroma_qp_offset_depth
            for _ in 0..=bits.ue_max(5, "chroma_qp_offset_list_len_minus1 is above 5")? {
                bits.se()?;
                bits.se()?;
            }
        }
        skip_ues(bits, 2) // log2_sao_offset_scale
    }
}

fn skip_tiles(bits: &mut BitReader<'_>) -> Parsed<()> {
    let too_many = "the picture has more than 64 rows or columns of tiles";
    let columns = bits.ue_max(TILES_MAX - 1, too_many)?;
    let rows = bits.ue_max(TILES_MAX - 1, too_many)?;
    if !bits.bit()? {
        skip_ues(bits, columns + rows)?;
    }
    bits.skip(1) // loop_filter_across_tiles_enabled_flag
}
