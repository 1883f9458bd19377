//! What keeps the failure of another service from becoming ours.
//!
//! ```text
//! deadline   until when the caller waits: an instant, handed down and never lengthened
//! bulkhead   how many calls one service may hold at a time, and how many may wait for a place
//! breaker    whether a service is asked at all
//! backoff    how long until the next try
//! budget     whether there may be one: tries are a share of the requests
//! ```
//!
//! [`breaker`], [`budget`], [`backoff`], [`deadline`] and [`retry`] turn values into values: time and
//! random numbers come in as arguments. [`Circuit`] and [`Bulkhead`] share them among tasks.

pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod deadline;
pub mod retry;

mod bulkhead;
mod circuit;
mod metrics;

use std::hash::{BuildHasher, Hasher, RandomState};

pub use backoff::{Backoff, Jitter};
pub use bulkhead::{Bulkhead, Full, Slot};
pub use circuit::{Admission, Circuit, Open};
pub use deadline::Deadline;
pub use metrics::{ResilienceMetrics, ServiceMetrics};
pub use retry::{GiveUp, Retries};

/// A random number, good enough to keep processes from acting in step. Secrets need another.
pub fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
