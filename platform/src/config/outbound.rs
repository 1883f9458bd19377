//! `[outbound]`: how other services are called.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::value::{ByteCount, IpPrefix};

/// Peers with settings of their own.
const PEERS_MAX: usize = 64;

/// `[outbound]`: calls over HTTP, and the breakers of everything that is called.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Outbound {
    /// PEM file of authorities that may vouch for services, beside Mozilla's.
    pub ca: Option<PathBuf>,
    /// Networks that addresses given by customers may lead to although they are set aside.
    pub allowed_networks: Vec<IpPrefix>,
    /// Whether such addresses may be http.
    pub allow_http: bool,
    pub connect_timeout_seconds: f64,
    pub first_byte_timeout_seconds: f64,
    pub total_timeout_seconds: f64,
    pub response_bytes: ByteCount,
    pub calls_max: u32,
    pub queue_max: u32,
    pub queue_timeout_seconds: f64,
    pub retries_max: u32,
    pub retry_percent: u32,
    pub breaker_failures: u32,
    pub breaker_window_seconds: f64,
    pub breaker_open_seconds: f64,
    pub peer: Vec<OutboundPeer>,
}

/// `[[outbound.peer]]`: what differs for one service.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OutboundPeer {
    pub name: String,
    #[serde(default)]
    pub connect_timeout_seconds: Option<f64>,
    #[serde(default)]
    pub first_byte_timeout_seconds: Option<f64>,
    #[serde(default)]
    pub total_timeout_seconds: Option<f64>,
    #[serde(default)]
    pub response_bytes: Option<ByteCount>,
    #[serde(default)]
    pub calls_max: Option<u32>,
    #[serde(default)]
    pub retries_max: Option<u32>,
    #[serde(default)]
    pub breaker_failures: Option<u32>,
    #[serde(default)]
    pub breaker_open_seconds: Option<f64>,
}

impl Default for Outbound {
    fn default() -> Self {
        Self {
            ca: None,
            allowed_networks: Vec::new(),
            allow_http: false,
            connect_timeout_seconds: 3.0,
            first_byte_timeout_seconds: 10.0,
            total_timeout_seconds: 30.0,
            response_bytes: ByteCount::mib(1),
            calls_max: 64,
            queue_max: 256,
            queue_timeout_seconds: 2.0,
            retries_max: 3,
            retry_percent: 10,
            breaker_failures: 5,
            breaker_window_seconds: 30.0,
            breaker_open_seconds: 60.0,
            peer: Vec::new(),
        }
    }
}

impl Outbound {
    /// Settings in which every key is set.
    pub(super) fn example() -> Self {
        Self {
            ca: Some(PathBuf::from("ca.pem")),
            allowed_networks: vec![IpPrefix::EXAMPLE],
            peer: vec![OutboundPeer {
                name: "webhooks".to_owned(),
                connect_timeout_seconds: Some(3.0),
                first_byte_timeout_seconds: Some(10.0),
                total_timeout_seconds: Some(15.0),
                response_bytes: Some(ByteCount::mib(1)),
                calls_max: Some(16),
                retries_max: Some(0),
                breaker_failures: Some(5),
                breaker_open_seconds: Some(60.0),
            }],
            ..Self::default()
        }
    }
}

pub(super) fn check_outbound(outbound: &Outbound, fail: &mut impl FnMut(&str, String, &str)) {
    let mut range = |key: &str, value: f64, min: f64, max: f64| {
        if !(min..=max).contains(&value) {
            let cure = format!("write a number from {min} to {max}");
            fail(&format!("outbound.{key}"), format!("{value} is out of range"), &cure);
        }
    };
    range("connect_timeout_seconds", outbound.connect_timeout_seconds, 0.1, 60.0);
    range("first_byte_timeout_seconds", outbound.first_byte_timeout_seconds, 0.1, 600.0);
    range("total_timeout_seconds", outbound.total_timeout_seconds, 0.1, 600.0);
    range("response_bytes", outbound.response_bytes.get() as f64, 1_024.0, f64::from(1 << 30));
    range("calls_max", f64::from(outbound.calls_max), 1.0, 10_000.0);
    range("queue_max", f64::from(outbound.queue_max), 0.0, 100_000.0);
    range("queue_timeout_seconds", outbound.queue_timeout_seconds, 0.0, 600.0);
    range("retries_max", f64::from(outbound.retries_max), 0.0, 10.0);
    range("retry_percent", f64::from(outbound.retry_percent), 0.0, 100.0);
    range("breaker_failures", f64::from(outbound.breaker_failures), 1.0, 1_000.0);
    range("breaker_window_seconds", outbound.breaker_window_seconds, 1.0, 3_600.0);
    range("breaker_open_seconds", outbound.breaker_open_seconds, 1.0, 3_600.0);
    for (index, peer) in outbound.peer.iter().enumerate() {
        let seconds = [
            ("connect_timeout_seconds", peer.connect_timeout_seconds, 0.1, 60.0),
            ("first_byte_timeout_seconds", peer.first_byte_timeout_seconds, 0.1, 600.0),
            ("total_timeout_seconds", peer.total_timeout_seconds, 0.1, 600.0),
            ("breaker_open_seconds", peer.breaker_open_seconds, 1.0, 3_600.0),
            ("calls_max", peer.calls_max.map(f64::from), 1.0, 10_000.0),
            ("retries_max", peer.retries_max.map(f64::from), 0.0, 10.0),
            ("breaker_failures", peer.breaker_failures.map(f64::from), 1.0, 1_000.0),
            (
                "response_bytes",
                peer.response_bytes.map(|bytes| bytes.get() as f64),
                1_024.0,
                f64::from(1 << 30),
            ),
        ];
        for (key, value, min, max) in seconds {
            if let Some(value) = value {
                range(&format!("peer[{index}].{key}"), value, min, max);
            }
        }
    }
    if PEERS_MAX < outbound.peer.len() {
        let cause = format!("{} peers", outbound.peer.len());
        fail("outbound.peer", cause, &format!("at most {PEERS_MAX} are taken"));
    }
    for (index, peer) in outbound.peer.iter().enumerate() {
        let is_named = !peer.name.is_empty();
        let is_twice = outbound.peer[..index].iter().any(|other| other.name == peer.name);
        if !is_named || is_twice {
            let cause = format!("`{}` is {}", peer.name, if is_named { "twice" } else { "empty" });
            fail(&format!("outbound.peer[{index}].name"), cause, "name each service once");
        }
    }
}
