//! The outermost layer of a service: gives each request its id, counts it and logs it.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Buf;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::watch;
use tower_service::Service;

use super::access_detail::{AccessDetail, AccessNote, AccessSample};
use super::metrics::{Finished, protocol_label};
use super::{HttpMetrics, REQUEST_ID, RequestId};
use crate::config::IpPrefix;
use crate::http::{Connection, client_address};

/// Wraps a service. The request's [`RequestId`] is among its extensions, and an [`AccessNote`] for
/// what inner layers find out.
#[derive(Clone, Debug)]
pub struct Observe<S> {
    service: S,
    pub(super) metrics: HttpMetrics,
    route_of: fn(&str) -> &'static str,
    /// Networks whose `X-Forwarded-For` is believed; none of them until it is told.
    trusted_proxies: Option<watch::Receiver<Vec<IpPrefix>>>,
    /// All requests are logged until it is told otherwise.
    sample: Option<watch::Receiver<AccessSample>>,
}

impl<S> Observe<S> {
    /// `route_of` names the route of a path for metrics, by one of few names.
    pub fn new(service: S, metrics: HttpMetrics, route_of: fn(&str) -> &'static str) -> Self {
        Self { service, metrics, route_of, trusted_proxies: None, sample: None }
    }

    /// Looks for clients behind these proxies, of which each request finds the latest list.
    #[must_use]
    pub fn behind(mut self, trusted_proxies: watch::Receiver<Vec<IpPrefix>>) -> Self {
        self.trusted_proxies = Some(trusted_proxies);
        self
    }

    /// Logs a part of the requests, of which each finds the latest.
    #[must_use]
    pub fn sampled(mut self, sample: watch::Receiver<AccessSample>) -> Self {
        self.sample = Some(sample);
        self
    }

    /// Where a request comes from, if it came by a listener and not from within.
    fn client_of<T>(&self, request: &Request<T>) -> Option<IpAddr> {
        let peer = request.extensions().get::<Connection>()?.peer;
        let Some(trusted) = &self.trusted_proxies else {
            return peer.ip();
        };
        client_address(peer, request.headers(), &trusted.borrow())
    }
}

impl<S, T, B> Service<Request<T>> for Observe<S>
where
    S: Service<Request<T>, Response = Response<B>>,
    B: Body,
{
    type Response = Response<ObservedBody<B>>;
    type Error = S::Error;
    type Future = ObservedAnswer<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<T>) -> Self::Future {
        let id = RequestId::of(request.headers());
        request.extensions_mut().insert(id.clone());
        let note = AccessNote::default();
        request.extensions_mut().insert(note.clone());
        let path = loggable_path(request.uri().path());
        let exchange = Exchange {
            route: (self.route_of)(request.uri().path()),
            client: self.client_of(&request),
            method: request.method().clone(),
            protocol: protocol_label(request.version()),
            path,
            id,
            note,
            sample: self.sample.as_ref().map(|sample| *sample.borrow()),
            began: Instant::now(),
            metrics: self.metrics.clone(),
            answer: None,
        };
        self.metrics.begin();
        ObservedAnswer { answer: self.service.call(request), exchange: Some(exchange) }
    }
}

/// A path without the token that may be its first part: whoever reads logs must not be able to
/// watch.
///
/// A part with the token's mark is left out wherever it stands and however the mark is spelled:
/// what is refused for its form is logged, too, and its token may be good. So are parts that bear a
/// token as Media CDN and RFC 9246 write it.
fn loggable_path(path: &str) -> String {
    const NAMES: [&str; 2] = ["edge-cache-token=", "URISigningPackage="];
    fn has_mark(part: &str) -> bool {
        part.starts_with('~')
            || part.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("%7e"))
            || NAMES.iter().any(|name| part.contains(name))
    }
    if !path.split('/').any(has_mark) {
        return path.to_owned();
    }
    let parts: Vec<&str> =
        path.split('/').map(|part| if has_mark(part) { "~" } else { part }).collect();
    parts.join("/")
}

/// What is known of one request and its answer. Reports when it is dropped.
#[derive(Debug)]
struct Exchange {
    route: &'static str,
    client: Option<IpAddr>,
    method: Method,
    protocol: &'static str,
    path: String,
    id: RequestId,
    note: AccessNote,
    sample: Option<AccessSample>,
    began: Instant,
    metrics: HttpMetrics,
    answer: Option<Answered>,
}

