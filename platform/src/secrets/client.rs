//! Requests to a Vault: JSON over HTTP/1.1 and TLS, bounded in time and size.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use crate::config::Vault;

/// Longest answer: a secret of KV has a megabyte at most.
const ANSWER_BYTES_MAX: usize = 2 << 20;
/// Longest text of a Vault's error that is repeated.
const ERROR_CHARS_MAX: usize = 200;

/// Why a Vault gave nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum VaultError {
    #[error("there is no Vault")]
    Unset,
    #[error("the authorities in {} can't be read: {reason}", path.display())]
    Authorities { path: PathBuf, reason: String },
    #[error("{address} can't be reached: {reason}")]
    Unreachable { address: String, reason: String },
    #[error("the Vault answers {status}: {reason}")]
    Failing { status: u16, reason: String },
    #[error("the Vault refuses our login: {reason}")]
    Login { reason: String },
    #[error("the Vault forbids it ({reason})")]
    Forbidden { reason: String },
    #[error("nothing lies at that path")]
    NoSecret,
    #[error("what lies there was deleted")]
    Deleted,
    #[error("what lies there has no field `{field}`, or it is no text")]
    NoField { field: String },
    #[error("the Vault's answer can't be read: {0}")]
    Answer(&'static str),
}

impl VaultError {
    /// Whether it may be over soon, and is nobody's mistake.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Failing { .. })
    }

    pub(super) fn cure(&self) -> &'static str {
        match self {
            Self::Unset => "set `[vault] address`",
            Self::Authorities { .. } => "name a PEM file in `[vault] ca`",
            Self::Unreachable { .. } => "check `[vault] address` and `ca`, and that it runs",
            Self::Failing { status: 503, .. } => "unseal it",
            Self::Failing { .. } => "see its log",
            Self::Login { .. } => "check `[vault] token`, or `role_id` and `secret_id`",
            Self::Forbidden { .. } => "let a policy of our role read the path",
            Self::NoSecret | Self::Deleted => "write it with `vault kv put`, or correct the path",
            Self::NoField { .. } => "write the field with `vault kv patch`, or correct its name",
            Self::Answer(_) => "check that `[vault] address` is that of a Vault",
        }
    }
}

/// An answer that was read to its end.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Value,
}

impl Answer {
    /// The Vault's own words, as far as they are short.
    pub(super) fn errors(&self) -> String {
        let errors = self.body["errors"].as_array().into_iter().flatten();
        let errors: Vec<_> = errors.filter_map(Value::as_str).map(str::trim).collect();
        let text: String = errors.join("; ").chars().take(ERROR_CHARS_MAX).collect();
        let text = text.replace(|character: char| character.is_control(), " ");
        if text.is_empty() { "without a reason".to_owned() } else { text }
    }
}

pub(super) struct VaultClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    address: String,
    namespace: Option<String>,
    timeout: Duration,
}

impl VaultClient {
    pub(super) fn new(settings: &Vault) -> Result<Self, VaultError> {
        let address = settings.address.as_deref().ok_or(VaultError::Unset)?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let builder = HttpsConnectorBuilder::new();
        let builder = match &settings.ca {
            Some(path) => {
                let fail = |reason: String| VaultError::Authorities { path: path.clone(), reason };
                let mut roots = RootCertStore::empty();
                let certificates = CertificateDer::pem_file_iter(path);
                for certificate in certificates.map_err(|error| fail(error.to_string()))? {
                    let certificate = certificate.map_err(|error| fail(error.to_string()))?;
                    roots.add(certificate).map_err(|error| fail(error.to_string()))?;
                }
                if roots.is_empty() {
                    return Err(fail("it holds no certificate".to_owned()));
                }
                let config = ClientConfig::builder_with_provider(Arc::new(provider))
                    .with_safe_default_protocol_versions()
                    .map_err(|error| fail(error.to_string()))?;
                builder.with_tls_config(config.with_root_certificates(roots).with_no_client_auth())
            }
            None => builder
                .with_provider_and_webpki_roots(provider)
                .map_err(|_| VaultError::Answer("no TLS"))?,
        };
        // Loading the configuration has refused plain HTTP beyond this machine.
        let connector = builder.https_or_http().enable_http1().build();
        Ok(Self {
            client: Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(0)
                .build(connector),
            address: address.trim_end_matches('/').to_owned(),
            namespace: settings.namespace.clone(),
            timeout: Duration::from_secs_f64(settings.timeout_seconds),
        })
    }

    /// Sends a request and reads its answer. An answer of 5xx, or that it asked too often, is an
    /// error that passes.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Answer, VaultError> {
        let unreachable =
            |reason: String| VaultError::Unreachable { address: self.address.clone(), reason };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/v1/{path}", self.address))
            // Vault's guard against requests that a page makes others send.
            .header("x-vault-request", "true");
        if let Some(token) = token {
            let mut value = http::HeaderValue::from_str(token).map_err(|_| VaultError::Login {
                reason: "it has control characters".to_owned(),
            })?;
            value.set_sensitive(true);
            request = request.header("x-vault-token", value);
        }
        if let Some(namespace) = &self.namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let request =
            request.body(Full::new(body)).map_err(|error| unreachable(error.to_string()))?;
        let answering = async {
            let answer = self.client.request(request).await.map_err(|error| causes(&error))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| error.to_string())?.to_bytes();
            Ok::<_, String>((status, body))
        };
        let answered = tokio::time::timeout(self.timeout, answering).await;
        let (status, body) = answered
            .unwrap_or_else(|_| Err("it does not answer in time".to_owned()))
            .map_err(unreachable)?;
        let body = match body.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&body).map_err(|_| VaultError::Answer("no JSON"))?,
        };
        let answer = Answer { status, body };
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            let reason = answer.errors();
            return Err(VaultError::Failing { status: status.as_u16(), reason });
        }
        if status.is_redirection() {
            return Err(VaultError::Answer("it sends us elsewhere: name the active node"));
        }
        Ok(answer)
    }
}

/// The error with its causes: the first one alone says no more than that it failed.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
