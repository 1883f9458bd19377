//! An answer on its way: fields, content in pieces, the end (RFC 9114 4.1).
//!
//! A piece goes out when the transport takes the one before it, so that a body is produced as fast
//! as its client takes it, and what is in flight is bounded by the connection's send window. That
//! follows the path: twice its congestion window fills it, more would only wait in memory.

use std::task::Poll;
use std::time::{Duration, SystemTime};

use bytes::{Buf, Bytes};
use http::header::{CONTENT_LENGTH, DATE};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use quinn::{Connection, SendStream, WriteError};

use super::error::{Code, Fault};
use super::frame::{kind, write_frame_header};
use super::message::{write_answer, write_trailers};
use super::state::InFlight;
use super::turns::Turn;

/// Content in one DATA frame: what a client must take within the stall time to be seen moving, and
/// what waits in memory for each stalled stream.
const PIECE_BYTES: usize = 64 * 1024;

/// Least content in one DATA frame, however narrow the path.
const PIECE_BYTES_MIN: usize = 8 * 1024;

/// How long a stream may keep its turn while its piece finds no room.
const TURN_ROUND_TRIPS: u32 = 3;
const TURN_MIN: Duration = Duration::from_millis(50);

/// Bounds of the send window, in bytes: a slow client's share of memory, and 60 MB a second over a
/// path of 67 ms.
pub(super) const SEND_WINDOW_BYTES_MIN: u64 = 128 * 1024;
const SEND_WINDOW_BYTES_MAX: u64 = 4 << 20;

/// Stall times that a client may take to acknowledge the end of an answer while it acknowledges
/// other packets.
const LAST_WAITS_MAX: u32 = 10;

/// The sending side of a request stream.
pub(super) struct AnswerWriter<'a> {
    pub(super) stream: SendStream,
    pub(super) quic: &'a Connection,
    pub(super) in_flight: &'a InFlight,
    pub(super) write_stall: Duration,
    /// Kept from piece to piece while more is ready.
    pub(super) turn: Option<Turn>,
}

