//! `streamverse serve`: listeners, signals, an orderly end.

use std::net::{SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use edge::http3::{self, AltSvc};
use origin::Library;
use origin::sweep::sweep;
use platform::DataDir;
use platform::config::{Config, IpPrefix, Listen, Loaded};
use platform::http::{HttpLimits, Listener, Server, bind_udp, serve, serve_tls};
use platform::telemetry::{
    AccessSample, HttpMetrics, LogHandle, Observe, ProcessMetrics, init_log,
};
use platform::tls::{Acme, Tls};
use prometheus_client::registry::Registry;
use serde_json::{Map, Value};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::{configured_presets, load_config, open_library};
use crate::access::Access;
use crate::admin::AdminService;
use crate::backend::Backend;
use crate::cli::{ConfigArgs, Role, Serve};
use crate::clock;
use crate::feed::{Feed, follow};
use crate::front::Front;
use crate::media::{MediaService, Readiness, route_of};
use crate::ops::{ConnectionCounts, Ops, OpsGuard, OpsService};
use crate::output;
use crate::shield::Shield;

pub fn run(arguments: &Serve) -> anyhow::Result<ExitCode> {
    let roles = &arguments.roles;
    if let Some(role) = roles.iter().find(|role| matches!(role, Role::Encoder | Role::Control)) {
        let role = format!("{role:?}").to_lowercase();
        bail!("role `{role}` is not built yet; there are edge, origin, and both in one");
    }
    let loaded = load_config(&arguments.config, Vec::new())?;
    if !is_edge_alone(arguments) && !loaded.config.upstream.is_empty() {
        bail!(
            "`[[upstream]]` names origins for an edge; add `--roles edge`, or leave it out where \
             the origin is in this process"
        );
    }
    let log = init_log(&loaded.config.log)?;
    let data = DataDir::open(&loaded.config.data.dir)?;
    let outcome = crate::runtime()?.block_on(serve_until_told(arguments, loaded, &log, &data));
    // The lock goes last: until here nobody else may write.
    drop(data);
    outcome
}

/// Whether this process answers from other origins.
fn is_edge_alone(arguments: &Serve) -> bool {
    arguments.roles == [Role::Edge]
}

async fn serve_until_told(
    arguments: &Serve,
    loaded: Loaded,
    log: &LogHandle,
    data: &DataDir,
) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let library = open_library(&loaded.config, data)?;
    let readiness = Readiness::default();
    let (limits_sender, limits) = watch::channel(HttpLimits::from(&loaded.config.limits));
    let (proxies_sender, trusted_proxies) =
        watch::channel(loaded.config.net.trusted_proxies.clone());
    let access = Access::new(&loaded.config, data, arguments.open)?;
    let is_edge = is_edge_alone(arguments);
    let front = Front::new(&loaded.config, !is_edge)?;
    let (sample_sender, sample) = watch::channel(AccessSample::from(&loaded.config.log));
    let tls = open_tls(&loaded.config, data)?;
    let adopting = Adopting {
        log,
        tls: tls.clone(),
        limits: limits_sender,
        trusted_proxies: proxies_sender,
        library: library.clone(),
        access: access.clone(),
        front: front.clone(),
        sample: sample_sender,
        data,
    };
    let mut registry = Registry::with_prefix("streamverse");
    let backend = Backend::new(&loaded.config, is_edge, library.clone(), &mut registry)?;
    let feed = Feed::open(data.path(), access.revocations().clone(), backend.cache().cloned())?;
    feed.register_metrics(&mut registry);
    if is_edge && loaded.config.feed.follow.is_empty() {
        tracing::warn!(
            "this edge follows nobody: sessions that are revoked and titles that are removed \
             elsewhere stay unknown here; set `[feed] follow`"
        );
    }
    let following = tokio::spawn(follow(&feed, &loaded.config.feed, data.path())?);
    let wiring = Wiring {
        library,
        backend: backend.clone(),
        feed: feed.clone(),
        is_edge,
        access,
        readiness: readiness.clone(),
        limits,
        trusted_proxies,
        front: front.clone(),
        sample,
        tls: tls.clone(),
    };
    let listeners = wiring.listen(&loaded, data, registry)?;
    let sweeping = tokio::spawn(sweep_now_and_then(adopting.library.clone()));
    let kept = backend.clone();
    let maintaining = tokio::spawn(async move { tokio::join!(kept.maintain(), front.maintain()) });
    readiness.set(true);
    output::line(&format!("ready {}", Value::Object(listeners.addresses())));
    if arguments.open {
        tracing::warn!("serving open: every title can be watched without a signed URL");
    }

    let ordering =
        tls.as_ref().and_then(|tls| Acme::new(&loaded.config.tls.acme, data.path(), tls));
    let ordering = ordering.map(|acme| tokio::spawn(acme.run()));
    let watching = tls.clone().map(|tls| tokio::spawn(watch_certificates(tls)));
    let mut current = loaded.config;
    loop {
        match signals.next().await {
            Told::Reload => {
                current = adopting.reload(&arguments.config, current);
            }
            Told::Stop(name) => {
                tracing::info!(signal = name, "stopping");
                break;
            }
        }
    }
    readiness.set(false);
    // A sweep can end anywhere: the next one goes on.
    sweeping.abort();
    maintaining.abort();
    following.abort();
    // Their connections would not end by themselves.
    feed.close();
    for task in watching.into_iter().chain(ordering) {
        task.abort();
    }
    let drain = Duration::from_secs_f64(current.limits.drain_seconds);
    let dropped = listeners.shutdown(drain).await;
    if dropped > 0 {
        tracing::warn!(dropped, "connections were dropped because the drain time was over");
    }
    tokio::task::spawn_blocking(move || backend.save()).await?;
    Ok(ExitCode::SUCCESS)
}

