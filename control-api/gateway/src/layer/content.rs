//! The content of a request: no more of it than its route takes, and not for longer.
//!
//! A handler reads from [`Bounded`], which fails where a bound is passed and says which one. Whatever
//! the handler makes of the failure, the answer is 413 or 408 then.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::{Body as _, Frame, SizeHint};

use crate::metrics::Metrics;
use crate::refusal::Refusal;

/// What became of a request's content.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fate(Arc<AtomicU8>);

const WHOLE: u8 = 1;
const TOO_LARGE: u8 = 2;

#[derive(Debug, thiserror::Error)]
#[error("the content is larger than {bytes_max} bytes")]
struct TooLarge {
    bytes_max: u64,
}

impl Fate {
    /// Whether there is nothing more to come from the client.
    pub(crate) fn is_whole(&self) -> bool {
        self.0.load(Ordering::Relaxed) == WHOLE
    }

    /// The refusal that stands in for whatever a handler answered.
    pub(crate) fn refusal(&self, metrics: &Metrics) -> Option<Refusal> {
        (self.0.load(Ordering::Relaxed) == TOO_LARGE).then(|| too_large(metrics))
    }
}

/// Bounds what a handler can read.
///
/// # Errors
/// When the head announces more already.
pub(crate) fn bound(
    request: Request<Body>,
    bytes_max: Option<u64>,
    metrics: &Metrics,
) -> Result<(Request<Body>, Fate), Refusal> {
    let fate = Fate::default();
    let hint = request.body().size_hint();
    if request.body().is_end_stream() {
        fate.0.store(WHOLE, Ordering::Relaxed);
        return Ok((request, fate));
    }
    if bytes_max.is_some_and(|bytes_max| bytes_max < hint.lower()) {
        return Err(too_large(metrics));
    }
    let bytes_max = bytes_max.unwrap_or(u64::MAX);
    let bounded = |body| Bounded { body, left: bytes_max, bytes_max, fate: fate.clone() };
    Ok((request.map(|body| Body::new(bounded(body))), fate))
}

fn too_large(metrics: &Metrics) -> Refusal {
    metrics.refuse("content");
    let detail = "The content is larger than this operation takes.";
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "content_too_large", detail)
}

struct Bounded {
    body: Body,
    left: u64,
    bytes_max: u64,
    fate: Fate,
}

impl http_body::Body for Bounded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let bytes = match &frame {
            Some(Ok(frame)) => frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(_)) => 0,
            None => {
                self.fate.0.store(WHOLE, Ordering::Relaxed);
                0
            }
        };
        let Some(left) = self.left.checked_sub(bytes) else {
            self.fate.0.store(TOO_LARGE, Ordering::Relaxed);
            let error = TooLarge { bytes_max: self.bytes_max };
            return Poll::Ready(Some(Err(axum::Error::new(error))));
        };
        self.left = left;
        if self.body.is_end_stream() {
            self.fate.0.store(WHOLE, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
