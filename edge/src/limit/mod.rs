//! What keeps an edge standing: rates of addresses and sessions, and requests under way.
//!
//! All of it is pure: keys, counts and `now` come in, decisions go out. Time is in nanoseconds since
//! whatever moment the caller chose. Waiting, answering and counting are the caller's. The tables of
//! rates are the platform's, since the gateway counts by them, too.

mod load;
mod priority;

#[cfg(test)]
mod tests;

pub use platform::limit::{Rate, RateTable, Recent, Taken};

pub use load::{Arrival, LOAD_RANKS, Load, LoadSettings, Ticket};
pub use priority::{Asked, Hints, Priority};
