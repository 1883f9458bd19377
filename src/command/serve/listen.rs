//! The listeners: media in the clear, over TLS and QUIC, the control API, the operator's, and the
//! commands' socket.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use edge::http3::{self, AltSvc};
use gateway::Gateway;
use origin::Library;
use platform::DataDir;
use platform::config::{Config, Control, IpPrefix, Listen, Loaded};
use platform::http::{HttpLimits, Server, serve, serve_tls};
use platform::telemetry::{AccessSample, HttpMetrics, Observe, ProcessMetrics};
use platform::tls::Tls;
use prometheus_client::registry::Registry;
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::bind::{bind, bind_both};
use super::handover::Sockets;
use crate::access::Access;
use crate::admin::AdminService;
use crate::backend::Backend;
use crate::feed::Feed;
use crate::front::Front;
use crate::keys::KeyRoom;
use crate::media::{MediaService, Readiness, route_of};
use crate::ops::{ConnectionCounts, Ops, OpsGuard, OpsService};
use crate::ownership::Ownership;
use crate::shield::Shield;

/// How long a piece of work may go on without a word.
const WORK_STALL_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What the listeners are made of.
pub(super) struct Wiring {
    pub(super) library: Library,
    pub(super) backend: Backend,
    pub(super) feed: Feed,
    pub(super) is_edge: bool,
    pub(super) plays_media: bool,
    pub(super) gateway: Option<Gateway>,
    pub(super) control_limits: watch::Receiver<HttpLimits>,
    pub(super) http_metrics: HttpMetrics,
    pub(super) access: Access,
    pub(super) readiness: Readiness,
    pub(super) limits: watch::Receiver<HttpLimits>,
    pub(super) trusted_proxies: watch::Receiver<Vec<IpPrefix>>,
    pub(super) front: Front,
    pub(super) sample: watch::Receiver<AccessSample>,
    pub(super) tls: Option<Tls>,
    pub(super) ownership: Ownership,
    pub(super) keys: KeyRoom,
}

