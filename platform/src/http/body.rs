//! The body of an answer, as hyper sees it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::activity::InFlight;
use super::streams::StreamWatch;

/// Largest piece handed to HTTP/2 at a time.
///
/// hyper asks for the next piece when the last one has been put into the client's window, so the
/// piece is what a slow client must take within the stall timeout to be seen moving.
const HTTP2_PIECE_BYTES: usize = 32 * 1024;

/// What a body may fail with.
pub(super) type BodyError = Box<dyn std::error::Error + Send + Sync>;

pin_project_lite::pin_project! {
    /// The body of an answer: the service's, or a short text of the listener's own.
    pub struct ServerBody<B> {
        #[pin]
        inner: Inner<B>,
        in_flight: InFlight,
        stream: Option<Arc<StreamWatch>>,
        // What of a large piece HTTP/2 has not been given.
        rest: Bytes,
    }
}

pin_project_lite::pin_project! {
    #[project = InnerProjection]
    enum Inner<B> {
        Service { #[pin] body: B },
        Text { text: Option<Bytes> },
    }
}

impl<B> ServerBody<B> {
    pub(super) fn service(body: B, in_flight: InFlight) -> Self {
        Self::new(Inner::Service { body }, in_flight)
    }

    pub(super) fn text(text: &'static str, in_flight: InFlight) -> Self {
        let text = Some(Bytes::from_static(text.as_bytes()));
        Self::new(Inner::Text { text }, in_flight)
    }

    fn new(inner: Inner<B>, in_flight: InFlight) -> Self {
        Self { inner, in_flight, stream: StreamWatch::current(), rest: Bytes::new() }
    }
}

impl<B> Body for ServerBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BodyError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.project();
        if let Some(stream) = this.stream {
            stream.client_took();
        }
        let mut frame = if this.rest.is_empty() {
            match this.inner.project() {
                InnerProjection::Service { body } => {
                    let frame = std::task::ready!(body.poll_frame(context));
                    frame.map(|frame| frame.map_err(Into::into))
                }
                InnerProjection::Text { text } => text.take().map(|text| Ok(Frame::data(text))),
            }
        } else {
            Some(Ok(Frame::data(std::mem::take(this.rest))))
        };
        if let (Some(stream), Some(Ok(whole))) = (this.stream, &mut frame) {
            if let Some(data) = whole.data_mut()
                && HTTP2_PIECE_BYTES < data.len()
            {
                *this.rest = data.split_off(HTTP2_PIECE_BYTES);
            }
            stream.waits_for_client(this.in_flight.activity().now_millis());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
            && match &self.inner {
                Inner::Service { body } => body.is_end_stream(),
                Inner::Text { text } => text.is_none(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        let rest_bytes = self.rest.len() as u64;
        match &self.inner {
            Inner::Service { body } if rest_bytes == 0 => body.size_hint(),
            Inner::Service { body } => {
                let mut hint = body.size_hint();
                if let Some(upper) = hint.upper() {
                    hint.set_upper(upper + rest_bytes);
                }
                hint.set_lower(hint.lower() + rest_bytes);
                hint
            }
            Inner::Text { text } => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
        }
    }
}
