//! Which certificate a client is shown, by the name it asks for (RFC 6066 3).

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::acme::{ACME_TLS, Challenges};
use super::certificate::Certificate;

/// The certificates in force; replaced as a whole while connections are accepted.
#[derive(Debug)]
pub(super) struct Resolver {
    table: RwLock<Arc<Table>>,
    challenges: Challenges,
}

/// Certificates by name. The first one answers clients that ask for no name or an unknown one.
#[derive(Debug)]
pub(super) struct Table {
    by_name: HashMap<String, Arc<CertifiedKey>>,
    first: Option<Arc<CertifiedKey>>,
}

impl Table {
    pub(super) fn new(certificates: &[Certificate]) -> Self {
        let mut by_name = HashMap::new();
        for certificate in certificates {
            for name in &certificate.facts.names {
                // Of two certificates for a name the one listed first serves it.
                by_name.entry(name.clone()).or_insert_with(|| Arc::clone(&certificate.key));
            }
        }
        let first = certificates.first().map(|certificate| Arc::clone(&certificate.key));
        Self { by_name, first }
    }

    /// Exact names go before wildcards, which stand for exactly one label (RFC 9525 6.3).
    fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let by_name = name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            let wildcard = name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
            let exact = self.by_name.get(&name);
            exact.or_else(|| self.by_name.get(&wildcard?)).map(Arc::clone)
        });
        by_name.or_else(|| self.first.clone())
    }
}

impl Resolver {
    pub(super) fn new(table: Table, challenges: Challenges) -> Self {
        Self { table: RwLock::new(Arc::new(table)), challenges }
    }

    pub(super) fn replace(&self, table: Table) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // An authority that checks a name offers this protocol alone (RFC 8737 3).
        if hello.alpn().is_some_and(|mut offered| offered.next() == Some(ACME_TLS)) {
            return self.challenges.certificate(hello.server_name()?);
        }
        let table = Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner));
        table.find(hello.server_name())
    }
}
