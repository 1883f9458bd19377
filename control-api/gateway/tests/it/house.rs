//! A gateway on loopback, its test domain, and its switches.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use api::caller::{AuthError, Authenticator, Caller, Credentials, Viewer};
use api::cursor::CursorKeys;
use api::i18n::Catalogue;
use api::{ClientAddress, Tenant, TenantId};
use axum::extract::Request;
use axum::response::IntoResponse;
use futures_util::future::BoxFuture;
use gateway::{
    Domain, Gateway, LoginField, PageFile, Parts, Readiness, RouteClass, RouteRule, State,
};
use platform::config::{Config, SourceFile, Sources};
use platform::http::{HttpLimits, Listener, Server, serve};
use platform::telemetry::{AccessSample, HttpMetrics, encode_metrics};
use prometheus_client::registry::Registry;
use serde_json::json;
use tokio::sync::watch;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) struct House {
    pub(crate) rest: SocketAddr,
    pub(crate) grpc: SocketAddr,
    pub(crate) gateway: Gateway,
    servers: Vec<Server>,
    state: Arc<AtomicU8>,
    registry: Registry,
}

const PAGES: [PageFile; 2] = [
    PageFile {
        path: "/",
        media_type: "text/html; charset=utf-8",
        is_immutable: false,
        bytes: b"<p>hello",
    },
    PageFile {
        path: "/page/main.0123456789.js",
        media_type: "text/javascript; charset=utf-8",
        is_immutable: true,
        bytes: b"'hello';",
    },
];

/// The configuration that `text` makes of the defaults.
pub(crate) fn config(text: &str) -> Config {
    let file = SourceFile { path: "conf.toml".into(), text: text.to_owned() };
    Config::load(&Sources { file: Some(file), ..Sources::default() }).expect("it is right").config
}

impl House {
    pub(crate) async fn new(text: &str) -> Self {
        let config = config(text);
        let state = Arc::new(AtomicU8::new(1));
        let asked = Arc::clone(&state);
        let http_metrics = HttpMetrics::new();
        let (_, sample) = watch::channel(AccessSample::default());
        let (_, trusted_proxies) = watch::channel(config.net.trusted_proxies.clone());
        let (gateway, jobs) = Gateway::new(Parts {
            config: &config,
            domains: vec![domain()],
            authenticator: Some(Arc::new(Guests)),
            cursor_keys: Arc::new(CursorKeys::new(&[7; 32], &[])),
            catalogue: Arc::new(Catalogue::new(&[]).unwrap()),
            keys: Some(Arc::new(|| json!({"keys": []}))),
            pages: &PAGES,
            readiness: Readiness::new(move || match asked.load(Ordering::Relaxed) {
                0 => State::Starting,
                1 => State::Ready,
                _ => State::Draining,
            }),
            trusted_proxies,
            http_metrics: http_metrics.clone(),
            sample,
        })
        .expect("the domain is there");
        assert!(jobs.is_empty());
        tokio::spawn(gateway.tell_health());
        let mut registry = Registry::with_prefix("streamverse");
        gateway.register_metrics(&mut registry);
        http_metrics.register(&mut registry);
        let (_, limits) = watch::channel(HttpLimits::default());
        let bind = || Listener::tcp("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let rest = serve(bind(), "control", limits.clone(), gateway.rest());
        let grpc = serve(bind(), "grpc", limits, gateway.grpc());
        let address = |server: &Server| server.local_address().expect("it is TCP");
        Self {
            rest: address(&rest),
            grpc: address(&grpc),
            gateway,
            servers: vec![rest, grpc],
            state,
            registry,
        }
    }

    pub(crate) fn set_state(&self, state: State) {
        let number = match state {
            State::Starting => 0,
            State::Ready => 1,
            State::Draining => 2,
        };
        self.state.store(number, Ordering::Relaxed);
    }

    pub(crate) fn metrics(&self) -> String {
        encode_metrics(&self.registry).expect("metrics are text")
    }

    /// Connections that had to be dropped.
    pub(crate) async fn shutdown(self, drain: Duration) -> usize {
        let mut dropped = 0;
        for server in self.servers {
            dropped += server.shutdown(drain).await.dropped;
        }
        dropped
    }
}

/// `good-NAME` is the token of the viewer NAME of the tenant `default`.
struct Guests;

impl Authenticator for Guests {
    fn authenticate<'a>(
        &'a self,
        _: &'a Tenant,
        credentials: Credentials<'a>,
    ) -> BoxFuture<'a, Result<Caller, AuthError>> {
        let Credentials::Bearer(token) = credentials else {
            return Box::pin(std::future::ready(Err(AuthError::Invalid)));
        };
        let found = token.strip_prefix("good-").map(|name| {
            Caller::Viewer(Viewer {
                tenant: TenantId::new("default").expect("an id"),
                user_id: name.to_owned(),
                session_id: "s".to_owned(),
                profile_id: None,
                tier: None,
                authenticated_at_ms: 0,
            })
        });
        Box::pin(std::future::ready(found.ok_or(AuthError::Invalid)))
    }
}

fn domain() -> Domain {
    let routes = OpenApiRouter::new()
        .routes(routes!(mirror))
        .routes(routes!(panicking))
        .routes(routes!(slow))
        .routes(routes!(login))
        .routes(routes!(bulk))
        .routes(routes!(me));
    Domain::new("test", routes).with_rules([
        RouteRule { route: "/v1/login", class: RouteClass::Login(LoginField("email")) },
        RouteRule { route: "/v1/bulk", class: RouteClass::Bulk },
    ])
}

/// What arrived.
#[utoipa::path(post, path = "/v1/things/{id}", params(("id" = String, Path)), responses((status = 200)))]
async fn mirror(request: Request) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let client = parts.extensions.get::<ClientAddress>().and_then(|client| client.0);
    let tenant = parts.extensions.get::<Tenant>().map(|tenant| tenant.id().to_string());
    let headers: Vec<_> = parts
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    let body = axum::body::to_bytes(body, usize::MAX).await;
    let body = body.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    axum::Json(json!({
        "path": parts.uri.to_string(),
        "client": client.map(|client| client.to_string()),
        "tenant": tenant,
        "headers": headers,
        "body": body.unwrap_or_else(|error| format!("failed: {error}")),
    }))
}

#[utoipa::path(get, path = "/v1/panic", responses((status = 500)))]
async fn panicking() -> &'static str {
    panic!("a handler of a test panics on purpose")
}

/// Takes as long as the query says, in milliseconds.
#[utoipa::path(get, path = "/v1/slow", responses((status = 200)))]
async fn slow(request: Request) -> &'static str {
    let millis = request.uri().query().and_then(|query| query.parse().ok()).unwrap_or(0);
    tokio::time::sleep(Duration::from_millis(millis)).await;
    "done"
}

#[utoipa::path(post, path = "/v1/login", responses((status = 200)))]
async fn login(body: String) -> String {
    body
}

#[utoipa::path(post, path = "/v1/bulk", responses((status = 200)))]
async fn bulk(request: Request) -> String {
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await;
    body.map_or_else(|error| error.to_string(), |body| body.len().to_string())
}

#[utoipa::path(get, path = "/v1/me", responses((status = 200)), security(("viewer" = [])))]
async fn me(viewer: Viewer) -> String {
    viewer.user_id
}
