//! Small changes by configuration: what an old client sends is made what routes take, and answers
//! likewise. `[[control.transform]]` lists them; each is made in its turn.
//!
//! Headers and the path are changed before a request is routed. Members of JSON content are changed
//! only once the request is let in, since content has to be read whole for it.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Uri};
use http_body::Body as _;
use http_body_util::BodyExt;
use platform::config::{self, TransformOn, header_pair, json_member};
use serde_json::Value;

use crate::exchange::Exchange;

/// Largest JSON answer that is changed; larger ones go as they are.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, Default)]
pub(crate) struct Transforms {
    requests: Vec<Arc<Transform>>,
    responses: Vec<Arc<Transform>>,
}

#[derive(Debug)]
struct Transform {
    path: String,
    methods: Vec<Method>,
    tenant: Option<String>,
    set_headers: Vec<(HeaderName, HeaderValue)>,
    remove_headers: Vec<HeaderName>,
    rename_headers: Vec<(HeaderName, HeaderName)>,
    rewrite_path: Option<String>,
    set_members: Vec<(String, Value)>,
    remove_members: Vec<String>,
}

/// What is to be done to a request's JSON content; among its extensions.
#[derive(Clone, Debug)]
pub(crate) struct Edits(Vec<Arc<Transform>>);

impl Transforms {
    pub(crate) fn new(config: &[config::Transform]) -> Self {
        let mut transforms = Self::default();
        for transform in config {
            let compiled = Arc::new(Transform::new(transform));
            match transform.on {
                TransformOn::Request => transforms.requests.push(compiled),
                TransformOn::Response => transforms.responses.push(compiled),
            }
        }
        transforms
    }

    pub(crate) fn change_head(&self, exchange: &Exchange, request: &mut Request<Body>) {
        if self.requests.is_empty() {
            return;
        }
        let mut edits = Vec::new();
        for transform in self.requests.iter().filter(|transform| transform.is_meant(exchange)) {
            transform.change_headers(request.headers_mut());
            if let Some(uri) = transform.rewritten(request.uri()) {
                *request.uri_mut() = uri;
            }
            if transform.has_edits() {
                edits.push(Arc::clone(transform));
            }
        }
        if !edits.is_empty() {
            request.extensions_mut().insert(Edits(edits));
        }
    }

    pub(crate) async fn change_answer(&self, exchange: &Exchange, response: Response) -> Response {
        let mut response = response;
        let mut edits = Vec::new();
        for transform in self.responses.iter().filter(|transform| transform.is_meant(exchange)) {
            transform.change_headers(response.headers_mut());
            if transform.has_edits() {
                edits.push(Arc::clone(transform));
            }
        }
        let is_small =
            response.body().size_hint().exact().is_some_and(|bytes| bytes <= ANSWER_BYTES_MAX);
        if edits.is_empty() || !is_small || !is_json(response.headers()) {
            return response;
        }
        let (mut parts, body) = response.into_parts();
        let Ok(content) = body.collect().await else {
            return Response::from_parts(parts, Body::empty());
        };
        let content = edit(&edits, content.to_bytes());
        parts.headers.remove(header::CONTENT_LENGTH);
        Response::from_parts(parts, Body::from(content))
    }
}

/// Changes the JSON content of a request that is let in.
///
/// # Errors
/// When the content can't be read.
pub(crate) async fn change_content(request: Request<Body>) -> Result<Request<Body>, axum::Error> {
    let mut request = request;
    let Some(Edits(edits)) = request.extensions_mut().remove::<Edits>() else {
        return Ok(request);
    };
    if !is_json(request.headers()) {
        return Ok(request);
    }
    let (mut parts, body) = request.into_parts();
    let content = edit(&edits, body.collect().await?.to_bytes());
    if parts.headers.contains_key(header::CONTENT_LENGTH) {
        parts.headers.insert(header::CONTENT_LENGTH, content.len().into());
    }
    Ok(Request::from_parts(parts, Body::from(content)))
}

