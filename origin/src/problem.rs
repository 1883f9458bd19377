//! Errors as `application/problem+json` (RFC 9457).

use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use serde_json::json;

use crate::OriginError;
use crate::body::MediaBody;

/// The answer to a request that failed. Errors are never stored; a 404 of media may be kept for a
/// second, which takes the edge off a player that asks too early.
pub fn problem(error: &OriginError) -> Response<MediaBody> {
    let (status, code) = error.status();
    let detail = match status {
        // The cause names files and devices: it is logged, and the client learns the code.
        StatusCode::INTERNAL_SERVER_ERROR => "the request failed on our side".to_owned(),
        _ if code == "storage_unavailable" => "the title's files can't be read now".to_owned(),
        _ => error.to_string(),
    };
    let mut response = problem_with(status, code, &detail);
    if status == StatusCode::NOT_FOUND && !matches!(error, OriginError::UnknownRevision) {
        let value = HeaderValue::from_static("public, max-age=1");
        response.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    response
}

/// A problem document of any status.
pub fn problem_with(status: StatusCode, code: &str, detail: &str) -> Response<MediaBody> {
    let document = json!({
        "type": format!("urn:streamverse:problem:{code}"),
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "code": code,
        "detail": detail,
    });
    let mut response = Response::new(MediaBody::whole(document.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
