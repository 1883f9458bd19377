//! What the listeners answer an authority while an order is under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rcgen::{CertificateParams, CustomExtension, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
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
        // Without the library's look at the pair: it knows no extension that is critical here.
        let certified = CertifiedKey::new(chain, any_supported_type(&key)?);
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

#[cfg(test)]
mod tests {
    use x509_parser::prelude::{FromDer, X509Certificate};

    use super::*;

    /// RFC 8737 3: the name, and the digest as a critical extension.
    #[test]
    fn a_challenge_has_its_certificate_until_the_order_is_over() {
        let challenges = Challenges::default();
        challenges.put_name("Media.example.test", &[7; 32]).unwrap();
        challenges.put_token("token".to_owned(), "token.thumbprint".to_owned());
        let certified = challenges.certificate("media.EXAMPLE.test").unwrap();
        let (_, certificate) = X509Certificate::from_der(&certified.cert[0]).unwrap();
        let identifier = certificate.extensions().iter().find(|extension| extension.critical);
        let identifier = identifier.unwrap();
        assert_eq!(identifier.oid.to_id_string(), "1.3.6.1.5.5.7.1.31");
        assert_eq!(identifier.value, [&[0x04, 32], &[7; 32][..]].concat());
        assert!(challenges.certificate("other.example.test").is_none());
        let path = "/.well-known/acme-challenge/token";
        assert_eq!(challenges.answer(path).as_deref(), Some("token.thumbprint"));
        assert_eq!(challenges.answer("/.well-known/acme-challenge/"), None);
        assert_eq!(challenges.answer("/token"), None);
        challenges.clear();
        assert!(challenges.certificate("media.example.test").is_none());
        assert_eq!(challenges.answer(path), None);
    }
}
