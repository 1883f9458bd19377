//! What a connection is doing, noted by its layers and judged by its timer.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::HttpLimits;
use super::streams::StreamWatch;

/// An instant in milliseconds since the connection was accepted, or none.
#[derive(Debug)]
pub(super) struct Mark(AtomicU64);

const NONE: u64 = u64::MAX;

/// How long a connection may lie idle while others wait for one.
const CROWDED_IDLE: Duration = Duration::from_secs(1);

impl Mark {
    pub(super) const fn none() -> Self {
        Self(AtomicU64::new(NONE))
    }

    fn at(millis: u64) -> Self {
        Self(AtomicU64::new(millis))
    }

    pub(super) fn set(&self, millis: u64) {
        self.0.store(millis, Ordering::Relaxed);
    }

    pub(super) fn set_if_none(&self, millis: impl FnOnce() -> u64) {
        if self.0.load(Ordering::Relaxed) == NONE {
            self.set(millis());
        }
    }

    pub(super) fn clear(&self) {
        self.0.store(NONE, Ordering::Relaxed);
    }

    /// Whether the mark is set and at least `limit` old.
    pub(super) fn is_older(&self, now_millis: u64, limit: Duration) -> bool {
        let since = self.0.load(Ordering::Relaxed);
        since != NONE && limit <= Duration::from_millis(now_millis.saturating_sub(since))
    }
}

/// Shared by the layers of one connection. All times come from its own clock.
#[derive(Debug)]
pub(super) struct Activity {
    accepted: Instant,
    /// Requests whose answer is not finished.
    in_flight: AtomicU32,
    is_http2: AtomicBool,
    has_served: AtomicBool,
    /// The server goes away: each HTTP/1 answer is the last of its connection.
    is_leaving: AtomicBool,
    /// Since when nothing is in flight.
    idle_since: Mark,
    /// Since when the head of an HTTP/1 request is arriving.
    head_since: Mark,
    /// Since when the socket takes no more bytes.
    blocked_since: Mark,
    /// HTTP/2 streams; ended ones are swept out.
    streams: Mutex<Vec<Weak<StreamWatch>>>,
}

/// What the timer does with a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    GoesOn,
    /// Nothing is under way: say goodbye and close.
    Idle,
    /// Close at once.
    Drop(&'static str),
}

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            accepted: Instant::now(),
            in_flight: AtomicU32::new(0),
            is_http2: AtomicBool::new(false),
            has_served: AtomicBool::new(false),
            is_leaving: AtomicBool::new(false),
            idle_since: Mark::at(0),
            head_since: Mark::none(),
            blocked_since: Mark::none(),
            streams: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn now_millis(&self) -> u64 {
        u64::try_from(self.accepted.elapsed().as_millis()).unwrap_or(NONE - 1)
    }

    /// A handshake is done: only now the client can send a request.
    pub(super) fn restart(&self) {
        self.idle_since.set(self.now_millis());
        self.blocked_since.clear();
    }

    pub(super) fn is_http2(&self) -> bool {
        self.is_http2.load(Ordering::Relaxed)
    }

    pub(super) fn leave(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Relaxed)
    }

    /// Bytes came in. In HTTP/1, with nothing in flight, they belong to the head of a request.
    pub(super) fn bytes_read(&self, bytes: &[u8]) {
        if !self.has_served.load(Ordering::Relaxed) && bytes.starts_with(b"PRI") {
            self.is_http2.store(true, Ordering::Relaxed);
        }
        if self.in_flight.load(Ordering::Relaxed) == 0 && !self.is_http2() {
            self.head_since.set_if_none(|| self.now_millis());
        }
    }

    pub(super) fn write_progressed(&self) {
        self.blocked_since.clear();
    }

    pub(super) fn write_blocked(&self) {
        self.blocked_since.set_if_none(|| self.now_millis());
    }

    /// A request's head is complete. The guard ends it when the answer is sent or given up.
    pub(super) fn begin(self: &Arc<Self>, is_http2: bool) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.has_served.store(true, Ordering::Relaxed);
        self.is_http2.store(is_http2, Ordering::Relaxed);
        self.head_since.clear();
        self.idle_since.clear();
        InFlight { activity: Arc::clone(self) }
    }

    pub(super) fn watch_stream(&self, stream: &Arc<StreamWatch>) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.retain(|stream| stream.strong_count() != 0);
        streams.push(Arc::downgrade(stream));
    }

    /// Ends the HTTP/2 streams whose client takes nothing.
    pub(super) fn end_stalled_streams(&self, limits: &HttpLimits) {
        let now_millis = self.now_millis();
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        for stream in streams.iter().filter_map(Weak::upgrade) {
            stream.end_if_stalled(now_millis, limits.write_stall);
        }
    }

    /// `is_crowded`: others wait for a connection, so that idle ones must give way sooner.
    pub(super) fn judge(&self, limits: &HttpLimits, is_crowded: bool) -> Verdict {
        let now_millis = self.now_millis();
        if self.blocked_since.is_older(now_millis, limits.write_stall) {
            return Verdict::Drop("the client takes no bytes");
        }
        if self.head_since.is_older(now_millis, limits.header_timeout) {
            return Verdict::Drop("the head of a request did not arrive in time");
        }
        // Pings, settings and the pieces of a header block are no request either.
        let is_fresh = !self.has_served.load(Ordering::Relaxed);
        let idle_limit = if is_fresh { limits.header_timeout } else { limits.keep_alive };
        let idle_limit = if is_crowded { idle_limit.min(CROWDED_IDLE) } else { idle_limit };
        if self.idle_since.is_older(now_millis, idle_limit) {
            return Verdict::Idle;
        }
        Verdict::GoesOn
    }
}

