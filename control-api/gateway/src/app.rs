//! The way of a request, on one page.
//!
//! ```text
//! listener      connections, slow and oversized heads, smuggling, one host    platform::http
//! observe       request id, access log, metrics by route                      platform::telemetry
//!   contain     a panic is this request's 500                                 layer::panics
//!   health      /health and /ready, whatever else there is                    system
//!   know        trace, client behind trusted proxies, tenant of the host      exchange
//!   tenant      421: a host that is nobody's
//!   early       425: a request that may be a replay and isn't safe
//!   preflight   which pages may ask                                           layer::cors
//!   change      headers and path, by configuration                            layer::transform
//!     route     404, 405                                                      axum, tonic
//!       place   503: too many are under way                                   layer::places
//!       time    408, 504: the route's, or the caller's deadline               layer::deadline
//!       bound   413: content larger than the route takes                      layer::content
//!       caller  whose the credentials are, and                                layer::caller
//!       rate    429: of an address, of a principal, of attempts to sign in    layer::rates
//!       change  JSON content, by configuration                                layer::transform
//!         the handler of a domain
//!   shape       every failure is a problem, or a status                       api::problem, refusal
//!   change      the answer, by configuration                                  layer::transform
//!   finish      no-store, security, CORS, what is left of the rate            layer::headers
//! ```
//!
//! REST and gRPC go the same way; [`crate::refusal`] knows in which words each is refused.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use api::Tenant;
use api::caller::{AuthError, Authenticator, Caller, Credentials};
use api::cursor::CursorKeys;
use api::i18n::Catalogue;
use api::problem::{self, Registry, Style};
use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, State as FromState};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, StatusCode};
use platform::config::{Config, IpPrefix};
use platform::http::came_early;
use platform::outbound::CallContext;
use platform::telemetry::trace::{self, ActiveSpan, SpanKind};
use platform::telemetry::{AccessSample, HttpMetrics, Observe};
use tokio::sync::watch;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt};
use utoipa_axum::router::OpenApiRouter;

use crate::domain::{Domain, Job, RouteClass};
use crate::exchange::{Exchange, Known};
use crate::grpc::{self, Health};
use crate::layer::places::Places;
use crate::layer::rates::{Quota, Rates};
use crate::layer::{caller, content, cors, deadline, headers, panics, transform, unreadable};
use crate::metrics::Metrics;
use crate::pages::{self, PageFile};
use crate::readiness::Readiness;
use crate::refusal::{CODES, Dialect, Refusal, in_grpc};
use crate::settings::Settings;
use crate::system::{self, KeySet};

/// What a gateway is made of.
pub struct Parts<'a> {
    pub config: &'a Config,
    pub domains: Vec<Domain>,
    /// Looks credentials up. Without one nobody is known.
    pub authenticator: Option<Arc<dyn Authenticator>>,
    pub cursor_keys: Arc<CursorKeys>,
    /// What is said to people, in their languages.
    pub catalogue: Arc<Catalogue>,
    /// The public keys of tokens.
    pub keys: Option<KeySet>,
    /// Files outside `/v1`; their paths are apart from each other and from those of the gateway.
    pub pages: &'a [PageFile],
    pub readiness: Readiness,
    pub trusted_proxies: watch::Receiver<Vec<IpPrefix>>,
    pub http_metrics: HttpMetrics,
    pub sample: watch::Receiver<AccessSample>,
}

/// Why there is no gateway.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error("`control.domains` names `{name}`; there are: {known}")]
    UnknownDomain { name: String, known: String },
    #[error("the description of a gRPC service can't be read: {reason}")]
    Descriptor { reason: String },
}

/// The gateway of a process. Clones share everything.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
    rest: Service,
    grpc: Service,
    health: Health,
}

/// What a listener serves: all layers, and the domains behind them.
pub type Service = Observe<Front>;

pub(crate) struct Shared {
    settings: RwLock<Arc<Settings>>,
    trusted_proxies: watch::Receiver<Vec<IpPrefix>>,
    readiness: Readiness,
    authenticator: Arc<dyn Authenticator>,
    cursor_keys: Arc<CursorKeys>,
    catalogue: Arc<Catalogue>,
    routes: HashMap<String, Route>,
    rates: Rates,
    places: Places,
    metrics: Metrics,
}

