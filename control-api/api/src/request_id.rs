//! The name of a request, in its answer and in every line that it causes.

use std::fmt;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::{ApiError, context};

/// Longest id that is taken from a caller.
const LENGTH_MAX_BYTES: usize = 64;

/// `X-Request-Id`: letters, digits, `-`, `_` and `.`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// A new one, ordered by time (UUIDv7).
    pub fn random() -> Self {
        Self(uuid::Uuid::now_v7().to_string().into())
    }

    /// The id that a caller chose, when it can stand in a header and a log line as it is.
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let is_id =
            !text.is_empty() && text.len() <= LENGTH_MAX_BYTES && text.bytes().all(is_plain);
        is_id.then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        context::of::<Self>(&parts.extensions).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::RequestId;

    #[test]
    fn ids_of_callers_are_plain() {
        for good in ["a", "0198f0a2-1c3d", "A_b.c", &"x".repeat(64)] {
            assert!(RequestId::parse(good).is_some(), "{good}");
        }
        for bad in ["", "a b", "a\nb", "é", "a\"", &"x".repeat(65)] {
            assert!(RequestId::parse(bad).is_none(), "{bad}");
        }
    }
}
