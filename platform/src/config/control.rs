//! `[control]`, `[telemetry]` and `[[tenant]]`: the gateway in front of the control API.

use serde::{Deserialize, Serialize};

use super::secret::Secret;
use super::value::{ByteCount, IpPrefix, Listen};

/// `[control]`: the listeners of the control API, and what its gateway lets in.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    pub http: Listen,
    pub https: Listen,
    pub grpc: Listen,
    /// Whether the gRPC listener speaks TLS.
    pub grpc_tls: bool,
    /// Whether listeners without TLS may be reached from other machines.
    pub insecure: bool,
    /// The address clients use. None is ever built from a `Host` header.
    pub public_url: Option<String>,
    /// Domains that this process runs; empty: all there are.
    pub domains: Vec<String>,
    /// Pages that may read answers, by their origins.
    pub cors_origins: Vec<String>,
    /// Whether `/docs` and `/v1/openapi.json` are answered.
    pub docs: bool,
    pub limits: ControlLimits,
    pub rate_limit: ControlRateLimit,
    pub transform: Vec<Transform>,
}

/// `[control.limits]`: what one request may take.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ControlLimits {
    /// Content of a request.
    pub content_bytes: ByteCount,
    /// The same for routes that take files or many things at once.
    pub bulk_content_bytes: ByteCount,
    /// From the head of a request to the head of its answer.
    pub request_seconds: f64,
    pub bulk_request_seconds: f64,
    /// Requests under way; further ones are turned away.
    pub requests_max: u32,
}

/// `[control.rate_limit]`: requests a minute. 0 is no limit.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ControlRateLimit {
    /// Of one address, without credentials.
    pub anonymous_per_minute: u32,
    /// Of one person or machine.
    pub signed_in_per_minute: u32,
    /// Attempts to sign in, of one address.
    pub login_per_minute: u32,
    /// Attempts to sign in to one account, of one address.
    pub login_account_per_minute: u32,
    /// Addresses with so many bits in common count as one.
    pub ipv4_bits: u8,
    pub ipv6_bits: u8,
    /// Addresses, and principals, that are remembered.
    pub keys: u32,
    /// Networks without limits.
    pub exempt: Vec<IpPrefix>,
}

/// `[[control.transform]]`: what is changed on the way in or out.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Transform {
    #[serde(default)]
    pub on: TransformOn,
    /// The beginning of the path, in whole parts.
    pub path: String,
    /// Empty: all methods.
    #[serde(default)]
    pub methods: Vec<String>,
    /// By its id; unset: all tenants.
    #[serde(default)]
    pub tenant: Option<String>,
    /// `Name: value`.
    #[serde(default)]
    pub set_headers: Vec<String>,
    #[serde(default)]
    pub remove_headers: Vec<String>,
    /// `Old-Name: New-Name`.
    #[serde(default)]
    pub rename_headers: Vec<String>,
    /// Takes the place of `path` in a request's target.
    #[serde(default)]
    pub rewrite_path: Option<String>,
    /// `/json/pointer = JSON`.
    #[serde(default)]
    pub set_members: Vec<String>,
    /// JSON pointers.
    #[serde(default)]
    pub remove_members: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TransformOn {
    #[default]
    Request,
    Response,
}

/// `[telemetry]`: where spans go.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// Base address of an OTLP receiver, by HTTP with protobuf; unset: nothing is exported.
    pub otlp_endpoint: Option<String>,
    /// What the receiver asks for, and the header that bears it.
    pub otlp_secret: Option<Secret>,
    pub otlp_header: String,
    /// What traces are named by.
    pub service_name: String,
    /// The part of traces that begin here which are exported.
    pub trace_sample: f64,
}

/// `[[tenant]]`: whose requests come by which names.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    pub id: String,
    /// Names of hosts without a port; `*` is any other.
    pub hosts: Vec<String>,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            http: Listen::loopback(8081),
            https: Listen::loopback(8444),
            grpc: Listen::loopback(9081),
            grpc_tls: false,
            insecure: false,
            public_url: None,
            domains: Vec::new(),
            cors_origins: Vec::new(),
            docs: true,
            limits: ControlLimits::default(),
            rate_limit: ControlRateLimit::default(),
            transform: Vec::new(),
        }
    }
}

impl Default for ControlLimits {
    fn default() -> Self {
        Self {
            content_bytes: ByteCount::kib(64),
            bulk_content_bytes: ByteCount::mib(8),
            request_seconds: 10.0,
            bulk_request_seconds: 60.0,
            requests_max: 1_024,
        }
    }
}

impl Default for ControlRateLimit {
    fn default() -> Self {
        Self {
            anonymous_per_minute: 100,
            signed_in_per_minute: 1_000,
            login_per_minute: 20,
            login_account_per_minute: 5,
            ipv4_bits: 32,
            ipv6_bits: 64,
            keys: 65_536,
            exempt: Vec::new(),
        }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            otlp_secret: None,
            otlp_header: "authorization".to_owned(),
            service_name: "streamverse".to_owned(),
            trace_sample: 1.0,
        }
    }
}

impl Control {
    /// Settings in which every key is set.
    pub(super) fn example() -> Self {
        Self {
            public_url: Some("https://api.example.org".to_owned()),
            domains: vec!["account".to_owned()],
            cors_origins: vec!["https://www.example.org".to_owned()],
            rate_limit: ControlRateLimit {
                exempt: vec![IpPrefix::EXAMPLE],
                ..ControlRateLimit::default()
            },
            transform: vec![Transform::example()],
            ..Self::default()
        }
    }
}

impl Transform {
    fn example() -> Self {
        Self {
            on: TransformOn::Request,
            path: "/api/v1".to_owned(),
            methods: vec!["GET".to_owned()],
            tenant: Some("default".to_owned()),
            set_headers: vec!["X-Channel: web".to_owned()],
            remove_headers: vec!["X-Debug".to_owned()],
            rename_headers: vec!["X-Device: X-Device-Id".to_owned()],
            rewrite_path: Some("/v1".to_owned()),
            set_members: vec!["/source = \"web\"".to_owned()],
            remove_members: vec!["/debug".to_owned()],
        }
    }
}

impl Telemetry {
    pub(super) fn example() -> Self {
        Self {
            otlp_endpoint: Some("http://127.0.0.1:4318".to_owned()),
            otlp_secret: Some(Secret::reference("env:OTLP_SECRET")),
            ..Self::default()
        }
    }
}

impl Tenant {
    pub(super) fn example() -> Self {
        Self { id: "default".to_owned(), hosts: vec!["api.example.org".to_owned()] }
    }
}
