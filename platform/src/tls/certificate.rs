//! A certificate chain with its key, read from PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::TlsError;

/// Names that one certificate is asked for; further ones are left to the first certificate.
const NAMES_MAX: usize = 1_000;

/// Where a chain and its key lie.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateFiles {
    pub chain: PathBuf,
    pub key: PathBuf,
}

/// What an operator wants to know of a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateFacts {
    pub chain: PathBuf,
    /// DNS names, small letters; `*.` stands for one label (RFC 9525 6.3).
    pub names: Vec<String>,
    pub expires: SystemTime,
}

/// A chain that can be presented.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) facts: CertificateFacts,
}

impl Certificate {
    pub(super) fn read(
        files: &CertificateFiles,
        provider: &CryptoProvider,
    ) -> Result<Self, TlsError> {
        let chain = read_chain(&files.chain)?;
        let facts = facts_of(&files.chain, &chain)?;
        let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|error| {
            let reason = error.to_string();
            TlsError::Pem { path: files.key.clone(), wanted: "private key", reason }
        })?;
        let key = CertifiedKey::from_der(chain, key, provider).map_err(|source| {
            TlsError::Pair { chain: files.chain.clone(), key: files.key.clone(), source }
        })?;
        Ok(Self { key: Arc::new(key), facts })
    }
}

/// What the certificate at `chain` says, without its key.
pub fn certificate_facts(chain: &Path) -> Result<CertificateFacts, TlsError> {
    facts_of(chain, &read_chain(chain)?)
}

/// What the certificate in `text` says, and when its life begins. `path` is where it was read.
pub(super) fn facts_in(
    path: &Path,
    text: &[u8],
) -> Result<(SystemTime, CertificateFacts), TlsError> {
    let chain = chain_in(path, text)?;
    let facts = facts_of(path, &chain)?;
    let refuse = |reason: String| TlsError::Certificate { path: path.to_owned(), reason };
    let parsed = X509Certificate::from_der(&chain[0]).map_err(|error| refuse(error.to_string()))?;
    let begins = u64::try_from(parsed.1.validity().not_before.timestamp()).unwrap_or(0);
    Ok((UNIX_EPOCH + Duration::from_secs(begins), facts))
}

impl CertificateFacts {
    /// How long it is still valid; zero when it has expired.
    pub fn remaining(&self, now: SystemTime) -> Duration {
        self.expires.duration_since(now).unwrap_or_default()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

pub(super) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    chain_in(path, &read(path)?)
}

fn chain_in(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>();
    let refuse =
        |reason: String| TlsError::Pem { path: path.to_owned(), wanted: "certificate", reason };
    let chain = chain.map_err(|error| refuse(error.to_string()))?;
    if chain.is_empty() {
        return Err(refuse("there is no CERTIFICATE section".to_owned()));
    }
    Ok(chain)
}

fn facts_of(path: &Path, chain: &[CertificateDer<'_>]) -> Result<CertificateFacts, TlsError> {
    let refuse = |reason: String| TlsError::Certificate { path: path.to_owned(), reason };
    let first = chain.first().ok_or_else(|| refuse("the chain is empty".to_owned()))?;
    let (_, certificate) =
        X509Certificate::from_der(first).map_err(|error| refuse(error.to_string()))?;
    let alternative =
        certificate.subject_alternative_name().map_err(|error| refuse(error.to_string()))?;
    let names = alternative.iter().flat_map(|names| &names.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    let expires_seconds = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
    Ok(CertificateFacts {
        chain: path.to_owned(),
        names: names.take(NAMES_MAX).collect(),
        expires: UNIX_EPOCH + Duration::from_secs(expires_seconds),
    })
}
