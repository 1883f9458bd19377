//! The platform's rings as this domain uses them.

use std::sync::Arc;

use api::{ApiError, AuthError};
use platform::keyring::{Keys, Purpose};
use platform::token::{Issuer, NewToken, Refusal, Verifier, Withdrawn};

use crate::accounts::{AccessClaims, AccountKeys};

/// Audience of what viewers hold; staff have one of their own.
const AUDIENCE: &str = "api";
/// Audience of what staff hold.
const STAFF_AUDIENCE: &str = "admin";
/// Apps that sign in with a password are clients of ours.
const CLIENT: &str = "streamverse";

/// Signs with the ring of access tokens, seals with that of records.
pub struct PlatformKeys {
    keys: Keys,
    issuer: Issuer,
    verifier: Verifier,
}

impl PlatformKeys {
    /// `issuer` is the public address of the control API.
    pub fn new(keys: Keys, issuer: &str) -> Self {
        // Sessions that ended are told by the cache of sessions, which is asked for each request;
        // the verifier remembers none itself.
        let standing = Arc::new(Withdrawn::default());
        let verifier = Verifier::new(issuer, Arc::new(keys.clone()), standing);
        Self { keys, issuer: Issuer::new(issuer), verifier }
    }
}

impl PlatformKeys {
    fn issue_for(
        &self,
        audience: &str,
        claims: &AccessClaims,
        now_ms: i64,
    ) -> Result<(String, i64), ApiError> {
        let ring = self.keys.ring(Purpose::AccessTokens).map_err(internal)?;
        let new = NewToken {
            subject: &claims.user_id,
            audience,
            client_id: CLIENT,
            tenant: &claims.tenant,
            session: Some(&claims.session_id),
            profile: claims.profile_id.as_deref(),
            tier: claims.tier.as_deref(),
            epoch: u64::try_from(claims.auth_epoch).unwrap_or_default(),
            ..NewToken::default()
        };
        let life_seconds = new.life_seconds;
        let (token, _) = self.issuer.issue(&ring, &new, now_ms).map_err(internal)?;
        Ok((token, life_seconds))
    }

    fn check_for(
        &self,
        audience: &str,
        token: &str,
        now_ms: i64,
    ) -> Result<AccessClaims, AuthError> {
        let claims = self.verifier.verify(token, audience, now_ms).map_err(refused)?;
        Ok(AccessClaims {
            tenant: claims.tenant.clone(),
            user_id: claims.subject.clone(),
            session_id: claims.session.clone().ok_or(AuthError::Invalid)?,
            profile_id: claims.profile.clone(),
            tier: claims.tier.clone(),
            auth_epoch: i64::try_from(claims.epoch).unwrap_or(i64::MAX),
        })
    }
}

impl AccountKeys for PlatformKeys {
    fn issue(&self, claims: &AccessClaims, now_ms: i64) -> Result<(String, i64), ApiError> {
        self.issue_for(AUDIENCE, claims, now_ms)
    }

    fn check(&self, token: &str, now_ms: i64) -> Result<AccessClaims, AuthError> {
        self.check_for(AUDIENCE, token, now_ms)
    }

    fn issue_staff(&self, claims: &AccessClaims, now_ms: i64) -> Result<(String, i64), ApiError> {
        self.issue_for(STAFF_AUDIENCE, claims, now_ms)
    }

    fn check_staff(&self, token: &str, now_ms: i64) -> Result<AccessClaims, AuthError> {
        self.check_for(STAFF_AUDIENCE, token, now_ms)
    }

    fn seal(&self, context: &[u8], plain: &[u8], now_ms: i64) -> Result<Vec<u8>, ApiError> {
        self.keys.seal(Purpose::Records, context, plain, now_ms).map_err(internal)
    }

    fn open(&self, context: &[u8], sealed: &[u8], now_ms: i64) -> Result<Vec<u8>, ApiError> {
        let opened = self.keys.open_sealed(Purpose::Records, context, sealed, now_ms);
        opened.map(|opened| opened.plaintext.to_vec()).map_err(internal)
    }
}

fn refused(refusal: Refusal) -> AuthError {
    match refusal {
        Refusal::Expired => AuthError::Expired,
        Refusal::Withdrawn => AuthError::Revoked,
        _ => AuthError::Invalid,
    }
}

fn internal(error: impl std::error::Error + Send + Sync + 'static) -> ApiError {
    ApiError::internal("internal", error)
}
