//! TLS for every listener: certificates from files, one provider, settings for TCP and for QUIC.
//!
//! TLS 1.3 (RFC 8446), and 1.2 for old devices unless `tls.min_version` forbids it. Key exchange
//! offers X25519MLKEM768 first. AES-128-GCM goes before the other suites whatever the client
//! prefers: it costs the least, and QUIC needs it anyway. Sessions resume from a bounded store of
//! this process, each ticket once (decision 0025). Early data (0-RTT) is taken over QUIC where the
//! configuration says so, and never over TCP.
//!
//! With `tls.client_auth` clients have to show a certificate, see [`clients`].
//!
//! Certificates are replaced while connections go on: [`Tls::reload`] reads the files again, and
//! [`Tls::reload_if_changed`] only when one of them has another time or size than before.

mod acme;
mod certificate;
mod clients;
mod development;
mod error;
mod metrics;
mod resolver;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use prometheus_client::registry::Registry;
pub use rustls::ServerConfig;
use rustls::SupportedProtocolVersion;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache};

pub(crate) use acme::ACME_TLS;
pub use acme::{Acme, Challenges};
pub use certificate::{CertificateFacts, CertificateFiles, certificate_facts};
pub use development::development_certificate;
pub use error::TlsError;

use crate::config;
use certificate::Certificate;
use clients::{Clients, read_authorities};
use metrics::Metrics;
use resolver::{Resolver, Table};

/// Sessions that can be resumed; the oldest go first. One takes some 200 bytes.
const SESSIONS_MAX: usize = 16_384;

/// Tickets sent after a TLS 1.3 handshake: a browser opens a second connection at times.
const TICKETS: usize = 2;

/// Certificates and settings of all TLS listeners. Clones share them.
#[derive(Clone, Debug)]
pub struct Tls(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    provider: Arc<CryptoProvider>,
    resolver: Arc<Resolver>,
    clients: Option<Arc<Clients>>,
    challenges: Challenges,
    metrics: Metrics,
    data_dir: PathBuf,
    over_tcp: Arc<ServerConfig>,
    over_tcp_for_anybody: Arc<ServerConfig>,
    over_quic: Arc<ServerConfig>,
    loaded: Mutex<Loaded>,
}

/// What was read at last.
#[derive(Debug)]
struct Loaded {
    config: config::Tls,
    files: Vec<CertificateFiles>,
    stamps: Vec<Stamp>,
    facts: Vec<CertificateFacts>,
}

/// What tells a changed file: time and size.
type Stamp = Option<(SystemTime, u64)>;

impl Tls {
    /// Reads the configured certificates, or makes one for development in `data_dir`.
    ///
    /// # Errors
    /// When a certificate can't be read or doesn't fit its key.
    pub fn open(config: &config::Tls, data_dir: &Path) -> Result<Self, TlsError> {
        let provider = Arc::new(provider());
        let (loaded, table) = load(config, data_dir, &provider)?;
        let challenges = Challenges::default();
        let resolver = Arc::new(Resolver::new(table, challenges.clone()));
        let clients = match client_authority(config)? {
            None => None,
            Some(path) => Some(Arc::new(Clients::new(read_authorities(path, &provider)?))),
        };
        let settings = Settings { provider: &provider, resolver: &resolver, clients: &clients };
        let mut over_tcp = settings.make(versions(config.min_version), &[b"h2", b"http/1.1"])?;
        if config.acme.directory_url.is_some() {
            over_tcp.alpn_protocols.push(ACME_TLS.to_vec());
        }
        let over_tcp_for_anybody = Settings { clients: &None, ..settings }
            .make(versions(config.min_version), &[b"h2", b"http/1.1"])?;
        // QUIC knows TLS 1.3 only (RFC 9001 4.2).
        let mut over_quic = settings.make(&VERSIONS[..1], &[b"h3"])?;
        if config.early_data && clients.is_none() {
            // QUIC bounds it by its own flow control (RFC 9001 4.6.1).
            over_quic.max_early_data_size = u32::MAX;
        }
        let metrics = Metrics::default();
        metrics.set(&loaded.facts);
        Ok(Self(Arc::new(Shared {
            provider,
            challenges,
            metrics,
            resolver,
            clients,
            data_dir: data_dir.to_owned(),
            over_tcp: Arc::new(over_tcp),
            over_tcp_for_anybody: Arc::new(over_tcp_for_anybody),
            over_quic: Arc::new(over_quic),
            loaded: Mutex::new(loaded),
        })))
    }

