//! Lists by keyset: `limit` and `cursor` in, `items`, `next_cursor` and `Link` out.
//!
//! ```ignore
//! async fn list(viewer: Viewer, page: Page) -> api::Result<Paged<Device>> {
//!     let after: Option<(i64, String)> = page.after()?;
//!     let rows = service.devices(&viewer, after, page.rows()).await?; // WHERE (seen_ms, id) < ($2, $3) … LIMIT $4
//!     page.answer(rows, |row| (row.seen_ms, row.id.clone()))
//! }
//! ```
//!
//! One row more than the limit is read, which tells whether there is a next page without counting.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::{IntoParams, ToSchema};

use crate::cursor::{CursorKeys, CursorScope};
use crate::input::{self, Json};
use crate::{ApiError, FieldError, Tenant, TenantId, context};

/// Most items of a page.
pub const LIMIT_MAX: u32 = 100;
/// Items of a page when none are asked for.
pub const LIMIT_DEFAULT: u32 = 25;

/// Which part of a list is asked for.
#[derive(Clone, Debug)]
pub struct Page {
    limit: u32,
    cursor: Option<String>,
    tenant: TenantId,
    path: String,
    /// The other parameters, sorted and encoded.
    filters: String,
    keys: Arc<CursorKeys>,
}

/// For `params(PageParams)` of an operation's documentation.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "a description; `Page` is what handlers take")]
pub struct PageParams {
    /// Items of a page.
    #[param(minimum = 1, maximum = 100, default = 25)]
    limit: Option<u32>,
    /// `next_cursor` of the page before, with the same filters.
    #[param(max_length = 2048)]
    cursor: Option<String>,
}

impl Page {
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// How many rows to read: one more than are shown.
    pub fn rows(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// The key of the last row of the page before; none for the first page.
    ///
    /// # Errors
    /// 400 `invalid_cursor`.
    pub fn after<K: DeserializeOwned>(&self) -> Result<Option<K>, ApiError> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let key = self.keys.open(self.scope(), cursor);
        match key.and_then(|json| serde_json::from_slice(&json).ok()) {
            Some(key) => Ok(Some(key)),
            None => {
                let detail = "The cursor is not one of this list with these filters.";
                Err(ApiError::bad_request("invalid_cursor", detail))
            }
        }
    }

    /// The page of rows that were read by [`Page::rows`]. `key` gives what the list is sorted by.
    ///
    /// # Errors
    /// 500 when a key can't be written.
    pub fn answer<T, K: Serialize>(
        &self,
        mut rows: Vec<T>,
        key: impl Fn(&T) -> K,
    ) -> Result<Paged<T>, ApiError> {
        let has_more = self.limit as usize <= rows.len().saturating_sub(1);
        rows.truncate(self.limit as usize);
        let next_cursor = match rows.last() {
            Some(last) if has_more => {
                let json = serde_json::to_vec(&key(last))
                    .map_err(|error| ApiError::internal("internal", error))?;
                Some(self.keys.seal(self.scope(), &json))
            }
            _ => None,
        };
        let link = next_cursor.as_deref().map(|cursor| self.link(cursor));
        Ok(Paged { items: rows, next_cursor, link })
    }

    fn scope(&self) -> CursorScope<'_> {
        CursorScope { tenant: self.tenant.as_str(), path: &self.path, filters: &self.filters }
    }

    /// RFC 8288 3: a reference relative to what was asked, since no URL is built from a host name
    /// that a caller chose. Path and query are encoded, so neither `>` nor a line break stands in it.
    fn link(&self, cursor: &str) -> String {
        let and = if self.filters.is_empty() { "" } else { "&" };
        let (path, filters, limit) = (&self.path, &self.filters, self.limit);
        format!("<{path}?{filters}{and}limit={limit}&cursor={cursor}>; rel=\"next\"")
    }
}

