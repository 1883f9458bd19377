//! What can be wrong with certificates.

use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {path}: {source}; check the paths in `[tls]` and the file's permissions")]
    Read { path: PathBuf, source: io::Error },

    #[error("{path} holds no {wanted} in PEM form: {reason}")]
    Pem { path: PathBuf, wanted: &'static str, reason: String },

    #[error("the certificate in {path} cannot be read: {reason}")]
    Certificate { path: PathBuf, reason: String },

    #[error("the key in {key} does not serve the certificate in {chain}: {source}")]
    Pair { chain: PathBuf, key: PathBuf, source: rustls::Error },

    #[error("cannot make a development certificate: {0}")]
    Generate(#[from] rcgen::Error),

    #[error("cannot write {path}: {source}; the data directory must be writable")]
    Write { path: PathBuf, source: io::Error },

    #[error("clients need a certificate, and `tls.client_ca` names no authority for them")]
    NoClientAuthority,

    #[error("the TLS library refuses the settings: {0}")]
    Settings(#[from] rustls::Error),
}
