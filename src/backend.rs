//! What answers requests that the door let in: the origin in this process, or origins elsewhere
//! through the cache.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use bytes::{Buf, Bytes};
use edge::cache::{Cache, CacheBody, CacheMetrics, Settings};
use edge::target::MANIFEST_PARAMETERS;
use edge::upstream::Upstreams;
use edge::upstream::headers::has_looped;
use http::header::{self, HeaderName, HeaderValue};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use origin::body::MediaBody;
use origin::{Chunk, Library, OriginService, allow_every_origin, preflight, problem_with};
use platform::config::Config;
use platform::http::EARLY_DATA;
use prometheus_client::registry::Registry;

use crate::cdn::CarriedBody;
use crate::clock;

/// All titles are of one tenant, whatever name the edge was reached by, so that one title is
/// cached once.
pub const HOST: Authority = Authority::from_static("media");
/// Bytes of a cached object that are handed on together. A write of 64 KiB at a time costs a fifth
/// more.
const GATHERED_BYTES: usize = 256 * 1024;
/// What hyper gathers in a write besides a head.
const GATHERED_PARTS_MAX: usize = 32;

const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// Answers requests for media.
#[derive(Clone)]
pub enum Backend {
    Origin(OriginService),
    Upstreams(Cache<Upstreams>),
}

/// What the cache of `config` may keep, and where.
pub fn cache_settings(config: &Config) -> Settings {
    let mut settings = Settings::of_config(&config.cache, &config.data.dir);
    // One definition of what changes an answer, for the key and for the token's check.
    settings.query_allowed = MANIFEST_PARAMETERS.iter().map(|&name| name.to_owned()).collect();
    settings.query_allowed.push("sidx".to_owned());
    // Told onwards, so that two edges that name each other find out.
    settings.forwarded_headers.push(CDN_LOOP);
    settings.forwarded_headers.push(EARLY_DATA);
    settings
}

impl Backend {
    /// The origin over `library`, or with `is_edge` the upstreams of the configuration behind a
    /// cache. Inside a runtime: upstreams are looked after from now on.
    ///
    /// # Errors
    /// When the upstreams can't be set up.
    pub fn new(
        config: &Config,
        is_edge: bool,
        library: Library,
        registry: &mut Registry,
    ) -> anyhow::Result<Self> {
        if !is_edge {
            return Ok(Self::Origin(OriginService::new(library, clock::now_ms)));
        }
        let upstreams = Upstreams::start(&config.fetch, &config.upstream)?;
        upstreams.register_metrics(registry);
        let metrics = CacheMetrics::default();
        metrics.register(registry);
        Ok(Self::Upstreams(Cache::open(upstreams, cache_settings(config), metrics)))
    }

    /// The cache in front of the upstreams, on an edge.
    pub fn cache(&self) -> Option<&Cache<Upstreams>> {
        match self {
            Self::Origin(_) => None,
            Self::Upstreams(cache) => Some(cache),
        }
    }

    /// Looks after the cache, if there is one. Never ends.
    pub async fn maintain(&self) {
        match self {
            Self::Origin(_) => std::future::pending().await,
            Self::Upstreams(cache) => cache.maintain().await,
        }
    }

    /// Writes down what the cache knows of its disk. Blocks; for the end of the process.
    pub fn save(&self) {
        if let Self::Upstreams(cache) = self {
            cache.save();
        }
    }

    /// Fetches what will probably be asked for, by its canonical target; false where nothing is
    /// fetched.
    pub fn prefetch(&self, target: &str) -> bool {
        match self {
            // There is nothing between this origin and its sources that could keep it.
            Self::Origin(_) => false,
            Self::Upstreams(cache) => {
                cache.prefetch(HOST.as_str(), target, &HeaderMap::new(), SystemTime::now())
            }
        }
    }

    /// Writes down what the cache knows and leaves its disk to another process. Blocks.
    pub fn freeze(&self) {
        if let Self::Upstreams(cache) = self {
            cache.freeze();
        }
    }

    /// The cache's disk is this process's own again.
    pub fn thaw(&self) {
        if let Self::Upstreams(cache) = self {
            cache.thaw();
        }
    }

    /// Answers a request whose target is canonical.
    pub async fn answer(&self, mut request: Request<()>) -> Response<AnswerBody> {
        match self {
            // On the heap: its future is kilobytes, which every hit of an edge would carry along.
            Self::Origin(origin) => Box::pin(origin.answer(&request)).await.map(AnswerBody::Media),
            Self::Upstreams(_) if *request.method() == Method::OPTIONS => {
                preflight().map(AnswerBody::Media)
            }
            // Before the cache: a request that comes back would wait for the fill that it is for.
            Self::Upstreams(cache) if has_looped(request.headers(), cache.fetch().name()) => {
                let reason = "the request came through this edge before (CDN-Loop)";
                problem_with(StatusCode::LOOP_DETECTED, "loop_detected", reason)
                    .map(AnswerBody::Media)
            }
            Self::Upstreams(cache) => {
                name_tenant(&mut request);
                let mut response = cache.answer(request, SystemTime::now()).await;
                allow_every_origin(response.headers_mut());
                response.map(AnswerBody::Cached)
            }
        }
    }
}

/// Replaces whatever name the request came by.
fn name_tenant(request: &mut Request<()>) {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(HOST);
    // A path, a scheme and an authority always make a URI.
    *request.uri_mut() = http::Uri::from_parts(parts).unwrap_or_default();
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("media"));
}

/// As many pieces as are at hand and make a write worth its call.
fn gather(first: Bytes, body: &mut CacheBody) -> Chunk {
    let mut chunk = Chunk::from(first);
    while chunk.remaining() < GATHERED_BYTES
        && chunk.part_count() < GATHERED_PARTS_MAX
        && let Some(next) = body.next_at_hand()
    {
        chunk.push(next);
    }
    chunk
}

/// The body of an answer, wherever it comes from.
pub enum AnswerBody {
    Media(MediaBody),
    Cached(CacheBody),
    /// A manifest that is changed as it passes.
    Carried(Box<CarriedBody>),
}

impl From<MediaBody> for AnswerBody {
    fn from(body: MediaBody) -> Self {
        Self::Media(body)
    }
}

impl Body for AnswerBody {
    type Data = Chunk;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, Self::Error>>> {
        match self.get_mut() {
            Self::Media(body) => {
                let frame = ready!(Pin::new(body).poll_frame(context));
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Self::Cached(body) => {
                let frame = ready!(Pin::new(&mut *body).poll_frame(context));
                let frame = frame.map(|frame| frame.map_err(Into::into));
                let gathered = |frame: Frame<Bytes>| frame.map_data(|first| gather(first, body));
                Poll::Ready(frame.map(|frame| frame.map(gathered)))
            }
            Self::Carried(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Media(body) => body.is_end_stream(),
            Self::Cached(body) => body.is_end_stream(),
            Self::Carried(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Media(body) => body.size_hint(),
            Self::Cached(body) => body.size_hint(),
            Self::Carried(body) => body.size_hint(),
        }
    }
}