/// What is known of a route before it is asked for.
#[derive(Clone, Copy, Debug)]
struct Route {
    name: &'static str,
    class: RouteClass,
}

const UNMATCHED: Route = Route { name: "unmatched", class: RouteClass::Standard };

impl Gateway {
    /// Puts the layers in front of the domains that the configuration selects; gives what goes on
    /// beside requests, too.
    ///
    /// # Errors
    /// When the configuration names a domain that there isn't.
    pub fn new(parts: Parts<'_>) -> Result<(Self, Vec<Job>), GatewayError> {
        let control = &parts.config.control;
        let domains = select(parts.domains, &control.domains)?;
        let mut rules: HashMap<_, _> = grpc::STREAMS.into_iter().collect();
        let (mut jobs, mut services) = (Vec::new(), grpc::Services::default());
        let (mut codes, mut field_codes) = (vec![CODES], Vec::new());
        let mut described = OpenApiRouter::with_openapi(crate::docs::base(control));
        for domain in domains {
            rules.extend(domain.rules.iter().map(|rule| (rule.route, rule.class)));
            codes.push(domain.codes);
            field_codes.push(domain.field_codes);
            described = described.merge(domain.routes);
            services.add(domain.rpc, domain.descriptors);
            jobs.extend(domain.jobs);
        }
        let registry = Arc::new(Registry::new(&codes, &field_codes));
        let (router, document) = described.split_for_parts();
        let grpc::Built { router: rpc_router, methods, health } = services.build()?;
        let templates = document.paths.paths.keys().cloned();
        let templates = templates.chain(system::PATHS.map(str::to_owned)).chain(methods);
        let templates = templates.chain(parts.pages.iter().map(|file| file.path.to_owned()));
        let routes = templates.map(|template| {
            // Once for each route of the process.
            let name: &'static str = template.clone().leak();
            let class = rules.get(name).copied().unwrap_or_default();
            (template, Route { name, class })
        });
        let shared = Arc::new(Shared {
            settings: RwLock::new(Arc::new(Settings::new(parts.config))),
            trusted_proxies: parts.trusted_proxies.clone(),
            readiness: parts.readiness,
            authenticator: parts.authenticator.unwrap_or_else(|| Arc::new(NobodyIsKnown)),
            cursor_keys: parts.cursor_keys,
            catalogue: Arc::clone(&parts.catalogue),
            routes: routes.collect(),
            rates: Rates::new(&control.rate_limit),
            places: Places::default(),
            metrics: Metrics::default(),
        });
        let text = control.docs.then(|| document.to_json().unwrap_or_default());
        let rest = router.merge(system::routes(text, parts.keys, Arc::clone(&registry)));
        let rest = rest.merge(pages::routes(parts.pages));
        let rest = rest.layer(axum::extract::DefaultBodyLimit::disable());
        let observe = |dialect, router: Router| {
            let router = router.layer(from_fn_with_state(Arc::clone(&shared), admit));
            let inner = Inner { shared: Arc::clone(&shared), router };
            let inner = match dialect {
                Dialect::Rest => {
                    let style = Arc::new(Style {
                        registry: Arc::clone(&registry),
                        catalogue: Some(Arc::clone(&parts.catalogue)),
                    });
                    let finish = from_fn_with_state(style, problem::finish);
                    BoxCloneSyncService::new(finish.layer(inner))
                }
                Dialect::Grpc => {
                    BoxCloneSyncService::new(inner.map_response(in_grpc as fn(Response) -> _))
                }
            };
            let front = Front { shared: Arc::clone(&shared), dialect, inner };
            Observe::new(front, parts.http_metrics.clone(), |_| UNMATCHED.name)
                .behind(parts.trusted_proxies.clone())
                .sampled(parts.sample.clone())
        };
        let rest = observe(Dialect::Rest, rest);
        let grpc = observe(Dialect::Grpc, rpc_router);
        Ok((Self { shared, rest, grpc, health }, jobs))
    }

    /// For the listeners of REST.
    pub fn rest(&self) -> Service {
        self.rest.clone()
    }

    /// For the listener of gRPC.
    pub fn grpc(&self) -> Service {
        self.grpc.clone()
    }

