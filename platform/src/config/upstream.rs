//! `[[upstream]]`, `[fetch]` and `[shield]`: the origins behind an edge, and what an origin asks of
//! the edges in front of it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::secret::Secret;
use super::value::ByteCount;

/// Upstreams of one edge. Each holds connections, and takes a health check every few seconds.
const UPSTREAMS_MAX: usize = 256;

/// Longest name in `Via` and `CDN-Loop`, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// `[[upstream]]`: one remote origin.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// `http://host:port` or `https://host:port`, without a path.
    pub url: String,
    /// Share of titles, relative to the other upstreams.
    #[serde(default = "one")]
    pub weight: u32,
    #[serde(default)]
    pub protocol: UpstreamProtocol,
    /// Shown to the origin with each request; its `[shield] secret`.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// PEM file of the authorities that may vouch for the origin, instead of the system's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// PEM files for mutual TLS: certificate chain and private key; both or neither.
    #[serde(default)]
    pub client_certificate: Option<PathBuf>,
    #[serde(default)]
    pub client_key: Option<PathBuf>,
}

fn one() -> u32 {
    1
}

/// Which HTTP an upstream is spoken to in.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamProtocol {
    /// HTTP/1.1 in the clear; over TLS what ALPN agrees on, HTTP/2 preferred.
    #[default]
    Auto,
    Http1,
    /// HTTP/2; in the clear with prior knowledge (RFC 9113 3.3).
    H2,
    /// HTTP/3 over QUIC; https alone.
    H3,
}

/// `[fetch]`: how upstreams are asked.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fetch {
    /// The edge's name in `Via` and `CDN-Loop`; unset means one made at start.
    pub name: Option<String>,
    pub connect_timeout_seconds: f64,
    pub first_byte_timeout_seconds: f64,
    pub idle_timeout_seconds: f64,
    pub total_timeout_seconds: f64,
    pub attempts_max: u32,
    pub retry_percent: u32,
    pub hedge: bool,
    pub load_factor: f64,
    pub requests_max: u32,
    pub queue_max: u32,
    pub queue_timeout_seconds: f64,
    pub header_bytes: ByteCount,
    pub breaker_failures: u32,
    pub breaker_window_seconds: f64,
    pub breaker_open_seconds: f64,
    pub health_path: String,
    pub health_interval_seconds: f64,
    pub health_rise: u32,
    pub health_fall: u32,
}

impl Default for Fetch {
    fn default() -> Self {
        Self {
            name: None,
            connect_timeout_seconds: 2.0,
            first_byte_timeout_seconds: 10.0,
            idle_timeout_seconds: 10.0,
            total_timeout_seconds: 300.0,
            attempts_max: 3,
            retry_percent: 10,
            hedge: true,
            load_factor: 1.25,
            requests_max: 256,
            queue_max: 1_024,
            queue_timeout_seconds: 2.0,
            header_bytes: ByteCount::kib(32),
            breaker_failures: 5,
            breaker_window_seconds: 30.0,
            breaker_open_seconds: 60.0,
            health_path: "/ready".to_owned(),
            health_interval_seconds: 5.0,
            health_rise: 2,
            health_fall: 3,
        }
    }
}

/// `[shield]`: what an origin asks of whoever fetches media from it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shield {
    pub secret: Option<Secret>,
    /// Taken too, while edges change from it to the new one.
    pub previous_secret: Option<Secret>,
}

impl Upstream {
    /// An entry in which no more is set than where it is and who vouches for it.
    pub fn at(url: &str, ca: Option<PathBuf>) -> Self {
        Self {
            url: url.to_owned(),
            weight: one(),
            protocol: UpstreamProtocol::Auto,
            secret: None,
            ca,
            client_certificate: None,
            client_key: None,
        }
    }

    /// An entry in which every key is set.
    pub(super) fn example() -> Self {
        Self {
            url: "https://origin-1.example.org".to_owned(),
            weight: one(),
            protocol: UpstreamProtocol::Auto,
            secret: Some(Secret::reference("env:SHIELD_SECRET")),
            ca: Some(PathBuf::from("ca.pem")),
            client_certificate: Some(PathBuf::from("edge.pem")),
            client_key: Some(PathBuf::from("edge.key")),
        }
    }
}

