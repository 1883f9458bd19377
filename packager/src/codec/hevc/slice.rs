//! Slice segment header (ITU-T H.265 7.3.6): read to its last bit, the byte alignment included,
//! because the first protected byte of a slice is the one after it (ISO/IEC 23001-7 10.2).

use super::pps::REF_INDEX_MAX;
use super::ref_pic_set::RefPicSet;
use super::{ParameterSets, Pps, Sps, UnitHeader, nal_type};
use crate::codec::bits::{BitReader, Parsed};

/// Long-term pictures of one slice: the decoded picture buffer holds 16.
const LONG_TERM_PICS_MAX: u32 = 33;
/// `slice_segment_header_extension_length` at most (7.4.7.1).
const EXTENSION_BYTES_MAX: u32 = 256;

#[derive(Clone, Copy, Eq, PartialEq)]
enum SliceType {
    B,
    P,
    I,
}

/// Bytes of the NAL unit header and the slice segment header, the alignment bits included.
///
/// `unit` is a base layer NAL unit with a type below 32, whose header is `header`.
pub(super) fn header_size_bytes(
    unit: &[u8],
    header: UnitHeader,
    sets: &ParameterSets,
) -> Parsed<usize> {
    let mut bits = BitReader::escaped(&unit[UnitHeader::SIZE_BYTES..]);
    let is_first = bits.bit()?;
    if (nal_type::IRAP_FIRST..=nal_type::IRAP_LAST).contains(&header.unit_type) {
        bits.skip(1)?; // no_output_of_prior_pics_flag
    }
    let (sps, pps) = sets.of_slice(bits.ue()?)?;
    let mut is_dependent = false;
    if !is_first {
        is_dependent = pps.dependent_slices && bits.bit()?;
        bits.skip(bits_for(sps.picture_size_ctbs))?; // slice_segment_address
    }
    if !is_dependent {
        Independent { bits: &mut bits, sps, pps }.skip(header)?;
    }
    if pps.has_entry_points {
        skip_entry_points(&mut bits)?;
    }
    if pps.slice_header_extension_present {
        let length = bits.ue_max(EXTENSION_BYTES_MAX, "a slice header extension is too long")?;
        bits.skip(length * 8)?;
    }
    // byte_alignment() (7.3.2.12): one bit that is 1, then zeros.
    if !bits.bit()? {
        return Err("a slice header does not end on its alignment bit");
    }
    bits.align()?;
    Ok(UnitHeader::SIZE_BYTES + bits.bytes_read())
}

/// Ceil(Log2(count)): bits of a number below `count`.
fn bits_for(count: u32) -> u32 {
    count.next_power_of_two().trailing_zeros()
}

fn skip_entry_points(bits: &mut BitReader<'_>) -> Parsed<()> {
    let count = bits.ue()?;
    if count == 0 {
        return Ok(());
    }
    let length = 1 + bits.ue_max(31, "offset_len_minus1 is above 31")?;
    // Each takes a bit at least: a count that lies ends with the bytes.
    for _ in 0..count {
        bits.skip(length)?;
    }
    Ok(())
}

/// The part that dependent slice segments inherit.
struct Independent<'r, 'a> {
    bits: &'r mut BitReader<'a>,
    sps: &'r Sps,
    pps: &'r Pps,
}

impl Independent<'_, '_> {
    fn skip(mut self, header: UnitHeader) -> Parsed<()> {
        self.bits.skip(self.pps.extra_slice_header_bits)?;
        let slice_type = match self.bits.ue()? {
            0 => SliceType::B,
            1 => SliceType::P,
            2 => SliceType::I,
            _ => return Err("slice_type is above 2"),
        };
        if self.pps.output_flag_present {
            self.bits.skip(1)?; // pic_output_flag
        }
        if self.sps.separate_colour_planes {
            self.bits.skip(2)?; // colour_plane_id
        }
        let mut pictures = 0;
        let mut temporal_mvp = false;
        if !matches!(header.unit_type, nal_type::IDR_W_RADL | nal_type::IDR_N_LP) {
            pictures = self.count_pictures()?;
            temporal_mvp = self.sps.temporal_mvp && self.bits.bit()?;
        }
        let mut has_adaptive_offset = false;
        if self.sps.sample_adaptive_offset {
            has_adaptive_offset = self.bits.bit()?;
            if self.sps.chroma_array_type != 0 {
                has_adaptive_offset |= self.bits.bit()?;
            }
        }
        if slice_type != SliceType::I {
            pictures += u32::from(self.pps.current_picture_ref);
            self.skip_references(slice_type, pictures, temporal_mvp)?;
        }
        self.skip_quantiser()?;
        self.skip_filters(has_adaptive_offset)
    }

