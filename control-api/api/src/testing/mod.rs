//! What tests of domains share (feature `testing`): callers without an account domain, and checks of
//! a whole API by its document.

mod callers;
mod golden;
pub mod matrix;
pub mod sources;

pub use callers::{Callers, Signed, signed};
pub use golden::golden;
