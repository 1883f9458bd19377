//! The body of an answer, as hyper sees it.

use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
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

/// What is handed to hyper at a time: a piece of the service's as it came, or a part of one.
///
/// HTTP/1 gets pieces whole, whatever they are made of, and gathers their parts in one write.
#[derive(Debug)]
pub enum Piece<D> {
    Whole(D),
    Part(Bytes),
}

impl<D: Buf> Buf for Piece<D> {
    fn remaining(&self) -> usize {
        match self {
            Self::Whole(piece) => piece.remaining(),
            Self::Part(part) => part.remaining(),
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Whole(piece) => piece.chunk(),
            Self::Part(part) => part.chunk(),
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Whole(piece) => piece.advance(count),
            Self::Part(part) => part.advance(count),
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        match self {
            Self::Whole(piece) => piece.chunks_vectored(slices),
            Self::Part(part) => part.chunks_vectored(slices),
        }
    }
}

pin_project_lite::pin_project! {
    /// The body of an answer: the service's, or a short text of the listener's own.
    pub struct ServerBody<B: Body> {
        #[pin]
        inner: Inner<B>,
        in_flight: InFlight,
        stream: Option<Arc<StreamWatch>>,
        // What of a large piece HTTP/2 has not been given.
        rest: Option<B::Data>,
    }
}

pin_project_lite::pin_project! {
    #[project = InnerProjection]
    enum Inner<B> {
        Service { #[pin] body: B },
        Text { text: Option<Bytes> },
    }
}

impl<B: Body> ServerBody<B> {
    pub(super) fn service(body: B, in_flight: InFlight) -> Self {
        Self::new(Inner::Service { body }, in_flight)
    }

    pub(super) fn text(text: &'static str, in_flight: InFlight) -> Self {
        let text = Some(Bytes::from_static(text.as_bytes()));
        Self::new(Inner::Text { text }, in_flight)
    }

    /// Nothing of it, for HEAD.
    pub(super) fn without_content(self) -> Self {
        Self { inner: Inner::Text { text: None }, rest: None, ..self }
    }

    fn new(inner: Inner<B>, in_flight: InFlight) -> Self {
        Self { inner, in_flight, stream: StreamWatch::current(), rest: None }
    }
}

impl<B> Body for ServerBody<B>
where
    B: Body,
    B::Error: Into<BodyError>,
{
    type Data = Piece<B::Data>;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, BodyError>>> {
        let this = self.project();
        if let Some(stream) = this.stream {
            stream.client_took();
        }
        let mut frame = match (this.rest.take(), this.inner.project()) {
            (Some(rest), _) => Some(Ok(Frame::data(Piece::Whole(rest)))),
            (None, InnerProjection::Service { body }) => {
                let frame = std::task::ready!(body.poll_frame(context));
                frame
                    .map(|frame| frame.map(|frame| frame.map_data(Piece::Whole)))
                    .map(|frame| frame.map_err(Into::into))
            }
            (None, InnerProjection::Text { text }) => {
                text.take().map(|text| Ok(Frame::data(Piece::Part(text))))
            }
        };
        if let (Some(stream), Some(Ok(whole))) = (this.stream, &mut frame) {
            if let Some(data) = whole.data_mut() {
                *this.rest = split_for_http2(data);
            }
            stream.waits_for_client(this.in_flight.activity().now_millis());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none()
            && match &self.inner {
                Inner::Service { body } => body.is_end_stream(),
                Inner::Text { text } => text.is_none(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        let rest_bytes = self.rest.as_ref().map_or(0, Buf::remaining) as u64;
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

/// Leaves the first part of a large piece in `data` and gives back the rest.
fn split_for_http2<D: Buf>(data: &mut Piece<D>) -> Option<D> {
    if data.remaining() <= HTTP2_PIECE_BYTES {
        return None;
    }
    let Piece::Whole(piece) = data else {
        return None;
    };
    // Of pieces that lie apart, one that is large enough goes as it is: across two it would be copied.
    let first_bytes = piece.chunk().len();
    let is_enough = HTTP2_PIECE_BYTES / 2 <= first_bytes;
    let count = if is_enough { first_bytes.min(HTTP2_PIECE_BYTES) } else { HTTP2_PIECE_BYTES };
    let part = piece.copy_to_bytes(count);
    match std::mem::replace(data, Piece::Part(part)) {
        Piece::Whole(rest) => Some(rest),
        Piece::Part(_) => None,
    }
}