    /// Adopts another configuration; what was spent stays spent.
    pub fn reload(&self, config: &Config) {
        let settings = Arc::new(Settings::new(config));
        *self.shared.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    /// Tells whoever watches over gRPC how ready the process is, for as long as it is polled.
    pub fn tell_health(&self) -> impl Future<Output = ()> + Send + use<> {
        self.health.clone().follow(self.shared.readiness.clone())
    }

    pub fn register_metrics(&self, registry: &mut prometheus_client::registry::Registry) {
        self.shared.metrics.register(registry);
    }
}

fn select(domains: Vec<Domain>, wanted: &[String]) -> Result<Vec<Domain>, GatewayError> {
    if let Some(name) = wanted.iter().find(|name| !domains.iter().any(|d| d.name == **name)) {
        let known: Vec<_> = domains.iter().map(Domain::name).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(GatewayError::UnknownDomain { name: name.clone(), known });
    }
    let is_wanted = |domain: &Domain| wanted.is_empty() || wanted.iter().any(|w| w == domain.name);
    Ok(domains.into_iter().filter(is_wanted).collect())
}

impl Shared {
    fn settings(&self) -> Arc<Settings> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn route_of(&self, dialect: Dialect, request: &Request<Body>) -> Route {
        let matched = request.extensions().get::<MatchedPath>();
        let template = match dialect {
            Dialect::Rest => matched.map(MatchedPath::as_str),
            // tonic matches services, and we know their methods.
            Dialect::Grpc => Some(request.uri().path()),
        };
        template.and_then(|template| self.routes.get(template)).copied().unwrap_or(UNMATCHED)
    }
}

/// The layers around the router.
#[derive(Clone)]
pub struct Front {
    shared: Arc<Shared>,
    dialect: Dialect,
    inner: BoxCloneSyncService<Request<Body>, Response, Infallible>,
}

impl Front {
    async fn answer(self, mut request: Request<Body>) -> Response {
        let shared = Arc::clone(&self.shared);
        if let Some(answer) = system::health(&shared.readiness, request.uri().path()) {
            return answer;
        }
        let settings = shared.settings();
        let known = {
            let trusted = shared.trusted_proxies.borrow();
            Known::of(&mut request, self.dialect, Arc::clone(&settings), &trusted)
        };
        let exchange: Exchange = Arc::new(known);
        request.extensions_mut().insert(Arc::clone(&exchange));
        let span = trace::span_of(&exchange.trace, "request", SpanKind::Server);
        let within = async {
            let answered = panics::contain(&shared.metrics, async {
                match self.inner.oneshot(request).await {
                    Ok(answer) => answer,
                    Err(never) => match never {},
                }
            });
            let answer = answered.await;
            let answer = answer.unwrap_or_else(|refusal| refusal.into_response(exchange.dialect));
            let mut answer = settings.transforms.change_answer(&exchange, answer).await;
            headers::finish(&exchange, &mut answer);
            answer
        };
        let answer = trace::in_context(exchange.trace.clone(), within).await;
        describe(span, &exchange, &answer);
        answer
    }
}

/// The layers in front of the router whose refusals are made problems like those behind it.
#[derive(Clone)]
struct Inner {
    shared: Arc<Shared>,
    router: Router,
}

impl Inner {
    async fn answer(self, request: Request<Body>) -> Response {
        let Some(exchange) = request.extensions().get::<Exchange>().cloned() else {
            return not_wired();
        };
        match self.before_routing(&exchange, request) {
            Ok(Turn::On(request)) => match self.router.oneshot(request).await {
                Ok(answer) => answer,
                Err(never) => match never {},
            },
            Ok(Turn::Back(answer)) => answer,
            Err(refusal) => refusal.into_response(exchange.dialect),
        }
    }

    fn before_routing(
        &self,
        exchange: &Exchange,
        mut request: Request<Body>,
    ) -> Result<Turn, Refusal> {
        let Some(tenant) = exchange.tenant.clone() else {
            self.shared.metrics.refuse("tenant");
            let detail = "Nobody is served under this host.";
            return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, "unknown_host", detail));
        };
        let is_replay = came_early(&request, &self.shared.trusted_proxies.borrow());
        if is_replay && !request.method().is_safe() {
            self.shared.metrics.refuse("early");
            let detail = "The request came as early data and may be a replay. Send it again.";
            return Err(Refusal::new(StatusCode::TOO_EARLY, "too_early", detail));
        }
        if let Some(answer) = cors::preflight(exchange, &request) {
            return answer.map(Turn::Back);
        }
        exchange.settings.transforms.change_head(exchange, &mut request);
        let extensions = request.extensions_mut();
        extensions.insert(Tenant(tenant));
        extensions.insert(Arc::clone(&self.shared.authenticator));
        extensions.insert(Arc::clone(&self.shared.cursor_keys));
        extensions.insert(Arc::clone(&self.shared.catalogue));
        Ok(Turn::On(request))
    }
}

