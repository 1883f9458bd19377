//! Where a profile is in a title, and what it keeps for later.

mod service;
pub(crate) mod store;

pub use service::{Heartbeat, HistoryItem, ListItem};
