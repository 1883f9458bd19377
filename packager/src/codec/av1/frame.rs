//! Frame header (AV1 specification 5.9): read to its last bit, because the tile group of an
//! `OBU_FRAME` begins at the next byte, and because later headers are read by what the reference
//! frames of this one were. Names are the specification's.

use super::frame_tools::{Lossless, Segmentation, skip_film_grain, skip_global_motion};
use super::obu::Unit;
use super::references::{REFS_PER_FRAME, Reference, References};
use super::sequence::{SELECT, SequenceHeader};
use super::tile_info::TileInfo;
use crate::codec::bits::{BitReader, Parsed};

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::codec) enum FrameType {
    #[default]
    Key,
    Inter,
    IntraOnly,
    Switch,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::codec) struct FrameHeader {
    pub(super) frame_type: FrameType,
    pub(super) show_frame: bool,
    pub(super) refresh_frame_flags: u8,
    pub(super) tiles: TileInfo,
    /// What the slots named by `refresh_frame_flags` hold from here on.
    pub(super) reference: Reference,
    /// Bytes of the header, the last one padded.
    pub(super) size_bytes: usize,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::codec) enum Header {
    /// `show_existing_frame`: nothing is coded.
    ShowExisting {
        slot: usize,
    },
    Frame(FrameHeader),
}

