//! From headers and metadata to a caller.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{Extensions, HeaderMap, header};

use super::{
    API_KEY_PREFIX, AuthError, AuthFailure, Authenticator, CREDENTIALS_BYTES_MAX, Caller,
    Challenge, Credentials, Identified, challenge,
};
use crate::{ApiError, Tenant, context};

/// What `Authorization` offers.
///
/// # Errors
/// 401 `credentials_malformed` for another scheme, for two headers (a proxy may have read the other
/// one), and for what can't be a token (RFC 6750 2.1: `b64token`).
pub fn credentials(headers: &HeaderMap) -> Result<Option<Credentials<'_>>, ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(malformed("Send one `Authorization` header."));
    }
    let text = value.to_str().map_err(|_| malformed("`Authorization` is not plain ASCII."))?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(malformed("Credentials are sent as `Authorization: Bearer TOKEN`."));
    }
    let token = token.trim_matches(' ');
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() || CREDENTIALS_BYTES_MAX < token.len() || !token.bytes().all(is_token) {
        return Err(malformed("What follows `Bearer` is no token."));
    }
    let is_key = token.starts_with(API_KEY_PREFIX);
    Ok(Some(if is_key { Credentials::ApiKey(token) } else { Credentials::Bearer(token) }))
}

/// Who asks, if anybody says who they are. Asked once per request; the answer stays in the
/// extensions, of `axum` requests as of tonic's.
///
/// # Errors
/// 401 when there are credentials and they are not good; see [`super`] for the codes.
pub async fn identify(parts: &mut Parts, realm: &'static str) -> Result<Option<Caller>, ApiError> {
    let found = match parts.extensions.get::<Identified>() {
        Some(found) => found.clone(),
        None => {
            let offered = credentials(&parts.headers).map_err(|error| in_realm(error, realm))?;
            let found = look_up(&parts.extensions, offered).await?;
            parts.extensions.insert(found.clone());
            found
        }
    };
    found.told(realm)
}

/// As [`identify`], where extensions can't be written to.
pub(crate) async fn identify_metadata(
    headers: &HeaderMap,
    extensions: &Extensions,
    realm: &'static str,
) -> Result<Option<Caller>, ApiError> {
    let found = match extensions.get::<Identified>() {
        Some(found) => found.clone(),
        None => {
            let offered = credentials(headers).map_err(|error| in_realm(error, realm))?;
            look_up(extensions, offered).await?
        }
    };
    found.told(realm)
}

async fn look_up(
    extensions: &Extensions,
    offered: Option<Credentials<'_>>,
) -> Result<Identified, ApiError> {
    let Some(offered) = offered else {
        return Ok(Identified(Arc::new(Ok(None))));
    };
    let tenant = context::of::<Tenant>(extensions)?;
    let authenticator = context::of::<Arc<dyn Authenticator>>(extensions)?;
    let found = match authenticator.authenticate(tenant, offered).await {
        // Whatever the authenticator thinks: outside its tenant a caller is nobody.
        Ok(caller) if caller.tenant() != tenant.id() => Err(AuthFailure(AuthError::Invalid)),
        Ok(caller) => Ok(Some(caller)),
        Err(error) => Err(AuthFailure(error)),
    };
    Ok(Identified(Arc::new(found)))
}

impl Identified {
    fn told(&self, realm: &'static str) -> Result<Option<Caller>, ApiError> {
        match self.0.as_ref() {
            Ok(caller) => Ok(caller.clone()),
            Err(failure) => Err(in_realm(failure.to_error(), realm)),
        }
    }
}

fn in_realm(error: ApiError, realm: &'static str) -> ApiError {
    match error.challenge_of() {
        Some(challenge) => error.challenge(Challenge { realm, ..challenge }),
        None => error,
    }
}

fn malformed(detail: &'static str) -> ApiError {
    let challenge = challenge(Some("invalid_token"));
    ApiError::unauthorized("credentials_malformed", detail).challenge(challenge)
}

pub(crate) fn missing(realm: &'static str) -> ApiError {
    let detail = "Send credentials as `Authorization: Bearer TOKEN`.";
    let challenge = Challenge { realm, ..challenge(None) };
    ApiError::unauthorized("credentials_missing", detail).challenge(challenge)
}

pub(crate) fn wrong_realm(realm: &'static str) -> ApiError {
    let detail = format!("These credentials are good elsewhere; this takes those of `{realm}`.");
    let challenge = Challenge { realm, ..challenge(Some("invalid_token")) };
    ApiError::unauthorized("wrong_realm", detail).challenge(challenge)
}

/// Any signed-in caller, for operations that several kinds may use.
impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        identify(parts, "api").await?.ok_or_else(|| missing("api"))
    }
}
