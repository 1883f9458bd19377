//! Outgoing webhooks: facts of a tenant, told to addresses that it gave.
//!
//! An endpoint is a URL with topics and a secret. An events consumer makes one delivery for each event
//! and endpoint, in the transaction in which it notes the event; [`Deliver`] sends them, signed as
//! Standard Webhooks (`webhook-id`, `webhook-timestamp`, `webhook-signature`) want it, until they are
//! taken or the schedule ends.
//!
//! * **Once or more, never less.** A delivery is a row until its answer is written down. Who is killed
//!   between the two sends it again, with the same `webhook-id`.
//! * **Order.** An endpoint is served by one worker at a time, and gets first tries one after the
//!   other in the order of the log. What failed is tried later, and what came after it goes ahead.
//! * **One bad endpoint is one bad endpoint.** Each is leased for a few deliveries at a time, rests
//!   after failures in a row, and is turned off after five days of them.
//!
//! `model` and `sign` are pure; `store` holds the SQL; `service` the use cases of staff; `routes` only
//! translates.

mod deliver;
mod delivery;
mod endpoint;
mod error;
mod fan_out;
mod metrics;
mod routes;
mod schedule;
mod schema;
mod secret;
mod service;
pub mod sign;

pub use deliver::{Deliver, DeliverOptions};
pub use delivery::{Attempt, Delivery, DeliveryState};
pub use endpoint::{Endpoint, EndpointState, TOPICS};
pub use error::WebhookError;
pub use fan_out::{CONSUMER, consumer, erase};
pub use routes::{PERMISSIONS, WebhooksRead, WebhooksWrite, routes};
pub use schema::SCHEMA;
pub use secret::Secret;
pub use service::{NewEndpoint, PatchEndpoint, Webhooks};

#[cfg(test)]
mod tests;
