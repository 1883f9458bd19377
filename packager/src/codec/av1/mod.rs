//! AV1: the configuration record and codec string (AV1 Codec ISO Media File Format Binding 2.3 and
//! 5), open bitstream units, and the frame headers that tell tile data apart.

mod frame;
mod frame_tools;
mod obu;
mod references;
mod scan;
mod sequence;
mod tile_info;

use super::bits::Parsed;
use super::color::UNSPECIFIED;
use super::video::{Picture, color_code_points};
use crate::track::VideoCodec;

pub(super) use obu::leb128;
pub(super) use scan::Scanner;
pub(super) use sequence::{ChromaFormat, SequenceHeader};

/// AV1CodecConfigurationRecord (`av1C`), borrowed.
#[derive(Debug)]
pub(super) struct DecoderConfig<'a> {
    profile: u8,
    level: u8,
    is_high_tier: bool,
    format: ChromaFormat,
    /// OBUs as the stream has them: a sequence header, perhaps metadata, perhaps nothing.
    pub(super) obus: &'a [u8],
}

impl<'a> DecoderConfig<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Parsed<Self> {
        let ([marker, level, format, _], obus) =
            body.split_first_chunk::<4>().ok_or("the configuration record ends early")?;
        if *marker != 0x81 {
            return Err("its marker and version are not 0x81");
        }
        let flag = |bit: u8| format >> bit & 1 == 1;
        Ok(Self {
            profile: level >> 5,
            level: level & 0x1f,
            is_high_tier: flag(7),
            format: ChromaFormat {
                // high_bitdepth and twelve_bit; 12 bits exist in the professional profile alone.
                bit_depth: if flag(6) { if flag(5) { 12 } else { 10 } } else { 8 },
                is_monochrome: flag(4),
                subsampling_x: flag(3),
                subsampling_y: flag(2),
                sample_position: format & 3,
            },
            obus,
        })
    }

    /// The sequence header among the record's OBUs.
    pub(super) fn sequence_header(&self) -> Parsed<Option<SequenceHeader>> {
        for unit in obu::units(self.obus) {
            let unit = unit?;
            if unit.kind == obu::kind::SEQUENCE_HEADER {
                return SequenceHeader::parse(unit.payload).map(Some);
            }
        }
        Ok(None)
    }
}

pub(super) fn describe(body: &[u8], picture: &mut Picture) -> Parsed<()> {
    let config = DecoderConfig::parse(body)?;
    if let Some(sequence) = config.sequence_header()? {
        (picture.width, picture.height) = sequence.frame_size_max()?;
        picture.color = picture.color.or(sequence.color);
    }
    picture.codec = VideoCodec::Av1;
    picture.rfc6381 = rfc6381(&config, picture);
    Ok(())
}

/// Binding 5: `av01.P.LLT.DD`, and where any of them differs from its default, monochrome,
/// subsampling, colour code points and range as well.
fn rfc6381(config: &DecoderConfig<'_>, picture: &Picture) -> String {
    const DEFAULTS: &str = ".0.110.01.01.01.0";
    let format = &config.format;
    let is_420 = format.subsampling_x && format.subsampling_y;
    let [primaries, transfer, matrix] = color_code_points(picture.color);
    let optional = format!(
        ".{}.{}{}{}.{primaries:02}.{transfer:02}.{matrix:02}.{}",
        u8::from(format.is_monochrome),
        u8::from(format.subsampling_x),
        u8::from(format.subsampling_y),
        if is_420 { format.sample_position } else { 0 },
        u8::from(picture.color.is_some_and(|color| color.full_range)),
    );
    format!(
        "av01.{}.{:02}{}.{:02}{}",
        config.profile,
        config.level,
        if config.is_high_tier { 'H' } else { 'M' },
        format.bit_depth,
        if optional == DEFAULTS { "" } else { &optional },
    )
}

/// A colour description that says nothing is none.
fn is_specified(codes: [u8; 3]) -> bool {
    codes != [UNSPECIFIED; 3]
}
