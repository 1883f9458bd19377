//! What the domains stand on: database, keys, event log, mail.

use std::sync::Arc;
use std::time::Duration;

use account::keys::PlatformKeys;
use account::password::HashPool;
use account::{Accounts, PlatformOutbox};
use anyhow::Context;
use api::i18n::Catalogue;
use notification::{Letter, Opener, Sender};
use platform::DataDir;
use platform::config::Config;
use platform::db::{Db, TenantId};
use platform::events::{Relay, RelayOptions, Retention, retain};
use platform::keyring::{Keys, Purpose};
use platform::mail::Mailer;
use platform::outbound::Outbound;
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use webhooks::{Deliver, DeliverOptions, Webhooks};

use crate::clock;
use crate::database::SCHEMAS;

/// Keys that domains sign and seal with.
const PURPOSES: &[Purpose] =
    &[Purpose::AccessTokens, Purpose::Sessions, Purpose::Records, Purpose::Audit];

/// Sign-ins that wait for a place in which passwords are hashed, for each such place.
const HASHES_WAITING: usize = 32;
/// How long events are kept that every consumer has handled.
const EVENTS_KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);
const HOUR: Duration = Duration::from_secs(3_600);
const PRODUCT: &str = "StreamVerse";

/// One of each. Clones share them.
#[derive(Clone)]
pub struct House {
    pub db: Db,
    pub keys: Keys,
    pub outbound: Outbound,
    pub catalogue: Arc<Catalogue>,
    pub accounts: Accounts,
    pub webhooks: Webhooks,
    pub sender: Sender,
}

impl House {
    /// Opens the database, which brings its tables up to date, and makes the keys that are missing.
    ///
    /// # Errors
    /// When one of them can't be opened; the message names the cure.
    pub async fn open(config: &Config, data: &DataDir, keys: &Keys) -> anyhow::Result<Self> {
        let settings = config.database.settings(data.path());
        let db =
            Db::open_with(&settings, &SCHEMAS).await.context("the database can't be opened")?;
        let rings = keys.clone();
        let made = move || rings.ensure(PURPOSES, clock::signed_ms());
        // The primes of RSA are looked for on a thread that may take its time.
        tokio::task::spawn_blocking(made).await??;
        let messages = [notification::LOCALES];
        let catalogue = Arc::new(Catalogue::new(&messages).map_err(anyhow::Error::msg)?);
        let outbound = Outbound::new(&config.outbound)?;
        let accounts = accounts(config, &db, keys);
        let breaker = config.outbound.clone();
        let counted = outbound.resilience().of("mail");
        let mailer = Mailer::open(&config.mail, data.path(), breaker, counted)?;
        let messages = Arc::clone(&catalogue);
        let sender = Sender::new(db.clone(), mailer, messages, opener(&accounts), clock::signed_ms);
        let webhooks = Webhooks::new(db.clone(), keys.clone(), outbound.clone(), clock::signed_ms);
        let keys = keys.clone();
        Ok(Self { db, keys, outbound, catalogue, accounts, webhooks, sender })
    }

    /// Lets whoever can read the data directory make the first administrator, while there is none.
    ///
    /// # Errors
    /// When the token can't be written.
    pub async fn open_setup(&self, config: &Config, data: &DataDir) -> anyhow::Result<()> {
        let permissions = [account::PERMISSIONS, webhooks::PERMISSIONS].concat();
        let now_ms = clock::signed_ms();
        let configured = config.tenant.iter().map(|tenant| tenant.id.as_str());
        // Of several tenants the first one's administrators run the service.
        let tenant = TenantId::new(configured.chain(["default"]).next().unwrap_or_default())?;
        let opened = self.accounts.open_setup(&tenant, data.path(), &permissions, now_ms).await?;
        if let Some(path) = opened {
            let path = path.display();
            tracing::info!(%path, "no administrator yet: the token in this file makes the first one");
        }
        Ok(())
    }

    pub fn register_metrics(&self, registry: &mut Registry) {
        self.db.register_metrics(registry);
        self.outbound.register_metrics(registry);
        self.sender.metrics().register(registry);
        self.webhooks.register_metrics(registry);
        self.catalogue.register(registry);
    }

    /// Carries events to the consumers of the domains that run here.
    pub fn relay(&self, runs: impl Fn(&str) -> bool) -> Relay {
        let consumers =
            [("notification", notification::consumer()), ("webhooks", webhooks::consumer())];
        let consumers = consumers.into_iter().filter(|(domain, _)| runs(domain));
        let consumers = consumers.map(|(_, consumer)| consumer).collect();
        Relay::new(self.db.clone(), consumers, RelayOptions::default())
    }

    /// Sends webhooks until `stop` says true.
    pub async fn deliver(self, stop: watch::Receiver<bool>) {
        Deliver::new(&self.webhooks, DeliverOptions::default()).run(stop).await;
    }

    /// Removes what has expired, once an hour.
    pub async fn sweep(self) {
        loop {
            tokio::time::sleep(HOUR).await;
            let now_ms = clock::signed_ms();
            if let Err(error) = self.accounts.sweep().await {
                tracing::warn!(%error, "expired rows of accounts stay for now");
            }
            if let Err(error) = api::idempotency::sweep(&self.db, now_ms).await {
                tracing::warn!(%error, "remembered answers stay for now");
            }
            let retention =
                Retention { age_ms: i64::try_from(EVENTS_KEPT.as_millis()).unwrap_or(i64::MAX) };
            if let Err(error) = retain(&self.db, retention, now_ms).await {
                tracing::warn!(%error, "old events stay for now");
            }
        }
    }

    /// The public keys of access tokens, as `/.well-known/jwks.json` shows them.
    pub fn key_set(&self) -> Arc<dyn Fn() -> serde_json::Value + Send + Sync> {
        let keys = self.keys.clone();
        Arc::new(move || match keys.ring(Purpose::AccessTokens) {
            Ok(ring) => ring.jwks(clock::signed_ms()),
            Err(_) => serde_json::json!({ "keys": [] }),
        })
    }
}

fn accounts(config: &Config, db: &Db, keys: &Keys) -> Accounts {
    let public_url = public_url(config);
    // Half of the machine at most hashes passwords, so that a flood of sign-ins leaves the rest.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let hashing = (cores / 2).max(1);
    Accounts::new(account::Parts {
        db: db.clone(),
        hashes: HashPool::new(hashing, hashing * HASHES_WAITING),
        tiers: Arc::new(account::accounts::OneTier::default()),
        keys: Arc::new(PlatformKeys::new(keys.clone(), &public_url)),
        outbox: Arc::new(PlatformOutbox),
        clock: Arc::new(clock::signed_ms),
        settings: account::accounts::Settings { product_name: PRODUCT.to_owned(), public_url },
    })
}

/// Where people open pages: never from a `Host` header.
fn public_url(config: &Config) -> String {
    let configured = config.control.public_url.as_deref().map(|url| url.trim_end_matches('/'));
    configured.map_or_else(|| format!("http://{}", config.control.http), str::to_owned)
}

/// Opens what accounts sealed.
fn opener(accounts: &Accounts) -> Opener {
    let accounts = accounts.clone();
    Arc::new(move |tenant, user_id, sealed| {
        let mail = accounts.open_mail(tenant, user_id, sealed);
        let mail = mail.map_err(|error| error.to_string())?;
        Ok(Letter { to: mail.to, link: mail.link, code: mail.code })
    })
}
