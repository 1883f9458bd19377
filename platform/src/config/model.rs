//! The configuration: one struct, one field per key.
//!
//! `config.default.toml` at the root of the repository is its documentation; a test holds the two
//! together. Defaults live in the `Default` implementations here, checks across fields in
//! [`super::check`].

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::cdn::{Cdn, Delivery};
use super::control::{Control, Telemetry, Tenant};
use super::database::Database;
use super::feed::Feed;
use super::guard::{Cmcd, Cmsd, Load, Prefetch, RateLimit};
use super::keyring::Keys;
use super::mail::Mail;
use super::outbound::Outbound;
use super::preset::{Addressing, Packaging, Preset, Protection};
use super::secret::Secret;
use super::upstream::{Fetch, Shield, Upstream};
use super::value::{ByteCount, IpPrefix, Listen};
use super::vault::Vault;

/// Everything an operator can set.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub data: Data,
    pub media: Media,
    pub control: Control,
    pub tls: Tls,
    pub ops: Ops,
    pub database: Database,
    pub objects: Objects,
    pub packager: Packager,
    pub cache: Cache,
    pub limits: Limits,
    pub rate_limit: RateLimit,
    pub load: Load,
    pub cmcd: Cmcd,
    pub cmsd: Cmsd,
    pub log: Log,
    pub telemetry: Telemetry,
    pub net: Net,
    pub fetch: Fetch,
    pub shield: Shield,
    pub feed: Feed,
    /// Whose requests come by which names.
    pub tenant: Vec<Tenant>,
    pub outbound: Outbound,
    pub keys: Keys,
    pub vault: Vault,
    pub mail: Mail,
    /// Remote origins, for an edge.
    pub upstream: Vec<Upstream>,
    /// Presets beside the built-in ones.
    pub preset: Vec<Preset>,
    /// Keys of signed URLs.
    pub signing_key: Vec<SigningKey>,
    /// The CDNs' own tokens.
    pub cdn: Cdn,
    /// Addresses that viewers use.
    pub delivery: Vec<Delivery>,
}

/// `[data]`: where the embedded engines keep what they know.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    pub dir: PathBuf,
}

/// `[media]`: the listeners that players and CDNs speak to.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Media {
    pub http: Listen,
    pub https: Listen,
    /// The address viewers use, for absolute URLs. None is ever built from a `Host` header.
    pub public_url: Option<String>,
}

/// `[tls]`: what every `https` listener presents.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    pub min_version: TlsVersion,
    /// Whether clients of `media.https` have to show a certificate.
    pub client_auth: ClientAuth,
    /// PEM file of the authorities that vouch for clients.
    pub client_ca: Option<PathBuf>,
    /// Whether HTTP/3 answers requests that came before the handshake was done (RFC 8470).
    pub early_data: bool,
    /// Without any, and without `acme`, there is a development certificate in the data directory.
    pub certificate: Vec<TlsCertificate>,
    pub acme: Acme,
}

/// `[tls.acme]`: a certificate that is ordered and renewed by ACME (RFC 8555).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Acme {
    /// The authority's directory; unset means that nothing is ordered.
    pub directory_url: Option<String>,
    /// `mailto:` addresses that the authority may write to.
    pub contacts: Vec<String>,
    pub domains: Vec<String>,
    /// Whether the operator agrees to the authority's terms.
    pub terms_agreed: bool,
    pub challenge: AcmeChallenge,
    /// PEM file of the authority that vouches for the directory's own address.
    pub ca: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum AcmeChallenge {
    /// On `media.https` (RFC 8737).
    #[default]
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
    /// On `media.http` (RFC 8555 8.3).
    #[serde(rename = "http-01")]
    Http01,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    #[default]
    Off,
    Require,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum TlsVersion {
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    #[serde(rename = "1.3")]
    Tls13,
}

/// `[[tls.certificate]]`: PEM files of a chain, the server's own certificate first, and its key.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TlsCertificate {
    pub chain: PathBuf,
    pub key: PathBuf,
}

/// `[ops]`: metrics, health, the effective configuration, and what operators do to a server.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ops {
    pub http: Listen,
    /// What whoever acts has to show; unset means one made in the data directory.
    pub key: Option<Secret>,
    /// Taken too, while whoever acts changes from it to the new one.
    pub previous_key: Option<Secret>,
    /// Names, beside addresses and `localhost`, by which the listener may be called.
    pub names: Vec<String>,
}

/// `[objects]`: where sources, sidecars and assets lie.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Objects {
    /// `file:PATH` or `s3://BUCKET/PREFIX`; unset means `objects` inside the data directory.
    pub url: Option<String>,
    pub s3: S3,
}