/// `NUM_REF_FRAMES` bits.
const ALL_FRAMES: u8 = 0xff;

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct FrameSize {
    pub(super) upscaled_width: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// The fields that later fields depend on.
pub(super) struct Parser<'r, 'a> {
    pub(super) bits: BitReader<'a>,
    pub(super) sequence: &'r SequenceHeader,
    references: &'r mut References,
    pub(super) frame_type: FrameType,
    pub(super) show_frame: bool,
    pub(super) showable_frame: bool,
    error_resilient_mode: bool,
    disable_cdf_update: bool,
    allow_screen_content_tools: bool,
    force_integer_mv: bool,
    frame_size_override: bool,
    order_hint: u32,
    /// `None` for `PRIMARY_REF_NONE`.
    primary_ref_frame: Option<usize>,
    refresh_frame_flags: u8,
    ref_frame_idx: [usize; REFS_PER_FRAME],
    size: FrameSize,
    pub(super) allow_high_precision_mv: bool,
    allow_intrabc: bool,
}

impl Header {
    /// 5.9.2. `unit` holds a frame header, whole or before a tile group.
    ///
    /// `references` changes where an error resilient frame says what the order hints of missing
    /// references were; the caller stores the frame itself.
    pub(super) fn parse(
        unit: &Unit<'_>,
        sequence: &SequenceHeader,
        references: &mut References,
    ) -> Parsed<Self> {
        let mut parser = Parser {
            bits: BitReader::new(unit.payload),
            sequence,
            references,
            frame_type: FrameType::Key,
            show_frame: true,
            showable_frame: false,
            error_resilient_mode: true,
            disable_cdf_update: false,
            allow_screen_content_tools: false,
            force_integer_mv: false,
            frame_size_override: false,
            order_hint: 0,
            primary_ref_frame: None,
            refresh_frame_flags: ALL_FRAMES,
            ref_frame_idx: [0; REFS_PER_FRAME],
            size: FrameSize::default(),
            allow_high_precision_mv: false,
            allow_intrabc: false,
        };
        if !sequence.reduced_still_picture_header {
            if parser.bits.bit()? {
                return Ok(Self::ShowExisting { slot: parser.bits.bits(3)? as usize });
            }
            parser.parse_frame_type()?;
        }
        parser.parse_identity(unit)?;
        parser.parse_references_and_size()?;
        parser.parse_coding_tools().map(Self::Frame)
    }
}

impl Parser<'_, '_> {
    fn is_intra(&self) -> bool {
        matches!(self.frame_type, FrameType::Key | FrameType::IntraOnly)
    }

    fn is_shown_key(&self) -> bool {
        self.frame_type == FrameType::Key && self.show_frame
    }

    fn parse_frame_type(&mut self) -> Parsed<()> {
        self.frame_type = match self.bits.bits(2)? {
            0 => FrameType::Key,
            1 => FrameType::Inter,
            2 => FrameType::IntraOnly,
            _ => FrameType::Switch,
        };
        self.show_frame = self.bits.bit()?;
        if self.show_frame {
            if let Some(model) = self.sequence.decoder_model
                && !self.sequence.equal_picture_interval
            {
                self.bits.skip(model.frame_presentation_time_bits)?;
            }
            self.showable_frame = self.frame_type != FrameType::Key;
        } else {
            self.showable_frame = self.bits.bit()?;
        }
        self.error_resilient_mode =
            self.frame_type == FrameType::Switch || self.is_shown_key() || self.bits.bit()?;
        Ok(())
    }

    /// From `disable_cdf_update` to `refresh_frame_flags`.
    fn parse_identity(&mut self, unit: &Unit<'_>) -> Parsed<()> {
        if self.is_shown_key() {
            self.references.forget_order();
        }
        let sequence = self.sequence;
        self.disable_cdf_update = self.bits.bit()?;
        self.allow_screen_content_tools = match sequence.force_screen_content_tools {
            SELECT => self.bits.bit()?,
            forced => forced == 1,
        };
        if self.allow_screen_content_tools {
            self.force_integer_mv = match sequence.force_integer_mv {
                SELECT => self.bits.bit()?,
                forced => forced == 1,
            };
        }
        if let Some((_, id_bits)) = sequence.frame_id_bits {
            self.bits.skip(id_bits)?; // current_frame_id
        }
        self.frame_size_override = self.frame_type == FrameType::Switch
            || !sequence.reduced_still_picture_header && self.bits.bit()?;
        self.order_hint = self.bits.bits(sequence.order_hint_bits)?;
        if !self.is_intra() && !self.error_resilient_mode {
            const PRIMARY_REF_NONE: u32 = 7;
            let index = self.bits.bits(3)?;
            self.primary_ref_frame = (index != PRIMARY_REF_NONE).then_some(index as usize);
        }
        self.skip_buffer_removal_times(unit)?;
        if self.frame_type != FrameType::Switch && !self.is_shown_key() {
            self.refresh_frame_flags = self.bits.bits8(8)?;
        }
        Ok(())
    }

    fn skip_buffer_removal_times(&mut self, unit: &Unit<'_>) -> Parsed<()> {
        let Some(model) = self.sequence.decoder_model else { return Ok(()) };
        if !self.bits.bit()? {
            return Ok(());
        }
        for point in self.sequence.operating_points.iter().filter(|it| it.has_decoder_model) {
            let in_temporal = point.idc >> unit.temporal_id & 1 == 1;
            let in_spatial = point.idc >> (unit.spatial_id + 8) & 1 == 1;
            if point.idc == 0 || in_temporal && in_spatial {
                self.bits.skip(model.buffer_removal_time_bits)?;
            }
        }
        Ok(())
    }

    fn parse_references_and_size(&mut self) -> Parsed<()> {
        let order_hint_bits = self.sequence.order_hint_bits;
        let names_order_hints = !self.is_intra() || self.refresh_frame_flags != ALL_FRAMES;
        if names_order_hints && self.error_resilient_mode && order_hint_bits > 0 {
            for slot in 0..8 {
                let order_hint = self.bits.bits(order_hint_bits)?;
                self.references.expect_order(slot, order_hint);
            }
        }
        if self.is_intra() {
            self.parse_frame_size()?;
            self.skip_render_size()?;
            self.allow_intrabc = self.allow_screen_content_tools
                && self.size.upscaled_width == self.size.width
                && self.bits.bit()?;
            return Ok(());
        }
        self.parse_ref_frame_idx()?;
        if self.frame_size_override && !self.error_resilient_mode {
            self.parse_frame_size_with_refs()?;
        } else {
            self.parse_frame_size()?;
            self.skip_render_size()?;
        }
        self.allow_high_precision_mv = !self.force_integer_mv && self.bits.bit()?;
        if !self.bits.bit()? {
            self.bits.skip(2)?; // interpolation_filter
        }
        self.bits.skip(1)?; // is_motion_mode_switchable
        if !self.error_resilient_mode && self.sequence.enable_ref_frame_mvs {
            self.bits.skip(1)?; // use_ref_frame_mvs
        }
        Ok(())
    }

    fn parse_ref_frame_idx(&mut self) -> Parsed<()> {
        let order_hint_bits = self.sequence.order_hint_bits;
        let short_signaling = order_hint_bits > 0 && self.bits.bit()?;
        if short_signaling {
            let (last, gold) = (self.bits.bits(3)? as usize, self.bits.bits(3)? as usize);
            self.ref_frame_idx =
                self.references.set_frame_refs(last, gold, self.order_hint, order_hint_bits);
        }
        for index in 0..REFS_PER_FRAME {
            if !short_signaling {
                self.ref_frame_idx[index] = self.bits.bits(3)? as usize;
            }
            if let Some((delta_bits, _)) = self.sequence.frame_id_bits {
                self.bits.skip(delta_bits)?; // delta_frame_id_minus_1
            }
        }
        Ok(())
    }

    /// 5.9.5.
    fn parse_frame_size(&mut self) -> Parsed<()> {
        let sequence = self.sequence;
        let (width, height) = if self.frame_size_override {
            let width = 1 + self.bits.bits(sequence.frame_width_bits)?;
            (width, 1 + self.bits.bits(sequence.frame_height_bits)?)
        } else {
            (sequence.max_frame_width, sequence.max_frame_height)
        };
        self.size = FrameSize { upscaled_width: width, width, height };
        self.parse_superres()
    }

    /// 5.9.7.
    fn parse_frame_size_with_refs(&mut self) -> Parsed<()> {
        for slot in self.ref_frame_idx {
            if self.bits.bit()? {
                let size = self.references.get(slot)?.size;
                self.size = FrameSize { width: size.upscaled_width, ..size };
                return self.parse_superres();
            }
        }
        self.parse_frame_size()?;
        self.skip_render_size()
    }

    /// 5.9.8.
    fn parse_superres(&mut self) -> Parsed<()> {
        const SUPERRES_NUM: u32 = 8;
        const SUPERRES_DENOM_MIN: u32 = 9;
        if self.sequence.enable_superres && self.bits.bit()? {
            let denominator = SUPERRES_DENOM_MIN + self.bits.bits(3)?;
            self.size.width =
                (self.size.upscaled_width * SUPERRES_NUM + denominator / 2) / denominator;
        }
        Ok(())
    }

    fn skip_render_size(&mut self) -> Parsed<()> {
        if self.bits.bit()? { self.bits.skip(32) } else { Ok(()) }
    }

    /// From `disable_frame_end_update_cdf` to the end.
    fn parse_coding_tools(mut self) -> Parsed<FrameHeader> {
        if !self.sequence.reduced_still_picture_header && !self.disable_cdf_update {
            self.bits.skip(1)?; // disable_frame_end_update_cdf
        }
        let mut segmentation = match self.primary_ref_frame {
            None => Segmentation::default(),
            Some(index) => {
                let slot = *self.ref_frame_idx.get(index).ok_or("primary_ref_frame is above 6")?;
                self.references.get(slot)?.segmentation
            }
        };
        let tiles =
            TileInfo::parse(&mut self.bits, self.size, self.sequence.use_128x128_superblock)?;
        let lossless = Lossless::parse(
            &mut self.bits,
            self.sequence,
            &mut segmentation,
            self.primary_ref_frame.is_none(),
            self.allow_intrabc,
        )?;
        self.skip_filters(lossless)?;
        if !lossless.coded {
            self.bits.skip(1)?; // tx_mode_select
        }
        if !self.is_intra() {
            let reference_select = self.bits.bit()?;
            if reference_select && self.allows_skip_mode() {
                self.bits.skip(1)?; // skip_mode_present
            }
            if !self.error_resilient_mode && self.sequence.enable_warped_motion {
                self.bits.skip(1)?; // allow_warped_motion
            }
        }
        self.bits.skip(1)?; // reduced_tx_set
        if !self.is_intra() {
            skip_global_motion(&mut self)?;
        }
        skip_film_grain(&mut self)?;
        Ok(FrameHeader {
            frame_type: self.frame_type,
            show_frame: self.show_frame,
            refresh_frame_flags: self.refresh_frame_flags,
            tiles,
            reference: Reference {
                frame_type: self.frame_type,
                size: self.size,
                order_hint: self.order_hint,
                segmentation,
            },
            size_bytes: self.bits.bytes_read(),
        })
    }

    /// Loop filter, constrained directional enhancement and loop restoration (5.9.11, 5.9.19,
    /// 5.9.20).
    fn skip_filters(&mut self, lossless: Lossless) -> Parsed<()> {
        let has_chroma = !self.sequence.format.is_monochrome;
        if self.allow_intrabc {
            return Ok(());
        }
        if !lossless.coded {
            self.skip_loop_filter(has_chroma)?;
            if self.sequence.enable_cdef {
                self.bits.skip(2)?; // cdef_damping_minus_3
                let strengths = 1 << self.bits.bits(2)?;
                self.bits.skip(strengths * if has_chroma { 12 } else { 6 })?;
            }
        }
        let all_lossless = lossless.coded && self.size.width == self.size.upscaled_width;
        if !all_lossless && self.sequence.enable_restoration {
            self.skip_loop_restoration(has_chroma)?;
        }
        Ok(())
    }

    fn skip_loop_filter(&mut self, has_chroma: bool) -> Parsed<()> {
        let levels = [self.bits.bits(6)?, self.bits.bits(6)?];
        if has_chroma && levels != [0, 0] {
            self.bits.skip(12)?; // loop_filter_level[2], [3]
        }
        self.bits.skip(3)?; // loop_filter_sharpness
        if self.bits.bit()? && self.bits.bit()? {
            for _ in 0..8 + 2 {
                if self.bits.bit()? {
                    self.bits.skip(7)?; // loop_filter_ref_deltas, loop_filter_mode_deltas
                }
            }
        }
        Ok(())
    }

    fn skip_loop_restoration(&mut self, has_chroma: bool) -> Parsed<()> {
        let luma = self.bits.bits(2)? != 0;
        let mut chroma = false;
        if has_chroma {
            chroma = self.bits.bits(4)? != 0;
        }
        if !luma && !chroma {
            return Ok(());
        }
        // lr_unit_shift, and lr_unit_extra_shift for small superblocks.
        if self.bits.bit()? && !self.sequence.use_128x128_superblock {
            self.bits.skip(1)?;
        }
        let format = &self.sequence.format;
        if format.subsampling_x && format.subsampling_y && chroma {
            self.bits.skip(1)?; // lr_uv_shift
        }
        Ok(())
    }

    /// `skipModeAllowed` (5.9.22).
    fn allows_skip_mode(&self) -> bool {
        self.references.allows_skip_mode(
            self.ref_frame_idx,
            self.order_hint,
            self.sequence.order_hint_bits,
        )
    }
}
