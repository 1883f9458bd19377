//! `Alt-Svc` on answers over TCP: how a client learns of HTTP/3 (RFC 7838 3, RFC 9114 3.1.1).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use http::header::ALT_SVC;
use http::{HeaderValue, Request, Response};
use tower_service::Service;

/// How long a client may remember, in seconds: a day. Clients try it beside what they know.
const MAX_AGE_SECONDS: u32 = 86_400;

/// What clients are told. Clones tell the same.
#[derive(Clone, Debug)]
pub struct AltSvc {
    value: HeaderValue,
    is_leaving: Arc<AtomicBool>,
}

impl AltSvc {
    /// HTTP/3 is at the same host on `port`.
    pub fn new(port: u16) -> Self {
        let value = format!("h3=\":{port}\"; ma={MAX_AGE_SECONDS}");
        let value = HeaderValue::try_from(value).expect("digits and plain text");
        Self { value, is_leaving: Arc::default() }
    }

    /// From now on clients are told to forget it: the server goes away.
    pub fn clear(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
    }

    fn value(&self) -> HeaderValue {
        if self.is_leaving.load(Ordering::Relaxed) {
            HeaderValue::from_static("clear")
        } else {
            self.value.clone()
        }
    }

    /// `service` with the header on its answers.
    pub fn layer<S>(&self, service: S) -> Advertise<S> {
        Advertise { service, alt_svc: self.clone() }
    }
}

/// A service whose answers name HTTP/3.
#[derive(Clone, Debug)]
pub struct Advertise<S> {
    service: S,
    alt_svc: AltSvc,
}

impl<S, T, B> Service<Request<T>> for Advertise<S>
where
    S: Service<Request<T>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Advertised<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<T>) -> Self::Future {
        let answer = Box::pin(self.service.call(request));
        Advertised { answer, alt_svc: self.alt_svc.clone() }
    }
}

/// The answer on its way.
pub struct Advertised<F> {
    answer: Pin<Box<F>>,
    alt_svc: AltSvc,
}

impl<F, B, E> Future for Advertised<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut answer = ready!(self.answer.as_mut().poll(context))?;
        answer.headers_mut().insert(ALT_SVC, self.alt_svc.value());
        Poll::Ready(Ok(answer))
    }
}
