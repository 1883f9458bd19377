//! What keeps an edge standing: rates of addresses and sessions, and requests under way.
//!
//! All of it is pure: keys, counts and `now` come in, decisions go out. Time is in nanoseconds since
//! whatever moment the caller chose. Waiting, answering and counting are the caller's.

mod gcra;
mod load;
mod priority;
mod recent;
mod slots;

#[cfg(test)]
mod tests;

pub use gcra::{Rate, RateTable, Taken};
pub use load::{Arrival, LOAD_RANKS, Load, LoadSettings, Ticket};
pub use priority::{Asked, Hints, Priority};
pub use recent::Recent;
