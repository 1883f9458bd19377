//! One request and its answer.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use platform::http::{Connection, HttpLimits};
use quinn::{RecvStream, SendStream};
use tower_service::Service;

use crate::cmsd;

use super::error::{Code, Fault};
use super::message::{Http3Request, Message, read_request};
use super::qpack::{DecodeError, decode};
use super::reader::{RequestReader, Section};
use super::state::InFlight;
use super::writer::AnswerWriter;

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

/// What every request of a connection needs.
#[derive(Clone)]
pub(super) struct Requests<S> {
    pub(super) service: S,
    pub(super) quic: quinn::Connection,
    pub(super) limits: HttpLimits,
    pub(super) connection: Connection,
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
        let mut reader = RequestReader::new(receive);
        let mut writer = AnswerWriter {
            stream: send,
            quic: &quic,
            in_flight: &in_flight,
            write_stall: self.limits.write_stall,
            turn: None,
        };
        let outcome = self.exchange(&mut reader, &mut writer).await;
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
    ) -> Result<(), Fault> {
        let bytes_max = self.limits.header_bytes;
        let section = reader.section(bytes_max, self.limits.header_timeout).await?;
        let asked = ask(section, bytes_max)?;
        let content_length = match &asked {
            Asked::Service(message) => message.content_length,
            Asked::Refused(_) => {
                // Of a section that was too large the rest is still to come.
                reader.stop(Code::NO_ERROR);
                return writer.write(&Method::GET, refusal(asked.status())).await;
            }
        };
        // What else the client sends is passed by while the answer is made and sent.
        let mut rest = std::pin::pin!(reader.pass_rest(content_length));
        let mut answer = std::pin::pin!(self.answer(asked, writer));
        let mut is_rest_passed = false;
        loop {
            tokio::select! {
                biased;
                outcome = rest.as_mut(), if !is_rest_passed => {
                    outcome?;
                    is_rest_passed = true;
                }
                outcome = answer.as_mut() => return outcome,
            }
        }
    }

    async fn answer(&mut self, asked: Asked, writer: &mut AnswerWriter<'_>) -> Result<(), Fault> {
        let Asked::Service(message) = asked else { return Ok(()) };
        let Message { mut request, priority, .. } = *message;
        if let Some(priority) = priority {
            writer.in_flight.requested(priority);
        }
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

impl Asked {
    fn status(&self) -> StatusCode {
        match self {
            Self::Service(_) => StatusCode::OK,
            Self::Refused(status) => *status,
        }
    }
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
    let is_taken =
        matches!(*message.request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if is_taken {
        Ok(Asked::Service(Box::new(message)))
    } else {
        Ok(Asked::Refused(StatusCode::METHOD_NOT_ALLOWED))
    }
}

/// An answer of our own.
fn refusal(status: StatusCode) -> Response<Full<Bytes>> {
    let text = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "the headers of the request are too large\n",
        StatusCode::METHOD_NOT_ALLOWED => "only GET, HEAD and OPTIONS are served over HTTP/3\n",
        StatusCode::SERVICE_UNAVAILABLE => "the answer took too long\n",
        _ => "the request could not be answered\n",
    };
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}
