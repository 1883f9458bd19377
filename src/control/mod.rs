//! The control role: which domains there are, and the gateway in front of them.

mod house;

use std::sync::Arc;

use api::cursor::CursorKeys;
use gateway::{Domain, Exporter, Gateway, LoginField, Parts, RouteClass, RouteRule, State};
use platform::config::{Config, IpPrefix};
use platform::events::Relay;
use platform::http::HttpLimits;
use platform::keyring::Keys;
use platform::telemetry::{AccessSample, HttpMetrics};
use platform::{DataDir, secret_file};
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use utoipa_axum::router::OpenApiRouter;

use crate::media::Readiness;
use house::House;

/// Time that the listener gives beyond the gateway's own limits, so that it is the gateway that
/// answers.
const LISTENER_GRACE_SECONDS: f64 = 5.0;
/// For jobs to come to their end.
const JOBS_END: std::time::Duration = std::time::Duration::from_secs(3);

/// What the gateway is told of the process around it.
pub struct Surroundings {
    pub readiness: Readiness,
    pub trusted_proxies: watch::Receiver<Vec<IpPrefix>>,
    pub http_metrics: HttpMetrics,
    pub sample: watch::Receiver<AccessSample>,
}

/// The gateway, and what its domains do beside requests.
pub struct Control {
    pub gateway: Gateway,
    house: House,
    relay: Relay,
    jobs: JoinSet<()>,
    /// Tells what ends its work at a good place to do so.
    stop: watch::Sender<bool>,
    health: JoinHandle<()>,
    exporter: Option<Exporter>,
}

/// Every domain. `[control] domains` selects among them.
fn domains(house: &House, stop: &watch::Receiver<bool>) -> Vec<Domain> {
    let rule = |route, field| RouteRule { route, class: RouteClass::Login(LoginField(field)) };
    let routes = account::LOGIN_ROUTES.iter().map(|&(route, field)| rule(route, field));
    let methods = account::rpc::LOGIN_METHODS.iter().map(|&method| rule(method, "email"));
    let (services, descriptor) = account::rpc(house.accounts.clone());
    let sender = house.sender.clone();
    let (mail, hooks) = (stop.clone(), stop.clone());
    vec![
        Domain::new("account", account::routes(house.accounts.clone()))
            .with_rules(routes.chain(methods))
            .with_rpc(services, [descriptor])
            .with_codes(account::CODES, &[])
            .with_job(house.clone().sweep()),
        Domain::new("notification", OpenApiRouter::new())
            .with_job(async move { sender.run(mail).await }),
        Domain::new("webhooks", webhooks::routes(house.webhooks.clone()))
            .with_job(house.clone().deliver(hooks)),
    ]
}

impl Control {
    /// # Errors
    /// When the database can't be opened, or the configuration names a domain that there isn't.
    pub async fn new(
        config: &Config,
        data: &DataDir,
        keys: &Keys,
        surroundings: Surroundings,
    ) -> anyhow::Result<Self> {
        let readiness = surroundings.readiness;
        let house = House::open(config, data, keys).await?;
        house.open_setup(config, data).await?;
        let (stop, stopped) = watch::channel(false);
        let (gateway, jobs) = Gateway::new(Parts {
            config,
            domains: domains(&house, &stopped),
            authenticator: Some(house.accounts.authenticator()),
            cursor_keys: cursor_keys(data)?,
            catalogue: Arc::clone(&house.catalogue),
            keys: Some(house.key_set()),
            pages: &crate::page::account_files(),
            readiness: gateway::Readiness::new(move || state(&readiness)),
            trusted_proxies: surroundings.trusted_proxies,
            http_metrics: surroundings.http_metrics,
            sample: surroundings.sample,
        })?;
        let exporter = Exporter::start(&config.telemetry, &house.outbound)?;
        let health = tokio::spawn(gateway.tell_health());
        let mut jobs: JoinSet<()> = jobs.into_iter().collect();
        let selected = &config.control.domains;
        let relay =
            house.relay(|domain| selected.is_empty() || selected.iter().any(|name| name == domain));
        let carrying = relay.clone();
        jobs.spawn(async move { carrying.run(stopped).await });
        Ok(Self { gateway, house, relay, jobs, stop, health, exporter })
    }

    pub fn register_metrics(&self, registry: &mut Registry) {
        self.gateway.register_metrics(registry);
        self.house.register_metrics(registry);
        self.relay.metrics().register(registry);
        if let Some(exporter) = &self.exporter {
            exporter.register_metrics(registry);
        }
    }

    /// Has what goes on beside requests come to its end.
    pub fn stop_jobs(&self) {
        self.stop.send_replace(true);
    }

    /// When no request is under way any more. What doesn't come to its end in time is dropped where
    /// it waits; the database has it.
    pub async fn finish(mut self) {
        self.health.abort();
        let ended = async { while self.jobs.join_next().await.is_some() {} };
        if tokio::time::timeout(JOBS_END, ended).await.is_err() {
            self.jobs.abort_all();
        }
        if let Some(exporter) = self.exporter {
            exporter.finish().await;
        }
    }
}

/// Signs the cursors of lists; they go on after a restart.
fn cursor_keys(data: &DataDir) -> anyhow::Result<Arc<CursorKeys>> {
    let secret = secret_file::open_or_make(&data.path().join("keys/cursors"))?;
    Ok(Arc::new(CursorKeys::new(&secret, &[])))
}

fn state(readiness: &Readiness) -> State {
    match (readiness.get(), readiness.draining_since_ms()) {
        (true, _) => State::Ready,
        (false, Some(_)) => State::Draining,
        (false, None) => State::Starting,
    }
}

/// Limits of the control listeners: those of all, and time for what the gateway bounds itself.
pub fn http_limits(config: &Config) -> HttpLimits {
    let limits = &config.control.limits;
    let seconds = limits.request_seconds.max(limits.bulk_request_seconds) + LISTENER_GRACE_SECONDS;
    HttpLimits {
        request_timeout: std::time::Duration::from_secs_f64(seconds),
        ..HttpLimits::from(&config.limits)
    }
}