#[derive(Debug)]
struct Answered {
    status: StatusCode,
    sent_bytes: u64,
    first_byte_seconds: Option<f64>,
    /// Size of the body, where it is known before.
    expected_bytes: Option<u64>,
    is_whole: bool,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let total_seconds = self.began.elapsed().as_secs_f64();
        let (id, method, path) = (self.id.as_str(), self.method.as_str(), self.path.as_str());
        let (protocol, total_ms) = (self.protocol, milliseconds(total_seconds));
        let client = self.client.map(tracing::field::display);
        let Some(answer) = &self.answer else {
            self.metrics.abandon();
            tracing::info!(
                target: "access", id, client, method, path, protocol, total_ms, "no answer"
            );
            return;
        };
        let first_byte_seconds = answer.first_byte_seconds.unwrap_or(total_seconds);
        self.metrics.finish(&Finished {
            route: self.note.named_route().unwrap_or(self.route),
            method: &self.method,
            protocol: self.protocol,
            status: answer.status,
            sent_bytes: answer.sent_bytes,
            first_byte_seconds,
            total_seconds,
            is_whole: answer.is_whole,
        });
        let detail = self.note.get();
        let status = answer.status.as_u16();
        let sample_key = detail.and_then(|detail| detail.sample_key.as_deref()).unwrap_or(id);
        if self.sample.is_some_and(|sample| !sample.takes(sample_key, status, first_byte_seconds)) {
            return;
        }
        // What is not known has no field.
        let text = |text: fn(&AccessDetail) -> Option<&str>| detail.and_then(text);
        let flag = |flag: fn(&AccessDetail) -> bool| detail.filter(|d| flag(d)).map(|_| true);
        tracing::info!(
            target: "access",
            id,
            client,
            method,
            path,
            protocol,
            status,
            bytes = answer.sent_bytes,
            first_byte_ms = milliseconds(first_byte_seconds),
            total_ms,
            whole = answer.is_whole,
            sid = text(|detail| detail.session.as_deref()),
            cid = text(|detail| detail.content.as_deref()),
            ot = text(|detail| detail.object),
            br = detail.and_then(|detail| detail.bit_rate_kbps),
            bl = detail.and_then(|detail| detail.buffer_ms),
            bs = flag(|detail| detail.is_starved),
            su = flag(|detail| detail.is_startup),
            trace = self.note.trace().map(|trace| tracing::field::display(Hexadecimal(trace))),
        );
    }
}

/// The id of a trace as `traceparent` writes it.
struct Hexadecimal(u128);

impl std::fmt::Display for Hexadecimal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

/// To the microsecond.
fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e3
}

pin_project_lite::pin_project! {
    /// The answer on its way.
    pub struct ObservedAnswer<F> {
        #[pin]
        answer: F,
        exchange: Option<Exchange>,
    }
}

impl<F, B, E> Future for ObservedAnswer<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<ObservedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut answer = ready!(this.answer.poll(context))?;
        let mut exchange = this.exchange.take().expect("a future is not polled after its end");
        answer.headers_mut().insert(REQUEST_ID, exchange.id.to_header());
        exchange.answer = Some(Answered {
            status: answer.status(),
            sent_bytes: 0,
            first_byte_seconds: None,
            expected_bytes: answer.body().size_hint().exact(),
            // Such bodies are never asked for a byte.
            is_whole: answer.body().is_end_stream() || exchange.method == Method::HEAD,
        });
        Poll::Ready(Ok(answer.map(|body| ObservedBody { body, exchange })))
    }
}

pin_project_lite::pin_project! {
    /// The body of an answer, counted.
    pub struct ObservedBody<B> {
        #[pin]
        body: B,
        exchange: Exchange,
    }
}

impl<B: Body> Body for ObservedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(context));
        let began = this.exchange.began;
        if let Some(answer) = &mut this.exchange.answer {
            answer.first_byte_seconds.get_or_insert_with(|| began.elapsed().as_secs_f64());
            if let Some(Ok(frame)) = &frame {
                answer.sent_bytes += frame.data_ref().map_or(0, |data| data.remaining() as u64);
            }
            // With a known length, the end itself is not asked for.
            answer.is_whole |= frame.is_none()
                || this.body.is_end_stream()
                || answer.expected_bytes == Some(answer.sent_bytes);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::loggable_path;

    #[test]
    fn tokens_stay_out_of_logs() {
        assert_eq!(loggable_path("/vod/a/cmaf/master.m3u8"), "/vod/a/cmaf/master.m3u8");
        assert_eq!(loggable_path("/~sEcReT/vod/a"), "/~/vod/a");
        assert_eq!(loggable_path("/~sEcReT"), "/~");
        assert_eq!(loggable_path("/%7EsEcReT/vod/%7esEcReT"), "/~/vod/~");
        assert_eq!(loggable_path("//~sEcReT/vod"), "//~/vod");
        assert_eq!(loggable_path("/é~/%7"), "/é~/%7");
        let token = "Expires=1&KeyName=k&Signature=sEcReT";
        let media_cdn = format!("/vod/a/edge-cache-token={token}/x.m3u8");
        assert_eq!(loggable_path(&media_cdn), "/vod/a/~/x.m3u8");
        assert_eq!(loggable_path("/vod/a;URISigningPackage=sEcReT/x"), "/vod/~/x");
    }
}
