//! `streamverse serve`: listeners, signals, an orderly end.

mod bind;
mod handover;
mod signals;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use edge::http3::{self, AltSvc};
use origin::Library;
use origin::sweep::sweep;
use platform::DataDir;
use platform::config::{Config, IpPrefix, Loaded};
use platform::handover::{Claim, Door, Heir, socket_in};
use platform::http::{HttpLimits, Server, serve, serve_tls};
use platform::telemetry::{HttpMetrics, LogHandle, Observe, ProcessMetrics, init_log};
use platform::tls::Tls;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use serde_json::{Map, Value};
use tokio::sync::watch;

use self::bind::{bind, bind_both};
use self::handover::{Given, Origin, Sockets};
use self::signals::{Signals, Told};
use super::{configured_presets, load_config, open_library};
use crate::access::Access;
use crate::admin::AdminService;
use crate::backend::Backend;
use crate::cli::{ConfigArgs, Role, Serve};
use crate::clock;
use crate::media::{MediaService, Readiness, route_of};
use crate::ops::OpsService;
use crate::output;
use crate::ownership::Ownership;
use crate::shield::Shield;
use crate::systemd;

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
    let origin = Origin::note();
    let (data, claim) = handover::own(&loaded.config, arguments.take_over)?;
    let start = Start { arguments, log: &log, data: &data, origin };
    let outcome = crate::runtime()?.block_on(serve_until_told(&start, loaded, claim));
    // The lock goes last: until here nobody else may write.
    drop(data);
    outcome
}

/// Whether this process answers from other origins.
fn is_edge_alone(arguments: &Serve) -> bool {
    arguments.roles == [Role::Edge]
}

/// What a server is started with.
struct Start<'a> {
    arguments: &'a Serve,
    log: &'a LogHandle,
    data: &'a DataDir,
    origin: Origin,
}

async fn serve_until_told(
    start: &Start<'_>,
    loaded: Loaded,
    mut claim: Option<Claim>,
) -> anyhow::Result<ExitCode> {
    let Start { arguments, log, data, .. } = *start;
    let mut signals = Signals::new()?;
    let (sockets, begin) = Sockets::new(claim.as_mut())?;
    let ownership = Ownership::new();
    let library = open_library(&loaded.config, data)?;
    let readiness = Readiness::default();
    let (limits_sender, limits) = watch::channel(HttpLimits::from(&loaded.config.limits));
    let (proxies_sender, trusted_proxies) =
        watch::channel(loaded.config.net.trusted_proxies.clone());
    let access = Access::new(&loaded.config, data, arguments.open)?;
    let tls = open_tls(&loaded.config, data)?;
    let adopting = Adopting {
        log,
        tls: tls.clone(),
        limits: limits_sender,
        trusted_proxies: proxies_sender,
        library: library.clone(),
        access: access.clone(),
        data,
    };
    let mut registry = Registry::with_prefix("streamverse");
    let handovers_failed: Counter = Counter::default();
    let help = "Processes that were to take over from this one and did not";
    registry.register("handovers_failed", help, handovers_failed.clone());
    let is_edge = is_edge_alone(arguments);
    let backend = Backend::new(&loaded.config, is_edge, library.clone(), &mut registry)?;
    let wiring = Wiring {
        library,
        backend: backend.clone(),
        is_edge,
        access,
        readiness: readiness.clone(),
        limits,
        trusted_proxies,
        tls: tls.clone(),
        ownership: ownership.clone(),
    };
    let listeners = wiring.listen(&loaded, data, sockets, registry)?;
    readiness.set(true);
    // The last moment at which this start can fail.
    if let Some(claim) = claim {
        handover::take_turn(claim, &listeners, &begin).await?;
    }
    let mut door = open_door(data);
    let sweeping = tokio::spawn(sweep_now_and_then(adopting.library.clone(), ownership.clone()));
    let kept = backend.clone();
    let maintaining = tokio::spawn(async move { kept.maintain().await });
    output::line(&format!("ready {}", Value::Object(listeners.addresses())));
    systemd::ready();
    if arguments.open {
        tracing::warn!("serving open: every title can be watched without a signed URL");
    }

    let watching = tls.clone().map(|tls| tokio::spawn(watch_certificates(tls, ownership.clone())));
    let mut current = loaded.config;
    let given = Given {
        data,
        backend: &backend,
        listeners: &listeners,
        ownership: &ownership,
        revocations: adopting.access.revocations(),
    };
    let is_replaced = loop {
        let told = tokio::select! {
            told = signals.next() => told,
            heir = next_heir(&mut door) => Told::HandOver(heir),
        };
        match told {
            Told::Reload => {
                current = adopting.reload(&arguments.config, current);
            }
            Told::Replace => start.origin.start_successor(),
            Told::Stop(name) => {
                tracing::info!(signal = name, "stopping");
                break false;
            }
            Told::HandOver(heir) => {
                let outcome = tokio::select! {
                    outcome = handover::give(&given, heir) => outcome,
                    name = signals.stop() => {
                        tracing::info!(signal = name, "stopping in the middle of a hand-over");
                        break false;
                    }
                };
                match outcome {
                    Ok(process_id) => {
                        tracing::info!(process_id, "another process has taken over");
                        process_id.inspect(|process_id| systemd::replaced_by(*process_id));
                        break true;
                    }
                    Err(error) => {
                        handovers_failed.inc();
                        tracing::error!(%error, "nobody took over; this process goes on");
                    }
                }
            }
        }
    };
    // Who asks on a connection that is left asks about the service, which goes on elsewhere.
    readiness.set(is_replaced);
    if !is_replaced {
        systemd::stopping();
    }
    drop(door);
    // A sweep can end anywhere: the next one goes on.
    sweeping.abort();
    maintaining.abort();
    if let Some(watching) = watching {
        watching.abort();
    }
    let drain = Duration::from_secs_f64(current.limits.drain_seconds);
    let dropped = listeners.shutdown(drain, is_replaced).await;
    if dropped > 0 {
        tracing::warn!(dropped, "connections were dropped because the drain time was over");
    }
    tokio::task::spawn_blocking(move || backend.save()).await?;
    Ok(ExitCode::SUCCESS)
}

