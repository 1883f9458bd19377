//! One connection: its streams, its idle time, its orderly end.

use std::sync::Arc;
use std::time::Duration;

use http::Response;
use http_body::Body;
use platform::http::{Connection, HttpLimits};
use quinn::{RecvStream, SendStream};
use tokio::sync::watch;
use tokio::time::Instant;
use tower_service::Service;

use super::Phase;
use super::control::{self, CONTROL_STREAM, QPACK_DECODER_STREAM, QPACK_ENCODER_STREAM};
use super::error::{Code, Fault};
use super::frame::{kind, write_frame_header, write_varint};
use super::request::{Http3Request, Requests};
use super::settings;
use super::state::State;

/// The largest id of a request: the first GOAWAY names it (RFC 9114 5.2).
const LAST_REQUEST_ID: u64 = (1 << 62) - 4;

/// How long requests that were on their way when the first GOAWAY went out are still taken: a round
/// trip, within these.
const GRACE_MIN: Duration = Duration::from_millis(100);
const GRACE_MAX: Duration = Duration::from_secs(1);

/// How long, at least, later ones are refused one by one before the connection is closed: a client
/// that was not run for a while learns that way that nothing was done of its request.
const LAST_MIN: Duration = Duration::from_millis(500);

/// How often an idle connection is looked at, and how long it may lie while others wait.
const IDLE_TICK: Duration = Duration::from_secs(1);
const CROWDED_IDLE: Duration = Duration::from_secs(1);

/// What a connection is served with.
pub(super) struct Serving<S> {
    pub(super) service: S,
    pub(super) limits: HttpLimits,
    pub(super) connection: Connection,
    pub(super) is_confirmed: watch::Receiver<bool>,
    pub(super) phase: watch::Receiver<Phase>,
    /// Whether all connections are taken: idle ones then give way.
    pub(super) is_crowded: Box<dyn Fn() -> bool + Send>,
}

/// How far the end of a connection has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Leaving {
    No,
    /// Said that it will end; takes what is on its way until then.
    Announced(Instant),
    /// Said where it ends; finishes what it took, and refuses more until then at least.
    Last(Instant),
}

/// Serves a connection to its end.
pub(super) async fn run<S, B>(quic: quinn::Connection, serving: Serving<S>)
where
    S: Service<Http3Request, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: std::fmt::Display + Send,
{
    let Serving { service, limits, connection, is_confirmed, mut phase, is_crowded } = serving;
    let number = connection.number;
    let state = Arc::new(State::new(limits.streams_per_connection));
    let opened = open_streams(&quic, limits.header_bytes);
    let Ok(Ok(mut control)) = tokio::time::timeout(limits.header_timeout, opened).await else {
        return quic.close(Code::GENERAL_PROTOCOL_ERROR.to_varint(), b"no streams for us");
    };
    let requests = Requests { service, quic: quic.clone(), limits, connection, is_confirmed };
    let mut in_flight = state.in_flight();
    let mut leaving = Leaving::No;
    // The id after the last request that was taken.
    let mut next_id = 0;
    let mut tick = tokio::time::interval(IDLE_TICK);
    let mut end = phase.clone();
    loop {
        let (announced, last) = match leaving {
            Leaving::No => (None, None),
            Leaving::Announced(until) => (Some(until), None),
            Leaving::Last(until) => (None, Some(until)),
        };
        tokio::select! {
            stream = quic.accept_bi() => {
                let Ok((send, receive)) = stream else { return };
                if last.is_some() {
                    reject(send, receive);
                    continue;
                }
                let id = u64::from(send.id());
                next_id = next_id.max(id + 4);
                let request = state.begin(id);
                tokio::spawn(requests.clone().serve(send, receive, request));
            }
            stream = quic.accept_uni() => {
                let Ok(stream) = stream else { return };
                tokio::spawn(serve_control(quic.clone(), stream, Arc::clone(&state), number));
            }
            _ = tick.tick(), if leaving == Leaving::No => {
                let limit = idle_limit(&limits, next_id == 0, is_crowded());
                if state.idle().is_some_and(|idle| limit <= idle) {
                    leaving = announce(&quic, &mut control).await;
                }
            }
            told = after(&mut phase, Phase::Serving), if leaving == Leaving::No => {
                match told {
                    Phase::Draining => leaving = announce(&quic, &mut control).await,
                    _ => return quic.close(Code::NO_ERROR.to_varint(), b""),
                }
            }
            _ = after(&mut end, Phase::Draining), if leaving != Leaving::No => {
                return quic.close(Code::NO_ERROR.to_varint(), b"");
            }
            () = sleep_until(announced), if announced.is_some() => {
                goaway(&mut control, next_id).await;
                leaving = Leaving::Last(Instant::now() + quic.rtt().clamp(LAST_MIN, GRACE_MAX));
            }
            () = none_after(last, &mut in_flight), if last.is_some() => {
                return quic.close(Code::NO_ERROR.to_varint(), b"");
            }
        }
    }
}

