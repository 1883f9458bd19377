//! Events: what happened, told once to everybody who has to know.
//!
//! A fact is published within the transaction that makes it true, into the outbox; that table is the
//! log. Consumers read it in order, and note what they have handled in an inbox, within the
//! transaction of the effect: each event has its effect once, whatever crashes.

pub mod bus;
mod consumer;
mod dispatch;
mod event;
mod metrics;
mod operate;
mod publish;
mod relay;
mod schema;
mod store;
mod topic;

#[cfg(test)]
mod tests;

pub use self::consumer::{Consumer, Handler, HandlerError};
pub use self::event::{Event, Fact};
pub use self::metrics::EventMetrics;
pub use self::operate::{
    DeadLetter, From, Retention, dead_letters, discard, forget_consumer, list, replay, retain,
    try_again,
};
pub use self::publish::{DATA_BYTES_MAX, NAME_BYTES_MAX, erase, erase_key, publish};
pub use self::relay::{Relay, RelayOptions};
pub use self::schema::SCHEMA;
pub use self::topic::Topic;