pub(super) fn check_upstreams(upstreams: &[Upstream], fail: &mut impl FnMut(&str, String, &str)) {
    if UPSTREAMS_MAX < upstreams.len() {
        let cause = format!("{} upstreams", upstreams.len());
        fail("upstream", cause, &format!("at most {UPSTREAMS_MAX} are taken"));
    }
    for (index, upstream) in upstreams.iter().enumerate() {
        let key = |name: &str| format!("upstream[{index}].{name}");
        let Some(authority) = authority_of(&upstream.url) else {
            let cure = "write http:// or https://, a host, perhaps a port, and nothing after it";
            fail(&key("url"), format!("`{}` is no address of an origin", upstream.url), cure);
            continue;
        };
        let same = |other: &Upstream| authority_of(&other.url).as_ref() == Some(&authority);
        if upstreams[..index].iter().any(same) {
            let cure = "give one of the two a larger weight instead";
            fail(&key("url"), format!("`{authority}` is listed twice"), cure);
        }
        if !(1..=1_000).contains(&upstream.weight) {
            let cause = format!("{} is out of range", upstream.weight);
            fail(&key("weight"), cause, "write a number from 1 to 1000");
        }
        if upstream.client_certificate.is_some() != upstream.client_key.is_some() {
            let cause = "one of client_certificate and client_key is missing".to_owned();
            fail(&key("client_certificate"), cause, "set both, or neither");
        }
        let wants_tls = upstream.ca.is_some() || upstream.client_certificate.is_some();
        if wants_tls && upstream.url.starts_with("http://") {
            let cause = "certificates are set, and the address is not https".to_owned();
            fail(&key("url"), cause, "write https://, or remove the certificates");
        }
        if upstream.protocol == UpstreamProtocol::H3 && upstream.url.starts_with("http://") {
            let cause = "HTTP/3 has no form in the clear".to_owned();
            fail(&key("protocol"), cause, "write https:// in url, or another protocol");
        }
        check_secret(&key("secret"), upstream.secret.as_ref(), fail);
    }
}

pub(super) fn check_shield(shield: &Shield, fail: &mut impl FnMut(&str, String, &str)) {
    check_secret("shield.secret", shield.secret.as_ref(), fail);
    check_secret("shield.previous_secret", shield.previous_secret.as_ref(), fail);
    if shield.previous_secret.is_some() && shield.secret.is_none() {
        let cause = "is set without shield.secret".to_owned();
        fail("shield.previous_secret", cause, "set shield.secret, or remove it");
    }
}

/// A secret travels as a header's value. What could not be looked up was reported before.
pub(super) fn check_secret(
    key: &str,
    secret: Option<&Secret>,
    fail: &mut impl FnMut(&str, String, &str),
) {
    let Some(value) = secret.map(Secret::expose).filter(|value| !value.is_empty()) else { return };
    let is_plain = value.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_plain || !(16..=256).contains(&value.len()) {
        let cause = "does not fit a header".to_owned();
        fail(key, cause, "use 16 to 256 visible ASCII characters, no blanks");
    }
}

