//! What players tell of themselves: Common Media Client Data (CTA-5004, and version 2 in CTA-5004-B).
//!
//! [`parse`] reads what comes with a request, in the query or in headers, and the lines of event
//! reports; [`session`] makes sessions of it; [`event`] is what is written down. It is all said by
//! the player and proven by nothing: good for statistics and for hints, never for rights. Bytes and
//! `now` come in; nothing here asks a clock.

pub mod event;
mod item;
mod key;
mod next;
mod parse;
pub mod session;

#[cfg(test)]
mod tests;

pub use event::{CmcdSink, SessionSummary};
pub use key::{Cmcd, ObjectType, PlayerState, StreamFormat};
pub use next::next_target;
pub use parse::{of_headers, of_line, of_query, of_request};

/// Longest CMCD of one request or report that is read, decoded: a request line is no longer than
/// twice that.
pub const CMCD_BYTES_MAX: usize = 4_096;
/// Keys of one request that are looked at.
pub const KEYS_MAX: usize = 64;
/// Longest session and content id (CTA-5004: 64 characters; version 2: 128 for a content id).
pub const ID_BYTES_MAX: usize = 128;
/// Longest relative path of a next object.
pub const NEXT_BYTES_MAX: usize = 512;
/// Lines of one report.
pub const REPORT_LINES_MAX: usize = 256;
