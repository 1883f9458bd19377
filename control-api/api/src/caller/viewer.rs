//! People who watch: signed in, and not.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;

use super::extract::{identify, missing, wrong_realm};
use super::{Caller, Tenant, TenantId};
use crate::{ApiError, context};

/// A signed-in person.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Viewer {
    pub tenant: TenantId,
    pub user_id: String,
    pub session_id: String,
    /// Chosen for the session, if it was.
    pub profile_id: Option<String>,
    /// Name of the tier that was paid for when the token was made.
    pub tier: Option<String>,
    /// When the person last proved who they are, in UTC milliseconds; steps that ask for a fresh
    /// sign-in compare it with now.
    pub authenticated_at_ms: i64,
}

impl Viewer {
    pub(crate) const REALM: &'static str = "viewer";
}

impl<S: Sync> FromRequestParts<S> for Viewer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match identify(parts, Self::REALM).await? {
            Some(Caller::Viewer(viewer)) => Ok(viewer),
            Some(_) => Err(wrong_realm(Self::REALM)),
            None => Err(missing(Self::REALM)),
        }
    }
}

/// `Option<Viewer>`: operations that answer guests, too. Credentials that are there must be good.
impl<S: Sync> OptionalFromRequestParts<S> for Viewer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, ApiError> {
        match identify(parts, Self::REALM).await? {
            Some(Caller::Viewer(viewer)) => Ok(Some(viewer)),
            Some(_) => Err(wrong_realm(Self::REALM)),
            None => Ok(None),
        }
    }
}

/// Anybody. Credentials are not looked at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Guest {
    pub tenant: TenantId,
}

impl<S: Sync> FromRequestParts<S> for Guest {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let tenant = context::of::<Tenant>(&parts.extensions)?;
        Ok(Self { tenant: tenant.id().clone() })
    }
}
