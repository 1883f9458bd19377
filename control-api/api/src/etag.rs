//! Versions of resources on the wire: `ETag`, `If-Match`, `If-None-Match` (RFC 9110 8.8, 13.1).
//!
//! A tag is strong and says the version of the row, `"v12"`, with what else the bytes depend on
//! behind it, `"v12-de"`. So `If-Match` gives the store the version to compare in its own
//! statement, `UPDATE … WHERE version = $3`, and nothing is read before it is written.

use std::fmt;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::IntoParams;

use crate::{ApiError, Json};

/// Most tags of one header.
const TAGS_MAX: usize = 16;

/// A strong tag.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ETag {
    version: i64,
    variant: Option<&'static str>,
}

impl ETag {
    pub fn of_version(version: i64) -> Self {
        Self { version, variant: None }
    }

    /// Tells answers apart that differ by something else than the row: a language, a format.
    #[must_use]
    pub fn variant(self, name: &'static str) -> Self {
        debug_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
        Self { variant: Some(name), ..self }
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.variant {
            None => write!(f, "\"v{}\"", self.version),
            Some(variant) => write!(f, "\"v{}-{variant}\"", self.version),
        }
    }
}

/// The versions that a change may be made on. As an argument it is required: 428
/// `precondition_required` without the header. `Option<IfMatch>` leaves it to the caller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum IfMatch {
    /// `*`: whatever is there.
    Any,
    /// Tags that are none of ours match nothing and are left out.
    Versions(Vec<i64>),
}

impl IfMatch {
    pub fn matches(&self, version: i64) -> bool {
        match self {
            Self::Any => true,
            Self::Versions(versions) => versions.contains(&version),
        }
    }

    /// # Errors
    /// 412 `version_mismatch`.
    pub fn require(&self, version: i64) -> Result<(), ApiError> {
        if self.matches(version) { Ok(()) } else { Err(Self::mismatch()) }
    }

    /// The version to compare in the statement; none for `*`.
    ///
    /// # Errors
    /// 412 when no tag can match, and for several tags, of which a statement compares one.
    pub fn version(&self) -> Result<Option<i64>, ApiError> {
        match self {
            Self::Any => Ok(None),
            Self::Versions(versions) => match versions.as_slice() {
                [version] => Ok(Some(*version)),
                _ => Err(Self::mismatch()),
            },
        }
    }

    /// 412 `version_mismatch`: for a statement that changed no row.
    pub fn mismatch() -> ApiError {
        let detail = "It was changed since you read it; read it again.";
        ApiError::precondition("version_mismatch", detail)
    }

    fn of(headers: &HeaderMap) -> Option<Self> {
        let tags = tags(headers, &header::IF_MATCH)?;
        if tags == ["*"] {
            return Some(Self::Any);
        }
        // Strong comparison (RFC 9110 13.1.1): a weak tag matches nothing.
        Some(Self::Versions(tags.iter().filter_map(|tag| version_of(tag)).collect()))
    }
}

/// `"v12"` and `"v12-de"` as 12, in the one way that we write it.
fn version_of(tag: &str) -> Option<i64> {
    let inner = tag.strip_prefix("\"v")?.strip_suffix('"')?;
    let digits = inner.split_once('-').map_or(inner, |(digits, _)| digits);
    let version: i64 = digits.parse().ok()?;
    (version.to_string() == digits).then_some(version)
}

/// The tags of a header, as written; none without it.
fn tags<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Vec<&'a str>> {
    let mut values = headers.get_all(name).iter().peekable();
    values.peek()?;
    let texts = values.filter_map(|value| value.to_str().ok());
    // Our tags have no commas, so a tag that is split by one is none of ours.
    Some(texts.flat_map(|text| text.split(',')).map(str::trim).take(TAGS_MAX).collect())
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::of(&parts.headers).ok_or_else(|| {
            let detail = "Send the `ETag` that you read as `If-Match`.";
            ApiError::precondition_required("precondition_required", detail)
        })
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, ApiError> {
        Ok(Self::of(&parts.headers))
    }
}

