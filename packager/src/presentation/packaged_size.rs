//! Bytes that segments have on the wire, for the bit rates that manifests state.
//!
//! Media bytes and TS packets come from the table; what containers add is computed from the layout
//! that their writers use. A few bytes more or less are below what a player can notice.

use crate::index::{IFrameEntry, SegmentEntry};
use crate::uri::Packaging;

/// `styp` 24, `moof` 8, `mfhd` 16, `traf` 8, `tfhd` 28, `tfdt` 20, `trun` 20, `mdat` 8.
const FMP4_HEADER_BYTES: u64 = 132;
/// One sample of `trun`: duration, size, flags, composition offset.
const FMP4_SAMPLE_BYTES: u64 = 16;
const TS_PACKET_BYTES: u64 = 188;
/// Payload of a packet without an adaptation field.
const TS_PAYLOAD_BYTES: u64 = 184;
/// PAT and PMT at the start of a segment.
const TS_PSI_PACKETS: u64 = 2;
/// `WEBVTT` and `X-TIMESTAMP-MAP`.
const VTT_HEADER_BYTES: u64 = 64;
/// Timing line and empty line of a cue.
const VTT_CUE_BYTES: u64 = 32;

/// Bytes of one segment that carries `entries`: one, or one per track of a multiplex.
pub(crate) fn segment_bytes(packaging: Packaging, entries: &[SegmentEntry]) -> u64 {
    let sum = |of: fn(&SegmentEntry) -> u64| entries.iter().map(of).fold(0, u64::saturating_add);
    let media = sum(|entry| entry.media_bytes);
    match packaging {
        Packaging::Fmp4 => {
            let added = sum(|entry| {
                let samples = u64::from(entry.sample_count) * FMP4_SAMPLE_BYTES;
                FMP4_HEADER_BYTES + samples + u64::from(entry.event_bytes)
            });
            media.saturating_add(added)
        }
        Packaging::MpegTs => {
            let packets = sum(|entry| u64::from(entry.ts_packets));
            packets.saturating_add(TS_PSI_PACKETS).saturating_mul(TS_PACKET_BYTES)
        }
        Packaging::WebVtt | Packaging::WebVttTs => {
            let cues = sum(|entry| u64::from(entry.sample_count));
            media.saturating_add(VTT_HEADER_BYTES + cues * VTT_CUE_BYTES)
        }
        Packaging::Image => media,
    }
}

/// Bytes of an I-frame by itself.
pub(crate) fn iframe_bytes(packaging: Packaging, frame: &IFrameEntry) -> u64 {
    let size = u64::from(frame.size_bytes);
    match packaging {
        Packaging::MpegTs => (size.div_ceil(TS_PAYLOAD_BYTES) + TS_PSI_PACKETS) * TS_PACKET_BYTES,
        _ => size + FMP4_HEADER_BYTES + FMP4_SAMPLE_BYTES,
    }
}