    /// From the picture order count to the long-term references; `NumPicTotalCurr` (7-55).
    fn count_pictures(&mut self) -> Parsed<u32> {
        let Self { bits, sps, .. } = self;
        bits.skip(sps.poc_lsb_bits)?;
        let sets = &sps.ref_pic_sets;
        let mut used = if bits.bit()? {
            let index = bits.bits(bits_for((sets.len() as u32).max(1)))?;
            let set = sets.get(index as usize);
            set.ok_or("short_term_ref_pic_set_idx names no set")?.used_count()
        } else {
            RefPicSet::parse_in_slice(bits, sets)?.used_count()
        };
        if let Some(known) = &sps.long_term_refs {
            used += count_long_term_pictures(bits, sps.poc_lsb_bits, known)?;
        }
        Ok(used)
    }

    fn skip_references(
        &mut self,
        slice_type: SliceType,
        pictures: u32,
        temporal_mvp: bool,
    ) -> Parsed<()> {
        let Self { bits, pps, .. } = self;
        let is_b = slice_type == SliceType::B;
        let lists = if is_b { 2 } else { 1 };
        let mut counts = pps.ref_counts;
        if bits.bit()? {
            for count in &mut counts[..lists] {
                *count = 1 + bits.ue_max(REF_INDEX_MAX, "num_ref_idx_active is above 15")?;
            }
        }
        if pps.lists_modification_present && pictures > 1 {
            for count in &counts[..lists] {
                if bits.bit()? {
                    bits.skip(count * bits_for(pictures))?; // list_entry
                }
            }
        }
        if is_b {
            bits.skip(1)?; // mvd_l1_zero_flag
        }
        if pps.cabac_init_present {
            bits.skip(1)?; // cabac_init_flag
        }
        if temporal_mvp {
            let from_list = if is_b && !bits.bit()? { 1 } else { 0 };
            if counts[from_list] > 1 {
                bits.ue()?; // collocated_ref_idx
            }
        }
        if if is_b { pps.weighted_bipred } else { pps.weighted_pred } {
            self.skip_weights(&counts[..lists])?;
        }
        self.bits.ue()?; // five_minus_max_num_merge_cand
        if self.sps.mv_resolution_control_idc == 2 {
            self.bits.skip(1)?; // use_integer_mv_flag
        }
        Ok(())
    }

    /// 7.3.6.3.
    fn skip_weights(&mut self, counts: &[u32]) -> Parsed<()> {
        if self.pps.current_picture_ref {
            // Entries that are the current picture itself have no flags: telling them apart takes
            // the whole construction of the reference lists.
            return Err("weighted prediction with the current picture as reference");
        }
        let bits = &mut self.bits;
        let has_chroma = self.sps.chroma_array_type != 0;
        bits.ue()?; // luma_log2_weight_denom
        if has_chroma {
            bits.se()?; // delta_chroma_log2_weight_denom
        }
        for &count in counts {
            let luma = bits.bits(count)?.count_ones();
            let chroma = if has_chroma { bits.bits(count)?.count_ones() } else { 0 };
            // A weight and an offset for luma, and for each of the two chroma planes.
            for _ in 0..2 * luma + 4 * chroma {
                bits.se()?;
            }
        }
        Ok(())
    }

    fn skip_quantiser(&mut self) -> Parsed<()> {
        let Self { bits, pps, .. } = self;
        bits.se()?; // slice_qp_delta
        let offsets = if pps.slice_chroma_qp_offsets_present { 2 } else { 0 }
            + if pps.slice_act_qp_offsets_present { 3 } else { 0 };
        for _ in 0..offsets {
            bits.se()?;
        }
        if pps.chroma_qp_offset_list_enabled {
            bits.skip(1)?; // cu_chroma_qp_offset_enabled_flag
        }
        Ok(())
    }

    fn skip_filters(&mut self, has_adaptive_offset: bool) -> Parsed<()> {
        let Self { bits, pps, .. } = self;
        let mut deblocking_disabled = pps.deblocking_disabled;
        if pps.deblocking_override_enabled && bits.bit()? {
            deblocking_disabled = bits.bit()?;
            if !deblocking_disabled {
                bits.se()?; // slice_beta_offset_div2
                bits.se()?; // slice_tc_offset_div2
            }
        }
        if pps.loop_filter_across_slices && (has_adaptive_offset || !deblocking_disabled) {
            bits.skip(1)?; // slice_loop_filter_across_slices_enabled_flag
        }
        Ok(())
    }
}

fn count_long_term_pictures(
    bits: &mut BitReader<'_>,
    poc_lsb_bits: u32,
    known: &[bool],
) -> Parsed<u32> {
    let too_many = "a slice has more than 33 long-term pictures";
    let from_sps = if known.is_empty() { 0 } else { bits.ue_max(LONG_TERM_PICS_MAX, too_many)? };
    let own = bits.ue_max(LONG_TERM_PICS_MAX, too_many)?;
    let mut used = 0;
    for index in 0..from_sps + own {
        let is_used = if index < from_sps {
            let known_index = bits.bits(bits_for(known.len() as u32))? as usize;
            *known.get(known_index).ok_or("lt_idx_sps names no picture")?
        } else {
            bits.skip(poc_lsb_bits)?;
            bits.bit()?
        };
        used += u32::from(is_used);
        if bits.bit()? {
            bits.ue()?; // delta_poc_msb_cycle_lt
        }
    }
    Ok(used)
}
