//! Routes of the gateway's own: health, the document, keys.

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};

use crate::docs;
use crate::readiness::{Readiness, State};

/// Gives the public keys of tokens, as a JSON Web Key Set (RFC 7517 5).
pub(crate) type KeySet = Arc<dyn Fn() -> serde_json::Value + Send + Sync>;

pub(crate) const JWKS_PATH: &str = "/.well-known/jwks.json";
pub(crate) const DOCUMENT_PATH: &str = "/v1/openapi.json";

/// The paths of [`routes`], for metrics.
pub(crate) const PATHS: [&str; 5] =
    [JWKS_PATH, DOCUMENT_PATH, "/docs", "/docs/page.js", "/docs/page.css"];

/// An answer that may be kept as its own `Cache-Control` says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MayBeKept;

/// `/health` and `/ready`, on every listener.
pub(crate) fn health(readiness: &Readiness, path: &str) -> Option<Response> {
    let (status, text) = match (path, readiness.get()) {
        ("/health", _) => (StatusCode::OK, "ok\n"),
        ("/ready", State::Ready) => (StatusCode::OK, "ready\n"),
        ("/ready", State::Draining) => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        ("/ready", State::Starting) => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        _ => return None,
    };
    let no_store = [(CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Some((status, no_store, text).into_response())
}

/// `document`: the description of all routes, where it is to be seen.
pub(crate) fn routes(document: Option<String>, keys: Option<KeySet>) -> Router {
    let mut router = Router::new();
    if let Some(document) = document {
        let document = bytes::Bytes::from(document);
        let json = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        router = router
            .route(DOCUMENT_PATH, get(move || std::future::ready((json.clone(), document.clone()))))
            .merge(docs::routes());
    }
    if let Some(keys) = keys {
        router = router.route(JWKS_PATH, get(move || std::future::ready(key_set(&keys))));
    }
    router
}

/// Whoever checks tokens asks again when it meets a key that it does not know.
fn key_set(keys: &KeySet) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json")),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
    ];
    let mut response = (headers, keys().to_string()).into_response();
    response.extensions_mut().insert(MayBeKept);
    response
}
