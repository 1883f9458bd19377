//! Calls over real sockets, to servers that do everything wrong.

mod faults;
mod reach;
mod server;
mod tries;

use std::time::Duration;

use prometheus_client::registry::Registry;

use super::*;
use crate::resilience::{Backoff, Jitter};
use crate::telemetry::encode_metrics;

fn outbound() -> Outbound {
    Outbound::new(&config::Outbound::default()).unwrap()
}

/// A peer whose tries follow each other closely.
fn peer(outbound: &Outbound, adjust: impl FnOnce(&mut PeerSettings)) -> Peer {
    outbound.peer("test", Reach::Anywhere, |settings| {
        settings.backoff = Backoff {
            first: Duration::from_millis(1),
            longest: Duration::from_millis(1),
            jitter: Jitter::None,
        };
        settings.breaker = None;
        adjust(settings);
    })
}

fn metrics(outbound: &Outbound) -> String {
    let mut registry = Registry::with_prefix("streamverse");
    outbound.register_metrics(&mut registry);
    encode_metrics(&registry).unwrap()
}
