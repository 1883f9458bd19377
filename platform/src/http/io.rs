//! A socket that notes what happens on it and leaves room for others.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::Activity;

/// Bytes that a connection may write before it lets others run.
///
/// A socket buffer takes megabytes at a time on a fast link. Without a pause one answer is
/// produced whole before the next connection is looked at, which multiplies the time to the first
/// byte by the number of connections.
const BYTES_PER_TURN: usize = 256 * 1024;

/// Wraps a connected socket.
pub(super) struct GuardedIo<T> {
    pub(super) inner: T,
    pub(super) activity: Arc<Activity>,
    bytes_this_turn: usize,
}

impl<T> GuardedIo<T> {
    pub(super) fn new(inner: T, activity: Arc<Activity>) -> Self {
        Self { inner, activity, bytes_this_turn: 0 }
    }

    /// Pauses after a full turn: the task goes to the end of the queue.
    fn poll_turn(&mut self, context: &Context<'_>) -> Poll<()> {
        if self.bytes_this_turn < BYTES_PER_TURN {
            return Poll::Ready(());
        }
        self.bytes_this_turn = 0;
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn note_write(&mut self, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &outcome {
            Poll::Ready(Ok(bytes)) => {
                self.activity.write_progressed();
                self.bytes_this_turn += bytes;
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                self.activity.write_blocked();
                self.bytes_this_turn = 0;
            }
        }
        outcome
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for GuardedIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled_before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        if let Some(bytes @ [_, ..]) = buffer.filled().get(filled_before..) {
            self.activity.bytes_read(bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for GuardedIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_turn(context));
        let outcome = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.note_write(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_turn(context));
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.note_write(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
