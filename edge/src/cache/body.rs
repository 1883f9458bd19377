//! The body of an answer, in pieces of 64 KiB or as they come from the origin.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

use super::fill::Fill;
use super::pieces::Pieces;
use crate::fetch::{FetchBody, FetchError};

/// Where the bytes of an answer come from.
#[derive(Clone, Debug)]
pub enum Source {
    Whole(Arc<Pieces>),
    Filling(Arc<Fill>),
    Sliced(Arc<dyn SliceSource>),
}

/// An object that is at hand a slice at a time.
pub trait SliceSource: Send + Sync {
    fn slice_bytes(&self) -> u64;

    /// The slice `index`, which is never itself sliced.
    fn open(
        &self,
        index: u64,
    ) -> Pin<Box<dyn Future<Output = Result<Source, FetchError>> + Send + '_>>;

    /// Begins to fetch a slice that will be opened next.
    fn prepare(&self, index: u64);
}

impl std::fmt::Debug for dyn SliceSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SliceSource")
    }
}

/// A part of a body: bytes at hand, or a range of the source.
#[derive(Debug)]
pub enum Part {
    Literal(Bytes),
    Span { start: u64, end: u64 },
}

type Pieced = Pin<Box<dyn Stream<Item = Result<Bytes, FetchError>> + Send>>;

/// An error breaks the transfer off: over HTTP/1.1 the connection closes early, over HTTP/2 and
/// HTTP/3 the stream is reset, so that no viewer takes a part for the whole.
pub struct CacheBody {
    inner: Inner,
    /// What is still to come, where it is known.
    left_bytes: Option<u64>,
}

enum Inner {
    Whole { pieces: Arc<Pieces>, parts: VecDeque<Part> },
    Stream(Pieced),
}

impl CacheBody {
    pub fn empty() -> Self {
        Self::literal(Bytes::new())
    }

    pub fn literal(bytes: Bytes) -> Self {
        let left_bytes = Some(bytes.len() as u64);
        let parts = VecDeque::from([Part::Literal(bytes)]);
        Self { inner: Inner::Whole { pieces: Arc::default(), parts }, left_bytes }
    }

    /// `len_bytes` is the sum of all parts, unless the end isn't known yet.
    pub fn parts(source: Source, parts: VecDeque<Part>, len_bytes: Option<u64>) -> Self {
        let inner = match source {
            Source::Whole(pieces) => Inner::Whole { pieces, parts },
            Source::Filling(fill) => Inner::Stream(follow(fill, parts)),
            Source::Sliced(slices) => Inner::Stream(walk(slices, parts)),
        };
        Self { inner, left_bytes: len_bytes }
    }

    /// Passes a body on. One that stands still for `idle` breaks off, and so does one that is not of
    /// the announced length.
    pub fn passed(body: FetchBody, len_bytes: Option<u64>, idle: Duration) -> Self {
        Self { inner: Inner::Stream(pass(body, len_bytes, idle)), left_bytes: len_bytes }
    }

    /// The next bytes, where all that is still to come is in memory: several pieces can then go to
    /// the socket in one write.
    pub fn next_at_hand(&mut self) -> Option<Bytes> {
        let Inner::Whole { pieces, parts } = &mut self.inner else { return None };
        let bytes = next_part(pieces, parts)?;
        self.left_bytes = self.left_bytes.map(|left| left.saturating_sub(bytes.len() as u64));
        Some(bytes)
    }
}

