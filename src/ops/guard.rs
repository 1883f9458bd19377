//! Who may act: whoever has the operator key, by a name that is ours.
//!
//! The key alone keeps strangers out. The name keeps web pages out that have their visitor's
//! browser connect to a listener on its own machine (DNS rebinding): such a request bears the name
//! of the page's host, which is none of ours. An IP address can't be rebound.

use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::uri::Authority;
use http::{HeaderMap, Request, StatusCode, header};
use platform::config;
use platform::secret_file;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::Problem;
use crate::clock;

/// What a request has to satisfy.
pub struct OpsGuard {
    /// Hashes: comparing those takes the same time wherever they differ.
    keys: Vec<blake3::Hash>,
    /// In small letters.
    names: Vec<String>,
    refused: Family<RefusedLabels, Counter>,
    /// When a refusal was logged last, in seconds since 1970.
    logged_s: AtomicU64,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RefusedLabels {
    reason: &'static str,
}

/// The operator key: the configured one, or the data directory's own, which is made if there is
/// none.
///
/// # Errors
/// When the file can't be made or read, can be read by others, or holds no key.
pub fn key(config: &config::Ops, data_dir: &Path) -> anyhow::Result<String> {
    if let Some(key) = &config.key {
        return Ok(key.expose().to_owned());
    }
    let secret = secret_file::open_or_make(&data_dir.join("keys").join("ops"))?;
    Ok(STANDARD.encode(secret))
}

impl OpsGuard {
    /// # Errors
    /// As [`key`].
    pub fn new(config: &config::Ops, data_dir: &Path) -> anyhow::Result<Self> {
        let previous = config.previous_key.iter().map(|key| key.expose().to_owned());
        let keys = std::iter::once(key(config, data_dir)?).chain(previous);
        Ok(Self {
            keys: keys.map(|key| blake3::hash(key.as_bytes())).collect(),
            names: config.names.iter().map(|name| name.to_ascii_lowercase()).collect(),
            refused: Family::default(),
            logged_s: AtomicU64::new(0),
        })
    }

    pub fn register_metrics(&self, registry: &mut Registry) {
        let help = "Requests to the ops listener without the key, or by a foreign name";
        registry.register("ops_refused", help, self.refused.clone());
    }

    /// One credential of RFC 6750 2.1 is needed, and no second one.
    pub(super) fn check_key(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let refuse = |code, detail| Err(Problem::new(StatusCode::UNAUTHORIZED, code, detail));
        let mut shown = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (shown.next(), shown.next()) else {
            let detail = "send `Authorization: Bearer KEY` with the operator key: `[ops] key` of \
                          the configuration, or the file keys/ops of the data directory";
            return refuse("key_required", detail);
        };
        // "scheme" is case-insensitive (RFC 9110 11.1).
        let key = value.as_bytes().split_at_checked(7).and_then(|(scheme, key)| {
            scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
        });
        let shown = key.map(blake3::hash);
        // Without a shortcut: which of the keys it was is nobody's business either.
        let is_right = self.keys.iter().fold(false, |found, key| found | (shown == Some(*key)));
        if is_right {
            return Ok(());
        }
        refuse("key_invalid", "this is not the operator key of this server")
    }

    pub(super) fn check_host<B>(&self, request: &Request<B>) -> Result<(), Problem> {
        // HTTP/2 names it in the target, HTTP/1.1 in a field; the listener saw to it that there is
        // one of them, and one only.
        let authority = match request.uri().authority() {
            Some(authority) => Some(authority.clone()),
            None => {
                let host = request.headers().get(header::HOST);
                host.and_then(|host| Authority::try_from(host.as_bytes()).ok())
            }
        };
        if authority.is_some_and(|authority| self.is_ours(authority.host())) {
            return Ok(());
        }
        let detail = "this listener is not called so; use its IP address, or add the name to \
                      `[ops] names`";
        Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "host_not_allowed", detail))
    }

    fn is_ours(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let host = host.to_ascii_lowercase();
        bare.parse::<IpAddr>().is_ok() || host == "localhost" || self.names.contains(&host)
    }

    /// Counts a refusal, and logs one a second at most: strangers must not fill the log.
    pub(super) fn note_refusal(&self, who: &str, path: &str, reason: &'static str) {
        self.refused.get_or_create(&RefusedLabels { reason }).inc();
        let now_s = clock::now_s();
        if self.logged_s.swap(now_s, Ordering::Relaxed) != now_s {
            let path: String = path.chars().take(100).collect();
            tracing::warn!(target: "audit", who, path, reason, "refused");
        }
    }
}

#[cfg(test)]
mod tests {
    use platform::config::{Config, Sources};

    use super::*;

    fn guard() -> OpsGuard {
        let flags = [
            ("ops.key", "the-key-of-this-test"),
            ("ops.previous_key", "the-key-before-it"),
            ("ops.names", "edge-1.example,Edge-2"),
        ];
        let flags = flags.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        let sources = Sources { flags, ..Sources::default() };
        let config = Config::load(&sources).expect("the keys are right").config;
        OpsGuard::new(&config.ops, Path::new("none")).expect("a key is set")
    }

    #[test]
    fn one_right_key_is_needed() {
        let check = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, value.parse().expect("a value"));
            }
            guard().check_key(&headers).map_err(|problem| problem.code)
        };
        assert_eq!(check(&["Bearer the-key-of-this-test"]), Ok(()));
        assert_eq!(check(&["bearer  the-key-of-this-test"]), Ok(()));
        assert_eq!(check(&["Bearer the-key-before-it"]), Ok(()));
        assert_eq!(check(&[]), Err("key_required"));
        let twice = ["Bearer the-key-of-this-test"; 2];
        assert_eq!(check(&twice), Err("key_required"));
        for value in [
            "",
            "Bearer",
            "Bearer ",
            "the-key-of-this-test",
            "Basic the-key-of-this-test",
            "Bearer the-key-of-this-tes",
            "Bearer the-key-of-this-test-",
            "Bearer THE-KEY-OF-THIS-TEST",
        ] {
            assert_eq!(check(&[value]), Err("key_invalid"), "{value}");
        }
    }

    #[test]
    fn only_our_own_names_are_answered() {
        let check = |host: &str| {
            let request = Request::builder().uri("/drain").header(header::HOST, host).body(());
            guard().check_host(&request.expect("a request")).is_ok()
        };
        for host in [
            "localhost",
            "LOCALHOST:9100",
            "127.0.0.1",
            "10.0.0.5:9100",
            "[::1]:9100",
            "edge-1.example:9100",
            "EDGE-2",
        ] {
            assert!(check(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            "edge-1.example.evil",
            "edge-1",
            "a b",
        ] {
            assert!(!check(host), "{host}");
        }
        let request = Request::builder().uri("http://evil.example/drain").body(());
        assert!(guard().check_host(&request.expect("a request")).is_err());
    }
}
