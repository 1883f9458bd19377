//! The life of one connection, from its first byte to its end.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::sync::watch;
use tokio::time::Instant;
use tower_service::Service;

use super::HttpLimits;
use super::activity::{Activity, Verdict};
use super::body::BodyError;
use super::guard::Guard;
use super::io::{GuardedIo, Transport};
use super::server::{BUFFER_BYTES, Phase};
use super::streams::StreamExecutor;

/// Receive windows of HTTP/2: requests have small bodies or none.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;

/// Streams that a client may open and reset before we have looked at them (CVE-2023-44487), and
/// streams that it may make us reset (CVE-2025-8671); beyond these the connection is closed.
const RESETS_PENDING_MAX: usize = 32;
const RESETS_LOCAL_MAX: usize = 256;

/// How long an idle connection may take to say goodbye before it is dropped.
const GOODBYE: Duration = Duration::from_secs(5);

/// How often a connection looks whether its grace is over.
const LEAVING_TICK: Duration = Duration::from_millis(100);

/// Runs one connection to its end.
pub(super) async fn run_connection<T, S, B>(
    stream: T,
    guard: Guard<S>,
    mut phase: watch::Receiver<Phase>,
    is_crowded: &AtomicBool,
) where
    T: Transport,
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BodyError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BodyError>,
{
    let (activity, limits) = (Arc::clone(&guard.activity), guard.limits);
    let (listener, number) = (guard.connection.listener, guard.connection.number);
    let io = TokioIo::new(GuardedIo::new(stream, Arc::clone(&activity)));
    let builder = builder(&limits, &activity);
    let mut connection = pin!(builder.serve_connection(io, guard));

    let mut tick = tick(&limits);
    let mut is_leaving = false;
    // Until when it may lie idle, once the server goes; and whether it was told.
    let (mut idle_until, mut is_told) = (None, false);
    // A connection of the last moment has to be told, too.
    phase.mark_changed();
    let mut goodbye = pin!(tokio::time::sleep(Duration::MAX));
    loop {
        tokio::select! {
            outcome = connection.as_mut() => {
                if let Err(error) = outcome {
                    tracing::debug!(listener, number, %error, "a connection ended early");
                }
                return;
            }
            () = tokio::time::sleep(tick) => {
                activity.end_stalled_streams(&limits);
                if let Some(until) = idle_until
                    && !is_told
                    && (activity.is_http2() || until <= Instant::now())
                {
                    is_told = true;
                    connection.as_mut().graceful_shutdown();
                }
                match activity.judge(&limits, is_crowded.load(Ordering::Relaxed)) {
                    Verdict::GoesOn => {}
                    Verdict::Idle if is_leaving => {}
                    Verdict::Idle => {
                        is_leaving = true;
                        connection.as_mut().graceful_shutdown();
                        goodbye.as_mut().reset(tokio::time::Instant::now() + GOODBYE);
                    }
                    Verdict::Drop(reason) => {
                        tracing::debug!(listener, number, reason, "dropped a connection");
                        return;
                    }
                }
            }
            () = goodbye.as_mut(), if is_leaving => return,
            _ = phase.changed() => match *phase.borrow_and_update() {
                Phase::Serving => {}
                // HTTP/1 has no word for it but on an answer.
                Phase::Draining { idle_until: until, .. } => {
                    activity.leave();
                    idle_until = Some(until);
                    tick = tick.min(LEAVING_TICK);
                    if activity.is_http2() {
                        is_told = true;
                        connection.as_mut().graceful_shutdown();
                    }
                }
                Phase::Ended => return,
            },
        }
    }
}

fn builder(limits: &HttpLimits, activity: &Arc<Activity>) -> auto::Builder<StreamExecutor> {
    let mut builder = auto::Builder::new(StreamExecutor { activity: Arc::clone(activity) });
    builder
        .http1()
        .timer(TokioTimer::new())
        // The connection's own timer does this, and tells idle from slow.
        .header_read_timeout(None)
        .max_buf_size(BUFFER_BYTES)
        .writev(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_per_connection)
        .max_header_list_size(limits.header_bytes)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(BUFFER_BYTES)
        .max_pending_accept_reset_streams(RESETS_PENDING_MAX)
        .max_local_error_reset_streams(RESETS_LOCAL_MAX);
    builder
}

/// How often a connection is judged: a quarter of its shortest limit, from 50 ms to 5 s.
fn tick(limits: &HttpLimits) -> Duration {
    let shortest = limits.header_timeout.min(limits.keep_alive).min(limits.write_stall);
    (shortest / 4).clamp(Duration::from_millis(50), Duration::from_secs(5))
}
