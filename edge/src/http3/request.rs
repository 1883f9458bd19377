//! One request and its answer.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use platform::http::{Connection, EarlyData, HttpLimits};
use quinn::{RecvStream, SendStream};
use tokio::sync::watch;
use tower_service::Service;

use super::content::{self, Http3Body};
use super::error::{Code, Fault};
use super::message::{Message, read_request};
use super::qpack::{DecodeError, decode};
use super::reader::{RequestReader, Section};
use super::state::InFlight;
use super::writer::AnswerWriter;
use crate::cmsd;

/// The way to the client of a request that came over QUIC; among its extensions.
#[derive(Clone, Debug)]
pub struct QuicPath(quinn::Connection);

impl QuicPath {
    /// What the transport knows of it now.
    pub fn measure(&self) -> cmsd::Path {
        let path = self.0.stats().path;
        let round_trip_micros = u64::try_from(path.rtt.as_micros()).unwrap_or(u64::MAX);
        cmsd::Path { round_trip_micros, window_bytes: path.cwnd }
    }
}

/// What a service is asked.
pub type Http3Request = Request<Http3Body>;

/// What every request of a connection needs.
#[derive(Clone)]
pub(super) struct Requests<S> {
    pub(super) service: S,
    pub(super) quic: quinn::Connection,
    pub(super) limits: HttpLimits,
    pub(super) connection: Connection,
    /// Whether the handshake is done; before that whoever recorded a request may have sent it.
    pub(super) is_confirmed: watch::Receiver<bool>,
}

/// What to do about a request.
enum Asked {
    Service(Box<Message>),
    /// An answer of our own.
    Refused(StatusCode),
}

