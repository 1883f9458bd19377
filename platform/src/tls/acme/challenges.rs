//! What the listeners answer an authority while an order is under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rcgen::{CertificateParams, CustomExtension, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use super::order::OrderError;

/// Where HTTP-01 is asked (RFC 8555 8.3).
const WELL_KNOWN: &str = "/.well-known/acme-challenge/";

/// The protocol by which TLS-ALPN-01 is asked (RFC 8737 4).
pub(crate) const ACME_TLS: &[u8] = b"acme-tls/1";

/// Answers to challenges. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Challenges(Arc<Mutex<Held>>);

/// As many as an order has names.
#[derive(Debug, Default)]
struct Held {
    by_token: HashMap<String, String>,
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

impl Challenges {
    /// The key authorization that a path asks for, over HTTP on port 80.
    pub fn answer(&self, path: &str) -> Option<String> {
        let token = path.strip_prefix(WELL_KNOWN)?;
        self.lock().by_token.get(token).cloned()
    }

    /// The certificate that proves the control of a name.
    pub(in crate::tls) fn certificate(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.lock().by_name.get(&name.to_ascii_lowercase()).cloned()
    }

    pub(super) fn put_token(&self, token: String, key_authorization: String) {
        self.lock().by_token.insert(token, key_authorization);
    }

    /// Makes the certificate of RFC 8737 3: for the name alone, with the digest of the key
    /// authorization.
    pub(super) fn put_name(&self, name: &str, digest: &[u8]) -> Result<(), OrderError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let certificate = params.self_signed(&key)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let chain = vec![certificate.der().clone()];
        let certified = CertifiedKey::from_der(chain, key, &default_provider())?;
        self.lock().by_name.insert(name.to_ascii_lowercase(), Arc::new(certified));
        Ok(())
    }

    /// An order is over.
    pub(super) fn clear(&self) {
        *self.lock() = Held::default();
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