/// `[objects.s3]`: how to reach the bucket of an `s3://` URL.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3 {
    /// Unset means AWS itself, in `region`.
    pub endpoint: Option<String>,
    pub region: String,
    pub access_key: Option<Secret>,
    pub secret_key: Option<Secret>,
    /// `https://endpoint/bucket/key` rather than `https://bucket.endpoint/key`.
    pub path_style: bool,
    /// How long the store may be silent within one request; retries come on top.
    pub request_timeout_seconds: f64,
    /// Retries of a request that failed by timeout or with a 5xx status.
    pub retries_max: u32,
    /// Requests under way at once.
    pub requests_max: u32,
}

/// `[packager]`: how titles are cut.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Packager {
    pub target_duration_seconds: f64,
}

/// `[cache]`: memory and disk set aside for what is read again.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    /// Indexes of titles.
    pub index_bytes: ByteCount,
    /// Blocks of remote objects.
    pub blocks_bytes: ByteCount,
    /// Answers that are fresh for a minute at most.
    pub live_bytes: ByteCount,
    /// All other answers.
    pub vod_bytes: ByteCount,
    /// On disk; 0 is no disk tier.
    pub disk_bytes: ByteCount,
    /// Bytes written to it a second; 0 is no bound.
    pub disk_write_bytes_per_second: ByteCount,
    /// Larger answers are not kept.
    pub object_bytes: ByteCount,
    pub negative_seconds: f64,
    pub stale_if_error_seconds: f64,
    /// Whether a viewer's `Cache-Control` counts.
    pub client_directives: bool,
    pub prefetch: Prefetch,
}

/// `[limits]`: what one client, and all of them, may take.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub connections: u32,
    pub streams_per_connection: u32,
    pub header_bytes: ByteCount,
    /// Content of one request.
    pub content_bytes: ByteCount,
    pub header_timeout_seconds: f64,
    pub keep_alive_seconds: f64,
    pub request_timeout_seconds: f64,
    pub write_stall_seconds: f64,
    pub drain_seconds: f64,
}

/// `[log]`: what goes to standard error.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,origin=debug`.
    pub level: String,
    /// The part of playback sessions whose requests are in the access log.
    pub access_sample: f64,
    /// Requests whose first byte took longer are logged whatever the sample.
    pub access_slow_seconds: f64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// `[net]`: what stands in front of us.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Net {
    /// Networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpPrefix>,
}

/// `[[signing_key]]`: a key of signed URLs.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SigningKey {
    pub id: String,
    pub algorithm: SigningAlgorithm,
    /// In base64: the bytes of HMAC-SHA256, or the seed of Ed25519.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// In base64: a public key of Ed25519, where nothing is signed.
    #[serde(default)]
    pub public: Option<String>,
    /// RFC 3339.
    #[serde(default)]
    pub not_before: Option<String>,
    #[serde(default)]
    pub not_after: Option<String>,
    /// Whether new tokens are signed with it.
    #[serde(default)]
    pub active: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SigningAlgorithm {
    HmacSha256,
    Ed25519,
}

impl Default for Data {
    fn default() -> Self {
        Self { dir: PathBuf::from("data") }
    }
}

impl Default for Media {
    fn default() -> Self {
        Self { http: Listen::loopback(8080), https: Listen::loopback(8443), public_url: None }
    }
}

impl Default for Ops {
    fn default() -> Self {
        Self { http: Listen::loopback(9100), key: None, previous_key: None, names: Vec::new() }
    }
}

impl Default for S3 {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: "us-east-1".to_owned(),
            access_key: None,
            secret_key: None,
            path_style: false,
            request_timeout_seconds: 10.0,
            retries_max: 4,
            requests_max: 64,
        }
    }
}

impl Default for Packager {
    fn default() -> Self {
        Self { target_duration_seconds: 6.0 }
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            index_bytes: ByteCount::mib(64),
            blocks_bytes: ByteCount::mib(256),
            live_bytes: ByteCount::mib(128),
            vod_bytes: ByteCount::mib(512),
            disk_bytes: ByteCount::new(0),
            disk_write_bytes_per_second: ByteCount::mib(64),
            object_bytes: ByteCount::mib(64),
            negative_seconds: 1.0,
            stale_if_error_seconds: 600.0,
            client_directives: false,
            prefetch: Prefetch::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            streams_per_connection: 100,
            header_bytes: ByteCount::kib(16),
            content_bytes: ByteCount::kib(64),
            header_timeout_seconds: 10.0,
            keep_alive_seconds: 75.0,
            request_timeout_seconds: 30.0,
            write_stall_seconds: 30.0,
            drain_seconds: 30.0,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "info".to_owned(),
            access_sample: 1.0,
            access_slow_seconds: 1.0,
        }
    }
}

