//! `/docs`: a page to read and try the API. It is ours and whole: no other host is asked.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::HeaderValue;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use platform::config::Control;
use utoipa::openapi::{Info, OpenApi, Paths, Server};

/// Scripts and styles come from here alone, and what the page asks goes nowhere else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The document before any domain is in it.
pub(crate) fn base(control: &Control) -> OpenApi {
    let info = Info::new("StreamVerse control API", env!("CARGO_PKG_VERSION"));
    let mut document = OpenApi::new(info, Paths::new());
    document.servers = control.public_url.as_ref().map(|url| vec![Server::new(url)]);
    document
}

pub(crate) fn routes() -> Router {
    let file = |media_type, text| get(move || std::future::ready(file(media_type, text)));
    Router::new()
        .route("/docs", file("text/html; charset=utf-8", include_str!("page.html")))
        .route("/docs/page.js", file("text/javascript; charset=utf-8", include_str!("page.js")))
        .route("/docs/page.css", file("text/css; charset=utf-8", include_str!("page.css")))
}

fn file(media_type: &'static str, text: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ];
    (headers, text).into_response()
}
