//! REST: from requests to use cases and back. No rule lives here.

mod auth;
mod device;
mod me;
mod mfa;
mod profiles;

use api::{ClientAddress, RequestId};
use axum::extract::FromRequestParts;
use http::header::USER_AGENT;
use http::request::Parts;
use utoipa_axum::router::OpenApiRouter;

use crate::accounts::{Accounts, Client};

pub(crate) use auth::{read_device, read_registration};

/// All routes of the domain.
pub fn routes(accounts: Accounts) -> OpenApiRouter {
    OpenApiRouter::new()
        .merge(auth::routes())
        .merge(device::routes())
        .merge(me::routes())
        .merge(mfa::routes())
        .merge(profiles::routes())
        .with_state(accounts)
}

/// Routes that try a secret: the strict rates hold.
pub const LOGIN_ROUTES: &[(&str, &str)] = &[
    ("/v1/auth/register", "email"),
    ("/v1/auth/login", "email"),
    ("/v1/auth/verify", "email"),
    ("/v1/auth/verify/resend", "email"),
    ("/v1/auth/password/forgot", "email"),
    ("/v1/auth/password/reset", "token"),
    ("/v1/auth/mfa/verify", "mfa_token"),
];

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let address = parts.extensions.get::<ClientAddress>().and_then(|client| client.0);
        let request_id = parts.extensions.get::<RequestId>();
        let user_agent = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
        Ok(Self {
            address,
            user_agent: user_agent.unwrap_or_default().to_owned(),
            request_id: request_id.map(|id| id.as_str().to_owned()).unwrap_or_default(),
        })
    }
}

/// Documents refusals: `Name` stands for these statuses, each a problem.
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident: $($status:literal $about:literal),* ;)*) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<
                String,
                utoipa::openapi::RefOr<utoipa::openapi::response::Response>,
            > {
                std::collections::BTreeMap::from([$(
                    ($status.to_string(), $crate::routes::problem($about)),
                )*])
            }
        }
    )*};
}

refusals! {
    /// Operations that anybody may ask for.
    Open: 400 "The body can't be read.", 413 "The body is too long.",
        415 "The body is no JSON.", 422 "A value is not acceptable.",
        429 "Too many requests or attempts.", 500 "Our fault.", 503 "Not now.";
    /// Operations of somebody who is signed in, with a body.
    Signed: 400 "The body can't be read.", 401 "Not signed in.", 403 "Not allowed.",
        413 "The body is too long.", 415 "The body is no JSON.",
        422 "A value is not acceptable.", 429 "Too many requests or attempts.",
        500 "Our fault.", 503 "Not now.";
    /// Operations of somebody who is signed in, without a body.
    SignedBare: 401 "Not signed in.", 403 "Not allowed.", 422 "A value is not acceptable.",
        429 "Too many requests.", 500 "Our fault.", 503 "Not now.";
}

pub(crate) fn problem(about: &str) -> utoipa::openapi::RefOr<utoipa::openapi::response::Response> {
    use utoipa::openapi::{Content, Ref, RefOr, ResponseBuilder};
    let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
    let content = Content::new(Some(schema));
    RefOr::T(
        ResponseBuilder::new()
            .description(about)
            .content(api::problem::CONTENT_TYPE, content)
            .build(),
    )
}
