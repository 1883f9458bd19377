//! Response bodies: nothing, one chunk, or a stream that produces as fast as the client takes.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use futures_core::Stream;
use http_body::{Body, Frame, SizeHint};

use crate::OriginError;
use crate::chunk::Chunk;

/// Chunks in order; an error ends the response early, which the client sees as a broken transfer.
pub type ChunkStream = Pin<Box<dyn Stream<Item = Result<Chunk, OriginError>> + Send>>;

/// The next chunk; `None` at the end.
pub(crate) async fn next_chunk(stream: &mut ChunkStream) -> Option<Result<Chunk, OriginError>> {
    poll_fn(|context| stream.as_mut().poll_next(context)).await
}

/// A body, usually of a length that is known before its first byte.
pub struct MediaBody {
    source: BodySource,
    /// `None` where only the end tells.
    remaining_bytes: Option<u64>,
}

enum BodySource {
    Whole(Chunk),
    /// `first` was waited for before the answer began.
    Stream {
        first: Option<Chunk>,
        rest: ChunkStream,
    },
}

impl MediaBody {
    pub fn empty() -> Self {
        Self::whole(Bytes::new())
    }

    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        let chunk = Chunk::from(bytes.into());
        Self { remaining_bytes: Some(chunk.remaining() as u64), source: BodySource::Whole(chunk) }
    }

    /// A stream that will yield exactly `len_bytes`.
    pub fn stream(stream: ChunkStream, len_bytes: u64) -> Self {
        let source = BodySource::Stream { first: None, rest: stream };
        Self { source, remaining_bytes: Some(len_bytes) }
    }

    /// A stream that ends when it ends.
    pub fn open_ended(stream: ChunkStream) -> Self {
        let source = BodySource::Stream { first: None, rest: stream };
        Self { source, remaining_bytes: None }
    }

    /// Waits for the first chunk of a stream, so that what fails at once, a store that is away or
    /// a source that changed, can still be answered with a status.
    ///
    /// # Errors
    /// What the stream begins with.
    pub async fn begun(mut self) -> Result<Self, OriginError> {
        if let BodySource::Stream { first: first @ None, rest } = &mut self.source {
            *first = next_chunk(rest).await.transpose()?;
        }
        Ok(self)
    }
}

impl Body for MediaBody {
    type Data = Chunk;
    type Error = OriginError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, OriginError>>> {
        let chunk = match &mut self.source {
            BodySource::Whole(chunk) if chunk.has_remaining() => std::mem::take(chunk),
            BodySource::Whole(_) => return Poll::Ready(None),
            BodySource::Stream { first, rest } => match first.take() {
                Some(chunk) => chunk,
                None => match rest.as_mut().poll_next(context) {
                    Poll::Ready(Some(Ok(chunk))) => chunk,
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                    Poll::Ready(None) => return Poll::Ready(None),
                    Poll::Pending => return Poll::Pending,
                },
            },
        };
        if let Some(remaining) = &mut self.remaining_bytes {
            *remaining = remaining.saturating_sub(chunk.remaining() as u64);
        }
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining_bytes == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining_bytes.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}