impl Config {
    /// A configuration in which every key is set: the shape that keys are checked against.
    ///
    /// Optional keys are present and each list holds one entry, so that the serialised form names
    /// every key there is, with a value of its kind.
    pub(super) fn example() -> Self {
        let mut example = Self::default();
        example.media.public_url = Some("https://media.example.org".to_owned());
        example.control = Control::example();
        example.telemetry = Telemetry::example();
        example.tenant = vec![Tenant::example()];
        example.tls.client_ca = Some(PathBuf::from("/etc/streamverse/edges.pem"));
        example.tls.certificate = vec![TlsCertificate {
            chain: PathBuf::from("/etc/streamverse/chain.pem"),
            key: PathBuf::from("/etc/streamverse/key.pem"),
        }];
        example.tls.acme.directory_url = Some("https://acme.example.org/directory".to_owned());
        example.tls.acme.ca = Some(PathBuf::from("/etc/streamverse/acme-ca.pem"));
        example.database = Database::example();
        example.objects.url = Some("s3://bucket/prefix".to_owned());
        example.objects.s3.endpoint = Some("https://s3.example.org".to_owned());
        example.objects.s3.access_key = Some(Secret::reference("env:S3_ACCESS_KEY"));
        example.objects.s3.secret_key = Some(Secret::reference("file:/run/secrets/s3"));
        example.fetch.name = Some("edge-1".to_owned());
        example.shield.secret = Some(Secret::reference("env:SHIELD_SECRET"));
        example.shield.previous_secret = Some(Secret::reference("env:OLD_SHIELD_SECRET"));
        example.ops.key = Some(Secret::reference("env:OPS_KEY"));
        example.ops.previous_key = Some(Secret::reference("env:OLD_OPS_KEY"));
        example.ops.names = vec!["edge-1.example.org".to_owned()];
        example.keys.dir = Some(PathBuf::from("/var/lib/streamverse/keys"));
        example.keys.seal = Some(Secret::reference("file:/run/secrets/seal"));
        example.keys.previous_seal = Some(Secret::reference("env:OLD_SEAL"));
        example.vault.address = Some("https://vault.example.org:8200".to_owned());
        example.vault.namespace = Some("media".to_owned());
        example.vault.ca = Some(PathBuf::from("/etc/streamverse/vault-ca.pem"));
        example.vault.token = Some(Secret::reference("env:VAULT_TOKEN"));
        example.vault.role_id = Some(Secret::reference("env:VAULT_ROLE_ID"));
        example.vault.secret_id = Some(Secret::reference("file:/run/secrets/vault-secret-id"));
        example.feed = Feed::example();
        example.outbound = Outbound::example();
        example.mail = Mail::example();
        example.upstream = vec![Upstream::example()];
        example.cmcd.events_file = Some(PathBuf::from("/var/log/streamverse/cmcd.jsonl"));
        example.net.trusted_proxies = vec![IpPrefix::EXAMPLE];
        example.preset = vec![Preset {
            name: "example".to_owned(),
            packaging: Packaging::Cmaf,
            addressing: Addressing::Segments,
            protection: Protection::None,
        }];
        example.signing_key = vec![SigningKey {
            id: "example".to_owned(),
            algorithm: SigningAlgorithm::Ed25519,
            secret: Some(Secret::reference("file:/run/secrets/url-token")),
            public: Some("g9u90RZv3ddq7pRAEsLaiT6ju1AGNVb2uXdPz0UGwPE=".to_owned()),
            not_before: Some("2026-01-01T00:00:00Z".to_owned()),
            not_after: Some("2027-01-01T00:00:00Z".to_owned()),
            active: true,
        }];
        example.cdn = Cdn::example();
        example.delivery = vec![Delivery::example()];
        example
    }

    /// The secrets, each with its key.
    pub(super) fn secrets_mut(&mut self) -> Vec<(String, &mut Secret)> {
        let named = [
            ("objects.s3.access_key", self.objects.s3.access_key.as_mut()),
            ("objects.s3.secret_key", self.objects.s3.secret_key.as_mut()),
            ("ops.key", self.ops.key.as_mut()),
            ("ops.previous_key", self.ops.previous_key.as_mut()),
            ("telemetry.otlp_secret", self.telemetry.otlp_secret.as_mut()),
            ("database.url", self.database.url.as_mut()),
            ("feed.key", self.feed.key.as_mut()),
            ("keys.seal", self.keys.seal.as_mut()),
            ("keys.previous_seal", self.keys.previous_seal.as_mut()),
            ("mail.password", self.mail.password.as_mut()),
            ("shield.secret", self.shield.secret.as_mut()),
            ("shield.previous_secret", self.shield.previous_secret.as_mut()),
        ];
        let named = named.into_iter().chain(self.vault.secrets_mut());
        let named = named.map(|(key, secret)| (key.to_owned(), secret));
        let upstreams = self.upstream.iter_mut().enumerate().map(|(index, upstream)| {
            (format!("upstream[{index}].secret"), upstream.secret.as_mut())
        });
        let signing_keys = self
            .signing_key
            .iter_mut()
            .enumerate()
            .map(|(index, key)| (format!("signing_key[{index}].secret"), key.secret.as_mut()));
        let all = named.chain(upstreams).chain(signing_keys).chain(self.cdn.secrets_mut());
        all.filter_map(|(key, secret)| Some((key, secret?))).collect()
    }
}
