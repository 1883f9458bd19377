//! How long a request may take: as its route says, or less where the caller says so.
//!
//! gRPC callers send `grpc-timeout` (gRPC over HTTP/2, "Requests": up to eight digits and a unit).
//! Whoever does the work finds the [`Deadline`] among the request's extensions and hands on what is
//! left of it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use tokio::time::{Instant, Sleep};

use crate::layer::content::Fate;
use crate::metrics::Metrics;
use crate::refusal::{Dialect, Refusal};

const GRPC_TIMEOUT: &str = "grpc-timeout";

/// When whoever asked stops waiting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Deadline(pub(crate) Instant);

impl Deadline {
    /// The earlier one of the route's and the caller's.
    ///
    /// # Errors
    /// When the caller's can't be read.
    pub(crate) fn of(
        dialect: Dialect,
        headers: &HeaderMap,
        time_max: Option<Duration>,
    ) -> Result<Option<Self>, Refusal> {
        let asked = match (dialect, headers.get(GRPC_TIMEOUT)) {
            (Dialect::Grpc, Some(value)) => Some(parse(value.as_bytes()).ok_or_else(|| {
                let detail = "`grpc-timeout` is up to eight digits and one of H, M, S, m, u, n.";
                Refusal::new(StatusCode::BAD_REQUEST, "invalid_timeout", detail)
            })?),
            _ => None,
        };
        let time = asked.into_iter().chain(time_max).min();
        Ok(time.and_then(|time| Instant::now().checked_add(time)).map(Self))
    }
}

fn parse(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count = digits.iter().fold(0, |count, digit| count * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(count * 3_600),
        b'M' => Duration::from_secs(count * 60),
        b'S' => Duration::from_secs(count),
        b'm' => Duration::from_millis(count),
        b'u' => Duration::from_micros(count),
        b'n' => Duration::from_nanos(count),
        _ => return None,
    })
}

/// Waits for an answer no longer than the deadline.
///
/// # Errors
/// 408 when the client has not sent its content by then, 504 when we have no answer.
pub(crate) async fn in_time(
    deadline: Option<Deadline>,
    fate: &Fate,
    metrics: &Metrics,
    answer: impl Future<Output = Result<Response, Refusal>>,
) -> Result<Response, Refusal> {
    let Some(Deadline(deadline)) = deadline else { return answer.await };
    if let Ok(answer) = tokio::time::timeout_at(deadline, answer).await {
        return answer;
    }
    metrics.refuse("late");
    Err(match fate.is_whole() {
        true => {
            let detail = "The answer took too long. What was asked for may have been done.";
            Refusal::new(StatusCode::GATEWAY_TIMEOUT, "timed_out", detail)
        }
        false => {
            let detail = "The content did not arrive in time.";
            Refusal::new(StatusCode::REQUEST_TIMEOUT, "request_late", detail)
        }
    })
}

/// Ends the stream of a gRPC answer at the deadline, with the status that says so.
pub(crate) fn end_at(deadline: Option<Deadline>, response: Response) -> Response {
    match deadline {
        None => response,
        Some(Deadline(deadline)) => response.map(|body| {
            let sleep = Box::pin(tokio::time::sleep_until(deadline));
            Body::new(UntilDeadline { body: Some(body), sleep })
        }),
    }
}

struct UntilDeadline {
    /// None once it has ended.
    body: Option<Body>,
    sleep: Pin<Box<Sleep>>,
}

impl http_body::Body for UntilDeadline {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        if self.sleep.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.body = None;
        let mut trailers = HeaderMap::new();
        let status = tonic::Status::deadline_exceeded("the deadline is over");
        let _ = status.add_header(&mut trailers);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_of_callers() {
        assert_eq!(parse(b"100m"), Some(Duration::from_millis(100)));
        assert_eq!(parse(b"1H"), Some(Duration::from_secs(3_600)));
        assert_eq!(parse(b"99999999n"), Some(Duration::from_nanos(99_999_999)));
        assert_eq!(parse(b"99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        for bad in [&b""[..], b"S", b"1", b"123456789S", b"-1S", b"1s", b"1 S", b"\xff1S"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