impl AnswerWriter<'_> {
    /// Sends all of an answer and waits until the client has it.
    pub(super) async fn write<B>(
        &mut self,
        method: &Method,
        answer: Response<B>,
    ) -> Result<(), Fault>
    where
        B: Body,
        B::Error: std::fmt::Display,
    {
        let (mut head, body) = answer.into_parts();
        let has_content = *method != Method::HEAD
            && !matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if let (true, Some(length)) = (has_content, body.size_hint().exact()) {
            head.headers.entry(CONTENT_LENGTH).or_insert_with(|| length.into());
        }
        head.headers.entry(DATE).or_insert_with(now);
        self.set_priority();
        self.send(&mut [write_answer(&head)]).await?;
        if has_content {
            self.write_body(body).await?;
        }
        self.finish().await
    }

    async fn write_body<B>(&mut self, body: B) -> Result<(), Fault>
    where
        B: Body,
        B::Error: std::fmt::Display,
    {
        let mut body = std::pin::pin!(body);
        while !body.is_end_stream() {
            let ready =
                std::future::poll_fn(|context| Poll::Ready(body.as_mut().poll_frame(context)));
            let next = match ready.await {
                Poll::Ready(next) => next,
                // Others write while this one's content is fetched.
                Poll::Pending => {
                    self.turn = None;
                    body.frame().await
                }
            };
            let Some(frame) = next else { break };
            let frame = frame.map_err(|error| {
                tracing::warn!(%error, "an answer broke off");
                Fault::stream(Code::INTERNAL_ERROR, "the answer broke off")
            })?;
            match frame.into_data() {
                Ok(data) => self.write_data(data).await?,
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        self.send(&mut [write_trailers(&trailers)]).await?;
                    }
                }
            }
        }
        self.turn = None;
        Ok(())
    }

    async fn write_data(&mut self, mut data: impl Buf) -> Result<(), Fault> {
        while data.has_remaining() {
            self.take_turn().await;
            let path = self.quic.stats().path;
            // No more than the path takes in a round trip: then a turn takes no longer either.
            let window = usize::try_from(path.cwnd).unwrap_or(PIECE_BYTES);
            let piece_bytes = window.clamp(PIECE_BYTES_MIN, PIECE_BYTES);
            // In one place this is a reference, across several a copy: those that are large enough
            // go one by one.
            let first_bytes = data.chunk().len();
            let is_enough = piece_bytes / 2 <= first_bytes;
            let wanted_bytes = if is_enough { first_bytes } else { data.remaining() };
            let piece = data.copy_to_bytes(wanted_bytes.min(piece_bytes));
            let mut header = Vec::with_capacity(16);
            write_frame_header(kind::DATA, piece.len() as u64, &mut header);
            self.set_priority();
            let send_window = path.cwnd.saturating_mul(2);
            let send_window = send_window.clamp(SEND_WINDOW_BYTES_MIN, SEND_WINDOW_BYTES_MAX);
            self.quic.set_send_window(send_window);
            let patience = (path.rtt * TURN_ROUND_TRIPS).max(TURN_MIN);
            let mut chunks = [header.into(), piece];
            self.send_in_turn(&mut chunks, patience).await?;
        }
        Ok(())
    }

    /// Sends a piece, and gives the turn up when it finds no room for as long as `patience`: it may
    /// wait for its own client to open the stream's window, and others need not. It may as well wait
    /// as all do; so it asks for the turn again, after a time that doubles.
    async fn send_in_turn(
        &mut self,
        chunks: &mut [Bytes],
        patience: Duration,
    ) -> Result<(), Fault> {
        let in_flight = self.in_flight;
        let mut turn = self.turn.take();
        let mut pause = patience;
        {
            let mut sending = std::pin::pin!(self.send(chunks));
            loop {
                tokio::select! {
                    biased;
                    outcome = sending.as_mut() => break outcome?,
                    () = tokio::time::sleep(patience) => turn = None,
                }
                tokio::select! {
                    biased;
                    outcome = sending.as_mut() => break outcome?,
                    () = tokio::time::sleep(pause) => pause *= 2,
                }
                let (turns, priority) = (&in_flight.state().turns, in_flight.priority());
                tokio::select! {
                    biased;
                    outcome = sending.as_mut() => break outcome?,
                    taken = turns.take(priority, in_flight.id()) => turn = Some(taken),
                }
            }
        }
        self.turn = turn;
        Ok(())
    }

    async fn take_turn(&mut self) {
        let (turns, priority) = (&self.in_flight.state().turns, self.in_flight.priority());
        let stream = self.in_flight.id();
        self.turn = Some(match self.turn.take() {
            Some(turn) => turns.again(turn, priority, stream).await,
            None => turns.take(priority, stream).await,
        });
    }

    /// A client may have changed its mind.
    fn set_priority(&self) {
        let priority = self.in_flight.priority();
        if self.stream.priority().is_ok_and(|set| set != priority) {
            // Fails only when the stream is over.
            let _ = self.stream.set_priority(priority);
        }
    }

    async fn send(&mut self, chunks: &mut [Bytes]) -> Result<(), Fault> {
        let sent = tokio::time::timeout(self.write_stall, self.stream.write_all_chunks(chunks));
        match sent.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(WriteError::Stopped(_))) => Err(Fault::Cancelled),
            Ok(Err(_)) => Err(Fault::Gone),
            Err(_) => Err(stalled()),
        }
    }

    /// Ends the answer and waits for its acknowledgement: an orderly end of the connection must not
    /// overtake it.
    async fn finish(&mut self) -> Result<(), Fault> {
        self.stream.finish().map_err(|_| Fault::Cancelled)?;
        let mut acknowledged = std::pin::pin!(self.stream.stopped());
        let mut acks = self.quic.stats().frame_rx.acks;
        for _ in 0..LAST_WAITS_MAX {
            if tokio::time::timeout(self.write_stall, acknowledged.as_mut()).await.is_ok() {
                return Ok(());
            }
            let seen = std::mem::replace(&mut acks, self.quic.stats().frame_rx.acks);
            if seen == acks {
                break;
            }
        }
        Err(stalled())
    }
}

fn stalled() -> Fault {
    Fault::stream(Code::REQUEST_CANCELLED, "the client takes no bytes")
}

/// RFC 9110 6.6.1 wants it of every server with a clock.
fn now() -> HeaderValue {
    let text = httpdate::fmt_http_date(SystemTime::now());
    HeaderValue::try_from(text).expect("a date is plain text")
}
