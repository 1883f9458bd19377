//! `streamverse serve`: from the configuration to an orderly end.

mod adopt;
mod bind;
mod handover;
mod listen;
mod signals;
mod upkeep;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use platform::DataDir;
use platform::config::Loaded;
use platform::handover::{Claim, Door, Heir, socket_in};
use platform::http::HttpLimits;
use platform::keyring::Keys;
use platform::telemetry::{AccessSample, HttpMetrics, LogHandle, init_log};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use serde_json::Value;
use tokio::sync::watch;

use self::adopt::Adopting;
use self::handover::{Given, Origin, Sockets};
use self::listen::Wiring;
use self::signals::{Signals, Told};
use self::upkeep::{Upkeep, open_tls};
use super::{load_config, open_library};
use crate::access::Access;
use crate::backend::Backend;
use crate::cli::{Role, Serve};
use crate::control::{self, Control, Surroundings};
use crate::feed::{Feed, follow};
use crate::front::Front;
use crate::keys::KeyRoom;
use crate::media::Readiness;
use crate::output;
use crate::ownership::Ownership;
use crate::systemd;

pub fn run(arguments: &Serve) -> anyhow::Result<ExitCode> {
    let roles = &arguments.roles;
    if roles.contains(&Role::Encoder) {
        bail!("role `encoder` is not built yet; there are edge, origin, control, and all in one");
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
    arguments.roles.contains(&Role::Edge) && !arguments.roles.contains(&Role::Origin)
}

/// What this process is for. Without a word of it, for everything.
fn plays(arguments: &Serve, roles: &[Role]) -> bool {
    arguments.roles.is_empty() || arguments.roles.iter().any(|role| roles.contains(role))
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
    let config = &loaded.config;
    let mut signals = Signals::new()?;
    let (sockets, begin) = Sockets::new(claim.as_mut())?;
    let ownership = Ownership::new();
    let library = open_library(config, data)?;
    let readiness = Readiness::default();
    let (limits_sender, limits) = watch::channel(HttpLimits::from(&config.limits));
    let (proxies_sender, trusted_proxies) = watch::channel(config.net.trusted_proxies.clone());
    let (sample_sender, sample) = watch::channel(AccessSample::from(&config.log));
    let keys = Keys::from_config(config, data.path())?;
    let access = Access::new(config, data, &keys, arguments.open)?;
    let key_room =
        KeyRoom::new(keys.clone(), access.clone(), ownership.clone(), &config.keys.rotate_days);
    let is_edge = is_edge_alone(arguments);
    let front = Front::new(config, !is_edge)?;
    let plays_media = plays(arguments, &[Role::Edge, Role::Origin]);
    let plays_control = plays(arguments, &[Role::Control]);
    let tls = open_tls(config, data, plays_media, plays_control)?;
    let http_metrics = HttpMetrics::new();
    let (control_limits_sender, control_limits) = watch::channel(control::http_limits(config));
    let surroundings = Surroundings {
        readiness: readiness.clone(),
        trusted_proxies: trusted_proxies.clone(),
        http_metrics: http_metrics.clone(),
        sample: sample.clone(),
    };
    let control = match plays_control {
        true => Some(Control::new(config, data, &keys, surroundings).await?),
        false => None,
    };
    let gateway = control.as_ref().map(|control| control.gateway.clone());
    let adopting = Adopting {
        log,
        gateway: gateway.clone(),
        control_limits: control_limits_sender,
        tls: tls.clone(),
        limits: limits_sender,
        trusted_proxies: proxies_sender,
        library: library.clone(),
        access: access.clone(),
        front: front.clone(),
        sample: sample_sender,
        keys: key_room.clone(),
    };
    let mut registry = Registry::with_prefix("streamverse");
    let handovers_failed: Counter = Counter::default();
    if let Some(control) = &control {
        control.register_metrics(&mut registry);
    }
    let help = "Processes that were to take over from this one and did not";
    registry.register("handovers_failed", help, handovers_failed.clone());
    let backend = Backend::new(config, is_edge, library.clone(), &mut registry)?;
    let revocations = access.revocations().clone();
    let feed = Feed::open(data.path(), revocations, backend.cache().cloned(), ownership.clone())?;
    feed.register_metrics(&mut registry);
    let following = follow(&feed, &config.feed, data.path())?;
    let wiring = Wiring {
        library: library.clone(),
        backend: backend.clone(),
        feed: feed.clone(),
        is_edge,
        plays_media,
        gateway,
        control_limits,
        http_metrics,
        access,
        readiness: readiness.clone(),
        limits,
        trusted_proxies,
        front: front.clone(),
        sample,
        tls: tls.clone(),
        ownership: ownership.clone(),
        keys: key_room.clone(),
    };
    let listeners = wiring.listen(&loaded, data, sockets, registry)?;
    readiness.set(true);
    // The last moment at which this start can fail.
    if let Some(claim) = claim {
        handover::take_turn(claim, &listeners, &begin).await?;
    }
    let mut door = open_door(data);
    let upkeep = Upkeep::start(config, data, &ownership, library, backend.clone(), front, tls);
    let key_room = tokio::spawn(key_room.maintain());
    let following = tokio::spawn(following);
    output::line(&format!("ready {}", Value::Object(listeners.addresses())));
    systemd::ready();
    if arguments.open {
        tracing::warn!("serving open: every title can be watched without a signed URL");
    }
    if is_edge && config.feed.follow.is_empty() {
        tracing::warn!(
            "this edge follows nobody: sessions that are revoked and titles that are removed \
             elsewhere stay unknown here; set `[feed] follow`"
        );
    }

    let mut current = loaded.config;
    let given = Given {
        data,
        backend: &backend,
        listeners: &listeners,
        ownership: &ownership,
        revocations: adopting.access.revocations(),
        feed: &feed,
    };
    let is_replaced = loop {
        // A server without secrets in a Vault is never woken.
        let refresh = match current.uses_vault() {
            true => Duration::from_secs_f64(current.vault.refresh_seconds),
            false => Duration::MAX,
        };
        let told = tokio::select! {
            told = signals.next() => told,
            () = tokio::time::sleep(refresh) => Told::Refresh,
            heir = next_heir(&mut door) => Told::HandOver(heir),
        };
        match told {
            Told::Reload => {
                current = adopting.reload(&arguments.config, current);
            }
            Told::Refresh => {
                current = adopting.refresh_secrets(&arguments.config, current);
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
    upkeep.stop();
    if let Some(control) = &control {
        control.stop_jobs();
    }
    key_room.abort();
    following.abort();
    // Their connections would not end by themselves.
    feed.close();
    let drain = Duration::from_secs_f64(current.limits.drain_seconds);
    let dropped = listeners.shutdown(drain, is_replaced).await;
    if let Some(control) = control {
        control.finish().await;
    }
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
