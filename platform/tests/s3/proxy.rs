//! A proxy between store and server: a delay, counters, and trouble on demand.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

pub(crate) const ROUND_TRIP: Duration = Duration::from_millis(50);

type ProxyBody = BoxBody<Bytes, std::io::Error>;

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    upstream: SocketAddr,
    pub(crate) requests: AtomicUsize,
    pub(crate) gets: AtomicUsize,
    pub(crate) sent_bytes: AtomicUsize,
    pub(crate) if_none_match: AtomicUsize,
    pub(crate) preconditions_failed: AtomicUsize,
    at_once: AtomicUsize,
    pub(crate) at_once_max: AtomicUsize,
    /// The `Range` of each GET.
    pub(crate) log: Mutex<Vec<String>>,
    /// GETs that will be answered 503.
    pub(crate) failures_left: AtomicUsize,
    /// GETs whose answer will break off in the middle.
    pub(crate) cuts_left: AtomicUsize,
    pub(crate) is_silent: AtomicBool,
    pub(crate) enforces_if_match: AtomicBool,
    /// The `If-Match` of each PUT that has one.
    pub(crate) conditional_puts: Mutex<Vec<String>>,
    /// Tag of what was put last at a path; none after a DELETE. The server behind ignores the
    /// condition of a PUT, which a real one obeys, so that it is judged here.
    written: tokio::sync::Mutex<HashMap<String, Option<String>>>,
    /// Such PUTs are answered 412.
    pub(crate) refuses_conditional_puts: AtomicBool,
    /// Every request is answered 503.
    pub(crate) is_down: AtomicBool,
    /// Requests of this method whose path contains this are answered 503.
    pub(crate) refused: Mutex<Option<(Method, &'static str)>>,
    /// Every request that was answered.
    pub(crate) trips: Mutex<Vec<Trip>>,
}

/// A request and its answer.
#[derive(Clone, Debug)]
pub(crate) struct Trip {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
}

/// Round trips that had to be waited for one after another: the longest chain of requests of which
/// each began when the one before it had been answered.
pub(crate) fn round_trips(trips: &[Trip]) -> usize {
    let mut in_order: Vec<&Trip> = trips.iter().collect();
    in_order.sort_by_key(|trip| trip.began);
    let mut depths: Vec<(Instant, usize)> = Vec::new();
    for trip in in_order {
        let before = depths.iter().filter(|(ended, _)| *ended <= trip.began);
        let depth = before.map(|(_, depth)| *depth).max().unwrap_or(0) + 1;
        depths.push((trip.ended, depth));
    }
    depths.iter().map(|(_, depth)| *depth).max().unwrap_or(0)
}