impl tower::Service<Request<Body>> for Inner {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let inner = self.clone();
        Box::pin(async move { Ok(inner.answer(request).await) })
    }
}

/// What is behind the front is never reached but through it.
fn not_wired() -> Response {
    let cause = "a request did not come through the front";
    api::ApiError::internal("not_wired", cause).into_response()
}

/// Where no domain knows accounts.
struct NobodyIsKnown;

impl Authenticator for NobodyIsKnown {
    fn authenticate<'a>(
        &'a self,
        _: &'a Tenant,
        _: Credentials<'a>,
    ) -> BoxFuture<'a, Result<Caller, AuthError>> {
        Box::pin(std::future::ready(Err(AuthError::Invalid)))
    }
}

/// Where a request goes after the layers in front of the router.
enum Turn {
    On(Request<Body>),
    Back(Response),
}

/// The layers between the router and a handler.
async fn admit(
    FromState(shared): FromState<Arc<Shared>>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let Some(exchange) = request.extensions().get::<Exchange>().cloned() else {
        return not_wired();
    };
    let answer = enter(&shared, &exchange, request, next).await;
    answer.unwrap_or_else(|refusal| refusal.into_response(exchange.dialect))
}

async fn enter(
    shared: &Shared,
    exchange: &Exchange,
    request: Request<Body>,
    next: Next,
) -> Result<Response, Refusal> {
    let (settings, metrics) = (&exchange.settings, &shared.metrics);
    let route = shared.route_of(exchange.dialect, &request);
    exchange.note.name_route(route.name);
    let _place = shared.places.take(settings.requests_max, metrics)?;
    let bounds = settings.bounds(route.class);
    let deadline = deadline::of(exchange.dialect, request.headers(), bounds.time_max)?;
    let (mut request, fate) = content::bound(request, bounds.content_bytes_max, metrics)?;
    if let Some(deadline) = deadline {
        request.extensions_mut().insert(deadline);
    }
    let context = CallContext {
        request_id: Some(exchange.request_id.clone()),
        deadline,
        ..CallContext::read(request.headers())
    };
    let answer = async {
        let rates = &shared.rates;
        let (request, quota) = caller::admit(rates, metrics, exchange, request).await?;
        let (request, of_attempts) =
            caller::attempt(rates, metrics, exchange, route.class, request).await?;
        let quota = Quota::tighter(quota, of_attempts);
        let request = transform::change_content(request).await.map_err(|_| unreadable())?;
        let mut answer = panics::contain(metrics, context.scope(next.run(request))).await?;
        if let Some(quota) = quota {
            answer.extensions_mut().insert(quota);
        }
        Ok(answer)
    };
    let answer = deadline::in_time(deadline, exchange.dialect, &fate, metrics, answer).await;
    if let Some(refusal) = fate.refusal(metrics) {
        return Err(refusal);
    }
    let answer = answer?;
    Ok(match exchange.dialect {
        Dialect::Grpc => deadline::end_at(deadline, answer),
        Dialect::Rest => answer,
    })
}

/// Completes the span of a request (OpenTelemetry, "Semantic Conventions for HTTP Spans").
fn describe(span: Option<ActiveSpan>, exchange: &Exchange, answer: &Response) {
    let Some(mut span) = span else { return };
    let route = exchange.note.named_route().unwrap_or(UNMATCHED.name);
    span.rename(format!("{} {route}", exchange.method));
    span.set("http.request.method", exchange.method.to_string());
    span.set("http.route", route);
    span.set("http.response.status_code", i64::from(answer.status().as_u16()));
    span.set("streamverse.request_id", exchange.request_id.to_string());
    if let Some(tenant) = &exchange.tenant {
        span.set("streamverse.tenant", tenant.to_string());
    }
    if answer.status().is_server_error() {
        span.fail();
    }
}

impl<B> tower::Service<Request<B>> for Front
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let front = self.clone();
        Box::pin(async move { Ok(front.answer(request.map(Body::new)).await) })
    }
}
