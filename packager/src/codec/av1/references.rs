//! The reference frames that later frame headers are read by (AV1 specification 7.8, 7.20).

use super::frame::{FrameSize, FrameType};
use super::frame_tools::Segmentation;
use crate::codec::bits::Parsed;

pub(super) const REFS_PER_FRAME: usize = 7;
const SLOTS: usize = 8;

/// What is kept of a decoded frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Reference {
    pub(super) frame_type: FrameType,
    pub(super) size: FrameSize,
    pub(super) order_hint: u32,
    pub(super) segmentation: Segmentation,
}

#[derive(Clone, Debug, Default)]
pub(super) struct References {
    slots: [Option<Reference>; SLOTS],
    /// `RefOrderHint`, which outlives the frames: error resilient headers name it themselves.
    order_hints: [u32; SLOTS],
}

// Positions in `ref_frame_idx`, LAST_FRAME first.
const LAST: usize = 0;
const LAST2: usize = 1;
const LAST3: usize = 2;
const GOLDEN: usize = 3;
const BWDREF: usize = 4;
const ALTREF2: usize = 5;
const ALTREF: usize = 6;

impl References {
    pub(super) fn get(&self, slot: usize) -> Parsed<&Reference> {
        let reference = self.slots.get(slot).and_then(Option::as_ref);
        reference.ok_or("a frame refers to one that was never coded")
    }

    pub(super) fn store(&mut self, refresh_frame_flags: u8, reference: Reference) {
        for slot in (0..SLOTS).filter(|slot| refresh_frame_flags >> slot & 1 == 1) {
            self.slots[slot] = Some(reference);
            self.order_hints[slot] = reference.order_hint;
        }
    }

    /// A shown key frame begins a new order.
    pub(super) fn forget_order(&mut self) {
        *self = Self::default();
    }

    /// `ref_order_hint`: a slot that holds another frame has lost its own.
    pub(super) fn expect_order(&mut self, slot: usize, order_hint: u32) {
        if self.order_hints[slot] != order_hint {
            self.order_hints[slot] = order_hint;
            self.slots[slot] = None;
        }
    }

    /// `skipModeAllowed` (5.9.22): there is a nearest reference on both sides, or two before.
    pub(super) fn allows_skip_mode(
        &self,
        ref_frame_idx: [usize; REFS_PER_FRAME],
        order_hint: u32,
        order_hint_bits: u32,
    ) -> bool {
        if order_hint_bits == 0 {
            return false;
        }
        let distances =
            ref_frame_idx.map(|slot| distance(self.order_hints[slot], order_hint, order_hint_bits));
        let Some(forward) = distances.iter().filter(|distance| **distance < 0).max() else {
            return false;
        };
        let forward_hint = order_hint.wrapping_add_signed(*forward);
        let is_second =
            |slot: &usize| distance(self.order_hints[*slot], forward_hint, order_hint_bits) < 0;
        distances.iter().any(|distance| *distance > 0) || ref_frame_idx.iter().any(is_second)
    }

    /// 7.8: all seven references from two of them and the order hints of the slots.
    pub(super) fn set_frame_refs(
        &self,
        last: usize,
        golden: usize,
        order_hint: u32,
        order_hint_bits: u32,
    ) -> [usize; REFS_PER_FRAME] {
        // Distances to the current frame, where the specification shifts both by the same amount.
        let hints = self.order_hints.map(|hint| distance(hint, order_hint, order_hint_bits));
        let mut used = [false; SLOTS];
        let mut refs = [None; REFS_PER_FRAME];
        let mut take = |position: usize, slot: Option<usize>, used: &mut [bool; SLOTS]| {
            if let Some(slot) = slot {
                refs[position] = Some(slot);
                used[slot] = true;
            }
        };
        take(LAST, Some(last), &mut used);
        take(GOLDEN, Some(golden), &mut used);
        // Ties go to the later slot for the latest, to the earlier one for the earliest.
        let slots = |used: [bool; SLOTS], is_backward: bool| {
            (0..SLOTS).filter(move |slot| !used[*slot] && (hints[*slot] >= 0) == is_backward)
        };
        let latest = slots(used, true).max_by_key(|slot| hints[*slot]);
        take(ALTREF, latest, &mut used);
        for position in [BWDREF, ALTREF2] {
            let earliest = slots(used, true).min_by_key(|slot| hints[*slot]);
            take(position, earliest, &mut used);
        }
        let mut taken = refs;
        for position in [LAST2, LAST3, BWDREF, ALTREF2, ALTREF] {
            if taken[position].is_none() {
                let latest = slots(used, false).max_by_key(|slot| hints[*slot]);
                if let Some(slot) = latest {
                    taken[position] = Some(slot);
                    used[slot] = true;
                }
            }
        }
        let earliest = (0..SLOTS).min_by_key(|slot| hints[*slot]).unwrap_or(0);
        taken.map(|slot| slot.unwrap_or(earliest))
    }
}

/// get_relative_dist() (5.9.3); `bits` is not zero.
fn distance(a: u32, b: u32, bits: u32) -> i32 {
    let difference = a.wrapping_sub(b) as i32;
    let sign = 1 << (bits - 1);
    (difference & (sign - 1)) - (difference & sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(order_hints: [u32; 8]) -> References {
        References { order_hints, ..References::default() }
    }

    #[test]
    fn distances_wrap() {
        assert_eq!(distance(1, 127, 7), 2);
        assert_eq!(distance(127, 1, 7), -2);
        assert_eq!(distance(5, 5, 7), 0);
    }

    #[test]
    fn short_signalling_finds_the_seven_references() {
        // Current 10; slots: 8 9 4 2 16 12 14 0. LAST is slot 1 (9), GOLDEN slot 2 (4).
        let refs = references([8, 9, 4, 2, 16, 12, 14, 0]).set_frame_refs(1, 2, 10, 7);
        // LAST2 8, LAST3 2; BWDREF 12 and ALTREF2 14 are the nearest after, ALTREF the farthest.
        assert_eq!(refs, [1, 0, 3, 2, 5, 6, 4]);
        // Nothing after the current frame: what is left of the past fills up, then the earliest.
        let refs = references([1, 2, 3, 4, 4, 4, 4, 4]).set_frame_refs(3, 0, 5, 7);
        assert_eq!(refs, [3, 7, 6, 0, 5, 4, 2]);
    }

    #[test]
    fn skip_mode_needs_two_neighbours() {
        let refs = references([8, 9, 4, 2, 16, 12, 14, 10]);
        assert!(refs.allows_skip_mode([0, 1, 0, 0, 4, 4, 4], 10, 7), "both sides");
        assert!(refs.allows_skip_mode([0, 1, 0, 0, 0, 0, 0], 10, 7), "two before");
        assert!(!refs.allows_skip_mode([1; 7], 10, 7), "one before");
        assert!(!refs.allows_skip_mode([4; 7], 10, 7), "none before");
        assert!(!refs.allows_skip_mode([0, 1, 0, 0, 4, 4, 4], 10, 0), "no order");
    }
}
