//! `Idempotency-Key`: a request that is sent twice takes effect once.
//!
//! After draft-ietf-httpapi-idempotency-key-header-07, which has expired without becoming an RFC.
//! A record under (tenant, principal, method, route, key) holds a fingerprint of the request and the
//! answer, for 24 hours. It is written in the transaction of the effect: either both are there or
//! neither is, whatever crashes when.
//!
//! ```ignore
//! async fn buy(Idempotent { body, claim }: Idempotent<Order>, …) -> api::Result<Recorded> {
//!     db.tenant(&tenant).tx((claim, body), move |tx, (claim, body)| Box::pin(async move {
//!         if let Claimed::Earlier(answer) = claim.claim(tx, now_ms).await? {
//!             return Ok(answer);
//!         }
//!         let order = store::insert(tx, body, now_ms).await?;
//!         claim.complete(tx, now_ms, Recorded::json(StatusCode::CREATED, &order)?).await
//!     })).await
//! }
//! ```
//!
//! Work that asks others between two transactions claims in the first and completes in the second.
//! Meanwhile the same key is answered 409 `idempotency_in_progress`; after [`LEASE_MS`] the same
//! request may take the work over, so it must be able to go on where it stood.
//!
//! An error is not recorded: its transaction is rolled back, record and all, and the same key may
//! try again. Routes that issue credentials never take part, for their answers must not be stored.

mod fingerprint;
mod request;
mod store;
#[cfg(test)]
mod tests;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::ApiError;

pub use fingerprint::{Fingerprint, fingerprint};
pub use request::{IdempotencyKey, IdempotencyParams, Idempotent};
pub use store::{Claim, Claimed, SCHEMA, forget, sweep};

/// How long an answer is kept.
pub const KEPT_MS: i64 = 24 * 60 * 60 * 1000;
/// How long work counts as under way.
pub const LEASE_MS: i64 = 60 * 1000;
/// Longest answer that is kept.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// Most headers of an answer that are kept.
const HEADERS_MAX: usize = 16;

/// An answer that can be given again: what [`Claim::complete`] keeps and [`Claim::claim`] finds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recorded {
    status: StatusCode,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    is_earlier: bool,
}

impl Recorded {
    /// # Errors
    /// 500 when the value is no JSON, or is longer than what is kept.
    pub fn json(status: StatusCode, value: &impl Serialize) -> Result<Self, ApiError> {
        let body =
            serde_json::to_vec(value).map_err(|error| ApiError::internal("internal", error))?;
        if BODY_BYTES_MAX < body.len() {
            let reason = format!("an answer of {} bytes can't be kept", body.len());
            return Err(ApiError::internal("internal", reason));
        }
        let headers = vec![(header::CONTENT_TYPE.to_string(), "application/json".to_owned())];
        Ok(Self { status, headers, body, is_earlier: false })
    }

    /// An answer without a body.
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), is_earlier: false }
    }

    /// Adds `Location`, `ETag` and the like.
    #[must_use]
    pub fn header(mut self, name: &HeaderName, value: impl Into<String>) -> Self {
        if self.headers.len() < HEADERS_MAX {
            self.headers.push((name.to_string(), value.into()));
        }
        self
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Whether it was given before.
    pub fn is_earlier(&self) -> bool {
        self.is_earlier
    }
}

impl IntoResponse for Recorded {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
                response.headers_mut().insert(name, value);
            }
        }
        if self.is_earlier {
            let name = HeaderName::from_static("idempotency-replayed");
            response.headers_mut().insert(name, HeaderValue::from_static("true"));
        }
        response
    }
}
