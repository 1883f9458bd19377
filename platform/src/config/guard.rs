//! `[rate_limit]`, `[load]`, `[cmcd]` and `[cmsd]`: what keeps an edge standing, and what it hears
//! from players and tells them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::value::{ByteCount, IpPrefix};

/// `[rate_limit]`: what one address and one session may ask for. 0 a second is no limit.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimit {
    pub address_per_second: f64,
    pub address_burst: u32,
    pub session_per_second: f64,
    pub session_burst: u32,
    /// Tokens that were nothing, of one address.
    pub refused_per_second: f64,
    pub refused_burst: u32,
    /// Addresses with so many bits in common count as one.
    pub ipv4_bits: u8,
    pub ipv6_bits: u8,
    /// Addresses, and sessions, that are remembered.
    pub keys: u32,
    /// Networks without limits.
    pub exempt: Vec<IpPrefix>,
}

/// `[load]`: requests under way, and who goes first when they are too many.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Load {
    pub requests_max: u32,
    /// The limit falls no lower than this while the processor is behind.
    pub requests_min: u32,
    pub waiting_max: u32,
    pub wait_seconds: f64,
    /// Work that is ready may wait so long for a processor; 0: it is not looked at.
    pub delay_target_seconds: f64,
}

/// `[cmcd]`: what players tell of themselves.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cmcd {
    pub enabled: bool,
    /// Playback sessions that are looked at together.
    pub sessions: u32,
    pub session_idle_seconds: f64,
    /// JSON lines, rotated; unset: nothing is written.
    pub events_file: Option<PathBuf>,
    pub events_bytes: ByteCount,
    /// Files that are kept beside the one that is written.
    pub events_files: u32,
}

/// `[cmsd]`: what players are told of this server.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cmsd {
    pub enabled: bool,
    pub name: String,
}

/// What is fetched before somebody asks for it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prefetch {
    Off,
    /// What players name as their next object.
    #[default]
    Hints,
    /// And without a hint the segment with the next number.
    Order,
}

/// Longest name in `CMSD-Dynamic`, in bytes.
const NAME_BYTES_MAX: usize = 64;

impl Default for RateLimit {
    fn default() -> Self {
        Self {
            address_per_second: 1_000.0,
            address_burst: 4_000,
            session_per_second: 100.0,
            session_burst: 600,
            refused_per_second: 1.0,
            refused_burst: 60,
            ipv4_bits: 32,
            ipv6_bits: 64,
            keys: 65_536,
            exempt: vec![IpPrefix::LOOPBACK_V4, IpPrefix::LOOPBACK_V6],
        }
    }
}

impl Default for Load {
    fn default() -> Self {
        Self {
            requests_max: 16_384,
            requests_min: 1_024,
            waiting_max: 1_024,
            wait_seconds: 1.0,
            delay_target_seconds: 0.25,
        }
    }
}

impl Default for Cmcd {
    fn default() -> Self {
        Self {
            enabled: true,
            sessions: 100_000,
            session_idle_seconds: 60.0,
            events_file: None,
            events_bytes: ByteCount::mib(64),
            events_files: 4,
        }
    }
}

impl Default for Cmsd {
    fn default() -> Self {
        Self { enabled: false, name: "streamverse".to_owned() }
    }
}

type Fail<'a> = &'a mut dyn FnMut(&str, String, &str);

fn in_range<T: PartialOrd + std::fmt::Display>(
    fail: Fail<'_>,
    key: &str,
    value: T,
    min: T,
    max: T,
) {
    if !(min <= value && value <= max) {
        let cure = format!("write a number from {min} to {max}");
        fail(key, format!("{value} is out of range"), &cure);
    }
}

pub(super) fn check_rate_limit(rate: &RateLimit, fail: Fail<'_>) {
    let rates = [
        ("rate_limit.address_per_second", rate.address_per_second),
        ("rate_limit.session_per_second", rate.session_per_second),
        ("rate_limit.refused_per_second", rate.refused_per_second),
    ];
    for (key, value) in rates {
        in_range(fail, key, value, 0.0, 1e6);
    }
    let counts = [
        ("rate_limit.address_burst", rate.address_burst, 1, 1_000_000),
        ("rate_limit.session_burst", rate.session_burst, 1, 1_000_000),
        ("rate_limit.refused_burst", rate.refused_burst, 1, 1_000_000),
        ("rate_limit.ipv4_bits", rate.ipv4_bits.into(), 8, 32),
        ("rate_limit.ipv6_bits", rate.ipv6_bits.into(), 16, 128),
        ("rate_limit.keys", rate.keys, 1_024, 16_777_216),
    ];
    for (key, value, min, max) in counts {
        in_range(fail, key, value, min, max);
    }
}

pub(super) fn check_load(load: &Load, fail: Fail<'_>) {
    in_range(fail, "load.requests_max", load.requests_max, 1, 1_000_000);
    in_range(fail, "load.requests_min", load.requests_min, 1, 1_000_000);
    in_range(fail, "load.waiting_max", load.waiting_max, 0, 1_000_000);
    in_range(fail, "load.wait_seconds", load.wait_seconds, 0.001, 60.0);
    in_range(fail, "load.delay_target_seconds", load.delay_target_seconds, 0.0, 10.0);
}

pub(super) fn check_cmcd(cmcd: &Cmcd, fail: Fail<'_>) {
    in_range(fail, "cmcd.sessions", cmcd.sessions, 16, 10_000_000);
    in_range(fail, "cmcd.session_idle_seconds", cmcd.session_idle_seconds, 1.0, 86_400.0);
    in_range(fail, "cmcd.events_bytes", cmcd.events_bytes.get(), 1 << 16, 1 << 40);
    in_range(fail, "cmcd.events_files", cmcd.events_files, 0, 1_000);
    if cmcd.events_file.as_ref().is_some_and(|path| path.file_name().is_none()) {
        fail("cmcd.events_file", "names no file".to_owned(), "write the path of a file");
    }
}

pub(super) fn check_cmsd(cmsd: &Cmsd, fail: Fail<'_>) {
    let is_name = (1..=NAME_BYTES_MAX).contains(&cmsd.name.len())
        && cmsd.name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !is_name {
        fail("cmsd.name", format!("`{}` is no name", cmsd.name), "write 1 to 64 ASCII characters");
    }
}