impl<S: Sync> FromRequestParts<S> for Page {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut limit = LIMIT_DEFAULT;
        let mut cursor = None;
        let mut others = Vec::new();
        for (name, value) in input::pairs(parts.uri.query().unwrap_or_default())? {
            match name.as_str() {
                "limit" => limit = read_limit(&value)?,
                "cursor" => cursor = Some(value),
                _ => others.push((name, value)),
            }
        }
        others.sort();
        let mut filters = form_urlencoded::Serializer::new(String::new());
        filters.extend_pairs(&others);
        Ok(Self {
            limit,
            cursor,
            tenant: context::of::<Tenant>(&parts.extensions)?.id().clone(),
            path: original_path(parts),
            filters: filters.finish(),
            keys: context::of::<Arc<CursorKeys>>(&parts.extensions)?.clone(),
        })
    }
}

/// The path as it was asked for, wherever the router is mounted.
fn original_path(parts: &Parts) -> String {
    let original = parts.extensions.get::<axum::extract::OriginalUri>();
    original.map_or_else(|| parts.uri.path(), |uri| uri.0.path()).to_owned()
}

fn read_limit(text: &str) -> Result<u32, ApiError> {
    match text.parse() {
        Ok(limit) if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
        _ => {
            let detail = format!("Take a number from 1 to {LIMIT_MAX}.");
            Err(ApiError::validation(vec![FieldError::new(
                "query/limit",
                "invalid_number",
                detail,
            )]))
        }
    }
}

/// A page of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Paged<T> {
    pub items: Vec<T>,
    /// Send it as `cursor` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    #[serde(skip)]
    link: Option<String>,
}

impl<T: Serialize> IntoResponse for Paged<T> {
    fn into_response(mut self) -> Response {
        let link = self.link.take().and_then(|link| HeaderValue::from_str(&link).ok());
        let mut response = Json(self).into_response();
        if let Some(link) = link {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    async fn page(target: &str) -> Result<Page, ApiError> {
        let keys = Arc::new(CursorKeys::new(&[1; 32], &[]));
        let tenant = Tenant(TenantId::new("t").unwrap());
        let request = Request::builder().uri(target).extension(keys).extension(tenant);
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        Page::from_request_parts(&mut parts, &()).await
    }

    #[tokio::test]
    async fn pages_follow_each_other_without_a_gap() {
        let all: Vec<u32> = (0..7).collect();
        let mut target = "/v1/things?limit=3&state=open".to_owned();
        let mut seen: Vec<u32> = Vec::new();
        loop {
            let page = page(&target).await.unwrap();
            let after: Option<u32> = page.after().unwrap();
            let rows = all.iter().copied().filter(|row| after.is_none_or(|after| after < *row));
            let rows = rows.take(page.rows() as usize).collect();
            let paged = page.answer(rows, |row| *row).unwrap();
            seen.extend(&paged.items);
            let response = paged.into_response();
            let Some(link) = response.headers().get(header::LINK) else { break };
            let (url, rest) = link.to_str().unwrap()[1..].split_once('>').unwrap();
            assert_eq!(rest, "; rel=\"next\"");
            target = url.to_owned();
        }
        assert_eq!(seen, all);
    }

    #[tokio::test]
    async fn cursors_belong_to_their_filters() {
        let first = page("/v1/things?limit=1&state=open").await.unwrap();
        let cursor = first.answer(vec![1, 2], |row| *row).unwrap().next_cursor.unwrap();
        let same = page(&format!("/v1/things?cursor={cursor}&state=open")).await.unwrap();
        assert_eq!(same.after::<u32>().unwrap(), Some(1));
        for other in ["/v1/things?state=shut&", "/v1/things?", "/v1/others?state=open&"] {
            let other = page(&format!("{other}cursor={cursor}")).await.unwrap();
            assert_eq!(other.after::<u32>().unwrap_err().code(), "invalid_cursor");
        }
    }

    #[tokio::test]
    async fn limits_are_numbers_up_to_a_hundred() {
        for bad in ["0", "101", "-1", "x", "", "1e1", "99999999999"] {
            let error = page(&format!("/v1/things?limit={bad}")).await.unwrap_err();
            assert_eq!(error.fields()[0].pointer, "query/limit", "{bad}");
        }
        let twice = page("/v1/things?limit=1&limit=2").await.unwrap_err();
        assert_eq!(twice.fields()[0].code, "duplicate_field");
    }
}
