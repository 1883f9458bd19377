//! The certificate of a server that was given none: self-signed, for this machine, short-lived.
//!
//! It is an ECDSA P-256 certificate that lives under 14 days, so that a page may name its digest
//! instead of trusting it: the `serverCertificateHashes` of W3C WebTransport take nothing else.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};

use super::{CertificateFiles, TlsError, certificate_facts};

/// Names and addresses that the certificate is for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// From an hour ago, for clocks that go slow, to 13 days ahead.
const BACKDATED: Duration = Duration::from_secs(60 * 60);
const LIFE: Duration = Duration::from_secs(13 * 24 * 60 * 60);

/// A certificate with less left is replaced.
const RENEW_BELOW: Duration = Duration::from_secs(6 * 24 * 60 * 60);

/// The certificate in `DIR/tls/`, made if there is none or if it is close to its end.
///
/// # Errors
/// When the folder can't be written.
pub fn development_certificate(
    data_dir: &Path,
    now: SystemTime,
) -> Result<CertificateFiles, TlsError> {
    let folder = data_dir.join("tls");
    let files = CertificateFiles {
        chain: folder.join("development.pem"),
        key: folder.join("development.key"),
    };
    let is_good = files.key.exists()
        && certificate_facts(&files.chain).is_ok_and(|facts| RENEW_BELOW < facts.remaining(now));
    if !is_good {
        let (chain, key) = generate(now)?;
        let write = |path: &Path, text: &str| {
            write_private(path, text)
                .map_err(|source| TlsError::Write { path: path.to_owned(), source })
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|source| TlsError::Write { path: folder.clone(), source })?;
        write(&files.key, &key)?;
        write(&files.chain, &chain)?;
    }
    Ok(files)
}

fn generate(now: SystemTime) -> Result<(String, String), TlsError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(NAMES.map(str::to_owned))?;
    params.distinguished_name.push(DnType::CommonName, "StreamVerse development");
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + LIFE).into();
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// Writes a file that only this user may read, whole or not at all.
pub(super) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let _ = std::fs::remove_file(&unfinished);
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)
}
