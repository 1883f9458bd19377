//! Who a bearer token belongs to.

use std::sync::Arc;

use api::{AuthError, Authenticator, Caller, Credentials, Tenant, Viewer};
use futures_util::future::BoxFuture;
use platform::db::DbError;

use crate::accounts::Accounts;

impl Authenticator for Accounts {
    fn authenticate<'a>(
        &'a self,
        tenant: &'a Tenant,
        credentials: Credentials<'a>,
    ) -> BoxFuture<'a, Result<Caller, AuthError>> {
        Box::pin(async move {
            match credentials {
                Credentials::Bearer(token) => match self.viewer(tenant, token).await {
                    // Not of the viewers' audience: it may be one of staff.
                    Err(AuthError::Invalid) => self.staff(tenant, token).await.map(Caller::Staff),
                    viewer => viewer.map(Caller::Viewer),
                },
                // Keys of machines are of another part of this domain.
                Credentials::ApiKey(_) => Err(AuthError::Invalid),
            }
        })
    }
}

impl Accounts {
    async fn viewer(&self, tenant: &Tenant, token: &str) -> Result<Viewer, AuthError> {
        let now_ms = self.now_ms();
        let claims = self.parts.keys.check(token, now_ms)?;
        if claims.tenant != tenant.id().as_str() {
            return Err(AuthError::Invalid);
        }
        let fact = self.standing(tenant.id(), &claims.session_id, now_ms).await;
        let fact = fact.map_err(unchecked)?.ok_or(AuthError::Revoked)?;
        if fact.user_id != claims.user_id {
            return Err(AuthError::Invalid);
        }
        Ok(Viewer {
            tenant: tenant.id().clone(),
            user_id: claims.user_id,
            session_id: claims.session_id,
            // The session's, so that leaving a profile holds for tokens made before.
            profile_id: fact.profile_id.clone(),
            tier: claims.tier,
            authenticated_at_ms: fact.authenticated_at_ms,
        })
    }

    /// As the gateway takes it.
    pub fn authenticator(&self) -> Arc<dyn Authenticator> {
        Arc::new(self.clone())
    }
}

pub(crate) fn unchecked(error: DbError) -> AuthError {
    match error.retry_after() {
        Some(pause) => AuthError::Unavailable {
            retry_after_seconds: u32::try_from(pause.as_secs()).unwrap_or(u32::MAX).max(1),
            cause: Box::new(error),
        },
        None => AuthError::Internal(Box::new(error)),
    }
}