impl Proxy {
    pub(crate) async fn start(upstream: SocketAddr) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            upstream,
            requests: AtomicUsize::new(0),
            gets: AtomicUsize::new(0),
            sent_bytes: AtomicUsize::new(0),
            if_none_match: AtomicUsize::new(0),
            preconditions_failed: AtomicUsize::new(0),
            at_once: AtomicUsize::new(0),
            at_once_max: AtomicUsize::new(0),
            log: Mutex::new(Vec::new()),
            failures_left: AtomicUsize::new(0),
            cuts_left: AtomicUsize::new(0),
            is_silent: AtomicBool::new(false),
            enforces_if_match: AtomicBool::new(false),
            conditional_puts: Mutex::new(Vec::new()),
            written: tokio::sync::Mutex::default(),
            refuses_conditional_puts: AtomicBool::new(false),
            is_down: AtomicBool::new(false),
            refused: Mutex::new(None),
            trips: Mutex::new(Vec::new()),
        });
        tokio::spawn(Arc::clone(&proxy).run(listener));
        proxy
    }

    async fn run(self: Arc<Self>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            let proxy = Arc::clone(&self);
            tokio::spawn(async move {
                let service = hyper::service::service_fn(move |request| {
                    let proxy = Arc::clone(&proxy);
                    async move { Ok::<_, Infallible>(proxy.answer(request).await) }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                // Answers that are cut on purpose end the connection with an error.
                let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<ProxyBody> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let began = Instant::now();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let is_get = *request.method() == Method::GET;
        let header = |name: &str| {
            request.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        if header("if-none-match").is_some_and(|value| value == "*") {
            self.if_none_match.fetch_add(1, Ordering::SeqCst);
        }
        let (range, if_match) = (header("range"), header("if-match"));
        if is_get {
            self.gets.fetch_add(1, Ordering::SeqCst);
            self.log.lock().unwrap().extend(range);
        }
        let is_conditional = method == Method::PUT && if_match.is_some();
        if is_conditional {
            self.conditional_puts.lock().unwrap().extend(if_match.clone());
        }
        let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        if is_get {
            self.at_once_max.fetch_max(at_once, Ordering::SeqCst);
        }
        tokio::time::sleep(ROUND_TRIP).await;
        let answer = self.trouble(&method, &path).await;
        let answer = match answer {
            Some(answer) => answer,
            None if is_conditional && self.refuses_conditional_puts.load(Ordering::SeqCst) => {
                status(StatusCode::PRECONDITION_FAILED)
            }
            None if is_get => self.forward(request, is_get, if_match).await,
            None => self.change(request, if_match).await,
        };
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        let ended = Instant::now();
        self.trips.lock().unwrap().push(Trip { method, path, began, ended });
        answer
    }

    async fn trouble(&self, method: &Method, path: &str) -> Option<Response<ProxyBody>> {
        let is_get = *method == Method::GET;
        if self.is_silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let take = |count: usize| count.checked_sub(1);
        let fails = is_get
            && self.failures_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok();
        let is_refused = match &*self.refused.lock().unwrap() {
            Some((refused, part)) => refused == method && path.contains(part),
            None => false,
        };
        let fails = fails || is_refused || self.is_down.load(Ordering::SeqCst);
        fails.then(|| status(StatusCode::SERVICE_UNAVAILABLE))
    }

    /// Forwards what is no GET; of PUTs with a condition, one at a time and if it is met.
    async fn change(
        &self,
        request: Request<Incoming>,
        if_match: Option<String>,
    ) -> Response<ProxyBody> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let is_plain_put = method == Method::PUT
            && request.uri().query().is_none_or(|query| {
                // Parts of an upload are no objects yet.
                !query.contains("uploadId")
            });
        let is_delete = method == Method::DELETE;
        if !is_plain_put && !is_delete {
            return self.forward(request, false, if_match).await;
        }
        let mut written = match if_match {
            Some(_) => Some(self.written.lock().await),
            None => None,
        };
        let last = written.as_ref().and_then(|written| written.get(&path));
        if last.is_some_and(|last| *last != if_match) {
            return status(StatusCode::PRECONDITION_FAILED);
        }
        let answer = self.forward(request, false, if_match).await;
        if answer.status().is_success() {
            let etag = answer.headers().get("etag").map(|etag| etag.to_str().unwrap().to_owned());
            let etag = etag.filter(|_| !is_delete);
            match &mut written {
                Some(written) => drop(written.insert(path, etag)),
                None => drop(self.written.lock().await.insert(path, etag)),
            }
        }
        answer
    }

    async fn forward(
        &self,
        request: Request<Incoming>,
        is_get: bool,
        if_match: Option<String>,
    ) -> Response<ProxyBody> {
        let io = TokioIo::new(TcpStream::connect(self.upstream).await.unwrap());
        let (mut client, connection) = http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        let answer = client.send_request(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let etag = parts.headers.get("etag").map(|etag| etag.to_str().unwrap().to_owned());
        if is_get && self.enforces_if_match.load(Ordering::SeqCst) && if_match != etag {
            self.preconditions_failed.fetch_add(1, Ordering::SeqCst);
            return status(StatusCode::PRECONDITION_FAILED);
        }
        if is_get {
            self.sent_bytes.fetch_add(body.len(), Ordering::SeqCst);
        }
        let take = |count: usize| count.checked_sub(1);
        let is_cut =
            is_get && self.cuts_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok();
        if is_cut {
            return Response::from_parts(parts, cut_body(body));
        }
        Response::from_parts(parts, Full::new(body).map_err(|never| match never {}).boxed())
    }
}

fn status(status: StatusCode) -> Response<ProxyBody> {
    let body = Full::new(Bytes::new()).map_err(|never| match never {}).boxed();
    Response::builder().status(status).body(body).unwrap()
}

/// The first half of `body`, then an error.
fn cut_body(body: Bytes) -> ProxyBody {
    let half = body.slice(..body.len() / 2);
    let frames = futures_util::stream::iter([
        Ok(Frame::data(half)),
        Err(std::io::Error::other("cut on purpose")),
    ]);
    BodyExt::boxed(StreamBody::new(frames))
}
