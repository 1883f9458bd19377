//! Short-term reference picture sets (ITU-T H.265 7.3.7 and 7.4.8).

use crate::codec::bits::{BitReader, Parsed};

/// Pictures relative to the current one, nearest first in each direction.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct RefPicSet {
    /// Those before it in output order: `DeltaPocS0` below 0.
    before: Vec<RefPic>,
    after: Vec<RefPic>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct RefPic {
    delta_poc: i32,
    is_used: bool,
}

/// `sps_max_dec_pic_buffering_minus1` at most (A.4.2), which bounds either direction.
const PICS_MAX: u32 = 16;

impl RefPicSet {
    /// The set that follows `earlier` in a sequence parameter set.
    pub(super) fn parse_in_sps(bits: &mut BitReader<'_>, earlier: &[Self]) -> Parsed<Self> {
        match earlier.last() {
            Some(reference) if bits.bit()? => Self::parse_predicted(bits, reference),
            _ => Self::parse_explicit(bits),
        }
    }

    /// The set of a slice header, whose prediction may reach back to any of `sps_sets`.
    pub(super) fn parse_in_slice(bits: &mut BitReader<'_>, sps_sets: &[Self]) -> Parsed<Self> {
        if sps_sets.is_empty() || !bits.bit()? {
            return Self::parse_explicit(bits);
        }
        let back = bits.ue()?; // delta_idx_minus1
        let reference = (sps_sets.len() - 1)
            .checked_sub(back as usize)
            .ok_or("delta_idx_minus1 reaches before the first reference picture set")?;
        Self::parse_predicted(bits, &sps_sets[reference])
    }

    /// Pictures that the current one may refer to (equation 7-55, short-term part).
    pub(super) fn used_count(&self) -> u32 {
        self.before.iter().chain(&self.after).filter(|pic| pic.is_used).count() as u32
    }

    fn parse_explicit(bits: &mut BitReader<'_>) -> Parsed<Self> {
        const TOO_MANY: &str = "a reference picture set has more than 16 pictures";
        let before_count = bits.ue_max(PICS_MAX, TOO_MANY)?;
        let after_count = bits.ue_max(PICS_MAX, TOO_MANY)?;
        let before = parse_direction(bits, before_count, -1)?;
        let after = parse_direction(bits, after_count, 1)?;
        Ok(Self { before, after })
    }

    /// Equations 7-61 and 7-62: every picture of `reference`, and `reference`'s own current
    /// picture, moved by `delta` and kept where a flag says so.
    fn parse_predicted(bits: &mut BitReader<'_>, reference: &Self) -> Parsed<Self> {
        let is_negative = bits.bit()?;
        let distance = 1 + bits.ue_max(0x7fff, "abs_delta_rps_minus1 is above 32767")? as i32;
        let delta = if is_negative { -distance } else { distance };

        let mut kept = Vec::new();
        let own = RefPic { delta_poc: 0, is_used: true };
        for pic in reference.before.iter().chain(&reference.after).chain([&own]) {
            let is_used = bits.bit()?;
            let is_kept = is_used || bits.bit()?;
            // POC differences stay within 16 bits in a conforming stream; saturation keeps a
            // hostile one from wrapping.
            let delta_poc = pic.delta_poc.saturating_add(delta);
            kept.push(is_kept.then_some(RefPic { delta_poc, is_used }));
        }
        let own = kept.pop().expect("the current picture was pushed last");
        let after = kept.split_off(reference.before.len());
        let before = kept;
        let set = Self {
            before: in_order(after.iter().rev().chain([&own]).chain(&before), |poc| poc < 0),
            after: in_order(before.iter().rev().chain([&own]).chain(&after), |poc| poc > 0),
        };
        if set.before.len().max(set.after.len()) > PICS_MAX as usize {
            return Err("a reference picture set has more than 16 pictures");
        }
        Ok(set)
    }
}

fn parse_direction(bits: &mut BitReader<'_>, count: u32, sign: i32) -> Parsed<Vec<RefPic>> {
    let mut delta_poc = 0_i32;
    (0..count)
        .map(|_| {
            let step = 1 + bits.ue_max(0x7fff, "delta_poc_minus1 is above 32767")? as i32;
            delta_poc += sign * step;
            Ok(RefPic { delta_poc, is_used: bits.bit()? })
        })
        .collect()
}

fn in_order<'a>(
    pics: impl Iterator<Item = &'a Option<RefPic>>,
    is_on_side: impl Fn(i32) -> bool,
) -> Vec<RefPic> {
    pics.flatten().copied().filter(|pic| is_on_side(pic.delta_poc)).collect()
}
