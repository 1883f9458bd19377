//! Timed text.

mod cue;
pub use cue::Cue;
