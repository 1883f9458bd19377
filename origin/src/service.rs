//! The origin as a `tower` service: a request in, a streamed answer out.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;
use packager::uri::ResourceName;

use crate::OriginError;
use crate::asset::AssetId;
use crate::body::MediaBody;
use crate::counts::{AssetCounts, AssetRow};
use crate::entity::Entity;
use crate::library::Library;
use crate::problem::{problem, problem_with};
use crate::resources;

/// Longest path that is looked at.
const PATH_BYTES_MAX: usize = 2_048;
const ALLOWED_METHODS: &str = "GET, HEAD, OPTIONS";
/// Headers that scripts of another origin may read: validators and ranges, what tells where an
/// answer came from, and what a support call quotes.
const EXPOSED_HEADERS: &str = "Accept-Ranges, Age, CMSD-Dynamic, CMSD-Static, Cache-Status, Content-Length, Content-Range, \
     Date, ETag, X-Request-Id";
const TIMING_ALLOW_ORIGIN: HeaderName = HeaderName::from_static("timing-allow-origin");

/// Answers media requests from a library.
#[derive(Clone)]
pub struct OriginService {
    library: Arc<Library>,
    now_ms: fn() -> u64,
    counts: Arc<AssetCounts>,
}

impl OriginService {
    /// `now_ms` tells milliseconds since 1970.
    pub fn new(library: Library, now_ms: fn() -> u64) -> Self {
        Self { library: Arc::new(library), now_ms, counts: Arc::default() }
    }

    /// What was asked for since the start, title by title.
    pub fn asset_rows(&self) -> Vec<AssetRow> {
        self.counts.rows()
    }

    /// Answers one request; never fails, because every error has an answer.
    pub async fn answer<B>(&self, request: &Request<B>) -> Response<MediaBody> {
        let mut response = match *request.method() {
            Method::OPTIONS => preflight(),
            Method::GET | Method::HEAD => self.answer_get(request).await,
            _ => method_not_allowed(),
        };
        allow_every_origin(response.headers_mut());
        response
    }

    async fn answer_get<B>(&self, request: &Request<B>) -> Response<MediaBody> {
        match self.begin_answer(request).await {
            Ok(response) => response,
            Err(error) => {
                let (status, _) = error.status();
                if status.is_server_error() {
                    tracing::error!(path = request.uri().path(), %error, "request failed");
                }
                problem(&error)
            }
        }
    }

    /// The answer, its first bytes at hand: what can't be read is told by a status.
    async fn begin_answer<B>(
        &self,
        request: &Request<B>,
    ) -> Result<Response<MediaBody>, OriginError> {
        let entity = self.entity(request).await?;
        let asset = entity.asset.clone();
        let (parts, body) = entity.respond(request.method(), request.headers()).into_parts();
        let body = body.begun().await.map_err(|error| match &asset {
            Some(asset) => error.while_serving(asset),
            None => error,
        })?;
        if let Some(asset) = &asset {
            self.counts.add(asset, body.size_hint().exact().unwrap_or_default());
        }
        Ok(Response::from_parts(parts, body))
    }

    async fn entity<B>(&self, request: &Request<B>) -> Result<Entity, OriginError> {
        let path = request.uri().path();
        if path.len() > PATH_BYTES_MAX {
            return Err(OriginError::NotFound { reason: "the path is too long".to_owned() });
        }
        let Some(rest) = path.strip_prefix("/vod/") else {
            return Err(unknown_path(path));
        };
        let not_found = || OriginError::NotFound { reason: "no manifest names it".to_owned() };
        let (asset, name) = rest.split_once('/').ok_or_else(not_found)?;
        let asset = AssetId::new(asset)?;
        let name = ResourceName::parse(name).ok_or_else(not_found)?;
        let query = request.uri().query().unwrap_or_default();
        resources::entity(&self.library, &asset, name, query, (self.now_ms)()).await
    }
}

impl<B: Send + 'static> tower_service::Service<Request<B>> for OriginService {
    type Response = Response<MediaBody>;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        // The body of a GET is never read, and need not be shared between threads.
        let (parts, _) = request.into_parts();
        let request = Arc::new(Request::from_parts(parts, ()));
        Box::pin(async move { Ok(service.answer(&request).await) })
    }
}

/// Paths of the contract that a later version answers are told apart from mistakes.
fn unknown_path(path: &str) -> OriginError {
    const LATER: [&str; 6] = ["/live/", "/ssai/", "/ad/", "/license/", "/key/", "/ingest/"];
    match LATER.into_iter().find(|prefix| path.starts_with(prefix)) {
        Some(prefix) => OriginError::NotBuilt { what: format!("`{prefix}`") },
        None => OriginError::NotFound { reason: format!("nothing is served at `{path}`") },
    }
}

/// The answer to any preflight for media.
pub fn preflight() -> Response<MediaBody> {
    let mut response = Response::new(MediaBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static(ALLOWED_METHODS));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(ALLOWED_METHODS));
    // Players send CMCD as headers, and a range on every byte-range request.
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    response
}

fn method_not_allowed() -> Response<MediaBody> {
    let mut response = problem_with(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "media is read with GET or HEAD",
    );
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(ALLOWED_METHODS));
    response
}

/// Lets scripts of every page read an answer.
pub fn allow_every_origin(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers
        .insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS));
    headers.insert(TIMING_ALLOW_ORIGIN, HeaderValue::from_static("*"));
}
