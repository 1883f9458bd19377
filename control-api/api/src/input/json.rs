//! JSON bodies, in and out.

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::{check_shape, field_error, pointer};
use crate::{ApiError, FieldError, Fields};

/// Longest body of an operation; uploads of media go elsewhere.
pub const BODY_BYTES_MAX: usize = 256 * 1024;

/// A documented JSON body: as an argument the request's, as a result the answer's.
///
/// The type's schema is part of the OpenAPI document. Fields that the type doesn't know are refused,
/// so that a misspelt one is not silently without effect.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + ToSchema> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            let detail = "Send the body as `Content-Type: application/json`.";
            return Err(ApiError::unsupported_media_type("unsupported_media_type", detail));
        }
        let body = to_bytes(request.into_body(), BODY_BYTES_MAX).await.map_err(|error| {
            let is_too_long = std::error::Error::source(&error)
                .is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>());
            if is_too_long {
                let detail = format!("The body is longer than {BODY_BYTES_MAX} bytes.");
                ApiError::too_large("body_too_large", detail)
            } else {
                ApiError::bad_request("bad_request", "The body broke off.").because(error)
            }
        })?;
        read_json(&body).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => {
                let json = HeaderValue::from_static("application/json");
                (StatusCode::OK, [(header::CONTENT_TYPE, json)], body).into_response()
            }
            Err(error) => ApiError::internal("internal", error).into_response(),
        }
    }
}

/// `application/json` or a type that is JSON by its suffix; a charset, if any, is UTF-8
/// (RFC 8259 8.1).
fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let Ok(text) = value.to_str() else { return false };
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let is_json = essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"));
    is_json
        && parts.all(|parameter| {
            let parameter = parameter.to_ascii_lowercase();
            match parameter.split_once('=') {
                Some(("charset", charset)) => charset.trim_matches('"') == "utf-8",
                _ => true,
            }
        })
}

/// A body as a type: pure, so that it can be fuzzed.
///
/// # Errors
/// 400 `malformed_json` for what is no JSON of bounded shape, 422 `validation_failed` with pointers
/// for what is not the type's.
pub fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    check_shape(body).map_err(|error| {
        ApiError::bad_request("malformed_json", format!("The body is not acceptable: {error}."))
    })?;
    let mut unknown = Fields::default();
    let mut track = serde_path_to_error::Track::new();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let tracked = serde_path_to_error::Deserializer::new(&mut deserializer, &mut track);
    let read = serde_ignored::deserialize(tracked, |path| {
        let pointer = ignored_pointer(&path);
        unknown.add(FieldError::new(pointer, "unknown_field", "There is no such field."));
    });
    match read {
        Ok(value) => unknown.finish().map(|()| value),
        Err(error) => {
            let field = field_error(pointer(&track.path()), &error.to_string());
            unknown.add(field);
            unknown.finish()?;
            Err(ApiError::internal("internal", error))
        }
    }
}

fn ignored_pointer(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path;
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}/{index}", ignored_pointer(parent)),
        Path::Map { parent, key } => {
            let key = key.replace('~', "~0").replace('/', "~1");
            format!("{}/{key}", ignored_pointer(parent))
        }
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => ignored_pointer(parent),
    }
}
