//! The body of an answer on its way: counted, timed, and never whole unless it is.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::check::Announced;
use super::node::{Node, Slot};
use super::wire::WireBody;
use crate::fetch::FetchError;

/// A body that ends in an error unless it has the announced length and comes in time.
///
/// It holds its upstream's [`Slot`] until it ends or is dropped. Trailers end here: nothing after a
/// body may change what its head said.
pub(super) struct CheckedBody {
    inner: WireBody,
    node: Arc<Node>,
    slot: Option<Slot>,
    /// Bytes still to come, where their number was announced.
    left: Option<u64>,
    /// The first piece, read before the head was believed.
    first: Option<Bytes>,
    /// Runs while a piece is being waited for, never while the reader takes its time.
    timer: Pin<Box<Sleep>>,
    is_waiting: bool,
    deadline: Instant,
    /// The head went out: a failure from here on is one of a begun answer.
    has_begun: bool,
    is_done: bool,
}

impl CheckedBody {
    pub(super) fn new(
        inner: WireBody,
        node: Arc<Node>,
        slot: Slot,
        announced: Announced,
        deadline: Instant,
    ) -> Self {
        let left = match announced {
            Announced::Bytes(bytes) => Some(bytes),
            Announced::Framed => None,
        };
        Self {
            inner,
            node,
            slot: Some(slot),
            left,
            first: None,
            timer: Box::pin(tokio::time::sleep_until(deadline)),
            is_waiting: false,
            deadline,
            has_begun: false,
            is_done: false,
        }
    }

    /// Reads the first piece, so that an upstream that fails before it can still be replaced.
    pub(super) async fn read_first(&mut self) -> Result<(), FetchError> {
        let piece = std::future::poll_fn(|context| self.poll_piece(context)).await;
        self.first = piece.transpose()?;
        self.has_begun = true;
        Ok(())
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, FetchError>>> {
        if self.is_done {
            return Poll::Ready(None);
        }
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) else {
                return self.poll_timer(context);
            };
            self.is_waiting = false;
            let piece = match frame {
                None => return Poll::Ready(self.end()),
                Some(Err(error)) => {
                    let reason = format!("the body broke off: {}", super::wire::cause_of(&*error));
                    return Poll::Ready(Some(Err(self.fail(self.node.invalid(reason)))));
                }
                Some(Ok(frame)) => frame.into_data().ok(),
            };
            // Trailers, and pieces without a byte, of which an upstream may send any number: the
            // timer does not start anew for those.
            let Some(piece) = piece.filter(|piece| !piece.is_empty()) else { continue };
            if let Err(error) = self.count(&piece) {
                return Poll::Ready(Some(Err(self.fail(error))));
            }
            return Poll::Ready(Some(Ok(piece)));
        }
    }

    fn poll_timer<T>(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T, FetchError>>> {
        if !self.is_waiting {
            self.is_waiting = true;
            let idle = Instant::now() + self.node.settings.idle_timeout;
            self.timer.as_mut().reset(idle.min(self.deadline));
        }
        ready!(self.timer.as_mut().poll(context));
        Poll::Ready(Some(Err(self.fail(self.node.timeout()))))
    }

    fn count(&mut self, piece: &Bytes) -> Result<(), FetchError> {
        let Some(left) = self.left else { return Ok(()) };
        let Some(left) = left.checked_sub(piece.len() as u64) else {
            return Err(self.node.invalid("the body is longer than announced".to_owned()));
        };
        self.left = Some(left);
        Ok(())
    }

    fn end(&mut self) -> Option<Result<Bytes, FetchError>> {
        let missing = self.left.filter(|left| 0 < *left);
        if let Some(missing) = missing {
            let reason = format!("the body ends {missing} bytes early");
            return Some(Err(self.fail(self.node.invalid(reason))));
        }
        self.is_done = true;
        self.slot = None;
        None
    }

    fn fail(&mut self, error: FetchError) -> FetchError {
        self.is_done = true;
        self.slot = None;
        if self.has_begun {
            self.node.handle_broken_body();
        }
        error
    }
}

impl Body for CheckedBody {
    type Data = Bytes;
    type Error = FetchError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, FetchError>>> {
        let body = self.get_mut();
        if let Some(first) = body.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let piece = ready!(body.poll_piece(context));
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.is_done && self.first.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let first = self.first.as_ref().map_or(0, |first| first.len() as u64);
        match self.left {
            Some(left) => SizeHint::with_exact(left + first),
            None => SizeHint::new(),
        }
    }
}
