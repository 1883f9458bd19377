//! VP8 and VP9: the configuration box and codec string (VP Codec ISO Media File Format Binding).

mod frame;
mod scan;

use super::bits::Parsed;
use super::color::UNSPECIFIED;
use super::video::{Picture, color_code_points};
use crate::FourCc;
use crate::track::{ColorInfo, VideoCodec};

pub(super) use scan::Scanner;

/// `body` is that of `vpcC`, version and flags included.
pub(super) fn describe(kind: FourCc, body: &[u8], picture: &mut Picture) -> Parsed<()> {
    let [version, _, _, _, profile, level, format, rest @ ..] = body else {
        return Err("the configuration record ends early");
    };
    let bit_depth = format >> 4;
    let mut chroma = 1;
    // Version 0 had other colour fields, which never left drafts.
    if *version >= 1 {
        let [primaries, transfer, matrix, ..] = *rest else {
            return Err("the configuration record ends early");
        };
        chroma = format >> 1 & 7;
        let color = ColorInfo { primaries, transfer, matrix, full_range: format & 1 == 1 };
        let says_something = [primaries, transfer, matrix] != [UNSPECIFIED; 3] || color.full_range;
        picture.color = picture.color.or_else(|| says_something.then_some(color));
    }
    if kind == FourCc::new(b"vp09") {
        picture.codec = VideoCodec::Vp9;
    }

    // Optional fields come all or none: none where each has its default.
    const DEFAULTS: &str = ".01.01.01.01.00";
    let [primaries, transfer, matrix] = color_code_points(picture.color);
    let full_range = u8::from(picture.color.is_some_and(|color| color.full_range));
    let optional = format!(".{chroma:02}.{primaries:02}.{transfer:02}.{matrix:02}.{full_range:02}");
    let optional = if optional == DEFAULTS { "" } else { &optional };
    picture.rfc6381 = format!("{kind}.{profile:02}.{level:02}.{bit_depth:02}{optional}");
    Ok(())
}
