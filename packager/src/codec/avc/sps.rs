//! Sequence parameter set (ITU-T H.264 7.3.2.1.1 and E.1.1), as far as pictures and slice headers
//! need it.

use crate::codec::bits::{BitReader, Parsed};
use crate::codec::color;
use crate::track::ColorInfo;

#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::codec) struct Sps {
    pub(in crate::codec) id: u32,
    /// Luma samples after cropping.
    pub(in crate::codec) width: u16,
    pub(in crate::codec) height: u16,
    pub(in crate::codec) pixel_aspect: Option<(u32, u32)>,
    pub(in crate::codec) color: Option<ColorInfo>,
    pub(super) separate_colour_planes: bool,
    /// `ChromaArrayType`: 0 where luma stands alone.
    pub(super) chroma_array_type: u32,
    pub(super) frame_num_bits: u32,
    pub(super) poc: PicOrderCount,
    pub(super) frame_mbs_only: bool,
    pub(super) pic_size_in_map_units: u32,
}

/// `pic_order_cnt_type` and what it brings into slice headers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PicOrderCount {
    Lsb { bits: u32 },
    Deltas { always_zero: bool },
    Output,
}

/// Profiles whose SPS carries the chroma format (7.3.2.1.1).
const HIGH_PROFILES: [u32; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// Macroblocks in one direction: 65 536 luma samples.
const MACROBLOCKS_MAX: u32 = 4096;

impl Sps {
    /// `unit` is the whole NAL unit with its header byte.
    pub(in crate::codec) fn parse(unit: &[u8]) -> Parsed<Self> {
        let mut bits = BitReader::escaped(unit.get(1..).unwrap_or_default());
        let profile = bits.bits(8)?;
        bits.skip(16)?; // constraint flags, level_idc
        let id = bits.ue_max(31, "seq_parameter_set_id is above 31")?;
        let chroma = if HIGH_PROFILES.contains(&profile) {
            Chroma::parse(&mut bits)?
        } else {
            Chroma { format: 1, separate_planes: false }
        };
        let chroma_array_type = if chroma.separate_planes { 0 } else { chroma.format };

        let frame_num_bits = 4 + bits.ue_max(12, "log2_max_frame_num_minus4 is above 12")?;
        let poc = parse_poc(&mut bits)?;
        bits.ue()?; // max_num_ref_frames
        bits.skip(1)?; // gaps_in_frame_num_value_allowed_flag
        let too_large = "the picture is larger than 65 535 samples";
        let width_mbs = 1 + bits.ue_max(MACROBLOCKS_MAX - 1, too_large)?;
        let height_map_units = 1 + bits.ue_max(MACROBLOCKS_MAX - 1, too_large)?;
        let frame_mbs_only = bits.bit()?;
        if !frame_mbs_only {
            bits.skip(1)?; // mb_adaptive_frame_field_flag
        }
        bits.skip(1)?; // direct_8x8_inference_flag
        let field_factor = if frame_mbs_only { 1 } else { 2 };
        let (unit_x, unit_y) = chroma.crop_units(chroma_array_type);
        let crop =
            if bits.bit()? { [bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?] } else { [0; 4] };
        let width = cropped(width_mbs * 16, crop[0], crop[1], unit_x)?;
        let height =
            cropped(height_map_units * 16 * field_factor, crop[2], crop[3], unit_y * field_factor)?;

        let (pixel_aspect, color) = if bits.bit()? { parse_vui(&mut bits)? } else { (None, None) };
        Ok(Self {
            id,
            width,
            height,
            pixel_aspect,
            color,
            separate_colour_planes: chroma.separate_planes,
            chroma_array_type,
            frame_num_bits,
            poc,
            frame_mbs_only,
            pic_size_in_map_units: width_mbs * height_map_units,
        })
    }
}

struct Chroma {
    /// `chroma_format_idc`: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    format: u32,
    separate_planes: bool,
}

impl Chroma {
    fn parse(bits: &mut BitReader<'_>) -> Parsed<Self> {
        let format = bits.ue_max(3, "chroma_format_idc is above 3")?;
        let separate_planes = format == 3 && bits.bit()?;
        bits.ue_max(6, "bit_depth_luma_minus8 is above 6")?;
        bits.ue_max(6, "bit_depth_chroma_minus8 is above 6")?;
        bits.skip(1)?; // qpprime_y_zero_transform_bypass_flag
        if bits.bit()? {
            for list in 0..if format == 3 { 12 } else { 8 } {
                if bits.bit()? {
                    skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
        Ok(Self { format, separate_planes })
    }

    /// `CropUnitX` and `CropUnitY` of a frame (equations 7-19 to 7-22), before field doubling.
    fn crop_units(&self, chroma_array_type: u32) -> (u32, u32) {
        match chroma_array_type {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        }
    }
}

/// 7.3.2.1.1.1: deltas until the next scale becomes zero.
pub(super) fn skip_scaling_list(bits: &mut BitReader<'_>, size: u32) -> Parsed<()> {
    let (mut last, mut next) = (8_i64, 8_i64);
    for _ in 0..size {
        if next != 0 {
            next = (last + bits.se()? + 256).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Ok(())
}

fn parse_poc(bits: &mut BitReader<'_>) -> Parsed<PicOrderCount> {
    match bits.ue()? {
        0 => {
            let bits = 4 + bits.ue_max(12, "log2_max_pic_order_cnt_lsb_minus4 is above 12")?;
            Ok(PicOrderCount::Lsb { bits })
        }
        1 => {
            let always_zero = bits.bit()?;
            bits.se()?; // offset_for_non_ref_pic
            bits.se()?; // offset_for_top_to_bottom_field
            for _ in 0..bits.ue_max(255, "num_ref_frames_in_pic_order_cnt_cycle is above 255")? {
                bits.se()?;
            }
            Ok(PicOrderCount::Deltas { always_zero })
        }
        2 => Ok(PicOrderCount::Output),
        _ => Err("pic_order_cnt_type is above 2"),
    }
}

/// `coded` luma samples less `before` and `after` cropping units of `unit` samples.
pub(in crate::codec) fn cropped(coded: u32, before: u32, after: u32, unit: u32) -> Parsed<u16> {
    let cut = u64::from(before).saturating_add(after.into()).saturating_mul(unit.into());
    let left = u64::from(coded).checked_sub(cut).filter(|left| *left > 0);
    let left = left.ok_or("cropping leaves nothing of the picture")?;
    u16::try_from(left).map_err(|_| "the picture is larger than 65 535 samples")
}

/// The start of the VUI (E.1.1), common to H.264 and H.265: pixel aspect, overscan, colour.
#[expect(clippy::type_complexity, reason = "one pair, named at its two callers")]
pub(in crate::codec) fn parse_vui(
    bits: &mut BitReader<'_>,
) -> Parsed<(Option<(u32, u32)>, Option<ColorInfo>)> {
    const EXTENDED_SAR: u8 = 255;
    let mut pixel_aspect = None;
    if bits.bit()? {
        pixel_aspect = match bits.bits8(8)? {
            EXTENDED_SAR => Some(color::reduce(bits.bits(16)?, bits.bits(16)?)),
            idc => color::aspect_ratio(idc),
        };
    }
    if bits.bit()? {
        bits.skip(1)?; // overscan_appropriate_flag
    }
    let mut info = None;
    if bits.bit()? {
        bits.skip(3)?; // video_format
        let full_range = bits.bit()?;
        if bits.bit()? {
            let (primaries, transfer) = (bits.bits8(8)?, bits.bits8(8)?);
            let matrix = bits.bits8(8)?;
            info = Some(ColorInfo { primaries, transfer, matrix, full_range });
        }
    }
    Ok((pixel_aspect, info))
}