/// A request under way; dropped when its answer is sent or given up.
#[derive(Debug)]
pub(super) struct InFlight {
    activity: Arc<Activity>,
}

impl InFlight {
    pub(super) fn activity(&self) -> &Activity {
        &self.activity
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.activity.in_flight.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.activity.idle_since.set(self.activity.now_millis());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> HttpLimits {
        HttpLimits {
            header_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            write_stall: Duration::from_secs(30),
            ..HttpLimits::default()
        }
    }

    /// Lets `seconds` pass on the paused clock, then judges.
    async fn after(activity: &Activity, seconds: u64) -> Verdict {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        activity.judge(&limits(), false)
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_ends_after_the_header_timeout() {
        let activity = Activity::new();
        assert_eq!(after(&activity, 9).await, Verdict::GoesOn);
        assert_eq!(after(&activity, 1).await, Verdict::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickled_head_is_dropped_and_later_ones_too() {
        let activity = Arc::new(Activity::new());
        activity.bytes_read(b"GET");
        tokio::time::advance(Duration::from_secs(6)).await;
        activity.bytes_read(b" /");
        assert!(matches!(after(&activity, 4).await, Verdict::Drop(_)));

        drop(activity.begin(false));
        assert_eq!(after(&activity, 74).await, Verdict::GoesOn);
        activity.bytes_read(b"G");
        assert_eq!(after(&activity, 1).await, Verdict::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn idle_connections_give_way_to_waiting_ones() {
        let activity = Arc::new(Activity::new());
        let request = activity.begin(false);
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(activity.judge(&limits(), true), Verdict::GoesOn);
        drop(request);
        assert_eq!(activity.judge(&limits(), true), Verdict::GoesOn);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(activity.judge(&limits(), false), Verdict::GoesOn);
        assert_eq!(activity.judge(&limits(), true), Verdict::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_in_flight_may_take_its_time() {
        let activity = Arc::new(Activity::new());
        activity.bytes_read(b"GET / HTTP/1.1\r\n\r\n");
        let request = activity.begin(false);
        assert_eq!(after(&activity, 1_000).await, Verdict::GoesOn);
        drop(request);
        assert_eq!(after(&activity, 75).await, Verdict::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn a_blocked_socket_is_dropped_unless_it_moves() {
        let activity = Arc::new(Activity::new());
        let _request = activity.begin(false);
        activity.write_blocked();
        assert_eq!(after(&activity, 29).await, Verdict::GoesOn);
        activity.write_progressed();
        activity.write_blocked();
        assert_eq!(after(&activity, 29).await, Verdict::GoesOn);
        activity.write_blocked();
        assert!(matches!(after(&activity, 1).await, Verdict::Drop(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn http2_pings_are_no_request_heads() {
        let activity = Arc::new(Activity::new());
        activity.bytes_read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        drop(activity.begin(true));
        assert_eq!(after(&activity, 70).await, Verdict::GoesOn);
        activity.bytes_read(b"\0\0\x08\x06");
        assert_eq!(after(&activity, 5).await, Verdict::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn http2_without_a_request_ends_after_the_header_timeout() {
        let activity = Activity::new();
        activity.bytes_read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        assert_eq!(after(&activity, 9).await, Verdict::GoesOn);
        activity.bytes_read(b"\0\0\x08\x06");
        assert_eq!(after(&activity, 1).await, Verdict::Idle);
    }
}
