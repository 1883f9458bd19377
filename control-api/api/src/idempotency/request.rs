//! What a request says about itself.

use axum::extract::{FromRequest, MatchedPath, OriginalUri, Request};
use axum::http::request::Parts;
use http::HeaderMap;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{Claim, fingerprint};
use crate::caller::{identify, missing};
use crate::input::read_json;
use crate::{ApiError, Json};

/// Longest key.
const KEY_BYTES_MAX: usize = 255;
const HEADER: &str = "idempotency-key";

/// A key that a client chose: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// # Errors
    /// 400 when the header is missing, is there twice, or holds anything else.
    pub fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(value) = values.next() else {
            let detail = "Send `Idempotency-Key` with a fresh value, say a UUID.";
            return Err(ApiError::bad_request("idempotency_key_missing", detail));
        };
        // The draft writes a string of structured fields (RFC 9651), quotes and all; most clients
        // send the bare value. Both are one key.
        let text = value.to_str().unwrap_or_default();
        let text = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        let is_key = (1..=KEY_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_key && values.next().is_none() {
            return Ok(Self(text.to_owned()));
        }
        let detail = "Send `Idempotency-Key` once, with 1 to 255 visible ASCII characters.";
        Err(ApiError::bad_request("idempotency_key_invalid", detail))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// For `params(IdempotencyParams)` of an operation's documentation.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "a description; `Idempotent` is what handlers take")]
pub struct IdempotencyParams {
    /// A fresh value for each effect; the same one when a request is sent again.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    idempotency_key: String,
}

/// A JSON body with the claim to its effect. `Idempotent<()>` is for requests without a body.
#[derive(Clone, Debug)]
pub struct Idempotent<T> {
    pub body: T,
    pub claim: Claim,
}

impl<S: Send + Sync, T: DeserializeOwned + ToSchema + 'static> FromRequest<S> for Idempotent<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        // Who asks comes before what they ask for.
        let caller = identify(&mut parts, "api").await?.ok_or_else(|| missing("api"))?;
        let key = IdempotencyKey::of(&parts.headers)?;
        let (method, route) = (parts.method.to_string(), route(&parts));
        let (path, query) = target(&parts);
        let is_bodiless = std::any::TypeId::of::<T>() == std::any::TypeId::of::<()>();
        let value = if is_bodiless {
            Value::Null
        } else {
            let request = Request::from_parts(parts, body);
            Json::<Value>::from_request(request, state).await?.0
        };
        let print = fingerprint(&method, &path, &query, &value);
        let body = read_json(&serde_json::to_vec(&value).expect("a value is JSON"))?;
        let claim = Claim::new(caller.principal(), method, route, key, print);
        Ok(Self { body, claim })
    }
}

/// The pattern that was matched, so that one key can't be spent on two things of one kind.
fn route(parts: &Parts) -> String {
    let matched = parts.extensions.get::<MatchedPath>();
    matched.map_or_else(|| parts.uri.path(), MatchedPath::as_str).to_owned()
}

fn target(parts: &Parts) -> (String, String) {
    let original = parts.extensions.get::<OriginalUri>();
    let uri = original.map_or(&parts.uri, |uri| &uri.0);
    (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned())
}
