//! The service behind the media listener: health, time, the page, and the origin.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use origin::body::MediaBody;
use origin::{Library, problem, problem_with};
use platform::http::EARLY_DATA;
use platform::tls::Challenges;
use tower_service::Service;

use crate::access::Access;
use crate::backend::{AnswerBody, Backend};
use crate::shield::Shield;
use crate::{clock, page};

/// Whether the process takes requests: false before all listeners are up and while it drains.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    pub fn set(&self, is_ready: bool) {
        self.0.store(is_ready, Ordering::Relaxed);
    }

    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The answer to `/health` or `/ready`, for every listener.
    pub fn answer(&self, path: &str) -> Option<Response<MediaBody>> {
        match path {
            "/health" => Some(text(StatusCode::OK, "ok\n")),
            "/ready" if self.get() => Some(text(StatusCode::OK, "ready\n")),
            "/ready" => Some(text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n")),
            _ => None,
        }
    }
}

/// A short answer that nobody keeps.
pub fn text(status: StatusCode, text: impl Into<bytes::Bytes>) -> Response<MediaBody> {
    let mut response = Response::new(MediaBody::whole(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What the media listener serves.
#[derive(Clone)]
pub struct MediaService {
    backend: Backend,
    /// What the page lists; an edge without an origin has none.
    library: Option<Library>,
    readiness: Readiness,
    access: Access,
    /// Asks for the edges' secret or certificate instead, open or not.
    shield: Option<Shield>,
    /// What an authority asks while it issues a certificate.
    challenges: Challenges,
}

impl MediaService {
    pub fn new(
        backend: Backend,
        library: Option<Library>,
        readiness: Readiness,
        access: Access,
        shield: Option<Shield>,
    ) -> Self {
        let challenges = Challenges::default();
        Self { backend, library, readiness, access, shield, challenges }
    }

    /// Answers these challenges besides.
    pub fn with_challenges(self, challenges: Challenges) -> Self {
        Self { challenges, ..self }
    }

    async fn answer(&self, mut request: Request<()>) -> Response<AnswerBody> {
        if let Some(refusal) = self.judge_early(&mut request) {
            return refusal.map(AnswerBody::Media);
        }
        let path = request.uri().path();
        if let Some(answer) = self.readiness.answer(path) {
            return answer.map(AnswerBody::Media);
        }
        if let Some(key_authorization) = self.challenges.answer(path) {
            return text(StatusCode::OK, key_authorization).map(AnswerBody::Media);
        }
        if path == "/time" {
            return time().map(AnswerBody::Media);
        }
        if let Some(shield) = &self.shield {
            return self.answer_edge(shield, request).await;
        }
        // A preflight carries nothing that could be checked, and tells nothing of media.
        if *request.method() == Method::OPTIONS {
            return self.backend.answer(request).await;
        }
        match self.access.admit(request) {
            Ok(request) if self.access.is_open() => self.answer_open(request).await,
            Ok(request) => self.backend.answer(request).await,
            Err(refusal) => refusal.map(AnswerBody::Media),
        }
    }

    /// Refuses a request that may be a replay and isn't safe, and says onwards of one that is
    /// (RFC 8470 5.1); what a client says there itself ends here.
    fn judge_early(&self, request: &mut Request<()>) -> Option<Response<MediaBody>> {
        let came_early = self.access.came_early(request);
        request.headers_mut().remove(EARLY_DATA);
        if !came_early {
            return None;
        }
        if !request.method().is_safe() {
            let reason = "send this request again, after the handshake";
            return Some(problem_with(StatusCode::TOO_EARLY, "too_early", reason));
        }
        request.headers_mut().insert(EARLY_DATA, HeaderValue::from_static("1"));
        None
    }

    /// An origin behind edges: they looked at the token.
    async fn answer_edge(&self, shield: &Shield, request: Request<()>) -> Response<AnswerBody> {
        if !shield.admits(&request) {
            let reason = "this origin answers its edges only";
            let refusal = problem_with(StatusCode::FORBIDDEN, "shield_required", reason);
            return refusal.map(AnswerBody::Media);
        }
        match self.access.read(request) {
            Ok(request) if self.access.is_open() => self.answer_open(request).await,
            Ok(request) => self.backend.answer(request).await,
            Err(refusal) => refusal.map(AnswerBody::Media),
        }
    }

    /// An open server has a page and a list of titles besides.
    async fn answer_open(&self, request: Request<()>) -> Response<AnswerBody> {
        let path = request.uri().path();
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let library = self.library.as_ref().filter(|_| is_read);
        if let Some(library) = library
            && path == "/titles.json"
        {
            let titles = match page::titles(library).await {
                Ok(entity) => entity.respond(request.method(), request.headers()),
                Err(error) => problem(&error),
            };
            return titles.map(AnswerBody::Media);
        }
        if library.is_some()
            && let Some(entity) = page::file(path)
        {
            let mut response = entity.respond(request.method(), request.headers());
            page::protect(response.headers_mut());
            return response.map(AnswerBody::Media);
        }
        self.backend.answer(request).await
    }
}

/// `/time`: the clock of `urn:mpeg:dash:utc:http-xsdate:2014`.
fn time() -> Response<MediaBody> {
    let mut response = text(StatusCode::OK, clock::now_xs_date_time());
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

impl<B: Send + 'static> Service<Request<B>> for MediaService {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        let (parts, _) = request.into_parts();
        Box::pin(async move { Ok(service.answer(Request::from_parts(parts, ())).await) })
    }
}

/// Routes by few names, for metrics. A token in front makes no difference.
pub fn route_of(path: &str) -> &'static str {
    let path = match path.strip_prefix("/~") {
        Some(rest) => rest.find('/').map_or("", |end| &rest[end..]),
        None => path,
    };
    match path {
        "/" | "/titles.json" => return "page",
        "/health" | "/ready" => return "health",
        "/time" => return "time",
        _ => {}
    }
    let file = path.rsplit('/').next().unwrap_or_default();
    match file.rsplit('.').next().unwrap_or_default() {
        _ if path.starts_with("/page/") => "page",
        _ if !path.starts_with("/vod/") => "other",
        "m3u8" => "hls_playlist",
        "mpd" => "dash_manifest",
        "m4s" => "fmp4_segment",
        "ts" => "ts_segment",
        "mp4" if file == "init.mp4" => "fmp4_init",
        "mp4" => "single_file",
        "vtt" => "text",
        "jpg" | "png" | "webp" => "image",
        _ => "other",
    }
}
