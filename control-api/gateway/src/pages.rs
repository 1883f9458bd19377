//! Pages for people, which the process brings: files by path, outside `/v1`.
//!
//! They are public and the same for everybody; what is somebody's own, a page asks the API for.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};

use crate::system::MayBeKept;

/// A page runs its own scripts alone and asks nobody but this host; `data:` is for pictures that the
/// API draws.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";
const A_YEAR: &str = "public, max-age=31536000, immutable";

/// A file that is served as it is.
#[derive(Clone, Copy, Debug)]
pub struct PageFile {
    /// Where it is served: `/` or `/page/x.js`, without parameters.
    pub path: &'static str,
    pub media_type: &'static str,
    /// Whether the path changes with the content; what isn't so is asked for every time.
    pub is_immutable: bool,
    pub bytes: &'static [u8],
}

/// GET and HEAD of each file; axum answers 405 to the rest.
pub(crate) fn routes(files: &[PageFile]) -> Router {
    files.iter().fold(Router::new(), |router, &file| {
        router.route(file.path, get(move || std::future::ready(answer(file))))
    })
}

fn answer(file: PageFile) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(file.media_type)),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ];
    let mut response = (headers, Bytes::from_static(file.bytes)).into_response();
    if file.is_immutable {
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(A_YEAR));
        response.extensions_mut().insert(MayBeKept);
    }
    response
}
