//! The body of a manifest whose URIs get a token as it passes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use edge::carry::Carrying;
use http_body::{Body, Frame};
use origin::Chunk;

use crate::backend::AnswerBody;

type Failure = Box<dyn std::error::Error + Send + Sync>;

pub struct CarriedBody {
    body: AnswerBody,
    carrying: Carrying,
    is_finished: bool,
}

impl CarriedBody {
    pub(super) fn new(body: AnswerBody, carrying: Carrying) -> Self {
        Self { body, carrying, is_finished: false }
    }
}

impl Body for CarriedBody {
    type Data = Chunk;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, Failure>>> {
        let this = &mut *self;
        while !this.is_finished {
            let mut out = Vec::new();
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Err(error)) => {
                    this.is_finished = true;
                    return Poll::Ready(Some(Err(error)));
                }
                Some(Ok(frame)) => {
                    // Trailers would be about another text.
                    let Ok(mut data) = frame.into_data() else { continue };
                    while data.has_remaining() {
                        let piece = data.chunk();
                        let len = piece.len();
                        if let Err(error) = this.carrying.push(piece, &mut out) {
                            this.is_finished = true;
                            return Poll::Ready(Some(Err(error.into())));
                        }
                        data.advance(len);
                    }
                }
                None => {
                    this.is_finished = true;
                    if let Err(error) = this.carrying.finish(&mut out) {
                        return Poll::Ready(Some(Err(error.into())));
                    }
                }
            }
            if !out.is_empty() {
                let chunk = Chunk::from(Bytes::from(out));
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
        }
        Poll::Ready(None)
    }

    /// Not before the last line is out, unless there is none: to HEAD.
    fn is_end_stream(&self) -> bool {
        self.is_finished
    }
}
