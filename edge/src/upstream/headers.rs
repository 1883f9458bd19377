//! What goes to an upstream, and what comes back.
//!
//! The answer to a fetch is kept for everybody. So nothing goes to an upstream that its key does
//! not hold, unless it can't change which representation comes back: the [`FORWARDED`] fields and
//! no other. A client's `Accept-Encoding`, `Origin`, `User-Agent`, `Cookie` and every `X-` field
//! end here. What the edge adds itself:
//!
//! | field | value |
//! | --- | --- |
//! | `Host` | the upstream's, from its address |
//! | `Accept-Encoding` | `identity` |
//! | `Forwarded` | `host=` the authority of the canonical request, where it has one: it is part of the cache's key (RFC 7239) |
//! | `Via` | the edge's name (RFC 9110 7.6.3); entries of the client's side end here, as a fetch is made for many |
//! | `CDN-Loop` | the names so far, and the edge's (RFC 8586) |
//! | `Streamverse-Shield` | the shared secret, where one is configured |

use http::header::{self, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{HeaderMap, Request, Uri, Version};

/// The secret by which an origin knows its edges.
pub const SHIELD: HeaderName = HeaderName::from_static("streamverse-shield");

const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// Request fields that are passed on: conditions and ranges, which the cache itself sets and
/// checks, and what ties log lines together.
pub const FORWARDED: [HeaderName; 10] = [
    header::RANGE,
    header::IF_RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-request-id"),
    // Set by the server in front, never by a client (RFC 8470 5.1).
    HeaderName::from_static("early-data"),
];

/// Longest value that is passed on. Range lists and entity tags are far shorter.
const VALUE_BYTES_MAX: usize = 1_024;

/// Longest `CDN-Loop`, all fields together.
const LOOP_BYTES_MAX: usize = 2_048;

/// Fields of one hop (RFC 9110 7.6.1), and some that would speak for the edge.
const HOP_BY_HOP: [HeaderName; 10] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    // An alternative of the upstream is none of the edge (RFC 7838 3.1).
    header::ALT_SVC,
];

/// Why a request is not passed on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    #[error("the request came through this edge before (CDN-Loop)")]
    Loop,
    #[error("CDN-Loop is longer than {LOOP_BYTES_MAX} bytes")]
    LoopTooLong,
    #[error("the header {0} is longer than {VALUE_BYTES_MAX} bytes")]
    ValueTooLong(&'static str),
}

/// The fields of a request to any upstream; each adds its `Host` and its secret.
pub fn outgoing(request: &Request<()>, name: &str) -> Result<HeaderMap, Refused> {
    let incoming = request.headers();
    let mut headers = HeaderMap::with_capacity(16);
    for field in &FORWARDED {
        // One value each: of several, upstream and cache might read different ones.
        let Some(value) = incoming.get(field) else { continue };
        if VALUE_BYTES_MAX < value.len() {
            let known = FORWARDED.iter().position(|other| other == field);
            return Err(Refused::ValueTooLong(match known {
                Some(0) => "Range",
                Some(1) => "If-Range",
                _ => "of a condition or a trace",
            }));
        }
        headers.insert(field, value.clone());
    }
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(CDN_LOOP, loop_value(incoming, name)?);
    headers.insert(header::VIA, via(request.version(), name));
    let authority = request.uri().authority();
    let forwarded = authority.map(|authority| format!("host=\"{authority}\""));
    // An authority holds no quotes and no control characters, so this is always a value.
    if let Some(value) = forwarded.and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(header::FORWARDED, value);
    }
    Ok(headers)
}

/// Whether a request came through the edge `name` before, or through more than can be told: for
/// whoever lets requests in, so that one that went in a circle doesn't wait for itself.
pub fn has_looped(incoming: &HeaderMap, name: &str) -> bool {
    loop_value(incoming, name).is_err()
}

