//! Rates and recent keys, in tables of fixed size: what the edge and the gateway count by.
//!
//! All of it is pure: keys, counts and `now` come in, decisions go out. Time is in nanoseconds since
//! whatever moment the caller chose.

mod gcra;
mod recent;
mod slots;

pub use gcra::{Rate, RateTable, Taken};
pub use recent::{Noted, Recent};
