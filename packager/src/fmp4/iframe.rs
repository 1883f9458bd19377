//! I-frames on their own, for trick play: `EXT-X-I-FRAMES-ONLY` (RFC 8216 4.3.3.6) and the DASH
//! adaptation set with the `trickmode` property (ISO/IEC 23009-1 5.8.5.x; DASH-IF IOP 3.2.9).

use crate::index::IFrameEntry;
use crate::track::Sample;

/// The only sample of an I-frame's segment.
///
/// Nothing is reordered among I-frames, so it is decoded when it is shown: composition offset 0,
/// and a [`MediaSegment`](super::MediaSegment) of it has the frame's presentation time as decode
/// time. `duration_ticks` is what the caller shows it for, usually up to the next I-frame.
/// `description_index` is that of the sample in its track, from 0.
pub fn iframe_sample(frame: &IFrameEntry, duration_ticks: u32, description_index: u16) -> Sample {
    Sample {
        offset_bytes: frame.offset_bytes,
        size_bytes: frame.size_bytes,
        decode_time: frame.time,
        duration_ticks,
        composition_offset_ticks: 0,
        is_sync: true,
        description_index,
    }
}
