//! What of another configuration a running server adopts.

use gateway::Gateway;
use origin::Library;
use platform::config::{Config, IpPrefix};
use platform::http::HttpLimits;
use platform::telemetry::{AccessSample, LogHandle};
use platform::tls::Tls;
use tokio::sync::watch;

use crate::access::Access;
use crate::cli::ConfigArgs;
use crate::command::{configured_presets, load_config};
use crate::control;
use crate::front::Front;
use crate::keys::KeyRoom;

/// What of a new configuration can change while running.
pub(super) struct Adopting<'a> {
    pub(super) log: &'a LogHandle,
    pub(super) gateway: Option<Gateway>,
    pub(super) control_limits: watch::Sender<HttpLimits>,
    pub(super) tls: Option<Tls>,
    pub(super) limits: watch::Sender<HttpLimits>,
    pub(super) trusted_proxies: watch::Sender<Vec<IpPrefix>>,
    pub(super) library: Library,
    pub(super) access: Access,
    pub(super) front: Front,
    pub(super) sample: watch::Sender<AccessSample>,
    pub(super) keys: KeyRoom,
}

impl Adopting<'_> {
    /// Reads the configuration again; gives what counts from now on. A bad one changes nothing.
    pub(super) fn reload(&self, arguments: &ConfigArgs, current: Config) -> Config {
        let new = match load_config(arguments, Vec::new()) {
            Ok(loaded) => loaded.config,
            Err(error) => {
                tracing::error!(%error, "the configuration was not reloaded");
                return current;
            }
        };
        self.adopt(current, new)
    }

    /// Asks the Vault whether secrets have changed, and adopts those that have.
    pub(super) fn refresh_secrets(&self, arguments: &ConfigArgs, current: Config) -> Config {
        let new = match load_config(arguments, Vec::new()) {
            Ok(loaded) => loaded.config,
            Err(error) => {
                tracing::error!(%error, "the secrets were not read again");
                return current;
            }
        };
        let mut only_secrets = current.clone();
        only_secrets.adopt_vault_secrets(new);
        if current == only_secrets { current } else { self.adopt(current, only_secrets) }
    }

    fn adopt(&self, current: Config, new: Config) -> Config {
        let changes = current.changes(&new);
        for line in current.difference(&new) {
            tracing::info!(change = line, "configuration differs");
        }
        if let Err(error) = self.log.set_level(&new.log.level) {
            tracing::error!(%error, "the log level was not changed");
        }
        self.limits.send_replace(HttpLimits::from(&new.limits));
        self.trusted_proxies.send_replace(new.net.trusted_proxies.clone());
        self.front.reload(&new);
        self.control_limits.send_replace(control::http_limits(&new));
        if let Some(gateway) = &self.gateway {
            gateway.reload(&new);
        }
        self.keys.reschedule(&new.keys.rotate_days);
        self.sample.send_replace(AccessSample::from(&new.log));
        self.library.set_presets(configured_presets(&new));
        if let Err(error) = self.access.reload(&new) {
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