/// Where another process may ask to take over. Without it this one serves all the same.
fn open_door(data: &DataDir) -> Option<Door> {
    let path = socket_in(data.path());
    match Door::open(&path) {
        Ok(door) => Some(door),
        Err(error) => {
            let path = path.display();
            tracing::warn!(%path, %error, "no other process can take over from this one");
            None
        }
    }
}

async fn next_heir(door: &mut Option<Door>) -> Heir {
    match door {
        Some(door) => door.next().await,
        None => std::future::pending().await,
    }
}

/// Removes what crashed ingests left: at once, and again while others may crash.
async fn sweep_now_and_then(library: Library, ownership: Ownership) {
    // Another process sweeps when it has taken over.
    while let Some(turn) = ownership.turn().await {
        if let Err(error) = sweep(&library, None, clock::now_ms()).await {
            tracing::warn!(%error, "could not look for what crashed ingests left");
        }
        drop(turn);
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

/// What the listeners are made of.
struct Wiring {
    library: Library,
    backend: Backend,
    is_edge: bool,
    access: Access,
    readiness: Readiness,
    limits: watch::Receiver<HttpLimits>,
    trusted_proxies: watch::Receiver<Vec<IpPrefix>>,
    tls: Option<Tls>,
    ownership: Ownership,
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
        mut sockets: Sockets,
        mut registry: Registry,
    ) -> anyhow::Result<Listeners> {
        let config = &loaded.config;
        let metrics = HttpMetrics::new();
        metrics.register(&mut registry);
        self.library.store().metrics().register(&mut registry);
        self.library.register_metrics(&mut registry);
        self.access.register_metrics(&mut registry);
        let mut process = Registry::default();
        ProcessMetrics::register(&mut process);

        let mut servers = Vec::new();
        let (mut quic, mut alt_svc) = (None, None);
        let service = MediaService::new(
            self.backend.clone(),
            (!self.is_edge).then(|| self.library.clone()),
            self.readiness.clone(),
            self.access.clone(),
            Shield::new(&config.shield),
        );
        let service = Observe::new(service, metrics, route_of).behind(self.trusted_proxies.clone());
        if let Some(listener) = bind(&mut sockets, "media_http", "media.http", config.media.http)? {
            let (limits, service) = (self.limits.clone(), service.clone());
            servers.push(("media_http", serve(listener, "media", limits, service)));
        }
        if let (Some(address), Some(tls)) = (config.media.https.address(), &self.tls) {
            let (listener, socket, inherited) = sockets.https(address, || bind_both(address))?;
            let advertised = AltSvc::new(socket.local_addr()?.port());
            let over_tcp = advertised.layer(service.clone());
            let limits = self.limits.clone();
            let server = serve_tls(listener, tls.over_tcp(), "media", limits.clone(), over_tcp);
            servers.push(("media_https", server));
            quic =
                Some(http3::serve(socket, inherited, tls.over_quic(), "media", limits, service)?);
            alt_svc = Some(advertised);
        }
        if let Some(listener) = bind(&mut sockets, "ops_http", "ops.http", config.ops.http)? {
            let registries = vec![registry, process];
            let config = loaded.to_json().to_string();
            let service = OpsService::new(registries, config, self.readiness.clone());
            servers.push(("ops_http", serve(listener, "ops", self.limits.clone(), service)));
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
        let revocations = self.access.revocations().clone();
        let service = AdminService::new(self.library.clone(), revocations, self.ownership.clone());
        servers.push(("admin", serve(listener, "admin", limits, service)));
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
    if config.tls.certificate.is_empty() {
        tracing::warn!(
            "no certificate is configured: https presents a self-signed one for localhost"
        );
    }
    Ok(Some(tls))
}

/// Adopts certificates that were replaced, and renews that for development.
async fn watch_certificates(tls: Tls, ownership: Ownership) {
    loop {
        tokio::time::sleep(CERTIFICATES_EVERY).await;
        // A certificate for development is written to the data directory.
        let Some(_turn) = ownership.turn().await else { return };
        let tls = tls.clone();
        match tokio::task::spawn_blocking(move || tls.reload_if_changed()).await {
            Ok(Ok(true)) => tracing::info!("certificates were read again"),
            Ok(Err(error)) => tracing::error!(%error, "the certificates were not changed"),
            Ok(Ok(false)) | Err(_) => {}
        }
    }
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
    /// `is_replaced`: another process listens on the same sockets.
    async fn shutdown(self, drain: Duration, is_replaced: bool) -> usize {
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

/// What of a new configuration can change while running.
struct Adopting<'a> {
    log: &'a LogHandle,
    tls: Option<Tls>,
    limits: watch::Sender<HttpLimits>,
    trusted_proxies: watch::Sender<Vec<IpPrefix>>,
    library: Library,
    access: Access,
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
