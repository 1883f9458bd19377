//! HTTP/3 (RFC 9114) for a server whose requests are small, over quinn.
//!
//! The layer between QUIC's streams and a tower service. What a client can make it keep is bounded
//! before it is kept: a field section by its frame's length, its decoded form by
//! `SETTINGS_MAX_FIELD_SECTION_SIZE`, control frames by a kilobyte; everything else is read and
//! dropped. What costs a client nothing, resets and control frames, is counted against a budget.
//!
//! ```text
//! server      Endpoint: connections and handshakes, limits, drain
//! connection  one connection: streams, settings, idle time, GOAWAY in two steps
//! control     a client's control and QPACK streams          ┐
//! reader      a request stream: frames → field section      ├ frame, settings, priority, qpack,
//! message     field section ↔ http::Request, Response       ┘ budget: pure
//! content     what a request carries, a piece at a time, for a service that wants it
//! request     one request: service call, its time, the answer
//! writer      answer → frames, stall time, send window
//! turns       whose piece goes next
//! succession  one UDP socket for several processes, while one replaces the other
//! ```
//!
//! Requests in early data (0-RTT), where TLS takes it: GET and HEAD are handed to the service at
//! once, marked with [`platform::http::EarlyData`]; anything else waits until the handshake is done,
//! which no replay brings about (RFC 8470 3).
//!
//! Left out on purpose: server push (clients dropped it), the dynamic table of QPACK (static
//! entries do for requests this small), CONNECT.

mod alt_svc;
mod budget;
mod connection;
mod content;
mod control;
mod error;
mod frame;
mod message;
mod priority;
mod qpack;
mod reader;
mod request;
mod server;
mod settings;
mod state;
mod succession;
mod turns;
mod writer;

pub use alt_svc::{Advertise, AltSvc};
pub use content::{ContentBroken, Http3Body};
pub use request::{Http3Request, QuicPath};
pub use server::{Estate, Inherited, Server, serve};
pub use succession::{Elder, HandshakesUnderWay, Lineage};

/// How far an orderly end has come.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Phase {
    Serving,
    /// No new connections or requests; answers under way are finished.
    Draining,
    /// Connections are dropped.
    Ended,
}

/// Runs the decoders of hostile bytes, for fuzzing.
pub mod fuzzing {
    use bytes::Bytes;

    use super::frame::{Event, FrameReader};
    use super::{message, qpack};

    /// Decodes a field section of at most 16 KiB and reads it as a request. The decoded size, as it
    /// counts against the limit.
    pub fn field_section(section: &[u8]) -> Option<usize> {
        let fields = qpack::decode(section, 16 << 10).ok()?;
        let size = fields.iter().map(|field| field.name.len() + field.value.len() + 32).sum();
        let _ = message::read_request(fields);
        Some(size)
    }

    /// Splits `stream` into frames, handed in by pieces of `piece_bytes`. The payload that came
    /// out, and whether the stream ended between two frames.
    pub fn frames(stream: &[u8], piece_bytes: usize) -> (u64, bool) {
        let mut reader = FrameReader::default();
        let mut payload_bytes = 0;
        for piece in stream.chunks(piece_bytes.max(1)) {
            let mut piece = Bytes::copy_from_slice(piece);
            while let Some(event) = reader.read(&mut piece) {
                if let Event::Payload { bytes, .. } = event {
                    payload_bytes += bytes.len() as u64;
                }
            }
        }
        (payload_bytes, reader.is_between_frames())
    }
}
