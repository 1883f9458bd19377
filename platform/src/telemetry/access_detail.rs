//! What inner layers know of a request, for its line in the access log; and which lines are written.

use std::sync::{Arc, OnceLock};

use crate::config;

/// A place among a request's extensions, into which an inner layer may put what it finds out.
#[derive(Clone, Debug, Default)]
pub struct AccessNote(Arc<Noted>);

#[derive(Debug, Default)]
struct Noted {
    detail: OnceLock<AccessDetail>,
    route: OnceLock<&'static str>,
    trace: OnceLock<u128>,
}

/// What CMCD and the token say of a request. Nothing of it is secret.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccessDetail {
    /// What all requests of one playback have in common, so that the log has all of them or none:
    /// of the token, or as the player says.
    pub sample_key: Option<Box<str>>,
    /// CMCD `sid`, `cid`, `ot`, `br`, `bl`, `bs` and `su`.
    pub session: Option<Box<str>>,
    pub content: Option<Box<str>>,
    pub object: Option<&'static str>,
    pub bit_rate_kbps: Option<u32>,
    pub buffer_ms: Option<u32>,
    pub is_starved: bool,
    pub is_startup: bool,
}

impl AccessNote {
    /// Tells it once; later words don't count.
    pub fn tell(&self, detail: AccessDetail) {
        let _ = self.0.detail.set(detail);
    }

    pub fn get(&self) -> Option<&AccessDetail> {
        self.0.detail.get()
    }

    /// Names the route, where an inner layer knows better: by one of few names.
    pub fn name_route(&self, route: &'static str) {
        let _ = self.0.route.set(route);
    }

    pub fn named_route(&self) -> Option<&'static str> {
        self.0.route.get().copied()
    }

    /// Tells which trace the request belongs to.
    pub fn tell_trace(&self, trace_id: u128) {
        let _ = self.0.trace.set(trace_id);
    }

    pub(super) fn trace(&self) -> Option<u128> {
        self.0.trace.get().copied()
    }
}

/// Which requests are logged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AccessSample {
    /// The part of sessions whose requests are logged, 0 to 1.
    pub part: f64,
    /// Requests whose first byte took longer are logged always.
    pub slow_seconds: f64,
}

impl Default for AccessSample {
    fn default() -> Self {
        Self::from(&config::Log::default())
    }
}

impl From<&config::Log> for AccessSample {
    fn from(log: &config::Log) -> Self {
        Self { part: log.access_sample, slow_seconds: log.access_slow_seconds }
    }
}

impl AccessSample {
    /// Whether a request is logged whose answer had `status` and took so long to begin.
    pub(super) fn takes(self, key: &str, status: u16, first_byte_seconds: f64) -> bool {
        1.0 <= self.part
            || 400 <= status
            || self.slow_seconds < first_byte_seconds
            || point_of(key) < self.part
    }
}

/// A place from 0 to below 1 that belongs to `key` on every server: FNV-1a, then the mixing of
/// SplitMix64, since the former leaves the upper bits of short keys alike.
fn point_of(key: &str) -> f64 {
    let fold = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325, fold);
    let hash = super::request_id::scramble(hash);
    // The upper 53 bits are what a float holds exactly.
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_taken_whole_and_evenly() {
        let sample = AccessSample { part: 0.1, slow_seconds: 1.0 };
        let taken = (0..10_000).filter(|n| sample.takes(&format!("s-{n}"), 200, 0.0)).count();
        assert!((900..1_100).contains(&taken), "{taken} of 10000");
        for n in 0..100 {
            let key = format!("s-{n}");
            assert_eq!(sample.takes(&key, 200, 0.0), sample.takes(&key, 206, 0.9));
            assert!(sample.takes(&key, 404, 0.0) && sample.takes(&key, 200, 1.1));
        }
        let none = AccessSample { part: 0.0, ..sample };
        assert!(!none.takes("", 200, 0.0) && none.takes("", 503, 0.0));
        assert!(AccessSample { part: 1.0, ..sample }.takes("", 200, 0.0));
    }
}
