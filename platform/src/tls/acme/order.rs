//! One order: account, authorizations, certificate (RFC 8555 7).

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationHandle, AuthorizationStatus, ChallengeType, Identifier, NewAccount,
    NewOrder, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};

use super::challenges::Challenges;
use super::store::Store;
use crate::config::{self, AcmeChallenge};
use crate::tls::TlsError;

/// How long an authority may take to look at the challenges, and to issue.
const PATIENCE: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(120));

/// A certificate and its key, as PEM.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) chain: String,
    pub(super) key: String,
}

/// Why no certificate was issued.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    #[error("the authority: {0}")]
    Authority(#[from] instant_acme::Error),
    #[error("the authority offers no {challenge} challenge for {name}")]
    NoChallenge { challenge: &'static str, name: String },
    #[error("the authorization of {name} is {status}; can it reach this server by that name?")]
    NotAuthorized { name: String, status: String },
    #[error("the order is {0:?}; can the authority reach this server by every name?")]
    NotReady(OrderStatus),
    #[error("the order took too long")]
    Late,
    #[error("a key or a request can't be made: {0}")]
    Generate(#[from] rcgen::Error),
    #[error("the TLS library: {0}")]
    Library(#[from] rustls::Error),
    #[error(transparent)]
    Files(#[from] TlsError),
}

pub(super) async fn order(
    config: &config::Acme,
    store: &Store,
    challenges: &Challenges,
) -> Result<Issued, OrderError> {
    let account = account(config, store).await?;
    let names: Vec<_> = config.domains.iter().cloned().map(Identifier::Dns).collect();
    let mut order = account.new_order(&NewOrder::new(&names)).await?;
    {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            authorize(authorization?, config.challenge, challenges).await?;
        }
    }
    match order.poll_ready(&PATIENCE).await? {
        OrderStatus::Ready => {}
        status => return Err(OrderError::NotReady(status)),
    }
    // A new key for each certificate.
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(config.domains.clone())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    order.finalize_csr(params.serialize_request(&key)?.der()).await?;
    let chain = order.poll_certificate(&PATIENCE).await?;
    Ok(Issued { chain, key: key.serialize_pem() })
}

/// The account that is known, or a new one.
async fn account(config: &config::Acme, store: &Store) -> Result<Account, OrderError> {
    let directory_url = config.directory_url.as_deref().unwrap_or_default();
    let builder = match &config.ca {
        Some(path) => Account::builder_with_root(path)?,
        None => Account::builder()?,
    };
    if let Some(credentials) = store.account(directory_url) {
        return Ok(builder.from_credentials(credentials).await?);
    }
    let contact: Vec<_> = config.contacts.iter().map(String::as_str).collect();
    let new = NewAccount {
        contact: &contact,
        terms_of_service_agreed: config.terms_agreed,
        only_return_existing: false,
    };
    let (account, credentials) = builder.create(&new, directory_url.to_owned(), None).await?;
    store.write_account(directory_url, credentials)?;
    tracing::info!(directory_url, "made an ACME account");
    Ok(account)
}

async fn authorize(
    mut authorization: AuthorizationHandle<'_>,
    challenge: AcmeChallenge,
    challenges: &Challenges,
) -> Result<(), OrderError> {
    let name = authorization.identifier().to_string();
    match authorization.status {
        AuthorizationStatus::Pending => {}
        AuthorizationStatus::Valid => return Ok(()),
        status => {
            return Err(OrderError::NotAuthorized { name, status: format!("{status:?}") });
        }
    }
    let (kind, label) = match challenge {
        AcmeChallenge::TlsAlpn01 => (ChallengeType::TlsAlpn01, "tls-alpn-01"),
        AcmeChallenge::Http01 => (ChallengeType::Http01, "http-01"),
    };
    let missing = OrderError::NoChallenge { challenge: label, name: name.clone() };
    let mut offered = authorization.challenge(kind).ok_or(missing)?;
    let key_authorization = offered.key_authorization();
    match challenge {
        AcmeChallenge::TlsAlpn01 => {
            challenges.put_name(&name, key_authorization.digest().as_ref())?;
        }
        AcmeChallenge::Http01 => {
            challenges.put_token(offered.token.clone(), key_authorization.as_str().to_owned());
        }
    }
    Ok(offered.set_ready().await?)
}
