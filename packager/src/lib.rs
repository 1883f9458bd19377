//! Reads containers into a compact index, plans segments, and writes CMAF, MPEG-TS, text, HLS and
//! DASH.
//!
//! The crate is pure: bytes in, bytes and decisions out. It asks for byte ranges and never fetches
//! them, knows no URL beyond the relative ones it writes, and reads no clock.

pub mod codec;
mod error;
mod fourcc;
pub mod image;
pub mod index;
pub mod presentation;
pub mod text;
mod time;
pub mod track;
pub mod uri;

pub use error::PackageError;
pub use fourcc::FourCc;
pub use time::{MediaTime, Timescale};
