//! Who asks, as arguments of a handler.
//!
//! A handler that takes a [`Viewer`] can't be reached by anybody else; one that takes
//! `Staff<UsersWrite>` not without that permission. The credentials are `Authorization: Bearer …`
//! (RFC 6750) and nothing else: an access token, or the API key of a machine, which begins with
//! `svk_`. They are looked at once per request, and what came out lies in its extensions, so that a
//! rate limit may ask before the handler does.
//!
//! # What callers learn
//!
//! | credentials | answer |
//! | --- | --- |
//! | none | 401 `credentials_missing` |
//! | two, or not readable | 401 `credentials_malformed` |
//! | unknown, forged, of another tenant | 401 `invalid_token`, the same to the byte |
//! | expired, ended | 401 `token_expired`, `token_revoked` |
//! | good, of another realm | 401 `wrong_realm` |
//! | good, without the permission or scope | 403 `permission_missing`, `scope_missing` |
//!
//! A token of tenant B at a host of tenant A is not good for anything there, so it is no token at
//! all; the answer doesn't tell that it is one elsewhere. Things of tenant B asked for by a caller
//! of tenant A are 404, as things that never were.

mod extract;
mod machine;
mod staff;
#[cfg(test)]
mod tests;
mod viewer;

use std::sync::Arc;

use futures_util::future::BoxFuture;

pub use extract::{credentials, identify};
pub(crate) use extract::{identify_metadata, missing, wrong_realm};
pub use machine::{Machine, MachineIdentity};
pub use staff::{Staff, StaffIdentity};
pub use viewer::{Guest, Viewer};

use crate::error::Challenge;
use crate::{ApiError, Tenant, TenantId};

/// What an API key begins with. Tokens of other kinds can't: they begin with `ey`.
pub const API_KEY_PREFIX: &str = "svk_";
/// Longest credentials that are looked at.
pub const CREDENTIALS_BYTES_MAX: usize = 8 * 1024;

/// What a request offers as proof. Not yet looked into.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Credentials<'a> {
    /// An access token of a viewer or of staff.
    Bearer(&'a str),
    /// An API key, with its prefix.
    ApiKey(&'a str),
}

/// A secret stays out of logs.
impl std::fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer(…)",
            Self::ApiKey(_) => "ApiKey(…)",
        })
    }
}

/// Whose the credentials are.
#[derive(Clone, Debug)]
pub enum Caller {
    Viewer(Viewer),
    Staff(StaffIdentity),
    Machine(MachineIdentity),
}

impl Caller {
    pub fn tenant(&self) -> &TenantId {
        match self {
            Self::Viewer(viewer) => &viewer.tenant,
            Self::Staff(staff) => &staff.tenant,
            Self::Machine(machine) => &machine.tenant,
        }
    }

    /// One name for keys of limits and records: `user/ID`, `staff/ID`, `machine/ID`.
    pub fn principal(&self) -> String {
        match self {
            Self::Viewer(viewer) => format!("user/{}", viewer.user_id),
            Self::Staff(staff) => format!("staff/{}", staff.staff_id),
            Self::Machine(machine) => format!("machine/{}", machine.key_id),
        }
    }
}

/// Looks credentials up. The account domain is one; tests have their own.
pub trait Authenticator: Send + Sync + 'static {
    fn authenticate<'a>(
        &'a self,
        tenant: &'a Tenant,
        credentials: Credentials<'a>,
    ) -> BoxFuture<'a, Result<Caller, AuthError>>;
}

/// Why credentials are not good.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    #[error("no known credentials")]
    Invalid,
    /// Only said of credentials that were good once: their signature holds.
    #[error("the credentials have expired")]
    Expired,
    /// Likewise; the session was ended or the key withdrawn.
    #[error("the credentials were withdrawn")]
    Revoked,
    /// They can't be looked up now.
    #[error("credentials can't be checked now")]
    Unavailable { retry_after_seconds: u32, cause: Box<dyn std::error::Error + Send + Sync> },
    #[error("checking the credentials failed")]
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Invalid => refused("invalid_token", "The credentials are not known here."),
            AuthError::Expired => refused("token_expired", "The token has expired; refresh it."),
            AuthError::Revoked => {
                refused("token_revoked", "The session or key was ended; sign in again.")
            }
            AuthError::Unavailable { retry_after_seconds, cause } => {
                let detail = "Credentials can't be checked right now.";
                Self::unavailable("credentials_unchecked", detail)
                    .retry_after(retry_after_seconds)
                    .because(cause)
            }
            AuthError::Internal(cause) => Self::internal("internal", cause),
        }
    }
}

/// The realm is filled in by the extractor, which knows whom it wants.
fn refused(code: &'static str, detail: &'static str) -> ApiError {
    ApiError::unauthorized(code, detail).challenge(challenge(Some("invalid_token")))
}

fn challenge(error: Option<&'static str>) -> Challenge {
    Challenge { realm: "api", error, scope: None }
}

/// What [`identify`] found, kept for the request.
type Found = Arc<Result<Option<Caller>, AuthFailure>>;

/// An [`ApiError`] can't be cloned, what makes one can.
#[derive(Clone, Debug)]
struct Identified(Found);

/// A refusal, told again as often as it is asked for.
#[derive(Debug)]
struct AuthFailure(AuthError);

impl AuthFailure {
    fn to_error(&self) -> ApiError {
        match &self.0 {
            AuthError::Invalid => AuthError::Invalid.into(),
            AuthError::Expired => AuthError::Expired.into(),
            AuthError::Revoked => AuthError::Revoked.into(),
            AuthError::Unavailable { retry_after_seconds, cause } => AuthError::Unavailable {
                retry_after_seconds: *retry_after_seconds,
                cause: cause.to_string().into(),
            }
            .into(),
            AuthError::Internal(cause) => AuthError::Internal(cause.to_string().into()).into(),
        }
    }
}
