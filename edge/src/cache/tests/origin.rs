//! An origin that does what a closure says, and remembers what it was asked.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::sync::mpsc;

use crate::fetch::{Fetch, FetchBody, FetchError};

pub(super) type Answering = Result<Response<FetchBody>, FetchError>;
type Script =
    dyn Fn(Request<()>, usize) -> Pin<Box<dyn Future<Output = Answering> + Send>> + Send + Sync;

#[derive(Clone)]
pub(super) struct Origin {
    script: Arc<Script>,
    asked: Arc<Mutex<Vec<Request<()>>>>,
}

impl Origin {
    /// The script learns the request and how many came before it.
    pub(super) fn new<S, A>(script: S) -> Self
    where
        S: Fn(Request<()>, usize) -> A + Send + Sync + 'static,
        A: Future<Output = Answering> + Send + 'static,
    {
        let script = move |request, count| -> Pin<Box<dyn Future<Output = _> + Send>> {
            Box::pin(script(request, count))
        };
        Self { script: Arc::new(script), asked: Arc::default() }
    }

    /// Answers every request alike, the count of earlier ones as the body's first word.
    pub(super) fn with(lines: &'static [(&'static str, &'static str)]) -> Self {
        Self::new(move |_, count| async move { Ok(answer(200, lines, format!("{count} body"))) })
    }

    pub(super) fn asked(&self) -> Vec<Request<()>> {
        self.asked.lock().unwrap().clone()
    }

    pub(super) fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Fetch for Origin {
    async fn fetch(&self, request: Request<()>) -> Answering {
        let count = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(request.clone());
            asked.len() - 1
        };
        (self.script)(request, count).await
    }
}

/// An answer with a length.
pub(super) fn answer(
    status: u16,
    lines: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Response<FetchBody> {
    let body = body.into();
    let len = body.len();
    let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
    let mut response = head(status, lines, body);
    response.headers_mut().insert("content-length", len.into());
    response
}

/// An answer whose bytes come by a channel; its end is the body's.
pub(super) fn streaming(
    lines: &[(&str, &str)],
) -> (mpsc::UnboundedSender<Result<Bytes, FetchError>>, Response<FetchBody>) {
    let (sender, mut receiver) = mpsc::unbounded_channel::<Result<Bytes, FetchError>>();
    let stream = async_stream::stream! {
        while let Some(item) = receiver.recv().await {
            yield item.map(Frame::data);
        }
    };
    (sender, head(200, lines, BodyExt::boxed_unsync(StreamBody::new(stream))))
}

fn head(status: u16, lines: &[(&str, &str)], body: FetchBody) -> Response<FetchBody> {
    let mut builder = Response::builder().status(status);
    for (name, value) in lines {
        builder = builder.header(*name, *value);
    }
    builder.body(body).unwrap()
}