/// Removes what crashed ingests left: at once, and again while others may crash.
async fn sweep_now_and_then(library: Library) {
    loop {
        if let Err(error) = sweep(&library, None, clock::now_ms()).await {
            tracing::warn!(%error, "could not look for what crashed ingests left");
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

/// What the listeners are made of.
struct Wiring {
    library: Library,
    backend: Backend,
    feed: Feed,
    is_edge: bool,
    access: Access,
    readiness: Readiness,
    limits: watch::Receiver<HttpLimits>,
    trusted_proxies: watch::Receiver<Vec<IpPrefix>>,
    front: Front,
    sample: watch::Receiver<AccessSample>,
    tls: Option<Tls>,
}

/// What listens, by the name that the ready line gives it.
struct Listeners {
    servers: Vec<(&'static str, Server)>,
    /// HTTP/3, on the UDP port with the number of `media_https`.
    quic: Option<http3::Server>,
    alt_svc: Option<AltSvc>,
}

impl Wiring {
    fn listen(
        &self,
        loaded: &Loaded,
        data: &DataDir,
        mut registry: Registry,
    ) -> anyhow::Result<Listeners> {
        let config = &loaded.config;
        let metrics = HttpMetrics::new();
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
        if let Some(listener) = bind("media.http", config.media.http)? {
            let (limits, service) = (self.limits.clone(), service.clone());
            servers.push(("media_http", serve(listener, "media", limits, service)));
        }
        if let (Some(address), Some(tls)) = (config.media.https.address(), &self.tls) {
            let (listener, socket) = bind_both(address)?;
            let advertised = AltSvc::new(socket.local_addr()?.port());
            let over_tcp = advertised.layer(service.clone());
            let limits = self.limits.clone();
            let server = serve_tls(listener, tls.over_tcp(), "media", limits.clone(), over_tcp);
            servers.push(("media_https", server));
            let server = http3::serve(socket, tls.over_quic(), "media", limits, service)?;
            connections.add("media_quic", server.connection_count());
            quic = Some(server);
            alt_svc = Some(advertised);
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
        if let Some(listener) = bind("ops.http", config.ops.http)? {
            servers.push(("ops_http", serve(listener, "ops", self.limits.clone(), ops.clone())));
        }
        let socket = DataDir::admin_socket(data.path());
        let listener = Listener::unix(&socket)
            .with_context(|| format!("cannot listen on {}", socket.display()))?;
        // An ingest may take longer than any request of a viewer.
        let limits = HttpLimits { write_stall: WORK_STALL_MAX, ..HttpLimits::from(&config.limits) };
        let (_, limits) = watch::channel(limits);
        let service = AdminService::new(self.library.clone(), self.feed.clone(), ops);
        servers.push(("admin", serve(listener, "admin", limits, service)));
        for (name, server) in &servers {
            connections.add(name, server.connection_count());
        }
        Ok(Listeners { servers, quic, alt_svc })
    }
}

/// As long as it takes until a claim on S3 counts as left behind.
const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);
/// How long a piece of work may go on without a word.
const WORK_STALL_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How often the files of certificates are looked at.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(10);

fn open_tls(config: &Config, data: &DataDir) -> anyhow::Result<Option<Tls>> {
    if config.media.https.address().is_none() {
        return Ok(None);
    }
    let tls = Tls::open(&config.tls, data.path())?;
    if tls.is_for_development() {
        tracing::warn!(
            "there is no certificate yet: https presents a self-signed one for localhost"
        );
    }
    Ok(Some(tls))
}

/// Adopts certificates that were replaced, and renews that for development.
async fn watch_certificates(tls: Tls) {
    loop {
        tokio::time::sleep(CERTIFICATES_EVERY).await;
        let tls = tls.clone();
        match tokio::task::spawn_blocking(move || tls.reload_if_changed()).await {
            Ok(Ok(true)) => tracing::info!("certificates were read again"),
            Ok(Err(error)) => tracing::error!(%error, "the certificates were not changed"),
            Ok(Ok(false)) | Err(_) => {}
        }
    }
}

/// Free ports that are tried, when any will do: one may be taken over UDP and free over TCP.
const PORT_TRIES: u32 = 32;

/// A TCP and a UDP socket on one port.
fn bind_both(address: SocketAddr) -> anyhow::Result<(Listener, UdpSocket)> {
    let listen = Listen::Address(address);
    for _ in 1..PORT_TRIES {
        let (listener, socket) = match bind_pair(listen)? {
            (listener, Err(_)) if address.port() == 0 => {
                drop(listener);
                continue;
            }
            (listener, socket) => (listener, socket),
        };
        let socket = socket.with_context(|| {
            format!("HTTP/3 needs UDP port {}; stop what has it, or set `media.https` to another address", address.port())
        })?;
        return Ok((listener, socket));
    }
    bail!("no port is free over both TCP and UDP; set `media.https` to a port")
}

fn bind_pair(listen: Listen) -> anyhow::Result<(Listener, std::io::Result<UdpSocket>)> {
    let listener = bind("media.https", listen)?.context("an address was given")?;
    let local = listener.local_address().context("TCP has an address")?;
    Ok((listener, bind_udp(local)))
}

fn bind(key: &str, listen: Listen) -> anyhow::Result<Option<Listener>> {
    let Some(address) = listen.address() else {
        return Ok(None);
    };
    let listener = Listener::tcp(address).with_context(|| {
        format!(
            "cannot listen on {address}; stop what listens there, or set `{key}` to another \
                 address or to \"off\""
        )
    })?;
    Ok(Some(listener))
}

impl Listeners {
    fn addresses(&self) -> Map<String, Value> {
        let bound = |(name, server): &(&'static str, Server)| {
            let address: Option<SocketAddr> = server.local_address();
            Some(((*name).to_owned(), Value::String(address?.to_string())))
        };
        self.servers.iter().filter_map(bound).collect()
    }

    /// Ends all listeners at the same time; the number of connections that had to be dropped.
    async fn shutdown(self, drain: Duration) -> usize {
        if let Some(alt_svc) = &self.alt_svc {
            alt_svc.clear();
        }
        let quic = self.quic.map(|server| tokio::spawn(server.shutdown(drain)));
        let ends = self.servers.into_iter().map(|(_, server)| tokio::spawn(server.shutdown(drain)));
        let mut dropped = 0;
        for end in ends.collect::<Vec<_>>().into_iter().chain(quic) {
            dropped += end.await.map_or(0, |drained| drained.dropped);
        }
        dropped
    }
}

/// What of a new configuration can change while running.
struct Adopting<'a> {
    log: &'a LogHandle,
    tls: Option<Tls>,
    limits: watch::Sender<HttpLimits>,
    trusted_proxies: watch::Sender<Vec<IpPrefix>>,
    library: Library,
    access: Access,
    front: Front,
    sample: watch::Sender<AccessSample>,
    data: &'a DataDir,
}

impl Adopting<'_> {
    /// Reads the configuration again; gives what counts from now on. A bad one changes nothing.
    fn reload(&self, arguments: &ConfigArgs, current: Config) -> Config {
        let new = match load_config(arguments, Vec::new()) {
            Ok(loaded) => loaded.config,
            Err(error) => {
                tracing::error!(%error, "the configuration was not reloaded");
                return current;
            }
        };
        let changes = current.changes(&new);
        if let Err(error) = self.log.set_level(&new.log.level) {
            tracing::error!(%error, "the log level was not changed");
        }
        self.limits.send_replace(HttpLimits::from(&new.limits));
        self.trusted_proxies.send_replace(new.net.trusted_proxies.clone());
        self.front.reload(&new);
        self.sample.send_replace(AccessSample::from(&new.log));
        self.library.set_presets(configured_presets(&new));
        if let Err(error) = self.access.reload(&new, self.data) {
            tracing::error!(%error, "the signing keys were not changed");
        }
        if let Some(tls) = &self.tls
            && let Err(error) = tls.reload(&new.tls)
        {
            tracing::error!(%error, "the certificates were not changed");
        }
        tracing::info!(changed = ?changes.at_run_time, "configuration reloaded");
        if !changes.at_restart.is_empty() {
            tracing::warn!(keys = ?changes.at_restart, "these keys change at the next start");
        }
        new
    }
}

enum Told {
    Reload,
    Stop(&'static str),
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Told::Stop("SIGINT"),
            _ = self.hang_up.recv() => Told::Reload,
        }
    }
}
