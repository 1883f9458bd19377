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
//!       caller  whose the credentials are                                     caller
//!       rate    429: of an address, of a principal, of attempts to sign in    layer::rates
//!       change  JSON content, by configuration                                layer::transform
//!         the handler of a domain
//!   shape       every failure is a problem                                    layer::problems
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

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, State as FromState};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use bytes::Bytes;
use http::{Request, StatusCode};
use platform::config::{Config, IpPrefix};
use platform::http::came_early;
use platform::telemetry::trace::{self, ActiveSpan, SpanKind};
use platform::telemetry::{AccessSample, HttpMetrics, Observe};
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tower::ServiceExt;
use utoipa_axum::router::OpenApiRouter;

use crate::domain::{Domain, Job, RouteClass};
use crate::exchange::{Exchange, Known};
use crate::layer::places::Places;
use crate::layer::rates::{Policy, Quota, Rates};
use crate::layer::{content, cors, deadline, headers, panics, problems, transform};
use crate::metrics::Metrics;
use crate::readiness::Readiness;
use crate::refusal::{Dialect, Refusal};
use crate::settings::Settings;
use crate::system::{self, KeySet};

/// What a gateway is made of.
pub struct Parts<'a> {
    pub config: &'a Config,
    pub domains: Vec<Domain>,
    /// The public keys of tokens.
    pub keys: Option<KeySet>,
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
}

/// The gateway of a process. Clones share everything.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
    rest: Service,
    grpc: Service,
}

/// What a listener serves: all layers, and the domains behind them.
pub type Service = Observe<Front>;

pub(crate) struct Shared {
    settings: RwLock<Arc<Settings>>,
    trusted_proxies: watch::Receiver<Vec<IpPrefix>>,
    readiness: Readiness,
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
        let mut rules = HashMap::new();
        let mut jobs = Vec::new();
        let mut described = OpenApiRouter::with_openapi(crate::docs::base(control));
        for domain in domains {
            rules.extend(domain.rules.iter().map(|rule| (rule.route, rule.class)));
            described = described.merge(domain.routes);
            jobs.extend(domain.jobs);
        }
        let (router, document) = described.split_for_parts();
        let templates = document.paths.paths.keys().cloned();
        let templates = templates.chain(system::PATHS.map(str::to_owned));
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
            routes: routes.collect(),
            rates: Rates::new(&control.rate_limit),
            places: Places::default(),
            metrics: Metrics::default(),
        });
        let text = control.docs.then(|| document.to_json().unwrap_or_default());
        let rest = router.merge(system::routes(text, parts.keys));
        let rest = rest.layer(axum::extract::DefaultBodyLimit::disable());
        let observe = |dialect, router: Router| {
            let router = router.layer(from_fn_with_state(Arc::clone(&shared), admit));
            let front = Front { shared: Arc::clone(&shared), dialect, router };
            Observe::new(front, parts.http_metrics.clone(), |_| UNMATCHED.name)
                .behind(parts.trusted_proxies.clone())
                .sampled(parts.sample.clone())
        };
        let rest = observe(Dialect::Rest, rest);
        let grpc = observe(Dialect::Grpc, Router::new());
        Ok((Self { shared, rest, grpc }, jobs))
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

    pub fn register_metrics(&self, registry: &mut Registry) {
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

    fn route_of(&self, request: &Request<Body>) -> Route {
        let matched = request.extensions().get::<MatchedPath>();
        let route = matched.and_then(|matched| self.routes.get(matched.as_str()));
        route.copied().unwrap_or(UNMATCHED)
    }
}

/// The layers around the router.
#[derive(Clone)]
pub struct Front {
    shared: Arc<Shared>,
    dialect: Dialect,
    router: Router,
}

