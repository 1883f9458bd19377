//! `streamverse serve`: listeners, signals, an orderly end.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use origin::Library;
use origin::sweep::sweep;
use platform::DataDir;
use platform::config::{Config, IpPrefix, Listen, Loaded};
use platform::http::{HttpLimits, Listener, Server, serve};
use platform::telemetry::{HttpMetrics, LogHandle, Observe, ProcessMetrics, init_log};
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
use crate::media::{MediaService, Readiness, route_of};
use crate::ops::OpsService;
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
    let adopting = Adopting {
        log,
        limits: limits_sender,
        trusted_proxies: proxies_sender,
        library: library.clone(),
        access: access.clone(),
        data,
    };
    let mut registry = Registry::with_prefix("streamverse");
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
    };
    let listeners = wiring.listen(&loaded, data, registry)?;
    let sweeping = tokio::spawn(sweep_now_and_then(adopting.library.clone()));
    let kept = backend.clone();
    let maintaining = tokio::spawn(async move { kept.maintain().await });
    readiness.set(true);
    output::line(&format!("ready {}", Value::Object(listeners.addresses())));
    if arguments.open {
        tracing::warn!("serving open: every title can be watched without a signed URL");
    }

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
    is_edge: bool,
    access: Access,
    readiness: Readiness,
    limits: watch::Receiver<HttpLimits>,
    trusted_proxies: watch::Receiver<Vec<IpPrefix>>,
}

/// What listens, by the name that the ready line gives it.
struct Listeners {
    servers: Vec<(&'static str, Server)>,
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
        let mut process = Registry::default();
        ProcessMetrics::register(&mut process);

        let mut servers = Vec::new();
        if let Some(listener) = bind("media.http", config.media.http)? {
            let service = MediaService::new(
                self.backend.clone(),
                (!self.is_edge).then(|| self.library.clone()),
                self.readiness.clone(),
                self.access.clone(),
                Shield::new(&config.shield),
            );
            let service = Observe::new(service, metrics.clone(), route_of)
                .behind(self.trusted_proxies.clone());
            servers.push(("media_http", serve(listener, "media", self.limits.clone(), service)));
        }
        if let Some(listener) = bind("ops.http", config.ops.http)? {
            let registries = vec![registry, process];
            let config = loaded.to_json().to_string();
            let service = OpsService::new(registries, config, self.readiness.clone());
            servers.push(("ops_http", serve(listener, "ops", self.limits.clone(), service)));
        }
        let socket = DataDir::admin_socket(data.path());
        let listener = Listener::unix(&socket)
            .with_context(|| format!("cannot listen on {}", socket.display()))?;
        // An ingest may take longer than any request of a viewer.
        let limits = HttpLimits { write_stall: WORK_STALL_MAX, ..HttpLimits::from(&config.limits) };
        let (_, limits) = watch::channel(limits);
        let service = AdminService::new(self.library.clone(), self.access.revocations().clone());
        servers.push(("admin", serve(listener, "admin", limits, service)));
        Ok(Listeners { servers })
    }
}

/// As long as it takes until a claim on S3 counts as left behind.
const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);
/// How long a piece of work may go on without a word.
const WORK_STALL_MAX: Duration = Duration::from_secs(24 * 60 * 60);

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
        let ends = self.servers.into_iter().map(|(_, server)| tokio::spawn(server.shutdown(drain)));
        let mut dropped = 0;
        for end in ends.collect::<Vec<_>>() {
            dropped += end.await.map_or(0, |drained| drained.dropped);
        }
        dropped
    }
}

/// What of a new configuration can change while running.
struct Adopting<'a> {
    log: &'a LogHandle,
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
