//! An authenticator whose tokens say who they are, for tests of routes without an account domain.
//!
//! ```text
//! v.TENANT.USER              a viewer
//! s.TENANT.STAFF.a:b+c:d     a member of staff with permissions
//! svk_TENANT.KEY.a:b         a machine with scopes
//! expired                    a token that has expired
//! ```

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, header};

use crate::caller::{
    AuthError, Authenticator, Caller, Credentials, MachineIdentity, StaffIdentity, Viewer,
};
use crate::cursor::CursorKeys;
use crate::{RequestId, Tenant, TenantId};

/// Reads the tokens above. Not for servers: anybody can write them.
#[derive(Clone, Copy, Debug)]
pub struct Callers;

impl Authenticator for Callers {
    fn authenticate<'a>(
        &'a self,
        _: &'a Tenant,
        credentials: Credentials<'a>,
    ) -> BoxFuture<'a, Result<Caller, AuthError>> {
        let (Credentials::Bearer(text) | Credentials::ApiKey(text)) = credentials;
        let caller = match text {
            "expired" => Err(AuthError::Expired),
            _ => read(text).ok_or(AuthError::Invalid),
        };
        Box::pin(std::future::ready(caller))
    }
}

fn read(token: &str) -> Option<Caller> {
    let token = token.replacen("svk_", "svk.", 1);
    let mut parts = token.split('.');
    let (kind, tenant, id) = (parts.next()?, parts.next()?, parts.next()?.to_owned());
    let tenant = TenantId::new(tenant).ok()?;
    let held = parts.next().unwrap_or_default().split('+').map(str::to_owned);
    let held: Vec<_> = held.filter(|name| !name.is_empty()).collect();
    let session_id = format!("session-{id}");
    Some(match kind {
        "v" => Caller::Viewer(Viewer {
            tenant,
            user_id: id,
            session_id,
            profile_id: None,
            tier: None,
            authenticated_at_ms: 0,
        }),
        "s" => Caller::Staff(StaffIdentity {
            tenant,
            staff_id: id,
            session_id,
            permissions: held,
            authenticated_at_ms: 0,
        }),
        "svk" => Caller::Machine(MachineIdentity { tenant, key_id: id, scopes: held }),
        _ => return None,
    })
}

/// What the gateway would know of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signed {
    pub tenant: String,
    pub token: Option<String>,
}

impl Signed {
    pub fn nobody(tenant: &str) -> Self {
        Self { tenant: tenant.to_owned(), token: None }
    }

    pub fn viewer(tenant: &str, user: &str) -> Self {
        let token = Some(format!("v.{tenant}.{user}"));
        Self { tenant: tenant.to_owned(), token }
    }
}

/// Puts into a request what the gateway would, and the token.
///
/// # Panics
/// When tenant or token can't be written, which is a fault of the test.
pub fn signed<B>(mut request: Request<B>, who: &Signed) -> Request<B> {
    let tenant = Tenant(TenantId::new(&who.tenant).expect("a plain word"));
    if let Some(token) = &who.token {
        let value = HeaderValue::from_str(&format!("Bearer {token}")).expect("plain ASCII");
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    let extensions = request.extensions_mut();
    extensions.insert(tenant);
    extensions.insert(RequestId::random());
    extensions.insert::<Arc<dyn Authenticator>>(Arc::new(Callers));
    extensions.insert(Arc::new(CursorKeys::new(&[7; 32], &[])));
    request
}