/// The names so far, unchanged, and ours (RFC 8586 2).
fn loop_value(incoming: &HeaderMap, name: &str) -> Result<HeaderValue, Refused> {
    let mut names = String::new();
    for value in incoming.get_all(CDN_LOOP) {
        // What is no text is no list of names: there is nothing to keep.
        let Ok(value) = value.to_str() else { continue };
        let id_of = |entry: &str| entry.split(';').next().unwrap_or_default().trim().to_owned();
        if value.split(',').any(|entry| id_of(entry).eq_ignore_ascii_case(name)) {
            return Err(Refused::Loop);
        }
        if LOOP_BYTES_MAX < names.len() + value.len() {
            return Err(Refused::LoopTooLong);
        }
        names.push_str(value);
        names.push_str(", ");
    }
    names.push_str(name);
    HeaderValue::try_from(names).map_err(|_| Refused::LoopTooLong)
}

fn via(version: Version, name: &str) -> HeaderValue {
    let version = match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    };
    HeaderValue::try_from(format!("{version} {name}")).expect("a name is a token")
}

/// The target at an upstream: its scheme and authority, and the path and query asked for.
pub fn target(base: &Uri, request: &Uri) -> Uri {
    let mut parts = base.clone().into_parts();
    let root = PathAndQuery::from_static("/");
    parts.path_and_query = Some(request.path_and_query().cloned().unwrap_or(root));
    Uri::from_parts(parts).expect("scheme, authority and path make an address")
}

/// Removes from an answer what concerns one hop only.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let listed: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in listed.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fields: &[(&str, &str)]) -> Request<()> {
        let mut builder = Request::get("https://media.example.org/vod/a/cmaf/master.m3u8");
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap()
    }

    #[track_caller]
    fn check(fields: &[(&str, &str)], expected: &str) {
        let headers = outgoing(&request(fields), "edge-1").unwrap();
        let mut lines: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        assert_eq!(lines.join("\n"), expected);
    }

    #[test]
    fn nothing_unkeyed_goes_to_an_upstream() {
        check(
            &[
                ("accept-encoding", "br"),
                ("authorization", "Bearer x"),
                ("connection", "range"),
                ("cookie", "a=b"),
                ("forwarded", "host=evil"),
                ("host", "evil"),
                ("origin", "https://evil"),
                ("range", "bytes=0-1"),
                ("range", "bytes=2-3"),
                ("streamverse-shield", "guess"),
                ("te", "trailers"),
                ("transfer-encoding", "chunked"),
                ("content-length", "5"),
                ("via", "1.1 other"),
                ("x-forwarded-for", "1.2.3.4"),
                ("x-forwarded-host", "evil"),
                ("x-http-method-override", "POST"),
                ("x-original-url", "/admin"),
            ],
            "accept-encoding: identity\n\
             cdn-loop: edge-1\n\
             forwarded: host=\"media.example.org\"\n\
             range: bytes=0-1\n\
             via: 1.1 edge-1",
        );
    }

    #[test]
    fn loops_are_found() {
        let names = |fields: &[(&str, &str)]| {
            outgoing(&request(fields), "edge-1")
                .map(|headers| headers[CDN_LOOP].to_str().unwrap().to_owned())
        };
        let others = [("cdn-loop", "foo; v=1, bar"), ("cdn-loop", "edge-10")];
        assert_eq!(names(&others).unwrap(), "foo; v=1, bar, edge-10, edge-1");
        assert_eq!(names(&[("cdn-loop", "foo, Edge-1;x=y")]), Err(Refused::Loop));
        let long = "a,".repeat(LOOP_BYTES_MAX);
        assert_eq!(names(&[("cdn-loop", &long)]), Err(Refused::LoopTooLong));
    }

    #[test]
    fn one_hop_keeps_its_fields() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Private"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("alt-svc", "h3=\":443\""),
            ("content-encoding", "gzip"),
            ("etag", "\"a\""),
        ] {
            headers.insert(HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        }
        strip_hop_by_hop(&mut headers);
        let names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["content-encoding", "etag"]);
    }

    #[test]
    fn targets_keep_path_and_query() {
        let base = Uri::from_static("http://127.0.0.1:8080");
        let at = |target_at: &'static str| target(&base, &Uri::from_static(target_at)).to_string();
        assert_eq!(at("/vod/a?b=c"), "http://127.0.0.1:8080/vod/a?b=c");
        assert_eq!(at("https://media.example.org/vod/a"), "http://127.0.0.1:8080/vod/a");
    }
}