    /// Settings for HTTP/2 and HTTP/1.1 over TCP.
    pub fn over_tcp(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.over_tcp)
    }

    /// As [`Self::over_tcp`], for listeners whose clients show no certificate: `tls.client_auth` is
    /// about media alone.
    pub fn over_tcp_for_anybody(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.over_tcp_for_anybody)
    }

    /// Settings for HTTP/3 over QUIC.
    pub fn over_quic(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.over_quic)
    }

    /// Whether a certificate for this machine is all there is.
    pub fn is_for_development(&self) -> bool {
        let loaded = self.loaded();
        loaded.config.certificate.is_empty()
            && loaded.files.iter().all(|files| files.chain != files.key)
    }

    pub fn certificates(&self) -> Vec<CertificateFacts> {
        self.loaded().facts.clone()
    }

    /// What the listeners answer while a certificate is ordered.
    pub fn challenges(&self) -> &Challenges {
        &self.0.challenges
    }

    pub fn register_metrics(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
    }

    fn count_order(&self, outcome: &'static str) {
        self.0.metrics.count_order(outcome);
    }

    /// Reads the certificates anew, by a new configuration. A bad one changes nothing.
    ///
    /// # Errors
    /// As [`Tls::open`].
    pub fn reload(&self, config: &config::Tls) -> Result<(), TlsError> {
        let (loaded, table) = load(config, &self.0.data_dir, &self.0.provider)?;
        if let (Some(clients), Some(path)) = (&self.0.clients, &config.client_ca) {
            clients.replace(read_authorities(path, &self.0.provider)?);
        }
        self.0.resolver.replace(table);
        self.0.metrics.set(&loaded.facts);
        *self.loaded() = loaded;
        Ok(())
    }

    /// Reads the certificates anew if a file has changed or a development certificate grows old.
    /// Whether it did.
    ///
    /// # Errors
    /// As [`Tls::open`]; what was in force stays so.
    pub fn reload_if_changed(&self) -> Result<bool, TlsError> {
        let (config, is_unchanged) = {
            let loaded = self.loaded();
            // Asking for the development certificate renews it when its time comes.
            let files = files_of(&loaded.config, &self.0.data_dir, &self.0.provider)?;
            let stamps = stamps(&files, &loaded.config);
            (loaded.config.clone(), files == loaded.files && stamps == loaded.stamps)
        };
        if !is_unchanged {
            self.reload(&config)?;
        }
        Ok(!is_unchanged)
    }

    fn loaded(&self) -> std::sync::MutexGuard<'_, Loaded> {
        self.0.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn load(
    config: &config::Tls,
    data_dir: &Path,
    provider: &CryptoProvider,
) -> Result<(Loaded, Table), TlsError> {
    let files = files_of(config, data_dir, provider)?;
    // Taken before reading: a file that changes meanwhile is read once more.
    let stamps = stamps(&files, config);
    let certificates = files.iter().map(|files| Certificate::read(files, provider));
    let certificates = certificates.collect::<Result<Vec<_>, _>>()?;
    let facts = certificates.iter().map(|certificate| certificate.facts.clone()).collect();
    let table = Table::new(&certificates);
    Ok((Loaded { config: config.clone(), files, stamps, facts }, table))
}

/// The configured files and that of ACME, or where there are none, those of the development
/// certificate.
fn files_of(
    config: &config::Tls,
    data_dir: &Path,
    provider: &CryptoProvider,
) -> Result<Vec<CertificateFiles>, TlsError> {
    let files = config.certificate.iter().map(|certificate| CertificateFiles {
        chain: certificate.chain.clone(),
        key: certificate.key.clone(),
    });
    let mut files: Vec<_> = files.collect();
    if config.acme.directory_url.is_some() {
        let path = acme::certificate_path(data_dir);
        let ordered = CertificateFiles { chain: path.clone(), key: path };
        // One that was damaged is ordered anew, and keeps nobody from starting.
        if Certificate::read(&ordered, provider).is_ok() {
            files.push(ordered);
        }
    }
    if files.is_empty() {
        files.push(development_certificate(data_dir, SystemTime::now())?);
    }
    Ok(files)
}

/// The file with the authorities of clients, if these have to show a certificate.
fn client_authority(config: &config::Tls) -> Result<Option<&Path>, TlsError> {
    match (config.client_auth, &config.client_ca) {
        (config::ClientAuth::Off, _) => Ok(None),
        (config::ClientAuth::Require, Some(path)) => Ok(Some(path)),
        (config::ClientAuth::Require, None) => Err(TlsError::NoClientAuthority),
    }
}

fn stamps(files: &[CertificateFiles], config: &config::Tls) -> Vec<Stamp> {
    let paths = files.iter().flat_map(|files| [&files.chain, &files.key]);
    let paths = paths.chain(&config.client_ca);
    let stamp = |path: &PathBuf| {
        let facts = std::fs::metadata(path).ok()?;
        Some((facts.modified().ok()?, facts.len()))
    };
    paths.map(stamp).collect()
}

/// aws-lc with the suites in our order.
fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        ],
        kx_groups: vec![
            kx_group::X25519MLKEM768,
            kx_group::X25519,
            kx_group::SECP256R1,
            kx_group::SECP384R1,
        ],
        ..aws_lc_rs::default_provider()
    }
}

/// Newest first.
static VERSIONS: [&SupportedProtocolVersion; 2] =
    [&rustls::version::TLS13, &rustls::version::TLS12];

fn versions(min: config::TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match min {
        config::TlsVersion::Tls12 => &VERSIONS,
        config::TlsVersion::Tls13 => &VERSIONS[..1],
    }
}

/// What the settings of TCP and of QUIC have in common.
struct Settings<'a> {
    provider: &'a Arc<CryptoProvider>,
    resolver: &'a Arc<Resolver>,
    clients: &'a Option<Arc<Clients>>,
}

impl Settings<'_> {
    fn make(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&[u8]],
    ) -> Result<ServerConfig, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(self.provider))
            .with_protocol_versions(versions)?;
        let builder = match self.clients {
            None => builder.with_no_client_auth(),
            Some(clients) => builder.with_client_cert_verifier(Arc::clone(clients) as _),
        };
        let mut settings = builder.with_cert_resolver(Arc::clone(self.resolver) as _);
        settings.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        settings.ignore_client_order = true;
        settings.session_storage = match self.clients {
            None => ServerSessionMemoryCache::new(SESSIONS_MAX),
            Some(_) => Arc::new(NoServerSessionStorage {}),
        };
        settings.send_tls13_tickets = TICKETS;
        settings.max_early_data_size = 0;
        Ok(settings)
    }
}
