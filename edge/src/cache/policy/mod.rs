//! What HTTP says about storing and using again (RFC 9111), as decisions over values.
//!
//! Nothing here reads a clock, a file or a socket: requests, stored heads and `now` come in as
//! arguments. Times are whole seconds of HTTP dates or durations; ages never run backwards.

mod control;
mod decide;
mod freshness;
mod head;
mod ranges;
mod status;
mod storable;
mod validate;
mod vary;

#[cfg(test)]
mod rows;

pub use control::{Control, RequestControl};
pub use decide::{Decision, Lookup, Purged, Why, decide, may_serve_on_error};
pub use freshness::{initial_age, lifetime};
pub use head::{StoredHead, strip_connection, strip_unstored};
pub use ranges::{ContentRange, RANGES_MAX, Wanted, content_range, one_range, wanted_ranges};
pub use status::{CacheStatus, Forward};
pub use storable::{Refusal, Storing, storing};
pub(crate) use validate::strip_for_not_modified;
pub use validate::{Freshened, add_validators, freshen, freshen_by_head, not_modified};
pub use vary::{SelectingValues, VaryNames, selecting_values, vary_names};

use std::time::Duration;

use http::header::HeaderName;

/// What an operator decides about caching; the rest is the RFC's.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Names this cache in `Cache-Status`.
    pub name: String,
    /// Fields of targeted control that this cache obeys, best first (RFC 9213 2.2).
    pub targeted: Vec<HeaderName>,
    /// Share of the time since `Last-Modified` for which an answer that says nothing stays fresh,
    /// in percent; 0 turns guessing off (RFC 9111 4.2.2).
    pub heuristic_percent: u32,
    /// Longest guess.
    pub heuristic_max: Duration,
    /// For 404 and 410 that say nothing of their own.
    pub negative: Duration,
    /// Longest time that any error is kept, whatever it says.
    pub negative_max: Duration,
    /// Grants of staleness for answers that say nothing of their own (RFC 5861 3 and 4).
    pub stale_while_revalidate: Duration,
    pub stale_if_error: Duration,
    /// Whether viewers' `Cache-Control` counts. It is advice (RFC 9111 5.2.1), and lets any viewer
    /// go past the cache to the origin; off, `only-if-cached` alone is obeyed.
    pub client_directives: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            name: "StreamVerse".to_owned(),
            targeted: vec![
                HeaderName::from_static("streamverse-cache-control"),
                HeaderName::from_static("cdn-cache-control"),
            ],
            heuristic_percent: 0,
            heuristic_max: Duration::from_secs(24 * 3600),
            negative: Duration::from_secs(1),
            negative_max: Duration::from_secs(60),
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::from_secs(600),
            client_directives: false,
        }
    }
}
