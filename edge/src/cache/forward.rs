//! What goes to the origin.

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request};

use super::key::CacheKey;
use super::policy::strip_connection;

/// Put into an answer's extensions by an origin in the same process whose bytes lie on a disk of
/// this machine already: the object is kept in memory only.
#[derive(Clone, Copy, Debug)]
pub struct KeepOffDisk;

/// Longer values are left out: an upstream may refuse the request for them, and one viewer's refusal
/// would be the answer to all who wait for the fill.
const VALUE_BYTES_MAX: usize = 1_024;

/// The request that fills an object: whole, unconditional, and without anything that is neither
/// part of the key nor named in the settings.
pub(super) fn fill_request(
    key: &CacheKey,
    method: Method,
    viewer: &HeaderMap,
    forwarded: &[HeaderName],
) -> Request<()> {
    let mut request = bare(key, method);
    for name in forwarded {
        for value in viewer.get_all(name).iter().filter(|value| value.len() <= VALUE_BYTES_MAX) {
            request.headers_mut().append(name, value.clone());
        }
    }
    request
}

/// A request that the cache has no part in: everything but what belongs to the connection.
pub(super) fn passed_request(
    key: &CacheKey,
    target: &str,
    method: Method,
    viewer: &HeaderMap,
) -> Request<()> {
    let mut request = bare(key, method);
    if let Ok(uri) = target.parse() {
        *request.uri_mut() = uri;
    }
    let mut headers = viewer.clone();
    strip_connection(&mut headers);
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::HOST);
    for (name, value) in &headers {
        request.headers_mut().append(name, value.clone());
    }
    request
}

fn bare(key: &CacheKey, method: Method) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = method;
    // A canonical target is one; were it none, "/" asks for nothing that isn't public.
    *request.uri_mut() = key.target().parse().unwrap_or_default();
    if let Ok(host) = HeaderValue::from_str(key.host()) {
        request.headers_mut().insert(header::HOST, host);
    }
    request
}
