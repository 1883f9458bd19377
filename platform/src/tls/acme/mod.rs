//! Certificates ordered by ACME (RFC 8555), for `[tls.acme]`.
//!
//! ```text
//! mod         when: at start, before an end, again after a failure
//! order       one order: account, authorizations, certificate (instant-acme speaks the protocol)
//! challenges  what the listeners answer while an order is under way
//! store       account and certificate in DIR/tls/acme, for their owner's eyes
//! schedule    times: pure
//! ```
//!
//! Nothing waits for any of it: until there is a certificate the listeners show the others that are
//! configured, the last one that was ordered, or one for development.

mod challenges;
mod order;
mod schedule;
mod store;

use std::path::Path;
use std::time::{Duration, SystemTime};

pub(crate) use challenges::ACME_TLS;
pub use challenges::Challenges;
pub(super) use store::certificate_path;

use super::Tls;
use crate::config;
use order::OrderError;
use store::Store;

/// Longest time for one order.
const ORDER_MAX: Duration = Duration::from_secs(5 * 60);

/// Longest sleep: clocks are set, and files replaced.
const SLEEP_MAX: Duration = Duration::from_secs(60 * 60);

/// Orders certificates and renews them.
#[derive(Debug)]
pub struct Acme {
    config: config::Acme,
    store: Store,
    tls: Tls,
}

impl Acme {
    /// `None` where the configuration names no directory.
    pub fn new(config: &config::Acme, data_dir: &Path, tls: &Tls) -> Option<Self> {
        config.directory_url.as_ref()?;
        Some(Self { config: config.clone(), store: Store::new(data_dir), tls: tls.clone() })
    }

    /// Keeps the certificate good. Never ends.
    pub async fn run(self) {
        let mut failures = 0;
        loop {
            let now = SystemTime::now();
            let due = self.due();
            if let Some(left) = due.duration_since(now).ok().filter(|left| !left.is_zero()) {
                tokio::time::sleep(left.min(SLEEP_MAX)).await;
                continue;
            }
            match self.order().await {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures += 1;
                    let pause = schedule::pause(failures, random());
                    self.tls.count_order("failed");
                    let (domains, pause_seconds) = (&self.config.domains, pause.as_secs());
                    tracing::error!(
                        %error,
                        ?domains,
                        failures,
                        pause_seconds,
                        "no certificate was issued; the last one stays in force"
                    );
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// When a certificate is to be ordered.
    fn due(&self) -> SystemTime {
        match self.store.certificate(&self.config) {
            Some(facts) => schedule::due(facts.begins, facts.expires),
            None => SystemTime::UNIX_EPOCH,
        }
    }

    async fn order(&self) -> Result<(), OrderError> {
        let domains = &self.config.domains;
        tracing::info!(?domains, "ordering a certificate");
        let ordering = order::order(&self.config, &self.store, self.tls.challenges());
        let ordered = tokio::time::timeout(ORDER_MAX, ordering).await;
        self.tls.challenges().clear();
        let issued = ordered.map_err(|_| OrderError::Late)??;
        self.store.write_certificate(&self.config, &issued)?;
        let tls = self.tls.clone();
        let adopted = tokio::task::spawn_blocking(move || tls.reload_if_changed()).await;
        adopted.map_err(|_| OrderError::Late)??;
        self.tls.count_order("issued");
        tracing::info!(?domains, "a certificate was issued and is in force");
        Ok(())
    }
}

/// Good enough to keep servers from acting in step.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}
