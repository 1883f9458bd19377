//! What every listener needs: binding, the accept loop, limits, and an orderly end.
//!
//! [`serve`] answers HTTP/1.1 and h2c (RFC 9113 3.3, prior knowledge) on one socket with any tower
//! service, [`serve_tls`] the same two over TLS. The path of a request:
//!
//! ```text
//! accept (connection limit) → TLS → GuardedIo (RequestFilter, fairness, write stall) → hyper →
//! Guard (host, header size, time to answer) → the service → ServerBody (what is under way, stream
//! stall) → hyper → socket
//! ```
//!
//! One timer a connection looks now and then at what the layers noted, so that a request that goes
//! well arms no timer of its own beyond the one for its answer.

mod activity;
mod bind;
mod body;
mod connection;
mod content;
mod early;
mod forwarded;
mod guard;
mod io;
mod limits;
mod request_filter;
mod server;
mod streams;

#[cfg(test)]
mod tests;

pub use bind::{Listener, Peer, bind_udp};
pub use body::ServerBody;
pub use content::{ContentError, read_content};
pub use early::{EARLY_DATA, EarlyData, came_early};
pub use forwarded::client_address;
pub use limits::HttpLimits;
pub use server::{Drained, Server, serve, serve_tls};

/// What is known of the connection that a request came by; among the request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    pub peer: Peer,
    /// The name that [`serve`] was given for its listener.
    pub listener: &'static str,
    /// Counts the connections of a listener from 1.
    pub number: u64,
    /// Whether it goes over TLS or QUIC.
    pub is_encrypted: bool,
    /// Whether the client showed a certificate that an authority of ours vouches for.
    pub is_certified: bool,
}
