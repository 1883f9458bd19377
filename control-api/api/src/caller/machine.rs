//! Programs with an API key.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::extract::{identify, missing, wrong_realm};
use super::{Caller, Challenge, TenantId};
use crate::ApiError;
use crate::permission::{Any, Permission};

const REALM: &str = "machine";

/// An API key, as the authenticator tells it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MachineIdentity {
    pub tenant: TenantId,
    /// Names the key; not the key.
    pub key_id: String,
    pub scopes: Vec<String>,
}

impl MachineIdentity {
    pub fn may(&self, scope: &str) -> bool {
        self.scopes.iter().any(|held| held == scope)
    }

    /// # Errors
    /// 403 `scope_missing`.
    pub fn require(&self, scope: &'static str) -> Result<(), ApiError> {
        if self.may(scope) {
            return Ok(());
        }
        let detail = format!("This takes a key with the scope `{scope}`.");
        let challenge =
            Challenge { realm: REALM, error: Some("insufficient_scope"), scope: Some(scope) };
        Err(ApiError::forbidden("scope_missing", detail).challenge(challenge))
    }
}

/// A program whose key has the scope `P`; with [`Any`], any key.
pub struct Machine<P = Any> {
    identity: MachineIdentity,
    holds: PhantomData<fn() -> P>,
}

impl<P: Permission> Machine<P> {
    /// The proof that `P` is held.
    ///
    /// # Errors
    /// 403 `scope_missing`.
    pub fn new(identity: MachineIdentity) -> Result<Self, ApiError> {
        if !P::NAME.is_empty() {
            identity.require(P::NAME)?;
        }
        Ok(Self { identity, holds: PhantomData })
    }
}

impl<P> Deref for Machine<P> {
    type Target = MachineIdentity;

    fn deref(&self) -> &MachineIdentity {
        &self.identity
    }
}

impl<P> Clone for Machine<P> {
    fn clone(&self) -> Self {
        Self { identity: self.identity.clone(), holds: PhantomData }
    }
}

impl<P> fmt::Debug for Machine<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.identity.fmt(f)
    }
}

impl<S: Sync, P: Permission> FromRequestParts<S> for Machine<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match identify(parts, REALM).await? {
            Some(Caller::Machine(identity)) => Self::new(identity),
            Some(_) => Err(wrong_realm(REALM)),
            None => Err(missing(REALM)),
        }
    }
}
