//! Reads containers into a compact index, plans segments, and writes CMAF, MPEG-TS, text, HLS and
//! DASH.
//!
//! The crate is pure: bytes in, bytes and decisions out. It asks for byte ranges and never fetches
//! them, knows no URL beyond the relative ones it writes, and reads no clock.

pub mod codec;
pub mod dash;
pub mod demux;
mod error;
pub mod fmp4;
mod fourcc;
pub mod hls;
pub mod image;
pub mod index;
pub mod language;
pub mod plan;
pub mod presentation;
pub mod text;
mod time;
pub mod track;
pub mod ts;
pub mod uri;

pub use error::PackageError;
pub use fourcc::FourCc;
pub use time::{MediaTime, Timescale};