/// Content that is no JSON stays: whoever reads it says so.
fn edit(edits: &[Arc<Transform>], content: Bytes) -> Bytes {
    let Ok(mut value) = serde_json::from_slice::<Value>(&content) else { return content };
    for transform in edits {
        transform.change_members(&mut value);
    }
    value.to_string().into()
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

impl Transform {
    /// The configuration's checks have refused what can't be read here.
    fn new(config: &config::Transform) -> Self {
        let name = |text: &str| HeaderName::from_bytes(text.as_bytes()).ok();
        let set = |pair: &String| {
            let (key, value) = header_pair(pair)?;
            Some((name(key)?, HeaderValue::from_str(value).ok()?))
        };
        let rename = |pair: &String| {
            let (old, new) = header_pair(pair)?;
            Some((name(old)?, name(new)?))
        };
        let member = |member: &String| {
            json_member(member).map(|(pointer, value)| (pointer.to_owned(), value))
        };
        let methods = config.methods.iter();
        Self {
            path: config.path.clone(),
            methods: methods.filter_map(|name| name.parse().ok()).collect(),
            tenant: config.tenant.clone(),
            set_headers: config.set_headers.iter().filter_map(set).collect(),
            remove_headers: config.remove_headers.iter().filter_map(|text| name(text)).collect(),
            rename_headers: config.rename_headers.iter().filter_map(rename).collect(),
            rewrite_path: config.rewrite_path.clone(),
            set_members: config.set_members.iter().filter_map(member).collect(),
            remove_members: config.remove_members.clone(),
        }
    }

    fn is_meant(&self, exchange: &Exchange) -> bool {
        (self.methods.is_empty() || self.methods.contains(&exchange.method))
            && self.tenant.as_deref().is_none_or(|id| exchange.tenant.as_deref() == Some(id))
            && rest_of(&exchange.path, &self.path).is_some()
    }

    fn has_edits(&self) -> bool {
        !self.set_members.is_empty() || !self.remove_members.is_empty()
    }

    fn change_headers(&self, headers: &mut HeaderMap) {
        for name in &self.remove_headers {
            headers.remove(name);
        }
        for (old, new) in &self.rename_headers {
            if let Some(value) = headers.remove(old) {
                headers.insert(new, value);
            }
        }
        for (name, value) in &self.set_headers {
            headers.insert(name, value.clone());
        }
    }

    fn rewritten(&self, uri: &Uri) -> Option<Uri> {
        let rewrite_path = self.rewrite_path.as_deref()?.trim_end_matches('/');
        let rest = rest_of(uri.path(), &self.path)?;
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let target = match (rewrite_path, rest) {
            ("", "") => format!("/{query}"),
            (path, rest) => format!("{path}{rest}{query}"),
        };
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
        Uri::from_parts(parts).ok()
    }

    fn change_members(&self, value: &mut Value) {
        for pointer in &self.remove_members {
            let (parent, name) = parent_of(pointer);
            if let Some(Value::Object(members)) = value.pointer_mut(parent) {
                members.remove(&name);
            }
        }
        for (pointer, new) in &self.set_members {
            let (parent, name) = parent_of(pointer);
            match value.pointer_mut(parent) {
                Some(Value::Object(members)) => drop(members.insert(name, new.clone())),
                Some(Value::Array(_)) => {
                    if let Some(entry) = value.pointer_mut(pointer) {
                        *entry = new.clone();
                    }
                }
                _ => {}
            }
        }
    }
}

/// What of a path lies below `prefix`, which is whole parts of it.
fn rest_of<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// The pointer of the value around, and the member's name (RFC 6901 4).
fn parent_of(pointer: &str) -> (&str, String) {
    let (parent, name) = pointer.rsplit_once('/').unwrap_or(("", pointer));
    (parent, name.replace("~1", "/").replace("~0", "~"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transform(change: impl FnOnce(&mut config::Transform)) -> Transform {
        let mut config = config::Transform { path: "/api/v1".to_owned(), ..Default::default() };
        change(&mut config);
        Transform::new(&config)
    }

    #[test]
    fn paths_are_rewritten_in_whole_parts() {
        let check = |path: &str, rewrite: &str, uri: &str, expected: Option<&str>| {
            let transform = transform(|config| {
                config.path = path.to_owned();
                config.rewrite_path = Some(rewrite.to_owned());
            });
            let uri = transform.rewritten(&uri.parse().unwrap());
            assert_eq!(uri.map(|uri| uri.to_string()).as_deref(), expected);
        };
        check("/api/v1", "/v1", "/api/v1/me?x=1", Some("/v1/me?x=1"));
        check("/api/v1", "/v1", "/api/v1", Some("/v1"));
        check("/api/v1", "/v1", "/api/v10/me", None);
        check("/api", "/", "/api", Some("/"));
        check("/api", "/", "/api/v1/me", Some("/v1/me"));
        check("/", "/v1", "/me", Some("/v1/me"));
        check("/api", "/v1", "http://a/api/%2e%2e", Some("http://a/v1/%2e%2e"));
    }

    #[test]
    fn members_are_set_where_their_object_is() {
        let transform = transform(|config| {
            config.set_members = ["/a/b = 1", "/x/y = 2", "/list/0 = true", "/s~1t = null"]
                .map(str::to_owned)
                .into();
            config.remove_members = vec!["/gone".to_owned()];
        });
        let edits = [Arc::new(transform)];
        let content = Bytes::from_static(br#"{"a":{},"gone":1,"list":[0,1]}"#);
        let edited: Value = serde_json::from_slice(&edit(&edits, content)).unwrap();
        let expected = serde_json::json!({"a": {"b": 1}, "list": [true, 1], "s/t": null});
        assert_eq!(edited, expected);
        let text = Bytes::from_static(b"{no json");
        assert_eq!(edit(&edits, text.clone()), text);
    }

    #[test]
    fn headers_are_removed_renamed_and_set() {
        let transform = transform(|config| {
            config.remove_headers = vec!["X-Debug".to_owned()];
            config.rename_headers = vec!["X-Device: X-Device-Id".to_owned()];
            config.set_headers = vec!["X-Channel: web".to_owned()];
        });
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-debug", "1"), ("x-device", "tv"), ("x-channel", "evil")] {
            headers.append(name, value.parse().unwrap());
        }
        transform.change_headers(&mut headers);
        let mut left: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        left.sort_unstable();
        assert_eq!(left, [("x-channel", "web"), ("x-device-id", "tv")]);
    }
}
