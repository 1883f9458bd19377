//! Errors on the wire: `application/problem+json` (RFC 9457).
//!
//! ```json
//! {"type":"/problems/email_taken","title":"Conflict","status":409,"detail":"…",
//!  "instance":"/v1/auth/register","code":"email_taken","request_id":"0198…","trace_id":"4bf9…"}
//! ```
//!
//! `type` is a path of this server, where [`Registry::page`] explains the code; clients compare
//! `code`. A handler's answer knows neither its path nor its request id: [`finish`], a layer in
//! front of the router, writes them in, in the caller's language, logs the cause, and turns refusals
//! that no handler wrote (404 and 405 of the router, 413 of a limit) into problems as well.

mod finish;
mod registry;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Challenge;
use crate::{ApiError, FieldError};

pub use finish::{Style, finish};
pub use registry::{CODES, CodeEntry, FIELD_CODES, FieldCode, Registry};

/// The media type of problems.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// What every refused request is answered with.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem<'a> {
    /// Where the code is explained: `/problems/{code}`.
    #[serde(rename = "type")]
    #[schema(example = "/problems/not_found")]
    pub kind: String,
    /// The code in a few words, in the language that was asked for.
    pub title: &'a str,
    pub status: u16,
    /// What happened this time.
    pub detail: &'a str,
    /// The path that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<&'a str>,
    /// A stable word for programs to compare.
    #[schema(example = "not_found")]
    pub code: &'a str,
    /// Name this when you ask for help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<&'a str>,
    /// Of `traceparent`, when there is a trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<&'a str>,
    /// What is wrong with which value.
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    #[schema(value_type = Vec<FieldError>)]
    pub errors: &'a [FieldError],
}

/// The error behind a response, for [`finish`].
#[derive(Clone, Debug)]
struct Behind(Arc<ApiError>);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let title = self.status().canonical_reason().unwrap_or("Error");
        let body = body_of(&self, title, &Known::default());
        let mut response = respond(self.status(), body);
        write_headers(&self, response.headers_mut());
        response.extensions_mut().insert(Behind(Arc::new(self)));
        response
    }
}

/// What only the front of the request knows.
#[derive(Debug, Default)]
struct Known<'a> {
    instance: Option<&'a str>,
    request_id: Option<&'a str>,
    trace_id: Option<&'a str>,
}

fn body_of(error: &ApiError, title: &str, known: &Known<'_>) -> Bytes {
    let problem = Problem {
        kind: format!("/problems/{}", error.code()),
        title,
        status: error.status().as_u16(),
        detail: error.detail(),
        instance: known.instance,
        code: error.code(),
        request_id: known.request_id,
        trace_id: known.trace_id,
        errors: error.fields(),
    };
    serde_json::to_vec(&problem).expect("strings and numbers make JSON").into()
}

fn respond(status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn write_headers(error: &ApiError, headers: &mut HeaderMap) {
    if let Some(seconds) = error.retry_after_seconds() {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    if let Some(value) = error.challenge_of().and_then(challenge_value) {
        headers.insert(header::WWW_AUTHENTICATE, value);
    }
    if error.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        // RFC 9110 15.5.16: says which types would do.
        headers.insert(
            HeaderName::from_static("accept-post"),
            HeaderValue::from_static("application/json"),
        );
    }
}

/// RFC 6750 3: `Bearer realm="…", error="…", scope="…"`. All three are words of ours.
fn challenge_value(challenge: Challenge) -> Option<HeaderValue> {
    let mut text = format!("Bearer realm=\"{}\"", challenge.realm);
    for (name, value) in [("error", challenge.error), ("scope", challenge.scope)] {
        if let Some(value) = value {
            text.push_str(&format!(", {name}=\"{value}\""));
        }
    }
    HeaderValue::from_str(&text).ok()
}
