//! The certificate that an edge shows to an origin (mutual TLS), and its renewal.
//!
//! The files are looked at every ten seconds. New connections show what was read last; those that are
//! open go on.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;

use super::UpstreamError;
use super::connect::{read_certificates, unreadable};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What tells a changed file: time and size.
type Stamp = Option<(SystemTime, u64)>;

/// A chain and its key, as they were read last.
#[derive(Debug)]
pub(super) struct Identity {
    chain: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    current: RwLock<Current>,
}

#[derive(Clone, Debug)]
struct Current {
    certified: Arc<CertifiedKey>,
    stamps: [Stamp; 2],
}

impl Identity {
    pub(super) fn read(
        chain: PathBuf,
        key: PathBuf,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, UpstreamError> {
        let current = read(&chain, &key, &provider)?;
        Ok(Self { chain, key, provider, current: RwLock::new(current) })
    }

    /// Reads the files again if one has another time or size than before; whether it did. Bad files
    /// change nothing.
    pub(super) fn reload_if_changed(&self) -> Result<bool, UpstreamError> {
        if self.current().stamps == [stamp(&self.chain), stamp(&self.key)] {
            return Ok(false);
        }
        let new = read(&self.chain, &self.key, &self.provider)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(true)
    }

    /// Adopts changed files for as long as somebody else holds the identity.
    pub(super) async fn watch(self: Arc<Self>) {
        let (identity, chain) = (Arc::downgrade(&self), self.chain.clone());
        drop(self);
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let Some(identity) = identity.upgrade() else { return };
            let looked = tokio::task::spawn_blocking(move || identity.reload_if_changed()).await;
            let path = chain.display();
            match looked {
                Ok(Ok(true)) => tracing::info!(%path, "a client certificate was read again"),
                Ok(Err(error)) => {
                    tracing::error!(%path, %error, "a client certificate was not changed");
                }
                Ok(Ok(false)) | Err(_) => {}
            }
        }
    }

    fn current(&self) -> Current {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn read(
    chain: &PathBuf,
    key: &PathBuf,
    provider: &CryptoProvider,
) -> Result<Current, UpstreamError> {
    // Taken before reading: a file that changes meanwhile is read once more.
    let stamps = [stamp(chain), stamp(key)];
    let certificates = read_certificates(chain)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
    let certified =
        CertifiedKey::from_der(certificates, key, provider).map_err(UpstreamError::Tls)?;
    Ok(Current { certified: Arc::new(certified), stamps })
}

fn stamp(path: &PathBuf) -> Stamp {
    let facts = std::fs::metadata(path).ok()?;
    Some((facts.modified().ok()?, facts.len()))
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.current().certified)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::fs::write;

    use super::*;

    #[test]
    fn a_renewed_certificate_is_shown_and_a_bad_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (chain, key) = (dir.path().join("edge.pem"), dir.path().join("edge.key"));
        let renew = || {
            let certified = rcgen::generate_simple_self_signed(vec!["edge".to_owned()]).unwrap();
            write(&key, certified.signing_key.serialize_pem()).unwrap();
            // Another length, whatever the clock of the file system says.
            let padding = "\n".repeat(chain.metadata().map_or(0, |facts| facts.len() as usize));
            write(&chain, certified.cert.pem() + &padding).unwrap();
        };
        renew();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let identity = Identity::read(chain.clone(), key.clone(), provider).unwrap();
        let shown = || identity.resolve(&[], &[]).unwrap().cert.clone();
        let first = shown();
        assert!(!identity.reload_if_changed().unwrap());
        renew();
        assert!(identity.reload_if_changed().unwrap());
        let second = shown();
        assert_ne!(first, second);
        write(&key, "no key").unwrap();
        identity.reload_if_changed().unwrap_err();
        assert_eq!(shown(), second);
    }
}
