//! Query parameters.

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::field_error;
use crate::{ApiError, FieldError};

/// Most parameters of a query.
const PARAMETERS_MAX: usize = 64;
/// Read by [`Page`](crate::Page).
pub(crate) const PAGE_PARAMETERS: [&str; 2] = ["limit", "cursor"];

/// Parameters as a type with named fields. The type should refuse unknown fields
/// (`#[serde(deny_unknown_fields)]`); no parameter may come twice.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Query<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        read_query(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// A query as a type, without the parameters of paging.
///
/// # Errors
/// 422 `validation_failed` with `query/NAME`.
pub fn read_query<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    let mut filters = form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs(query)? {
        if !PAGE_PARAMETERS.contains(&name.as_str()) {
            filters.append_pair(&name, &value);
        }
    }
    let filters = filters.finish();
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(filters.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let path = super::pointer(error.path());
        let message = error.inner().to_string();
        let named = if path.is_empty() && message.starts_with("unknown field") {
            format!("/{}", message.split('`').nth(1).unwrap_or_default())
        } else {
            path
        };
        let field = field_error(format!("query{named}"), &message);
        ApiError::validation(vec![field])
    })
}

/// The decoded parameters, each once.
pub(crate) fn pairs(query: &str) -> Result<Vec<(String, String)>, ApiError> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let refuse = |code: &'static str, detail: &'static str| {
            let shown: String = name.chars().take(40).collect();
            Err(ApiError::validation(vec![FieldError::new(format!("query/{shown}"), code, detail)]))
        };
        if pairs.len() == PARAMETERS_MAX {
            return refuse("too_long", "There are too many parameters.");
        }
        if pairs.iter().any(|(earlier, _)| *earlier == name) {
            return refuse("duplicate_field", "The parameter is there twice.");
        }
        if value.contains('\u{fffd}') || value.contains('\0') {
            return refuse("invalid_characters", "The value is no UTF-8 text.");
        }
        pairs.push((name.into_owned(), value.into_owned()));
    }
    Ok(pairs)
}
