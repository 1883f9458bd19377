//! The service behind the media listener: health, time, the page, and the origin.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use origin::body::MediaBody;
use origin::{Library, problem, problem_with};
use platform::http::EARLY_DATA;
use platform::tls::Challenges;
use tower_service::Service;

use crate::access::{Access, too_early};
use crate::backend::{AnswerBody, Backend};
use crate::front::Front;
use crate::players::REPORTS_PATH;
use crate::shield::Shield;
use crate::{clock, page};

/// Whether the process takes requests: not before all listeners are up, not at its end, and not
/// while an operator drains it.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<ReadyState>);

#[derive(Debug, Default)]
struct ReadyState {
    is_up: AtomicBool,
    /// Since when it drains, in milliseconds since 1970; 0 when it doesn't.
    draining_since_ms: AtomicU64,
}

impl Readiness {
    pub fn set(&self, is_up: bool) {
        self.0.is_up.store(is_up, Ordering::Relaxed);
    }

    pub fn get(&self) -> bool {
        self.0.is_up.load(Ordering::Relaxed) && self.draining_since_ms().is_none()
    }

    pub fn draining_since_ms(&self) -> Option<u64> {
        Some(self.0.draining_since_ms.load(Ordering::Relaxed)).filter(|since_ms| 0 < *since_ms)
    }

    /// Requests go on, and whoever asks for readiness is told to send no more. Doing it again
    /// changes nothing.
    pub fn drain(&self, now_ms: u64) {
        let since = &self.0.draining_since_ms;
        // It fails where it drains already.
        let _ = since.compare_exchange(0, now_ms.max(1), Ordering::Relaxed, Ordering::Relaxed);
    }

    pub fn cancel_drain(&self) {
        self.0.draining_since_ms.store(0, Ordering::Relaxed);
    }

    /// The answer to `/health` or `/ready`, for every listener.
    pub fn answer(&self, path: &str) -> Option<Response<MediaBody>> {
        match path {
            "/health" => Some(text(StatusCode::OK, "ok\n")),
            "/ready" if self.get() => Some(text(StatusCode::OK, "ready\n")),
            "/ready" if self.draining_since_ms().is_some() => {
                Some(text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"))
            }
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
    front: Front,
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
        front: Front,
    ) -> Self {
        let challenges = Challenges::default();
        Self { backend, library, readiness, access, shield, front, challenges }
    }

    /// Answers these challenges besides.
    pub fn with_challenges(self, challenges: Challenges) -> Self {
        Self { challenges, ..self }
    }

    async fn answer<B: Body>(&self, request: Request<B>) -> Response<AnswerBody> {
        let credentials = self.access.credentials(request.headers());
        let mut response = self.answer_any(request).await;
        if let Some(credentials) = credentials {
            credentials.apply(response.headers_mut());
        }
        response
    }

    async fn answer_any<B: Body>(&self, mut request: Request<B>) -> Response<AnswerBody> {
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
        // Behind edges nobody is near enough to report.
        if path == REPORTS_PATH && self.shield.is_none() && self.front.players().is_enabled() {
            return self.answer_report(request).await.map(AnswerBody::Media);
        }
        let request = request.map(|_| ());
        if let Some(shield) = &self.shield {
            return self.answer_edge(shield, request).await;
        }
        // A preflight carries nothing that could be checked, and tells nothing of media.
        if *request.method() == Method::OPTIONS {
            return self.backend.answer(request).await;
        }
        let answer = |request| self.answer_admitted(request);
        let answered = self.front.answer(&self.access, &self.backend, request, answer).await;
        answered.unwrap_or_else(|refusal| refusal.map(AnswerBody::Media))
    }

    async fn answer_admitted(&self, request: Request<()>) -> Response<AnswerBody> {
        match self.access.is_open() {
            true => self.answer_open(request).await,
            false => self.backend.answer(request).await,
        }
    }

    /// A player's report, which comes without a token.
    async fn answer_report<B: Body>(&self, request: Request<B>) -> Response<MediaBody> {
        match self.front.take_address(&self.access, &request) {
            Ok(()) => self.front.players().report(request).await,
            Err(refusal) => refusal,
        }
    }

    /// Refuses a request that may be a replay and isn't safe, and says onwards of one that is
    /// (RFC 8470 5.1); what a client says there itself ends here.
    fn judge_early<B>(&self, request: &mut Request<B>) -> Option<Response<MediaBody>> {
        let came_early = self.access.came_early(request);
        request.headers_mut().remove(EARLY_DATA);
        if !came_early {
            return None;
        }
        if !request.method().is_safe() {
            return Some(too_early());
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
        let request = match self.access.read(request) {
            Ok(request) => request,
            Err(refusal) => return refusal.map(AnswerBody::Media),
        };
        let answer = |request| self.answer_admitted(request);
        let answered = self.front.answer_edge(request, answer).await;
        answered.unwrap_or_else(|refusal| refusal.map(AnswerBody::Media))
    }

    /// An open server has a page and a list of titles besides.
    async fn answer_open(&self, request: Request<()>) -> Response<AnswerBody> {
        let path = request.uri().path();
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let library = self.library.as_ref().filter(|_| is_read);
        if let Some(library) = library
            && path == "/titles.json"
        {
            let titles = match Box::pin(page::titles(library)).await {
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

impl<B> Service<Request<B>> for MediaService
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Send,
{
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.answer(request).await) })
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
        "/cmcd" => return "cmcd",
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
