//! Facts that every node has to learn within seconds: revoked sessions, purged objects.
//!
//! Whoever is told a fact publishes it into its own log; whoever follows that log applies it and
//! publishes it onwards. A fact keeps its id on the way, and a node takes an id once, so chains,
//! diamonds and circles of nodes all come to rest. Nothing here reads a clock, a file or a socket.
//!
//! | module | holds |
//! | --- | --- |
//! | [`fact`] | what is told, checked when it is made and again when it is read |
//! | [`log`] | what a node remembers, and who can go on where |
//! | [`wire`] | both as server-sent events |
//! | [`follower`] | what a node does with what it hears |
//!
//! Only a fact takes something away: a source that can't be reached stops nobody. Why it is built
//! like this is decision 0022.

pub mod fact;
pub mod follower;
pub mod log;
pub mod wire;

#[cfg(test)]
mod tests;

pub use fact::{Event, EventError, Fact, FactId, PurgeScope};
pub use follower::{Follower, ProtocolError, Step};
pub use log::{Cursor, Epoch, FactLog, FellBehind, Resume};
pub use wire::{Frame, FrameReader, Hello, WireError};
