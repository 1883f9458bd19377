//! Whose house a request is in.

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::{ApiError, context};
pub use platform::db::TenantId;

/// The tenant of the host that was asked, put into the request's extensions by the gateway.
/// Credentials of another tenant are worth nothing here: see [`crate::caller`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tenant(pub TenantId);

impl Tenant {
    pub fn id(&self) -> &TenantId {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Tenant {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        context::of::<Self>(&parts.extensions).cloned()
    }
}
