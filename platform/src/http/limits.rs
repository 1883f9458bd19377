//! Limits of a listener, as durations and sizes.

use std::time::Duration;

use crate::config::Limits;

/// What one connection may take. The fields are those of `[limits]`.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// Connections at a time; taken when a listener starts.
    pub connections: u32,
    pub streams_per_connection: u32,
    pub header_bytes: u32,
    /// Content of one request, for [`super::read_content`].
    pub content_bytes: u32,
    pub header_timeout: Duration,
    pub keep_alive: Duration,
    pub request_timeout: Duration,
    pub write_stall: Duration,
}

impl From<&Limits> for HttpLimits {
    /// The configuration's checks keep every number in range before this.
    fn from(limits: &Limits) -> Self {
        Self {
            connections: limits.connections,
            streams_per_connection: limits.streams_per_connection,
            header_bytes: u32::try_from(limits.header_bytes.get()).unwrap_or(u32::MAX),
            content_bytes: u32::try_from(limits.content_bytes.get()).unwrap_or(u32::MAX),
            header_timeout: Duration::from_secs_f64(limits.header_timeout_seconds),
            keep_alive: Duration::from_secs_f64(limits.keep_alive_seconds),
            request_timeout: Duration::from_secs_f64(limits.request_timeout_seconds),
            write_stall: Duration::from_secs_f64(limits.write_stall_seconds),
        }
    }
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self::from(&Limits::default())
    }
}
