//! Events: what happened, told once to everybody who has to know.
//!
//! A fact is published within the transaction that makes it true, into the outbox; that table is the
//! log. Consumers read it in order, and note what they have handled in an inbox, within the
//! transaction of the effect: each event has its effect once, whatever crashes.

mod event;
mod publish;
mod schema;
mod topic;

pub use self::event::{Event, Fact};
pub use self::publish::{DATA_BYTES_MAX, NAME_BYTES_MAX, erase, erase_key, publish};
pub use self::schema::SCHEMA;
pub use self::topic::Topic;
