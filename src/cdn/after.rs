//! What a token does to the answer: it is handed its successor, kept from shared caches, and carried
//! on into what a manifest leads to.

use edge::carry::Carrying;
use edge::cdn::Renewal;
use edge::target::Target;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode};

use super::{CarriedBody, Verified};
use crate::backend::AnswerBody;

/// The index of thumbnails, which leads to sprites. Other WebVTT leads nowhere.
const THUMBNAILS: &str = "/thumbnails.vtt";
/// Directives of `Cache-Control` that speak to shared caches.
const SHARED_DIRECTIVES: [&str; 3] = ["public", "s-maxage", "proxy-revalidate"];
/// Targeted fields (RFC 9213) speak to shared caches alone.
const TARGETED: [HeaderName; 2] =
    [HeaderName::from_static("cdn-cache-control"), HeaderName::from_static("surrogate-control")];

/// What is to be done with the answer to a request that was let in. Most need nothing.
#[derive(Debug, Default)]
pub struct Afterwards {
    /// The renewed token, as a header.
    renewed: Option<(HeaderName, HeaderValue)>,
    /// The token's parameters, for each URI of a manifest.
    carried: Option<String>,
}

impl Afterwards {
    /// What a verified token asks for, of the answer for `target`.
    pub fn of(verified: &Verified, target: &Target) -> Self {
        let renewed = match &verified.grant.renewal {
            Some(Renewal::Cookie(line)) => pair(header::SET_COOKIE.as_str(), line),
            Some(Renewal::Header { name, value }) => pair(name, value),
            Some(Renewal::Target(_)) | None => None,
        };
        // RFC 9246 3.2: in the query a new token reaches the player by the manifest that it asks for.
        let carried = verified.renewed_query.as_ref().or(verified.token_query.as_ref());
        let leads_on = target.is_manifest() || target.path().ends_with(THUMBNAILS);
        let carried = carried.filter(|_| leads_on).cloned();
        Self { renewed, carried }
    }

    /// Takes off what asks for a part of an answer, or for none, where the answer will be another
    /// text than the one that is stored.
    pub fn prepare(&self, request: &mut Request<()>) {
        if self.carried.is_none() {
            return;
        }
        let conditions = [
            header::RANGE,
            header::IF_RANGE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            header::IF_MODIFIED_SINCE,
            header::IF_UNMODIFIED_SINCE,
        ];
        for name in conditions {
            request.headers_mut().remove(name);
        }
    }

    pub fn apply(self, response: Response<AnswerBody>) -> Response<AnswerBody> {
        let mut response = response;
        if let Some(query) = self.carried {
            response = carry(response, &query);
        }
        let is_good = response.status().is_success() || response.status().is_redirection();
        if let Some((name, value)) = self.renewed.filter(|_| is_good) {
            let headers = response.headers_mut();
            make_private(headers);
            if name != header::SET_COOKIE {
                expose(headers, &name);
            }
            headers.append(name, value);
        }
        response
    }
}

/// Both come out of a signed token; one that can't be a header is none.
fn pair(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

/// A manifest whose URIs have the token. It is this viewer's alone.
fn carry(response: Response<AnswerBody>, query: &str) -> Response<AnswerBody> {
    let headers = response.headers();
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let carrying = media_type.and_then(|media_type| Carrying::of_media_type(media_type, query));
    let is_plain = !headers.contains_key(header::CONTENT_ENCODING);
    let Some(carrying) = carrying.filter(|_| response.status() == StatusCode::OK && is_plain)
    else {
        return response;
    };
    let (mut parts, body) = response.into_parts();
    for name in [
        header::CONTENT_LENGTH,
        header::ETAG,
        header::LAST_MODIFIED,
        header::ACCEPT_RANGES,
        HeaderName::from_static("cache-tag"),
    ] {
        parts.headers.remove(name);
    }
    for name in TARGETED {
        parts.headers.remove(name);
    }
    let private = HeaderValue::from_static("private, no-store");
    parts.headers.insert(header::CACHE_CONTROL, private);
    Response::from_parts(parts, AnswerBody::Carried(Box::new(CarriedBody::new(body, carrying))))
}

/// Keeps an answer that hands out a token from shared caches, which would hand it to everyone.
fn make_private(headers: &mut HeaderMap) {
    let said = headers.get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok());
    let mut directives = vec!["private"];
    for directive in said.unwrap_or_default().split(',').map(str::trim) {
        let name = directive.split('=').next().unwrap_or_default();
        let is_shared = SHARED_DIRECTIVES.iter().any(|known| name.eq_ignore_ascii_case(known));
        if !directive.is_empty() && !is_shared && !name.eq_ignore_ascii_case("private") {
            directives.push(directive);
        }
    }
    let value = HeaderValue::from_str(&directives.join(", "));
    headers.insert(
        header::CACHE_CONTROL,
        value.unwrap_or_else(|_| HeaderValue::from_static("private, no-store")),
    );
    for name in TARGETED {
        headers.remove(name);
    }
}

/// Lets scripts read one more header.
fn expose(headers: &mut HeaderMap, name: &HeaderName) {
    let exposed = headers.get(header::ACCESS_CONTROL_EXPOSE_HEADERS);
    let exposed = exposed.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let separator = if exposed.is_empty() { "" } else { ", " };
    if let Ok(value) = HeaderValue::from_str(&format!("{exposed}{separator}{name}")) {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, value);
    }
}

/// A page that may send cookies: it has to be named, `*` doesn't do (Fetch, CORS protocol).
#[derive(Debug)]
pub struct Credentials {
    origin: HeaderValue,
    /// What a preflight asks for; `*` stands for nothing when there are cookies.
    asked_headers: Option<HeaderValue>,
}

impl Credentials {
    pub(super) fn new(origin: HeaderValue, headers: &HeaderMap) -> Self {
        let asked_headers = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        Self { origin, asked_headers }
    }

    pub fn apply(self, headers: &mut HeaderMap) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.origin);
        let yes = HeaderValue::from_static("true");
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(asked) = self.asked_headers {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hands_out_a_token_is_private() {
        for (said, expected) in [
            ("public, max-age=31536000, immutable", "private, max-age=31536000, immutable"),
            ("max-age=6, s-maxage=60", "private, max-age=6"),
            ("no-store", "private, no-store"),
            ("Private, max-age=1", "private, max-age=1"),
            ("", "private"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(said));
            headers.insert(&TARGETED[0], HeaderValue::from_static("max-age=60"));
            make_private(&mut headers);
            assert_eq!(headers.get(header::CACHE_CONTROL).unwrap(), expected);
            assert!(!headers.contains_key(&TARGETED[0]));
        }
    }
}
