//! People who run the service. Their realm, audience and sign-in are apart from those of viewers.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::extract::{identify, missing, wrong_realm};
use super::{Caller, Challenge, TenantId};
use crate::ApiError;
use crate::permission::{Any, Permission};

const REALM: &str = "admin";

/// A signed-in member of staff, as the authenticator tells it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StaffIdentity {
    pub tenant: TenantId,
    pub staff_id: String,
    pub session_id: String,
    /// What their roles grant, by name.
    pub permissions: Vec<String>,
    /// When they last proved who they are, in UTC milliseconds.
    pub authenticated_at_ms: i64,
}

impl StaffIdentity {
    pub fn may(&self, permission: &str) -> bool {
        self.permissions.iter().any(|held| held == permission)
    }

    /// # Errors
    /// 403 `permission_missing`.
    pub fn require(&self, permission: &'static str) -> Result<(), ApiError> {
        if self.may(permission) {
            return Ok(());
        }
        let detail = format!("This takes the permission `{permission}`.");
        let scope =
            Challenge { realm: REALM, error: Some("insufficient_scope"), scope: Some(permission) };
        Err(ApiError::forbidden("permission_missing", detail).challenge(scope))
    }
}

/// A member of staff who holds `P`; with [`Any`], whoever is signed in.
pub struct Staff<P = Any> {
    identity: StaffIdentity,
    holds: PhantomData<fn() -> P>,
}

impl<P: Permission> Staff<P> {
    /// The proof that `P` is held.
    ///
    /// # Errors
    /// 403 `permission_missing`.
    pub fn new(identity: StaffIdentity) -> Result<Self, ApiError> {
        if !P::NAME.is_empty() {
            identity.require(P::NAME)?;
        }
        Ok(Self { identity, holds: PhantomData })
    }
}

impl<P> Deref for Staff<P> {
    type Target = StaffIdentity;

    fn deref(&self) -> &StaffIdentity {
        &self.identity
    }
}

impl<P> Clone for Staff<P> {
    fn clone(&self) -> Self {
        Self { identity: self.identity.clone(), holds: PhantomData }
    }
}

impl<P> fmt::Debug for Staff<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.identity.fmt(f)
    }
}

impl<S: Sync, P: Permission> FromRequestParts<S> for Staff<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match identify(parts, REALM).await? {
            Some(Caller::Staff(identity)) => Self::new(identity),
            Some(_) => Err(wrong_realm(REALM)),
            None => Err(missing(REALM)),
        }
    }
}
