//! The one way to call out over HTTP.
//!
//! [`Outbound`] makes [`Peer`]s: one for each service that is called, by a name of the program. The
//! path of a call:
//!
//! ```text
//! url (a stranger's is https, without credentials) → bulkhead (places, queue) → budget of tries
//! → breaker → connect (name resolved once, addresses judged, TLS) → exchange (head and body within
//! their time and size) → redirect (off, or bounded) → retry (what may arrive twice)
//! ```
//!
//! HTTP/1.1, and HTTP/2 where ALPN agrees on it. Answers are read as a whole; nothing is unpacked.
//! What decides is apart from what acts: [`address`], [`url`] and [`crate::resilience`] know no
//! socket and no clock.

pub mod address;
pub mod url;

mod call;
mod connect;
mod error;
mod exchange;
mod metrics;
mod peer;
mod resolve;
mod settings;
mod tls;
mod trace;

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::registry::Registry;

pub use call::{Call, IDEMPOTENCY_KEY, Reply};
pub use connect::Stream;
pub use error::{CallError, Phase};
pub use peer::Peer;
pub use resolve::{Addresses, Resolve, SystemResolver};
pub use settings::{PeerSettings, Reach};
pub use tls::{AuthorityError, client_config, read_certificates};
pub use trace::{CallContext, TRACEPARENT, TRACESTATE, TraceParent, TraceParentError};
pub use url::{Redirects, UrlError};

use crate::config;
use crate::resilience::ResilienceMetrics;
use crate::resilience::breaker::BreakerState;
use address::AddressGuard;
use connect::Connect;
use metrics::Metrics;

/// Makes peers, and shows their state. Clones share everything.
#[derive(Clone)]
pub struct Outbound(Arc<Shared>);

struct Shared {
    config: config::Outbound,
    tls: tokio_rustls::TlsConnector,
    resolver: Arc<dyn Resolve>,
    guard: Arc<AddressGuard>,
    resilience: ResilienceMetrics,
    metrics: Metrics,
    peers: Mutex<Vec<Peer>>,
}

impl Outbound {
    /// # Errors
    /// When the authorities of the configuration can't be used.
    pub fn new(config: &config::Outbound) -> Result<Self, AuthorityError> {
        Self::with_resolver(config, Arc::new(SystemResolver))
    }

    /// As [`Self::new`], with names that somebody else knows.
    ///
    /// # Errors
    /// Likewise.
    pub fn with_resolver(
        config: &config::Outbound,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, AuthorityError> {
        let tls = Arc::new(client_config(config.ca.as_deref())?);
        Ok(Self(Arc::new(Shared {
            tls: tls.into(),
            resolver,
            guard: Arc::new(AddressGuard::new(config.allowed_networks.clone())),
            config: config.clone(),
            resilience: ResilienceMetrics::default(),
            metrics: Metrics::new(),
            peers: Mutex::default(),
        })))
    }

    /// A peer of its own, though of the same name as another: each has its breaker.
    pub fn peer(
        &self,
        name: &'static str,
        reach: Reach,
        adjust: impl FnOnce(&mut PeerSettings),
    ) -> Peer {
        let shared = &self.0;
        let mut settings = PeerSettings::of(&shared.config, name, reach);
        adjust(&mut settings);
        let is_public = settings.reach == Reach::Public;
        let connect = Connect {
            tls: shared.tls.clone(),
            resolver: Arc::clone(&shared.resolver),
            guard: is_public.then(|| Arc::clone(&shared.guard)),
            timeout: settings.connect_timeout,
        };
        let (service, metrics) = (shared.resilience.of(name), shared.metrics.of(name));
        let allows_http = shared.config.allow_http;
        let peer = Peer::new(name, settings, allows_http, connect, service, metrics);
        self.peers().push(peer.clone());
        peer
    }

    /// Whether an address that a stranger gives may be called, as far as its text tells.
    ///
    /// # Errors
    /// When it is no URL that is ever called.
    pub fn check_given(&self, text: &str) -> Result<http::Uri, UrlError> {
        url::parse_given(text, self.0.config.allow_http)
    }

    /// What else is called, such as a mail server, counts with the peers.
    pub fn resilience(&self) -> &ResilienceMetrics {
        &self.0.resilience
    }

    pub fn register_metrics(&self, registry: &mut Registry) {
        self.0.resilience.register(registry);
        self.0.metrics.register(registry);
    }

    /// The peers by name, with the state of their breakers.
    pub fn states(&self) -> Vec<(String, BreakerState)> {
        let state = |peer: &Peer| (peer.name().to_owned(), peer.breaker_state());
        self.peers().iter().map(state).collect()
    }

    fn peers(&self) -> std::sync::MutexGuard<'_, Vec<Peer>> {
        self.0.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
