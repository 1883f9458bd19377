//! Places of blocks and samples in the media object of a packed track.
//!
//! ```text
//! block of segment 1   samples of segment 1, in decode order, without gaps
//! block of segment 2   samples of segment 2 …
//! ```
//!
//! One ranged read brings a block and its samples, and the block comes first, so that a response
//! can begin before the read has ended.

use super::block::encode_block;
use super::track_index::{IFrameEntry, SegmentEntry, SegmentSamples};

/// Moves a segment to `start_bytes` of the media object: rewrites the offsets of its samples and
/// I-frames, fills in where its block lies, and gives the block.
pub(super) fn place_segment(
    entry: &mut SegmentEntry,
    segment: &mut SegmentSamples,
    iframes: &mut [IFrameEntry],
    start_bytes: u64,
) -> Vec<u8> {
    // The block says where its first sample lies, and that is where the block ends: its length
    // decides on a number whose length is part of it. The loop ends, because a larger offset
    // never takes fewer bytes and no offset takes more than ten.
    let mut samples_start = start_bytes;
    let block = loop {
        lay_out(segment, samples_start);
        let block = encode_block(segment, &[]).bytes;
        let block_end = start_bytes + block.len() as u64;
        if block_end == samples_start {
            break block;
        }
        samples_start = block_end;
    };
    for iframe in iframes {
        let position = iframe.sample.saturating_sub(entry.first_sample) as usize;
        if let Some(sample) = segment.samples.get(position) {
            iframe.offset_bytes = sample.offset_bytes;
        }
    }
    entry.block_offset_bytes = start_bytes;
    entry.block_len_bytes = block.len() as u32;
    block
}

/// Lines samples up from `offset_bytes` on.
fn lay_out(segment: &mut SegmentSamples, mut offset_bytes: u64) {
    for sample in &mut segment.samples {
        sample.offset_bytes = offset_bytes;
        offset_bytes += u64::from(sample.size_bytes);
    }
}

#[cfg(test)]
mod tests;