impl<S, B> Requests<S>
where
    S: Service<Http3Request, Response = Response<B>>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body,
    B::Error: std::fmt::Display,
{
    /// Answers the request on a stream, or ends what its fault ends.
    pub(super) async fn serve(
        mut self,
        send: SendStream,
        receive: RecvStream,
        in_flight: InFlight,
    ) {
        let (quic, number) = (self.quic.clone(), self.connection.number);
        let is_early = receive.is_0rtt();
        let mut reader = RequestReader::new(receive);
        let mut writer = AnswerWriter {
            stream: send,
            quic: &quic,
            in_flight: &in_flight,
            write_stall: self.limits.write_stall,
            turn: None,
        };
        let outcome = self.exchange(&mut reader, &mut writer, is_early).await;
        let fault = match outcome {
            Err(Fault::Cancelled) => {
                // Whoever opens and resets for its own sake loses the connection.
                in_flight.state().spend_cancelled().err().unwrap_or(Fault::Cancelled)
            }
            Err(fault) => fault,
            // The answer is complete, the rest of the request is of no use (RFC 9114 4.1).
            Ok(()) => return reader.stop(Code::NO_ERROR),
        };
        match fault {
            Fault::Connection { code, reason } => {
                tracing::debug!(number, ?code, reason, "ended a connection");
                quic.close(code.to_varint(), reason.as_bytes());
            }
            Fault::Stream { code, reason } => {
                tracing::debug!(number, ?code, reason, "ended a request");
                // Fails only when the stream is over.
                let _ = writer.stream.reset(code.to_varint());
                reader.stop(code);
            }
            Fault::Cancelled => {
                let _ = writer.stream.reset(Code::REQUEST_CANCELLED.to_varint());
                reader.stop(Code::REQUEST_CANCELLED);
            }
            Fault::Gone => {}
        }
    }

    async fn exchange(
        &mut self,
        reader: &mut RequestReader,
        writer: &mut AnswerWriter<'_>,
        is_early: bool,
    ) -> Result<(), Fault> {
        let bytes_max = self.limits.header_bytes;
        let section = reader.section(bytes_max, self.limits.header_timeout).await?;
        let asked = ask(section, bytes_max)?;
        let message = match asked {
            Asked::Service(message) => *message,
            Asked::Refused(status) => {
                // Of a section that was too large the rest is still to come.
                reader.stop(Code::NO_ERROR);
                return writer.write(&Method::GET, refusal(status)).await;
            }
        };
        let Message { request, content_length, priority } = message;
        if let Some(priority) = priority {
            writer.in_flight.requested(priority);
        }
        let (content, body) = content::channel(content_length);
        let mut request = request.map(|()| body);
        if is_early && !*self.is_confirmed.borrow() {
            if may_be_replayed(&request) {
                request.extensions_mut().insert(EarlyData);
            } else if self.is_confirmed.wait_for(|is_confirmed| *is_confirmed).await.is_err() {
                return Err(Fault::Gone);
            }
        }
        // What the client sends is read while the answer is made and sent.
        let mut rest = std::pin::pin!(reader.read_rest(content_length, content));
        let mut answer = std::pin::pin!(self.answer(request, writer));
        let mut is_rest_read = false;
        loop {
            tokio::select! {
                biased;
                outcome = rest.as_mut(), if !is_rest_read => {
                    outcome?;
                    is_rest_read = true;
                }
                outcome = answer.as_mut() => return outcome,
            }
        }
    }

    async fn answer(
        &mut self,
        mut request: Http3Request,
        writer: &mut AnswerWriter<'_>,
    ) -> Result<(), Fault> {
        let method = request.method().clone();
        request.extensions_mut().insert(self.connection);
        request.extensions_mut().insert(QuicPath(self.quic.clone()));
        let stopped = writer.stream.stopped();
        let called =
            tokio::time::timeout(self.limits.request_timeout, call(&mut self.service, request));
        let answer = tokio::select! {
            answer = called => answer,
            _ = stopped => return Err(Fault::Cancelled),
        };
        let status = match answer {
            Ok(Ok(answer)) => return writer.write(&method, answer).await,
            Ok(Err(error)) => {
                tracing::error!(error = error.into(), "the service failed to answer a request");
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Err(_) => {
                let request_timeout: Duration = self.limits.request_timeout;
                tracing::warn!(?request_timeout, "the service did not answer a request in time");
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        writer.write(&method, refusal(status)).await
    }
}

async fn call<S: Service<Http3Request>>(
    service: &mut S,
    request: Http3Request,
) -> Result<S::Response, S::Error> {
    std::future::poll_fn(|context| service.poll_ready(context)).await?;
    service.call(request).await
}

/// Whether it does no harm when a request arrives twice: it is safe and brings nothing (RFC 8470 4).
fn may_be_replayed(request: &Http3Request) -> bool {
    let is_empty = http_body::Body::size_hint(request.body()).lower() == 0;
    is_empty && matches!(*request.method(), Method::GET | Method::HEAD)
}

/// Reads a field section as a request.
fn ask(section: Section, bytes_max: u32) -> Result<Asked, Fault> {
    let too_large = Ok(Asked::Refused(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
    let Section::Whole(section) = section else { return too_large };
    let fields = match decode(&section, bytes_max as usize) {
        Ok(fields) => fields,
        Err(DecodeError::TooLarge) => return too_large,
        Err(DecodeError::Invalid) => {
            let reason = "a field section can't be decoded";
            return Err(Fault::connection(Code::QPACK_DECOMPRESSION_FAILED, reason));
        }
    };
    let message = read_request(fields)
        .map_err(|malformed| Fault::stream(Code::MESSAGE_ERROR, malformed.0))?;
    // There is no tunnel here.
    if *message.request.method() == Method::CONNECT {
        return Ok(Asked::Refused(StatusCode::METHOD_NOT_ALLOWED));
    }
    Ok(Asked::Service(Box::new(message)))
}

/// An answer of our own.
fn refusal(status: StatusCode) -> Response<Full<Bytes>> {
    let text = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "the headers of the request are too large\n",
        StatusCode::METHOD_NOT_ALLOWED => "there is no tunnel here\n",
        StatusCode::SERVICE_UNAVAILABLE => "the answer took too long\n",
        _ => "the request could not be answered\n",
    };
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS, POST"));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}