/// What listens, by the name that the ready line gives it.
pub(super) struct Listeners {
    pub(super) servers: Vec<(&'static str, Server)>,
    /// HTTP/3, on the UDP port with the number of `media_https`.
    pub(super) quic: Option<http3::Server>,
    pub(super) alt_svc: Option<AltSvc>,
}

impl Wiring {
    pub(super) fn listen(
        &self,
        loaded: &Loaded,
        data: &DataDir,
        mut sockets: Sockets,
        mut registry: Registry,
    ) -> anyhow::Result<Listeners> {
        let config = &loaded.config;
        let metrics = self.http_metrics.clone();
        metrics.register(&mut registry);
        self.library.store().metrics().register(&mut registry);
        self.library.register_metrics(&mut registry);
        self.access.register_metrics(&mut registry);
        self.front.register_metrics(&mut registry);
        let mut process = Registry::default();
        ProcessMetrics::register(&mut process);

        let connections = ConnectionCounts::default();
        let guard = OpsGuard::new(&config.ops, data.path())?;
        guard.register_metrics(&mut registry);
        let http_metrics = metrics.clone();
        let mut servers = Vec::new();
        let (mut quic, mut alt_svc) = (None, None);
        let service = MediaService::new(
            self.backend.clone(),
            (!self.is_edge).then(|| self.library.clone()),
            self.readiness.clone(),
            self.access.clone(),
            Shield::new(config),
            self.front.clone(),
        );
        let service = match &self.tls {
            Some(tls) => {
                tls.register_metrics(&mut registry);
                service.with_challenges(tls.challenges().clone())
            }
            None => service,
        };
        let service = Observe::new(service, metrics, route_of)
            .behind(self.trusted_proxies.clone())
            .sampled(self.sample.clone());
        let (media_http, media_https) = match self.plays_media {
            true => (config.media.http, config.media.https),
            false => (Listen::Off, Listen::Off),
        };
        if let Some(listener) = bind(&mut sockets, "media_http", "media.http", media_http)? {
            let (limits, service) = (self.limits.clone(), service.clone());
            servers.push(("media_http", serve(listener, "media", limits, service)));
        }
        if let (Some(address), Some(tls)) = (media_https.address(), &self.tls) {
            let (listener, socket, inherited) = sockets.https(address, || bind_both(address))?;
            let advertised = AltSvc::new(socket.local_addr()?.port());
            let over_tcp = advertised.layer(service.clone());
            let limits = self.limits.clone();
            let server = serve_tls(listener, tls.over_tcp(), "media", limits.clone(), over_tcp);
            servers.push(("media_https", server));
            let server =
                http3::serve(socket, inherited, tls.over_quic(), "media", limits, service)?;
            connections.add("media_quic", server.connection_count());
            quic = Some(server);
            alt_svc = Some(advertised);
        }
        if let Some(gateway) = &self.gateway {
            gateway.register_metrics(&mut registry);
            self.listen_control(gateway, config, &mut sockets, &mut servers)?;
        }
        let ops = OpsService::new(Ops {
            registries: vec![registry, process],
            config: loaded.to_json().to_string(),
            readiness: self.readiness.clone(),
            guard,
            backend: self.backend.clone(),
            feed: self.feed.clone(),
            http: http_metrics,
            connections: connections.clone(),
        });
        if let Some(listener) = bind(&mut sockets, "ops_http", "ops.http", config.ops.http)? {
            servers.push(("ops_http", serve(listener, "ops", self.limits.clone(), ops.clone())));
        }
        let socket = DataDir::admin_socket(data.path());
        let listener = sockets
            .admin(&socket)
            .with_context(|| format!("cannot listen on {}", socket.display()))?;
        // An ingest may take longer than any request of a viewer.
        let limits = HttpLimits {
            write_stall: WORK_STALL_MAX,
            // It may wait until a hand-over is done.
            request_timeout: WORK_STALL_MAX,
            ..HttpLimits::from(&config.limits)
        };
        let (_, limits) = watch::channel(limits);
        let service = AdminService::new(
            self.library.clone(),
            self.feed.clone(),
            ops,
            self.ownership.clone(),
            self.keys.clone(),
        );
        servers.push(("admin", serve(listener, "admin", limits, service)));
        for (name, server) in &servers {
            connections.add(name, server.connection_count());
        }
        Ok(Listeners { servers, quic, alt_svc })
    }
}

impl Wiring {
    /// The listeners of the control API: REST in the clear and over TLS, and gRPC.
    fn listen_control(
        &self,
        gateway: &Gateway,
        config: &Config,
        sockets: &mut Sockets,
        servers: &mut Vec<(&'static str, Server)>,
    ) -> anyhow::Result<()> {
        let limits = || self.control_limits.clone();
        let tls = || self.tls.as_ref().map(Tls::over_tcp_for_anybody).context("TLS is set up");
        let Control { http, https, grpc, grpc_tls, .. } = config.control;
        if let Some(listener) = bind(sockets, "control_http", "control.http", http)? {
            servers.push(("control_http", serve(listener, "control", limits(), gateway.rest())));
        }
        if let Some(listener) = bind(sockets, "control_https", "control.https", https)? {
            let server = serve_tls(listener, tls()?, "control", limits(), gateway.rest());
            servers.push(("control_https", server));
        }
        if let Some(listener) = bind(sockets, "control_grpc", "control.grpc", grpc)? {
            let server = match grpc_tls {
                true => serve_tls(listener, tls()?, "grpc", limits(), gateway.grpc()),
                false => serve(listener, "grpc", limits(), gateway.grpc()),
            };
            servers.push(("control_grpc", server));
        }
        Ok(())
    }
}

impl Listeners {
    pub(super) fn addresses(&self) -> Map<String, Value> {
        let bound = |(name, server): &(&'static str, Server)| {
            let address: Option<SocketAddr> = server.local_address();
            Some(((*name).to_owned(), Value::String(address?.to_string())))
        };
        self.servers.iter().filter_map(bound).collect()
    }

    /// Ends all listeners at the same time; the number of connections that had to be dropped.
    /// `is_replaced`: another process listens on the same sockets.
    pub(super) async fn shutdown(self, drain: Duration, is_replaced: bool) -> usize {
        if let Some(alt_svc) = self.alt_svc.as_ref().filter(|_| !is_replaced) {
            alt_svc.clear();
        }
        let quic = self.quic.map(|server| {
            tokio::spawn(async move {
                match is_replaced {
                    true => server.shutdown_replaced(drain).await,
                    false => server.shutdown(drain).await,
                }
            })
        });
        let ends = self.servers.into_iter().map(|(_, server)| {
            tokio::spawn(async move {
                match is_replaced {
                    true => server.shutdown_replaced(drain).await,
                    false => server.shutdown(drain).await,
                }
            })
        });
        let mut dropped = 0;
        for end in ends.collect::<Vec<_>>().into_iter().chain(quic) {
            dropped += end.await.map_or(0, |drained| drained.dropped);
        }
        dropped
    }
}
