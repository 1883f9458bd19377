//! How PostgreSQL is reached: addresses, TLS, the pool.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::errors::cannot_connect;
use crate::db::error::DbError;
use crate::db::settings::Settings;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection whose other end is silent this long is lost.
const SILENCE_MAX: Duration = Duration::from_secs(30);

pub(super) fn pool(settings: &Settings) -> Result<Pool, DbError> {
    let config = config(settings)?;
    let tls = tls(settings)?;
    // Whether it is closed is known without a question; a statement that meets a dead connection
    // is tried again.
    let manager_config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(config, tls, manager_config);
    Pool::builder(manager)
        .max_size(settings.pool_size.max(1))
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| DbError::open(format!("cannot make a pool: {error}")))
}

/// A connection of its own, for migrations and copies.
pub(in crate::db) struct MigrationClient {
    pub(in crate::db) client: Client,
    task: JoinHandle<()>,
}

impl Drop for MigrationClient {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(in crate::db) async fn connect_alone(settings: &Settings) -> Result<MigrationClient, DbError> {
    let (config, tls) = (config(settings)?, tls(settings)?);
    let (client, connection) = config.connect(tls).await.map_err(|error| cannot_connect(&error))?;
    let task = tokio::spawn(async move {
        // Its errors are those of the statements.
        drop(connection.await);
    });
    Ok(MigrationClient { client, task })
}

fn config(settings: &Settings) -> Result<Config, DbError> {
    // The parser's message may quote the address, and with it the password.
    let mut config = Config::from_str(&settings.url).map_err(|_| {
        let shape = "postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=require";
        DbError::open(format!("the address of PostgreSQL can't be read; write {shape}"))
    })?;
    let is_near = config.get_hosts().iter().all(is_near)
        && config.get_hostaddrs().iter().all(IpAddr::is_loopback);
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(DbError::open("the address of PostgreSQL names no host"));
    }
    match (is_near, settings.insecure, config.get_ssl_mode()) {
        // What is asked for in the address holds, unless it is too little.
        (_, _, SslMode::Require) => {}
        (true, ..) => drop(config.ssl_mode(SslMode::Disable)),
        (false, true, SslMode::Disable) => {}
        (false, true, _) => drop(config.ssl_mode(SslMode::Prefer)),
        (false, false, SslMode::Disable) => {
            return Err(DbError::open(
                "sslmode=disable would send passwords and rows in the clear; leave it out, or set \
                 database.insecure = true",
            ));
        }
        (false, false, _) => drop(config.ssl_mode(SslMode::Require)),
    }
    config.connect_timeout(CONNECT_TIMEOUT);
    config.keepalives_idle(SILENCE_MAX);
    config.tcp_user_timeout(SILENCE_MAX);
    if config.get_application_name().is_none() {
        config.application_name("streamverse");
    }
    Ok(config)
}

fn is_near(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        Host::Unix(_) => true,
    }
}

fn tls(settings: &Settings) -> Result<MakeRustlsConnect, DbError> {
    let mut roots = RootCertStore::empty();
    match &settings.ca {
        Some(path) => {
            let fail = |error: String| {
                DbError::open(format!("cannot read the authorities in {}: {error}", path.display()))
            };
            let certificates =
                CertificateDer::pem_file_iter(path).map_err(|error| fail(error.to_string()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| fail(error.to_string()))?;
                roots.add(certificate).map_err(|error| fail(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(fail("there is no certificate in it".to_owned()));
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| DbError::open(format!("cannot set up TLS: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