/// The client may ask elsewhere without fear: nothing was done (RFC 9114 4.1.1).
fn reject(mut send: SendStream, mut receive: RecvStream) {
    // Both fail only when the stream is over.
    let _ = send.reset(Code::REQUEST_REJECTED.to_varint());
    let _ = receive.stop(Code::REQUEST_REJECTED.to_varint());
}

async fn serve_control(
    quic: quinn::Connection,
    stream: RecvStream,
    state: Arc<State>,
    number: u64,
) {
    if let Err(Fault::Connection { code, reason }) = control::serve(stream, &state).await {
        tracing::debug!(number, ?code, reason, "ended a connection");
        quic.close(code.to_varint(), reason.as_bytes());
    }
}

/// How long a connection may lie idle; `is_fresh`: it has brought no request.
fn idle_limit(limits: &HttpLimits, is_fresh: bool, is_crowded: bool) -> Duration {
    let limit = if is_fresh { limits.header_timeout } else { limits.keep_alive };
    if is_crowded { limit.min(CROWDED_IDLE) } else { limit }
}

/// Waits until a phase comes that is after `seen`.
async fn after(phase: &mut watch::Receiver<Phase>, seen: Phase) -> Phase {
    // A listener that is gone has ended.
    phase.wait_for(|phase| seen < *phase).await.map_or(Phase::Ended, |phase| *phase)
}

/// Waits for an instant, then until no request is under way.
async fn none_after(instant: Option<Instant>, in_flight: &mut watch::Receiver<usize>) {
    sleep_until(instant).await;
    let _ = in_flight.wait_for(|count| *count == 0).await;
}

async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// Opens our control stream with the settings, and QPACK's two, which stay silent.
async fn open_streams(
    quic: &quinn::Connection,
    header_bytes: u32,
) -> Result<ControlStreams, quinn::ConnectionError> {
    let mut opening = Vec::new();
    write_varint(CONTROL_STREAM, &mut opening);
    settings::write(u64::from(header_bytes), &mut opening);
    let mut control = quic.open_uni().await?;
    // Nothing may overtake the settings; urgency 0 of a request is 15.
    let _ = control.set_priority(i32::MAX);
    // A write fails only when the connection ends, which the streams' owner sees.
    let _ = control.write_all(&opening).await;
    let mut silent = Vec::new();
    for kind in [QPACK_ENCODER_STREAM, QPACK_DECODER_STREAM] {
        let mut stream = quic.open_uni().await?;
        let mut opening = Vec::new();
        write_varint(kind, &mut opening);
        let _ = stream.write_all(&opening).await;
        silent.push(stream);
    }
    Ok(ControlStreams { control, _silent: silent })
}

/// Our critical streams: dropping one would close it, and end the connection.
struct ControlStreams {
    control: SendStream,
    _silent: Vec<SendStream>,
}

async fn announce(quic: &quinn::Connection, streams: &mut ControlStreams) -> Leaving {
    goaway(streams, LAST_REQUEST_ID).await;
    Leaving::Announced(Instant::now() + quic.rtt().clamp(GRACE_MIN, GRACE_MAX))
}

async fn goaway(streams: &mut ControlStreams, id: u64) {
    let (mut payload, mut frame) = (Vec::new(), Vec::new());
    write_varint(id, &mut payload);
    write_frame_header(kind::GOAWAY, payload.len() as u64, &mut frame);
    frame.extend_from_slice(&payload);
    // A client that reads nothing learns of the end by the end.
    let _ = tokio::time::timeout(GRACE_MAX, streams.control.write_all(&frame)).await;
}
