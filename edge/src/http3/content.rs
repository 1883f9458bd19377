//! Content of a request on its way to the service, a piece at a time (RFC 9114 4.1).
//!
//! A piece is read when the one before it was taken, so that what waits is bounded by the stream's
//! receive window. The body ends only when the stream has, and with as many bytes as were announced
//! (RFC 9114 4.1.2): content that broke off never looks whole.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// The content of a request over HTTP/3.
#[derive(Debug)]
pub struct Http3Body {
    pieces: mpsc::Receiver<Bytes>,
    is_whole: Arc<AtomicBool>,
    /// What is left of the announced length.
    left_bytes: Option<u64>,
}

/// The client broke the request off, or said less or more than it announced.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the content of the request broke off")]
pub struct ContentBroken;

/// The reader's side.
#[derive(Debug)]
pub(super) struct ContentSender {
    /// `None` once nobody wants more.
    pieces: Option<mpsc::Sender<Bytes>>,
    is_whole: Arc<AtomicBool>,
}

pub(super) fn channel(content_length: Option<u64>) -> (ContentSender, Http3Body) {
    let (sender, pieces) = mpsc::channel(1);
    let is_whole = Arc::new(AtomicBool::new(false));
    let body = Http3Body { pieces, is_whole: Arc::clone(&is_whole), left_bytes: content_length };
    (ContentSender { pieces: Some(sender), is_whole }, body)
}

impl ContentSender {
    /// Hands a piece over; false when nobody wants it.
    pub(super) async fn send(&mut self, piece: Bytes) -> bool {
        let Some(pieces) = &self.pieces else { return false };
        // Nothing is nothing to wait for, but says nothing about whether more is wanted.
        let is_taken = piece.is_empty() || pieces.send(piece).await.is_ok();
        if !is_taken {
            self.pieces = None;
        }
        is_taken
    }

    /// The request has ended, and well.
    pub(super) fn finish(self) {
        self.is_whole.store(true, Ordering::Release);
    }
}

impl Body for Http3Body {
    type Data = Bytes;
    type Error = ContentBroken;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ContentBroken>>> {
        let body = self.get_mut();
        body.pieces.poll_recv(context).map(|piece| match piece {
            Some(piece) => {
                let left_bytes = body.left_bytes.as_mut();
                if let Some(left_bytes) = left_bytes {
                    *left_bytes = left_bytes.saturating_sub(piece.len() as u64);
                }
                Some(Ok(Frame::data(piece)))
            }
            None if body.is_whole.load(Ordering::Acquire) => None,
            None => Some(Err(ContentBroken)),
        })
    }

    fn size_hint(&self) -> SizeHint {
        self.left_bytes.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
