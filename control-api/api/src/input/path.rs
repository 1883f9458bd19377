//! Parts of the path.

use axum::extract::FromRequestParts;
use axum::extract::rejection::PathRejection;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::ApiError;

/// The `{…}` of a route as a type. A part that the type refuses names nothing that exists, so it is
/// answered as such: 404 `not_found`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection @ PathRejection::MissingPathParams(_)) => {
                Err(ApiError::internal("internal", rejection))
            }
            Err(rejection) => {
                let detail = "There is nothing with this identifier.";
                Err(ApiError::not_found("not_found", detail).because(rejection))
            }
        }
    }
}
