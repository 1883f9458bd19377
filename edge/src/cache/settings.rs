//! What an operator sets, and every bound of the shell.

use std::path::Path;
use std::time::Duration;

use http::header::HeaderName;

use super::disk::DiskSettings;
use super::policy::Policy;

/// Objects of up to this size are read from disk in one go; of larger ones the first bytes are sent
/// while the rest is read.
pub(super) const DISK_WHOLE_BYTES_MAX: u64 = 1 << 20;

/// What a kill between two snapshots costs is a look at the names of the folder.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
pub struct Settings {
    pub policy: Policy,
    /// Memory for answers that are fresh for up to `live_lifetime_max`.
    pub live_bytes: u64,
    pub live_lifetime_max: Duration,
    /// Paths of live channels: what lies below is live, however long it is fresh.
    pub live_prefixes: Vec<String>,
    /// Memory for all others.
    pub vod_bytes: u64,
    /// Larger answers are passed on, and one whose length isn't announced breaks off there.
    pub object_bytes_max: u64,
    /// A range of a larger object is fetched in slices of this size instead of with the whole.
    pub sliced_from_bytes: u64,
    pub slice_bytes: u64,
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
    /// For how long nobody waits for an origin that failed, where a stale answer may be sent.
    pub failure_memory: Duration,
    /// Prefetches under way at a time.
    pub prefetches_max: usize,
    pub disk: Option<DiskSettings>,
}

impl Settings {
    /// The settings of `[cache]`; the disk tier lies in `cache` of the data directory.
    pub fn of_config(config: &platform::config::Cache, data_folder: &Path) -> Self {
        let object_bytes_max = config.object_bytes.get();
        let disk = (config.disk_bytes.get() > 0).then(|| DiskSettings {
            folder: data_folder.join("cache"),
            bytes_max: config.disk_bytes.get(),
            object_bytes_max,
            write_bytes_per_second: config.disk_write_bytes_per_second.get(),
            snapshot_interval: SNAPSHOT_INTERVAL,
        });
        let policy = Policy {
            negative: Duration::from_secs_f64(config.negative_seconds),
            stale_if_error: Duration::from_secs_f64(config.stale_if_error_seconds),
            client_directives: config.client_directives,
            ..Policy::default()
        };
        Self {
            policy,
            live_bytes: config.live_bytes.get(),
            vod_bytes: config.vod_bytes.get(),
            object_bytes_max,
            disk,
            ..Self::default()
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            live_bytes: 128 << 20,
            live_lifetime_max: Duration::from_secs(60),
            live_prefixes: vec!["/live/".to_owned()],
            vod_bytes: 512 << 20,
            object_bytes_max: 64 << 20,
            sliced_from_bytes: 8 << 20,
            slice_bytes: 1 << 20,
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
            failure_memory: Duration::from_secs(5),
            prefetches_max: 8,
            disk: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_and_library_have_the_same_defaults() {
        let config = platform::config::Cache::default();
        let settings = Settings::of_config(&config, Path::new("data"));
        assert_eq!(format!("{settings:?}"), format!("{:?}", Settings::default()));
        let disk_bytes = "3 GiB".parse().unwrap();
        let config = platform::config::Cache { disk_bytes, ..config };
        let disk = Settings::of_config(&config, Path::new("data")).disk.unwrap();
        assert_eq!((disk.folder.to_str(), disk.bytes_max), (Some("data/cache"), 3 << 30));
    }
}
