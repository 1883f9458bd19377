//! Sequence header (AV1 specification 5.5).

use super::is_specified;
use crate::codec::bits::{BitReader, Parsed};
use crate::track::ColorInfo;

#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::codec) struct ChromaFormat {
    pub(in crate::codec) bit_depth: u8,
    pub(in crate::codec) is_monochrome: bool,
    pub(in crate::codec) subsampling_x: bool,
    pub(in crate::codec) subsampling_y: bool,
    /// `chroma_sample_position`; 0 unless both directions are subsampled.
    pub(in crate::codec) sample_position: u8,
}

/// What frame headers need to be read, named as in the specification.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::codec) struct SequenceHeader {
    pub(super) reduced_still_picture_header: bool,
    pub(super) equal_picture_interval: bool,
    pub(super) decoder_model: Option<DecoderModel>,
    pub(super) operating_points: Vec<OperatingPoint>,
    pub(super) frame_width_bits: u32,
    pub(super) frame_height_bits: u32,
    pub(super) max_frame_width: u32,
    pub(super) max_frame_height: u32,
    /// Bits of `delta_frame_id` and of `frame_id`, where frames are numbered.
    pub(super) frame_id_bits: Option<(u32, u32)>,
    pub(super) use_128x128_superblock: bool,
    pub(super) enable_warped_motion: bool,
    pub(super) enable_ref_frame_mvs: bool,
    /// 0 without order hints.
    pub(super) order_hint_bits: u32,
    /// 0, 1, or 2: chosen by each frame.
    pub(super) force_screen_content_tools: u8,
    pub(super) force_integer_mv: u8,
    pub(super) enable_superres: bool,
    pub(super) enable_cdef: bool,
    pub(super) enable_restoration: bool,
    pub(super) format: ChromaFormat,
    pub(super) color: Option<ColorInfo>,
    pub(super) separate_uv_delta_q: bool,
    pub(super) film_grain_params_present: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct DecoderModel {
    buffer_delay_bits: u32,
    pub(super) buffer_removal_time_bits: u32,
    pub(super) frame_presentation_time_bits: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct OperatingPoint {
    pub(super) idc: u32,
    pub(super) has_decoder_model: bool,
}

/// `SELECT_SCREEN_CONTENT_TOOLS` and `SELECT_INTEGER_MV`.
pub(super) const SELECT: u8 = 2;

impl SequenceHeader {
    pub(in crate::codec) fn parse(payload: &[u8]) -> Parsed<Self> {
        let bits = &mut BitReader::new(payload);
        let profile = bits.bits8(3)?;
        bits.skip(1)?; // still_picture
        let reduced = bits.bit()?;
        let timing = if reduced {
            bits.skip(5)?; // seq_level_idx
            Timing {
                equal_picture_interval: false,
                decoder_model: None,
                operating_points: vec![OperatingPoint { idc: 0, has_decoder_model: false }],
            }
        } else {
            Timing::parse(bits)?
        };
        let frame_width_bits = 1 + bits.bits(4)?;
        let frame_height_bits = 1 + bits.bits(4)?;
        let max_frame_width = 1 + bits.bits(frame_width_bits)?;
        let max_frame_height = 1 + bits.bits(frame_height_bits)?;
        let frame_id_bits = if !reduced && bits.bit()? {
            let delta_bits = 2 + bits.bits(4)?;
            Some((delta_bits, delta_bits + 1 + bits.bits(3)?))
        } else {
            None
        };
        let use_128x128_superblock = bits.bit()?;
        bits.skip(2)?; // enable_filter_intra, enable_intra_edge_filter
        let tools = if reduced { Tools::REDUCED } else { Tools::parse(bits)? };
        let enable_superres = bits.bit()?;
        let enable_cdef = bits.bit()?;
        let enable_restoration = bits.bit()?;
        let (format, color, separate_uv_delta_q) = parse_color_config(bits, profile)?;
        Ok(Self {
            reduced_still_picture_header: reduced,
            equal_picture_interval: timing.equal_picture_interval,
            decoder_model: timing.decoder_model,
            operating_points: timing.operating_points,
            frame_width_bits,
            frame_height_bits,
            max_frame_width,
            max_frame_height,
            frame_id_bits,
            use_128x128_superblock,
            enable_warped_motion: tools.enable_warped_motion,
            enable_ref_frame_mvs: tools.enable_ref_frame_mvs,
            order_hint_bits: tools.order_hint_bits,
            force_screen_content_tools: tools.force_screen_content_tools,
            force_integer_mv: tools.force_integer_mv,
            enable_superres,
            enable_cdef,
            enable_restoration,
            format,
            color,
            separate_uv_delta_q,
            film_grain_params_present: bits.bit()?,
        })
    }

    pub(in crate::codec) fn frame_size_max(&self) -> Parsed<(u16, u16)> {
        let size = |samples: u32| {
            u16::try_from(samples).map_err(|_| "the picture is larger than 65 535 samples")
        };
        Ok((size(self.max_frame_width)?, size(self.max_frame_height)?))
    }
}

struct Timing {
    equal_picture_interval: bool,
    decoder_model: Option<DecoderModel>,
    operating_points: Vec<OperatingPoint>,
}

impl Timing {
    fn parse(bits: &mut BitReader<'_>) -> Parsed<Self> {
        let mut equal_picture_interval = false;
        let mut decoder_model = None;
        if bits.bit()? {
            bits.skip(64)?; // num_units_in_display_tick, time_scale
            equal_picture_interval = bits.bit()?;
            if equal_picture_interval {
                skip_uvlc(bits)?; // num_ticks_per_picture_minus_1
            }
            if bits.bit()? {
                let buffer_delay_bits = 1 + bits.bits(5)?;
                bits.skip(32)?; // num_units_in_decoding_tick
                decoder_model = Some(DecoderModel {
                    buffer_delay_bits,
                    buffer_removal_time_bits: 1 + bits.bits(5)?,
                    frame_presentation_time_bits: 1 + bits.bits(5)?,
                });
            }
        }
        let has_display_delays = bits.bit()?;
        let mut operating_points = Vec::new();
        for _ in 0..=bits.bits(5)? {
            operating_points.push(parse_operating_point(bits, decoder_model, has_display_delays)?);
        }
        Ok(Self { equal_picture_interval, decoder_model, operating_points })
    }
}

fn parse_operating_point(
    bits: &mut BitReader<'_>,
    decoder_model: Option<DecoderModel>,
    has_display_delays: bool,
) -> Parsed<OperatingPoint> {
    let idc = bits.bits(12)?;
    if bits.bits(5)? > 7 {
        bits.skip(1)?; // seq_tier
    }
    let mut has_decoder_model = false;
    if let Some(model) = decoder_model {
        has_decoder_model = bits.bit()?;
        if has_decoder_model {
            bits.skip(2 * model.buffer_delay_bits + 1)?; // operating_parameters_info
        }
    }
    if has_display_delays && bits.bit()? {
        bits.skip(4)?; // initial_display_delay_minus_1
    }
    Ok(OperatingPoint { idc, has_decoder_model })
}

/// 4.10.3.
fn skip_uvlc(bits: &mut BitReader<'_>) -> Parsed<()> {
    let mut zeros = 0;
    while !bits.bit()? {
        zeros += 1;
    }
    // 32 zeros and more stand for the greatest value, without further bits.
    if zeros < 32 { bits.skip(zeros) } else { Ok(()) }
}

struct Tools {
    enable_warped_motion: bool,
    enable_ref_frame_mvs: bool,
    order_hint_bits: u32,
    force_screen_content_tools: u8,
    force_integer_mv: u8,
}

impl Tools {
    const REDUCED: Self = Self {
        enable_warped_motion: false,
        enable_ref_frame_mvs: false,
        order_hint_bits: 0,
        force_screen_content_tools: SELECT,
        force_integer_mv: SELECT,
    };

    fn parse(bits: &mut BitReader<'_>) -> Parsed<Self> {
        bits.skip(2)?; // enable_interintra_compound, enable_masked_compound
        let enable_warped_motion = bits.bit()?;
        bits.skip(1)?; // enable_dual_filter
        let enable_order_hint = bits.bit()?;
        let mut enable_ref_frame_mvs = false;
        if enable_order_hint {
            bits.skip(1)?; // enable_jnt_comp
            enable_ref_frame_mvs = bits.bit()?;
        }
        let force_screen_content_tools = parse_select(bits)?;
        let force_integer_mv =
            if force_screen_content_tools > 0 { parse_select(bits)? } else { SELECT };
        let order_hint_bits = if enable_order_hint { 1 + bits.bits(3)? } else { 0 };
        Ok(Self {
            enable_warped_motion,
            enable_ref_frame_mvs,
            order_hint_bits,
            force_screen_content_tools,
            force_integer_mv,
        })
    }
}

fn parse_select(bits: &mut BitReader<'_>) -> Parsed<u8> {
    if bits.bit()? { Ok(SELECT) } else { bits.bits8(1) }
}

/// 5.5.2; the last value is `separate_uv_delta_q`.
fn parse_color_config(
    bits: &mut BitReader<'_>,
    profile: u8,
) -> Parsed<(ChromaFormat, Option<ColorInfo>, bool)> {
    const SRGB: [u8; 3] = [1, 13, 0];
    let is_high = bits.bit()?;
    let bit_depth = match (is_high, profile) {
        (false, _) => 8,
        (true, 2) if bits.bit()? => 12,
        (true, _) => 10,
    };
    let is_monochrome = profile != 1 && bits.bit()?;
    let codes =
        if bits.bit()? { [bits.bits8(8)?, bits.bits8(8)?, bits.bits8(8)?] } else { [2, 2, 2] };
    let is_srgb = !is_monochrome && codes == SRGB;
    let full_range = is_srgb || bits.bit()?;
    let (subsampling_x, subsampling_y) = match profile {
        _ if is_monochrome => (true, true),
        _ if is_srgb => (false, false),
        0 => (true, true),
        1 => (false, false),
        _ if bit_depth == 12 => {
            let subsampling_x = bits.bit()?;
            (subsampling_x, subsampling_x && bits.bit()?)
        }
        _ => (true, false),
    };
    let sample_position =
        if !is_monochrome && subsampling_x && subsampling_y { bits.bits8(2)? } else { 0 };
    let separate_uv_delta_q = !is_monochrome && bits.bit()?;
    let format =
        ChromaFormat { bit_depth, is_monochrome, subsampling_x, subsampling_y, sample_position };
    let [primaries, transfer, matrix] = codes;
    let color = (is_specified(codes) || full_range).then_some(ColorInfo {
        primaries,
        transfer,
        matrix,
        full_range,
    });
    Ok((format, color, separate_uv_delta_q))
}
