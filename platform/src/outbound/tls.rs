//! Whom we believe when we call out over TLS.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Why authorities can't be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("cannot read {}: {reason}; name a PEM file", path.display())]
    Pem { path: PathBuf, reason: String },
    #[error("the authorities can't be used")]
    Tls(#[from] rustls::Error),
}

/// The certificates of a PEM file, of which there has to be one.
///
/// # Errors
/// When the file can't be read or holds none.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, AuthorityError> {
    let fail = |reason: &dyn Display| AuthorityError::Pem {
        path: path.to_owned(),
        reason: reason.to_string(),
    };
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| fail(&error))?;
    if certificates.is_empty() {
        return Err(fail(&"it holds no certificate"));
    }
    Ok(certificates)
}

/// Mozilla's authorities, and those of a file beside them.
///
/// # Errors
/// When the file can't be used.
pub fn client_config(ca: Option<&Path>) -> Result<ClientConfig, AuthorityError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = ca {
        for certificate in read_certificates(path)? {
            roots.add(certificate)?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
