//! Content protection: byte ranges in, ciphered byte ranges out.
//!
//! The crate knows no codec, container or socket. `packager` finds the ranges of a sample that may
//! be protected and describes them as [`Subsample`]s; the ciphers, keys and signalling that act on
//! them live here.

mod subsample;

pub use subsample::{Subsample, SubsampleMap};