impl Front {
    async fn answer(self, mut request: Request<Body>) -> Response {
        let shared = Arc::clone(&self.shared);
        if let Some(answer) = system::health(&shared.readiness, request.uri().path()) {
            return answer;
        }
        let settings = shared.settings();
        let is_replay = {
            let trusted = shared.trusted_proxies.borrow();
            came_early(&request, &trusted) && !request.method().is_safe()
        };
        let known = {
            let trusted = shared.trusted_proxies.borrow();
            Known::of(&mut request, self.dialect, Arc::clone(&settings), &trusted)
        };
        let exchange: Exchange = Arc::new(known);
        let span = trace::span_of(&exchange.trace, "request", SpanKind::Server);
        let within = async {
            let routed = panics::contain(&shared.metrics, async {
                match self.before_routing(&exchange, request, is_replay) {
                    Ok(Turn::On(request)) => self.route(request).await,
                    Ok(Turn::Back(answer)) => answer,
                    Err(refusal) => refusal.into_response(&exchange),
                }
            });
            let answer = routed.await.unwrap_or_else(|refusal| refusal.into_response(&exchange));
            let answer = problems::shape(&exchange, answer).await;
            let mut answer = settings.transforms.change_answer(&exchange, answer).await;
            headers::finish(&exchange, &mut answer);
            answer
        };
        let answer = trace::in_context(exchange.trace.clone(), within).await;
        describe(span, &exchange, &answer);
        answer
    }

    fn before_routing(
        &self,
        exchange: &Exchange,
        mut request: Request<Body>,
        is_replay: bool,
    ) -> Result<Turn, Refusal> {
        if exchange.tenant.is_none() {
            self.shared.metrics.refuse("tenant");
            let detail = "Nobody is served under this host.";
            return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, "unknown_host", detail));
        }
        if is_replay {
            self.shared.metrics.refuse("early");
            let detail = "The request came as early data and may be a replay. Send it again.";
            return Err(Refusal::new(StatusCode::TOO_EARLY, "too_early", detail));
        }
        if let Some(answer) = cors::preflight(exchange, &request) {
            return answer.map(Turn::Back);
        }
        exchange.settings.transforms.change_head(exchange, &mut request);
        request.extensions_mut().insert(Arc::clone(exchange));
        Ok(Turn::On(request))
    }

    async fn route(&self, request: Request<Body>) -> Response {
        match self.router.clone().oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
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
        // The router is never reached but through `Front`.
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return answer;
    };
    let answer = enter(&shared, &exchange, request, next).await;
    answer.unwrap_or_else(|refusal| refusal.into_response(&exchange))
}

async fn enter(
    shared: &Shared,
    exchange: &Exchange,
    request: Request<Body>,
    next: Next,
) -> Result<Response, Refusal> {
    let (settings, metrics) = (&exchange.settings, &shared.metrics);
    let route = shared.route_of(&request);
    exchange.note.name_route(route.name);
    let _place = shared.places.take(settings.requests_max, metrics)?;
    let bounds = settings.bounds(route.class);
    let deadline = deadline::Deadline::of(exchange.dialect, request.headers(), bounds.time_max)?;
    let (mut request, fate) = content::bound(request, bounds.content_bytes_max, metrics)?;
    if let Some(deadline) = deadline {
        request.extensions_mut().insert(deadline);
    }
    let answer = async {
        let quota = rate(shared, exchange)?;
        let request = transform::change_content(request).await.map_err(|_| unreadable())?;
        let mut answer = panics::contain(metrics, next.run(request)).await?;
        if let Some(quota) = quota {
            answer.extensions_mut().insert(quota);
        }
        Ok(answer)
    };
    let answer = deadline::in_time(deadline, &fate, metrics, answer).await;
    if let Some(refusal) = fate.refusal(metrics) {
        return Err(refusal);
    }
    let answer = answer?;
    Ok(match exchange.dialect {
        Dialect::Grpc => deadline::end_at(deadline, answer),
        Dialect::Rest => answer,
    })
}

fn rate(shared: &Shared, exchange: &Exchange) -> Result<Option<Quota>, Refusal> {
    let rates = &exchange.settings.rates;
    let Some(network) = rates.network(exchange.client) else { return Ok(None) };
    let key = (exchange.tenant.as_deref(), network);
    shared.rates.take(rates, Policy::Anonymous, key, &shared.metrics)
}

fn unreadable() -> Refusal {
    let detail = "The content broke off or is malformed.";
    Refusal::new(StatusCode::BAD_REQUEST, "invalid_content", detail)
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
