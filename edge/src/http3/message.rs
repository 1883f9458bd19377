//! Field sections as requests, and answers as field sections (RFC 9114 4).

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderName};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version, response};

use super::frame::{kind, write_frame_header};
use super::priority::Priority;
use super::qpack::{Field, encode_field, encode_prefix};

/// Fields that belong to a connection of HTTP/1 and make a message malformed (RFC 9114 4.2).
const CONNECTION_FIELDS: [&str; 5] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

/// Fields of one message; the size of its section is bounded besides.
const FIELDS_MAX: usize = 256;

/// A request as it came.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) request: Request<()>,
    pub(super) content_length: Option<u64>,
    pub(super) priority: Option<Priority>,
}

/// Why fields are no request: `H3_MESSAGE_ERROR` (RFC 9114 4.1.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Malformed(pub(super) &'static str);

/// The pseudo-headers of a request (RFC 9114 4.3.1), each at most once.
#[derive(Default)]
struct Pseudo {
    method: Option<Method>,
    scheme: Option<Scheme>,
    authority: Option<Authority>,
    path: Option<PathAndQuery>,
}

/// Reads the fields of a request.
pub(super) fn read_request(fields: Vec<Field>) -> Result<Message, Malformed> {
    if FIELDS_MAX < fields.len() {
        return Err(Malformed("there are too many fields"));
    }
    let mut pseudo = Pseudo::default();
    let mut headers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        if field.name.first() == Some(&b':') {
            if !headers.is_empty() {
                return Err(Malformed("a pseudo-header comes after a header"));
            }
            pseudo.take(&field)?;
        } else {
            let (name, value) = header(field)?;
            headers.append(name, value);
        }
    }
    join_cookies(&mut headers);
    let content_length = content_length(&headers)?;
    let priority = headers.get("priority").map(|value| Priority::parse(value.as_bytes()));
    let (method, uri) = pseudo.target(&headers)?;
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_3;
    *request.headers_mut() = headers;
    Ok(Message { request, content_length, priority })
}

impl Pseudo {
    fn take(&mut self, field: &Field) -> Result<(), Malformed> {
        fn set<T>(place: &mut Option<T>, value: Option<T>) -> Result<(), Malformed> {
            if place.is_some() || value.is_none() {
                return Err(Malformed("a pseudo-header comes twice or has no valid value"));
            }
            *place = value;
            Ok(())
        }
        let value = &*field.value;
        match &*field.name {
            b":method" => set(&mut self.method, Method::from_bytes(value).ok()),
            b":scheme" => set(&mut self.scheme, Scheme::try_from(value).ok()),
            b":authority" => set(&mut self.authority, Authority::try_from(value).ok()),
            b":path" => set(&mut self.path, path(value)),
            _ => Err(Malformed("there is an unknown pseudo-header")),
        }
    }

    /// The method and the whole target.
    fn target(self, headers: &HeaderMap) -> Result<(Method, Uri), Malformed> {
        let mut hosts = headers.get_all(HOST).iter();
        let (host, second) = (hosts.next(), hosts.next());
        let Some(method) = self.method else { return Err(Malformed("there is no :method")) };
        if second.is_some() {
            return Err(Malformed("there are several host headers"));
        }
        let is_same = |host: &HeaderValue, authority: &Authority| {
            host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())
        };
        let authority = match (host, self.authority) {
            (Some(host), Some(authority)) if !is_same(host, &authority) => {
                return Err(Malformed("host and :authority differ"));
            }
            (_, Some(authority)) => authority,
            (Some(host), None) => {
                Authority::try_from(host.as_bytes()).map_err(|_| Malformed("host is no host"))?
            }
            (None, None) => return Err(Malformed("there is no :authority")),
        };
        if authority.as_str().contains('@') {
            return Err(Malformed("the authority names a user"));
        }
        let mut parts = http::uri::Parts::default();
        if method == Method::CONNECT {
            // Answered 405 by whoever sees the method (RFC 9114 4.4: neither scheme nor path).
            if self.scheme.is_some() || self.path.is_some() {
                return Err(Malformed("a CONNECT names a scheme or a path"));
            }
        } else {
            let (Some(scheme), Some(path)) = (self.scheme, self.path) else {
                return Err(Malformed("there is no :scheme or no :path"));
            };
            if path.as_str() == "*" && method != Method::OPTIONS {
                return Err(Malformed("only OPTIONS may ask for `*`"));
            }
            parts.scheme = Some(scheme);
            parts.path_and_query = Some(path);
        }
        parts.authority = Some(authority);
        let uri = Uri::from_parts(parts).map_err(|_| Malformed("the target is no URL"))?;
        Ok((method, uri))
    }
}

/// A path of an origin, or `*` (RFC 9114 4.3.1).
fn path(value: &[u8]) -> Option<PathAndQuery> {
    let is_form = value.first() == Some(&b'/') || value == b"*";
    if is_form { PathAndQuery::try_from(value).ok() } else { None }
}

