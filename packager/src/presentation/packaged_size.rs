//! Bytes that segments have on the wire, for the bit rates that manifests state: those that the
//! writers announce and send.

use crate::fmp4::SegmentShape;
use crate::index::{IFrameEntry, SegmentEntry};
use crate::track::TrackKind;
use crate::ts::{PACKET_BYTES, TrackSize, segment_len_bytes};
use crate::uri::Packaging;

/// Payload of a transport packet without an adaptation field.
const TS_PAYLOAD_BYTES: u64 = 184;
/// PAT and PMT at the start of a segment.
const TS_PSI_PACKETS: u64 = 2;

/// Bytes of one segment of a track of `kind`.
pub(crate) fn segment_bytes(packaging: Packaging, kind: TrackKind, entry: &SegmentEntry) -> u64 {
    match packaging {
        Packaging::Fmp4 => SegmentShape::from(entry).segment_bytes(),
        Packaging::MpegTs if kind == TrackKind::Video => multiplex_bytes(Some(entry), None),
        Packaging::MpegTs => multiplex_bytes(None, Some(entry)),
        // The tables of cues and pictures hold the bytes of whole files.
        Packaging::WebVtt | Packaging::WebVttTs | Packaging::Image => entry.media_bytes,
    }
}

/// Bytes of one MPEG-TS segment of a video, an audio track, or both.
pub(crate) fn multiplex_bytes(video: Option<&SegmentEntry>, audio: Option<&SegmentEntry>) -> u64 {
    let size = |entry: &SegmentEntry| TrackSize {
        packets: entry.ts_packets,
        clock_packets: entry.ts_clock_packets,
    };
    segment_len_bytes(video.map(size), audio.map(size))
}

/// Bytes of an I-frame by itself. In MPEG-TS, parameter sets may add a packet: how many bytes they
/// take is known only with the picture at hand.
pub(crate) fn iframe_bytes(packaging: Packaging, frame: &IFrameEntry) -> u64 {
    let media_bytes = u64::from(frame.size_bytes);
    match packaging {
        Packaging::MpegTs => {
            let packets = media_bytes.div_ceil(TS_PAYLOAD_BYTES) + TS_PSI_PACKETS;
            packets * PACKET_BYTES as u64
        }
        _ => {
            SegmentShape { sample_count: 1, media_bytes, ..SegmentShape::default() }.segment_bytes()
        }
    }
}
