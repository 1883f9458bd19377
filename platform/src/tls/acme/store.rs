//! Account and certificate in `DIR/tls/acme`, mode 0600.
//!
//! Key and chain lie in one file, so that one rename replaces both: a crash leaves the old pair or
//! the new one. Its first line names the directory that issued it; PEM allows text between sections
//! (RFC 7468 2).

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use instant_acme::AccountCredentials;
use serde::{Deserialize, Serialize};

use super::order::{Issued, OrderError};
use crate::config;
use crate::tls::certificate::facts_in;
use crate::tls::development::write_private;
use crate::tls::{CertificateFacts, TlsError};

/// Before the address of the directory that issued a certificate.
const FROM: &str = "Issued by ACME from ";

/// Where the certificate lies, with its key.
pub(in crate::tls) fn certificate_path(data_dir: &Path) -> PathBuf {
    data_dir.join("tls/acme/certificate.pem")
}

#[derive(Debug)]
pub(super) struct Store {
    account: PathBuf,
    certificate: PathBuf,
}

/// An account, and the directory that it is known to.
#[derive(Deserialize, Serialize)]
struct Account {
    directory_url: String,
    credentials: AccountCredentials,
}

impl Store {
    pub(super) fn new(data_dir: &Path) -> Self {
        let certificate = certificate_path(data_dir);
        Self { account: certificate.with_file_name("account.json"), certificate }
    }

    /// What the certificate says, if it is one of `config`: from its directory, for all its names.
    pub(super) fn certificate(&self, config: &config::Acme) -> Option<Period> {
        let text = std::fs::read_to_string(&self.certificate).ok()?;
        let from = text.lines().next()?.strip_prefix(FROM)?;
        let (begins, facts) = facts_in(&self.certificate, text.as_bytes()).ok()?;
        let is_named = |domain: &String| facts.names.contains(&domain.to_ascii_lowercase());
        let is_ours = Some(from) == config.directory_url.as_deref();
        let CertificateFacts { expires, .. } = facts;
        (is_ours && config.domains.iter().all(is_named)).then_some(Period { begins, expires })
    }

    pub(super) fn write_certificate(
        &self,
        config: &config::Acme,
        issued: &Issued,
    ) -> Result<(), TlsError> {
        let from = config.directory_url.as_deref().unwrap_or_default();
        let Issued { chain, key } = issued;
        self.write(&self.certificate, &format!("{FROM}{from}\n{key}\n{chain}"))
    }

    /// The account with a directory, if there is one.
    pub(super) fn account(&self, directory_url: &str) -> Option<AccountCredentials> {
        let text = std::fs::read_to_string(&self.account).ok()?;
        match serde_json::from_str::<Account>(&text) {
            Ok(account) if account.directory_url == directory_url => Some(account.credentials),
            Ok(_) => None,
            Err(error) => {
                let path = self.account.display();
                tracing::warn!(%path, %error, "the ACME account can't be read: making another");
                None
            }
        }
    }

    pub(super) fn write_account(
        &self,
        directory_url: &str,
        credentials: AccountCredentials,
    ) -> Result<(), OrderError> {
        let account = Account { directory_url: directory_url.to_owned(), credentials };
        let text = serde_json::to_string_pretty(&account).map_err(std::io::Error::other);
        let text = text.map_err(|source| TlsError::Write { path: self.account.clone(), source })?;
        Ok(self.write(&self.account, &text)?)
    }

    fn write(&self, path: &Path, text: &str) -> Result<(), TlsError> {
        let failed = |source| TlsError::Write { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true).mode(0o700).create(folder).map_err(failed)?;
        }
        write_private(path, text).map_err(failed)
    }
}

/// The life of a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Period {
    pub(super) begins: SystemTime,
    pub(super) expires: SystemTime,
}
