//! What an operator sets, and every bound of the shell.

use std::time::Duration;

use http::header::HeaderName;

use super::disk::DiskSettings;
use super::policy::Policy;

#[derive(Clone, Debug)]
pub struct Settings {
    pub policy: Policy,
    /// Memory for answers that are fresh for up to `live_lifetime_max`.
    pub live_bytes: u64,
    pub live_lifetime_max: Duration,
    /// Memory for all others.
    pub vod_bytes: u64,
    /// Larger answers are passed on, and one whose length isn't announced breaks off there.
    pub object_bytes_max: u64,
    /// Memory for answers on their way in, all together; beyond it answers are passed on.
    pub filling_bytes_max: u64,
    /// To the head of an origin's answer, retries included.
    pub fetch_timeout: Duration,
    /// Between two pieces of an origin's body.
    pub idle_timeout: Duration,
    /// Request headers that reach the origin with a request that may be stored. Whatever isn't
    /// here can't change a stored answer.
    pub forwarded_headers: Vec<HeaderName>,
    /// Query parameters that are part of the key and reach the origin.
    pub query_allowed: Vec<String>,
    /// Variants of one URL.
    pub variants_max: usize,
    /// For how long requests for what can't be stored don't wait for each other.
    pub private_memory: Duration,
    /// Prefetches under way at a time.
    pub prefetches_max: usize,
    pub disk: Option<DiskSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            live_bytes: 128 << 20,
            live_lifetime_max: Duration::from_secs(60),
            vod_bytes: 512 << 20,
            object_bytes_max: 64 << 20,
            filling_bytes_max: 512 << 20,
            fetch_timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(15),
            forwarded_headers: [
                "accept",
                "accept-encoding",
                "accept-language",
                "authorization",
                "origin",
                "traceparent",
                "tracestate",
                "user-agent",
                "x-request-id",
            ]
            .map(HeaderName::from_static)
            .to_vec(),
            query_allowed: [
                "max_height",
                "max_bitrate",
                "video",
                "audio",
                "text",
                "start",
                "end",
                "key_format",
                "_HLS_msn",
                "_HLS_part",
                "_HLS_skip",
            ]
            .map(str::to_owned)
            .to_vec(),
            variants_max: 16,
            private_memory: Duration::from_secs(10),
            prefetches_max: 8,
            disk: None,
        }
    }
}