pub(super) fn check_fetch(fetch: &Fetch, fail: &mut impl FnMut(&str, String, &str)) {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if let Some(name) = &fetch.name
        && !((1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_token))
    {
        let cure = "write 1 to 64 letters, digits, hyphens, dots and underlines";
        fail("fetch.name", format!("`{name}` is no name"), cure);
    }
    let path = &fetch.health_path;
    if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        fail("fetch.health_path", format!("`{path}` is no path"), "write one such as /ready");
    }
    let numbers = [
        ("connect_timeout_seconds", fetch.connect_timeout_seconds, 0.01, 60.0),
        ("first_byte_timeout_seconds", fetch.first_byte_timeout_seconds, 0.01, 600.0),
        ("idle_timeout_seconds", fetch.idle_timeout_seconds, 0.01, 600.0),
        ("total_timeout_seconds", fetch.total_timeout_seconds, 0.1, 86_400.0),
        ("attempts_max", f64::from(fetch.attempts_max), 1.0, 10.0),
        ("retry_percent", f64::from(fetch.retry_percent), 0.0, 100.0),
        ("load_factor", fetch.load_factor, 1.01, 100.0),
        ("requests_max", f64::from(fetch.requests_max), 1.0, 100_000.0),
        ("queue_max", f64::from(fetch.queue_max), 0.0, 1_000_000.0),
        ("queue_timeout_seconds", fetch.queue_timeout_seconds, 0.0, 60.0),
        ("breaker_failures", f64::from(fetch.breaker_failures), 1.0, 1_000.0),
        ("breaker_window_seconds", fetch.breaker_window_seconds, 0.1, 3_600.0),
        ("breaker_open_seconds", fetch.breaker_open_seconds, 0.1, 3_600.0),
        ("health_interval_seconds", fetch.health_interval_seconds, 0.0, 3_600.0),
        ("health_rise", f64::from(fetch.health_rise), 1.0, 100.0),
        ("health_fall", f64::from(fetch.health_fall), 1.0, 100.0),
    ];
    for (key, value, min, max) in numbers {
        if !(min..=max).contains(&value) {
            let cure = format!("write a number from {min} to {max}");
            fail(&format!("fetch.{key}"), format!("{value} is out of range"), &cure);
        }
    }
    // The client's smallest buffer is 8 KiB.
    let header_bytes = fetch.header_bytes.get();
    if !(8_192..=1_048_576).contains(&header_bytes) {
        let cause = format!("{header_bytes} is out of range");
        fail("fetch.header_bytes", cause, "write a number from 8192 to 1048576");
    }
}

/// Host and port of an origin's address, which has nothing beside scheme and authority.
pub(super) fn authority_of(url: &str) -> Option<String> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
    let authority = rest.parse::<http::uri::Authority>().ok()?;
    let is_plain = !authority.host().is_empty() && !rest.contains(['@', '/', '?', '#']);
    is_plain.then(|| authority.as_str().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures(upstreams: &[Upstream], fetch: &Fetch) -> Vec<String> {
        let mut failed = Vec::new();
        let mut fail = |key: &str, cause: String, _: &str| failed.push(format!("{key}: {cause}"));
        check_upstreams(upstreams, &mut fail);
        check_fetch(fetch, &mut fail);
        failed
    }

    #[test]
    fn good_entries_pass() {
        let plain = Upstream {
            url: "http://127.0.0.1:8080".to_owned(),
            ca: None,
            client_certificate: None,
            client_key: None,
            ..Upstream::example()
        };
        assert_eq!(failures(&[Upstream::example(), plain], &Fetch::default()), [""; 0]);
    }

    #[test]
    fn bad_entries_are_named() {
        let with = |change: fn(&mut Upstream)| {
            let mut upstream = Upstream::example();
            change(&mut upstream);
            failures(&[upstream], &Fetch::default()).join("; ")
        };
        assert!(with(|it| it.url = "https://host/path".to_owned()).contains("upstream[0].url"));
        assert!(with(|it| it.url = "ftp://host".to_owned()).contains("upstream[0].url"));
        assert!(with(|it| it.url = "https://user@host".to_owned()).contains("upstream[0].url"));
        assert!(with(|it| it.url = "http://host".to_owned()).contains("not https"));
        let h3 = with(|it| {
            it.url = "http://host".to_owned();
            it.protocol = UpstreamProtocol::H3;
        });
        assert!(h3.contains("upstream[0].protocol"), "{h3}");
        assert!(with(|it| it.weight = 0).contains("upstream[0].weight"));
        assert!(with(|it| it.client_key = None).contains("client_key is missing"));
        let twice = [Upstream::example(), Upstream::example()];
        assert!(failures(&twice, &Fetch::default()).join("; ").contains("listed twice"));
        let fetch = Fetch {
            name: Some("two words".to_owned()),
            health_path: "ready".to_owned(),
            breaker_failures: 0,
            load_factor: 1.0,
            header_bytes: ByteCount::kib(1),
            ..Fetch::default()
        };
        assert_eq!(failures(&[], &fetch).len(), 5);
    }
}
