//! What every answer says, whoever made it.

use axum::response::Response;
use http::header::{self, HeaderName, HeaderValue};

use super::cors;
use crate::exchange::Exchange;
use crate::layer::rates::Quota;
use crate::refusal::Dialect;
use crate::system::MayBeKept;

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// Two years.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// Of every answer (OWASP, "REST Security Cheat Sheet").
const SECURITY: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];
/// Where the answer has no policy of its own: it is no page.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

pub(crate) fn finish(exchange: &Exchange, response: &mut Response) {
    let may_be_kept = response.extensions().get::<MayBeKept>().is_some();
    let quota = response.extensions_mut().remove::<Quota>();
    let headers = response.headers_mut();
    if let Some(quota) = quota {
        quota.tell(headers);
    }
    if exchange.dialect == Dialect::Grpc {
        return;
    }
    if !may_be_kept {
        headers.insert(header::CACHE_CONTROL, NO_STORE);
    }
    for (name, value) in SECURITY {
        headers.insert(name, value);
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(POLICY);
    if exchange.is_encrypted {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    cors::open(exchange, headers);
}