/// For `params(IfMatchParams)` of an operation that requires it.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "a description; `IfMatch` is what handlers take")]
pub struct IfMatchParams {
    /// The `ETag` of what the change is made on, or `*`.
    #[param(rename = "If-Match", max_length = 256, example = "\"v1\"")]
    if_match: String,
}

/// What the caller has already.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IfNoneMatch(Vec<String>);

impl IfNoneMatch {
    /// Weak comparison (RFC 9110 13.1.2): `W/` makes no difference.
    pub fn has(&self, tag: &ETag) -> bool {
        let tag = tag.to_string();
        self.0.iter().any(|held| held == "*" || held.strip_prefix("W/").unwrap_or(held) == tag)
    }
}

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let tags = tags(&parts.headers, &header::IF_NONE_MATCH).unwrap_or_default();
        Ok(Self(tags.into_iter().map(str::to_owned).collect()))
    }
}

/// A JSON answer with its tag: 304 without a body for a caller who has it.
#[derive(Clone, Debug)]
pub struct Tagged<T> {
    pub tag: ETag,
    pub body: T,
    is_held: bool,
}

impl<T> Tagged<T> {
    pub fn new(tag: ETag, body: T) -> Self {
        Self { tag, body, is_held: false }
    }

    /// For reads: the answer to a caller who may have it already.
    #[must_use]
    pub fn unless(self, held: &IfNoneMatch) -> Self {
        let is_held = held.has(&self.tag);
        Self { is_held, ..self }
    }
}

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let mut response = if self.is_held {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            Json(self.body).into_response()
        };
        let tag = self.tag.to_string();
        let value = HeaderValue::from_str(&tag).expect("digits, letters and quotes");
        response.headers_mut().insert(header::ETAG, value);
        response
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(name: HeaderName, values: &[&str]) -> Parts {
        let mut request = Request::builder();
        for value in values {
            request = request.header(&name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn check(values: &[&str], expected: Option<IfMatch>) {
        assert_eq!(IfMatch::of(&parts(header::IF_MATCH, values).headers), expected, "{values:?}");
    }

    #[test]
    fn if_match_names_versions() {
        check(&[], None);
        check(&["*"], Some(IfMatch::Any));
        check(&["\"v3\""], Some(IfMatch::Versions(vec![3])));
        check(&["\"v3\", \"v4-de\"", "\"x\""], Some(IfMatch::Versions(vec![3, 4])));
        for none in
            ["W/\"v3\"", "v3", "\"v03\"", "\"v+3\"", "\"v\"", "", "\"v99999999999999999999\""]
        {
            check(&[none], Some(IfMatch::Versions(vec![])));
        }
    }

    #[tokio::test]
    async fn edits_need_a_version_that_holds() {
        let mut parts = parts(header::IF_MATCH, &[]);
        let missing = <IfMatch as FromRequestParts<()>>::from_request_parts(&mut parts, &()).await;
        assert_eq!(missing.unwrap_err().status(), StatusCode::PRECONDITION_REQUIRED);
        let held = IfMatch::Versions(vec![3]);
        assert!(held.require(3).is_ok());
        assert_eq!(held.require(4).unwrap_err().status(), StatusCode::PRECONDITION_FAILED);
        assert_eq!(held.version().unwrap(), Some(3));
        assert_eq!(IfMatch::Any.version().unwrap(), None);
        assert!(IfMatch::Versions(vec![]).version().is_err());
    }

    #[tokio::test]
    async fn who_has_it_is_not_sent_it_again() {
        let tag = ETag::of_version(3).variant("de");
        for (values, expected) in [
            (vec!["\"v3-de\""], StatusCode::NOT_MODIFIED),
            (vec!["\"v2\", W/\"v3-de\""], StatusCode::NOT_MODIFIED),
            (vec!["*"], StatusCode::NOT_MODIFIED),
            (vec!["\"v3\""], StatusCode::OK),
            (vec![], StatusCode::OK),
        ] {
            let mut parts = parts(header::IF_NONE_MATCH, &values);
            let held = IfNoneMatch::from_request_parts(&mut parts, &()).await.unwrap();
            let response = Tagged::new(tag.clone(), 1).unless(&held).into_response();
            assert_eq!(response.status(), expected, "{values:?}");
            assert_eq!(response.headers()[header::ETAG], "\"v3-de\"");
        }
    }
}
