//! MPEG-2 transport streams for HLS (ISO/IEC 13818-1, RFC 8216 3.2), written from MP4 samples.
//!
//! A segment is a PAT, a PMT and then whole PES packets in the order of their decode times. It
//! carries H.264 or HEVC, and AAC, AC-3, E-AC-3 or MP3: both, or one of them. Times are 90 kHz
//! ticks of the title's timeline plus [`TIME_OFFSET`], modulo 2^33.
//!
//! Invariants:
//! * How a track is cut into PES and transport packets depends on that track's samples alone,
//!   never on what it is multiplexed with. So [`TrackSizer`] counts packets once, at ingest;
//!   [`segment_len_bytes`] tells a segment's length before any media is read; and continuity
//!   counters go on from segment to segment whichever way the tracks are combined.
//! * A packet that carries the clock alone has no payload and does not advance the counter.
//! * The same samples give the same bytes.

mod adts;
mod annex_b;
mod batch;
mod clock;
mod language;
mod media_segment;
mod packet;
mod pes;
mod plan;
mod psi;
mod size;
mod stream;
mod writer;

pub use batch::{Batch, BatchLimits, SourceRange};
pub use clock::{TIME_OFFSET, reorder_ticks};
pub use media_segment::{MuxTrack, SegmentMuxer, write_iframe_segment};
pub use packet::PACKET_BYTES;
pub use size::{TrackSize, TrackSizer, segment_len_bytes};