impl Body for CacheBody {
    type Data = Bytes;
    type Error = FetchError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, FetchError>>> {
        let next = match &mut self.inner {
            Inner::Whole { pieces, parts } => next_part(pieces, parts).map(Ok),
            Inner::Stream(stream) => match stream.as_mut().poll_next(context) {
                Poll::Ready(next) => next,
                Poll::Pending => return Poll::Pending,
            },
        };
        if let (Some(left), Some(Ok(bytes))) = (&mut self.left_bytes, &next) {
            *left = left.saturating_sub(bytes.len() as u64);
        }
        Poll::Ready(next.map(|next| next.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        // A stream may still have an error to tell.
        matches!(self.inner, Inner::Whole { .. }) && self.left_bytes == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left_bytes.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

fn next_part(pieces: &Pieces, parts: &mut VecDeque<Part>) -> Option<Bytes> {
    loop {
        match parts.front_mut()? {
            Part::Literal(bytes) => {
                let bytes = std::mem::take(bytes);
                parts.pop_front();
                if !bytes.is_empty() {
                    return Some(bytes);
                }
            }
            Part::Span { start, end } => match pieces.at(*start, *end) {
                Some(bytes) => {
                    *start += bytes.len() as u64;
                    return Some(bytes);
                }
                None => drop(parts.pop_front()),
            },
        }
    }
}

fn follow(fill: Arc<Fill>, parts: VecDeque<Part>) -> Pieced {
    Box::pin(async_stream::stream! {
        let mut stage = fill.subscribe();
        for part in parts {
            match part {
                Part::Literal(bytes) => yield Ok(bytes),
                Part::Span { mut start, end } => loop {
                    match fill.read(&mut stage, start, end).await {
                        Ok(Some(bytes)) => {
                            start += bytes.len() as u64;
                            yield Ok(bytes);
                        }
                        Ok(None) => break,
                        Err(error) => {
                            yield Err(error);
                            return;
                        }
                    }
                },
            }
        }
    })
}

/// Goes from slice to slice; the next one is on its way while one is sent.
fn walk(slices: Arc<dyn SliceSource>, parts: VecDeque<Part>) -> Pieced {
    Box::pin(async_stream::stream! {
        for part in parts {
            let (mut start, end) = match part {
                Part::Literal(bytes) => {
                    yield Ok(bytes);
                    continue;
                }
                Part::Span { start, end } => (start, end),
            };
            while start < end {
                let index = start / slices.slice_bytes();
                let first = index * slices.slice_bytes();
                let last = end.min(first + slices.slice_bytes());
                let source = match slices.open(index).await {
                    Ok(source) => source,
                    Err(error) => {
                        yield Err(error);
                        return;
                    }
                };
                if last < end {
                    slices.prepare(index + 1);
                }
                let spans = VecDeque::from([Part::Span { start: start - first, end: last - first }]);
                let mut inside = CacheBody::parts(source, spans, None);
                while let Some(frame) = inside.frame().await {
                    match frame.map(|frame| frame.into_data().unwrap_or_default()) {
                        Ok(bytes) => {
                            start += bytes.len() as u64;
                            yield Ok(bytes);
                        }
                        Err(error) => {
                            yield Err(error);
                            return;
                        }
                    }
                }
                if start < last {
                    yield Err(wrong_length(Some(last), start));
                    return;
                }
            }
        }
    })
}

fn pass(mut body: FetchBody, len_bytes: Option<u64>, idle: Duration) -> Pieced {
    Box::pin(async_stream::stream! {
        let mut count = 0;
        loop {
            match next_data(&mut body, idle).await {
                Ok(Some(bytes)) => {
                    count += bytes.len() as u64;
                    if len_bytes.is_some_and(|len| count > len) {
                        yield Err(wrong_length(len_bytes, count));
                        return;
                    }
                    yield Ok(bytes);
                }
                Ok(None) => break,
                Err(error) => {
                    yield Err(error);
                    return;
                }
            }
        }
        if len_bytes.is_some_and(|len| count != len) {
            yield Err(wrong_length(len_bytes, count));
        }
    })
}

/// The next bytes of an origin's body, within bounded time.
pub(super) async fn next_data(
    body: &mut FetchBody,
    idle: Duration,
) -> Result<Option<Bytes>, FetchError> {
    loop {
        match tokio::time::timeout(idle, body.frame()).await {
            Err(_) => return Err(FetchError::Timeout { upstream: "origin".to_owned() }),
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => return Err(error),
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Ok(Some(bytes)),
                // Trailers end a body and are not kept (RFC 9110 6.5.1).
                Err(_) => {}
            },
        }
    }
}

pub(super) fn wrong_length(announced: Option<u64>, found: u64) -> FetchError {
    FetchError::Invalid {
        upstream: "origin".to_owned(),
        reason: format!("{} bytes were announced, {found} came", announced.unwrap_or_default()),
    }
}