fn header(field: Field) -> Result<(HeaderName, HeaderValue), Malformed> {
    // Capitals in a name make a message malformed (RFC 9114 4.2).
    if field.name.iter().any(u8::is_ascii_uppercase) {
        return Err(Malformed("a header's name has capitals"));
    }
    let name = HeaderName::from_bytes(&field.name).map_err(|_| Malformed("a name is invalid"))?;
    let is_of_connection = CONNECTION_FIELDS.contains(&name.as_str());
    if is_of_connection || (name == "te" && !field.value.eq_ignore_ascii_case(b"trailers")) {
        return Err(Malformed("a header belongs to a connection"));
    }
    let value = match field.value {
        std::borrow::Cow::Borrowed(value) => HeaderValue::from_bytes(value),
        std::borrow::Cow::Owned(value) => HeaderValue::from_maybe_shared(Bytes::from(value)),
    };
    Ok((name, value.map_err(|_| Malformed("a header's value is invalid"))?))
}

/// Cookies may come in several fields, which are one outside of HTTP/3 (RFC 9114 4.2.1).
fn join_cookies(headers: &mut HeaderMap) {
    let cookies: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if 1 < cookies.len()
        && let Ok(joined) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
    {
        headers.insert(COOKIE, joined);
    }
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Malformed> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let (length, second) = (lengths.next(), lengths.next());
    let Some(length) = length else { return Ok(None) };
    let digits = length.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse().ok()) {
        Some(length) if second.is_none() => Ok(Some(length)),
        _ => Err(Malformed("content-length is no number, or comes twice")),
    }
}

/// A HEADERS frame with the head of an answer.
pub(super) fn write_answer(head: &response::Parts) -> Bytes {
    let mut section = Vec::with_capacity(512);
    encode_prefix(&mut section);
    encode_field(":status", head.status.as_str().as_bytes(), &mut section);
    write_fields(&head.headers, section)
}

/// A HEADERS frame with trailers.
pub(super) fn write_trailers(trailers: &HeaderMap) -> Bytes {
    let mut section = Vec::new();
    encode_prefix(&mut section);
    write_fields(trailers, section)
}

fn write_fields(headers: &HeaderMap, mut section: Vec<u8>) -> Bytes {
    for (name, value) in headers {
        if !CONNECTION_FIELDS.contains(&name.as_str()) {
            encode_field(name.as_str(), value.as_bytes(), &mut section);
        }
    }
    let mut frame = Vec::with_capacity(section.len() + 8);
    write_frame_header(kind::HEADERS, section.len() as u64, &mut frame);
    frame.extend_from_slice(&section);
    frame.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fields written `name: value`, one a line.
    fn read(text: &str) -> Result<Message, &'static str> {
        let field = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            let owned = |text: &str| std::borrow::Cow::Owned(text.as_bytes().to_vec());
            Field { name: owned(name), value: owned(value) }
        };
        read_request(text.lines().map(field).collect()).map_err(|Malformed(reason)| reason)
    }

    const GET: &str = ":method: GET\n:scheme: https\n:path: /a?b\n";

    #[test]
    fn requests_are_read() {
        let message = read(&format!(
            "{GET}:authority: a.example:8443\nhost: A.example:8443\ncookie: a=1\ncookie: b=2\n\
             te: trailers\npriority: u=1\ncontent-length: 0"
        ));
        let Message { request, content_length, priority } = message.unwrap();
        assert_eq!(request.uri(), "https://a.example:8443/a?b");
        assert_eq!(request.version(), Version::HTTP_3);
        assert_eq!(request.headers()["cookie"], "a=1; b=2");
        assert_eq!(content_length, Some(0));
        assert_eq!(priority, Some(Priority::parse(b"u=1")));
        assert_eq!(read(&format!("{GET}host: b")).unwrap().request.uri(), "https://b/a?b");
        let all = ":method: OPTIONS\n:scheme: https\n:path: *\n:authority: a";
        assert_eq!(read(all).unwrap().request.uri().path(), "*");
    }

    /// RFC 9114 4.1.2, 4.2, 4.3 and 4.3.1.
    #[test]
    fn malformed_requests_are_refused() {
        let with = |fields: &str| format!("{GET}{fields}");
        for text in [
            String::new(),
            GET.to_owned(),
            with(":authority: a\nhost: b"),
            with(":authority: a\n:authority: a"),
            with(":authority: a\n:method: GET"),
            with(":authority: a\n:status: 200"),
            with(":authority: a\n:protocol: websocket"),
            with(":authority: u@a"),
            with("host: a\nhost: a"),
            with("host: a\n:authority: a"),
            with(":authority: a\nconnection: close"),
            with(":authority: a\ntransfer-encoding: chunked"),
            with(":authority: a\nte: gzip"),
            with(":authority: a\nX-Upper: 1"),
            with(":authority: a\nbad name: 1"),
            with(":authority: a\nx: a\0b"),
            with(":authority: a\nx: a\rb"),
            with(":authority: a\ncontent-length: +1"),
            with(":authority: a\ncontent-length: 1\ncontent-length: 1"),
            ":method: GET\n:scheme: https\n:path: a\n:authority: a".to_owned(),
            ":method: GET\n:scheme: https\n:path: \n:authority: a".to_owned(),
            ":method: GET\n:scheme: https\n:path: *\n:authority: a".to_owned(),
            ":method: GET\n:path: /\n:authority: a".to_owned(),
            ":scheme: https\n:path: /\n:authority: a".to_owned(),
            ":method: CONNECT\n:scheme: https\n:path: /\n:authority: a".to_owned(),
        ] {
            assert!(read(&text).is_err(), "{text:?}");
        }
        let many = with(&(":authority: a".to_owned() + &"\na: b".repeat(300)));
        assert!(read(&many).is_err());
    }
}
