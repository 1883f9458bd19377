//! Clients of all three HTTP versions that ask without a pause and compare what they get.
//!
//! They do by themselves what the protocols let a client do without asking its user, and nothing
//! beyond: a request that was never sent, that a GOAWAY left out (RFC 9113 6.8, RFC 9114 5.2) or
//! that was refused before anything was done (`REFUSED_STREAM`, `H3_REQUEST_REJECTED`) goes out
//! again on a new connection. HTTP/1.1 has no such rule that holds while connections are busy:
//! there every request has to be answered.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longer than any answer may take.
const FOREVER: Duration = Duration::from_secs(30);

/// Where a server is, and what it has to answer with.
pub(crate) struct Target {
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    tls: Arc<rustls::ClientConfig>,
    bodies: Vec<(String, Vec<u8>)>,
    is_over: AtomicBool,
    /// Nobody listens any more: a new connection may fail, which ends a client.
    pub(crate) may_close: AtomicBool,
    pub(crate) counts: Counts,
    failures: Mutex<Vec<String>>,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) plain: AtomicUsize,
    pub(crate) http1: AtomicUsize,
    pub(crate) http2: AtomicUsize,
    pub(crate) http3: AtomicUsize,
    pub(crate) connections: AtomicUsize,
    /// Requests that went out again, as the protocol lets them.
    pub(crate) silent: AtomicUsize,
}

impl Counts {
    pub(crate) fn answered(&self) -> [usize; 4] {
        [&self.plain, &self.http1, &self.http2, &self.http3]
            .map(|count| count.load(Ordering::Relaxed))
    }
}

/// What became of a request.
enum Outcome {
    Answered(Vec<u8>),
    /// Answered, and the connection is at its end.
    Last(Vec<u8>),
    /// Nothing was done: it may go out again.
    Untouched,
    Failed(String),
}

/// TLS of a client that trusts the development certificate of `data` alone.
pub(crate) fn client_tls(data: &Path, protocols: &[&[u8]]) -> rustls::ClientConfig {
    let certificate = CertificateDer::from_pem_file(data.join("tls/development.pem"));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.expect("a certificate")).expect("it can be trusted");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    client
}

pub(crate) async fn connect_tls(
    address: SocketAddr,
    tls: rustls::ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(tls)).connect(name, stream).await
}

/// A QUIC endpoint of a client.
pub(crate) fn quic_endpoint(tls: rustls::ClientConfig) -> quinn::Endpoint {
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).expect("it has TLS 1.3");
    let local = "127.0.0.1:0".parse().expect("an address");
    let mut endpoint = quinn::Endpoint::client(local).expect("a free port");
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
    endpoint
}

pub(crate) type Requests = h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>;

/// An HTTP/3 connection; its driver runs until the end.
pub(crate) async fn connect_http3(
    endpoint: &quinn::Endpoint,
    address: SocketAddr,
) -> Result<Requests, String> {
    let connecting = endpoint.connect(address, "localhost").map_err(|error| error.to_string())?;
    let quic = connecting.await.map_err(|error| format!("{error:?}"))?;
    let (mut driver, requests) = h3::client::new(h3_quinn::Connection::new(quic))
        .await
        .map_err(|error| format!("{error:?}"))?;
    tokio::spawn(async move { std::future::poll_fn(|context| driver.poll_close(context)).await });
    Ok(requests)
}

impl Target {
    pub(crate) fn new(
        http: SocketAddr,
        https: SocketAddr,
        data: &Path,
        bodies: BTreeMap<String, Vec<u8>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            http,
            https,
            tls: Arc::new(client_tls(data, &[])),
            bodies: bodies.into_iter().collect(),
            is_over: AtomicBool::new(false),
            may_close: AtomicBool::new(false),
            counts: Counts::default(),
            failures: Mutex::default(),
        })
    }

    fn tls(&self, protocol: &[u8]) -> rustls::ClientConfig {
        let mut tls = (*self.tls).clone();
        tls.alpn_protocols = vec![protocol.to_vec()];
        tls
    }

    /// Clients of all kinds; each asks over one connection for as long as it lasts, or with
    /// `requests_max` for so many requests. `pause` lies between two requests.
    pub(crate) fn start(
        self: &Arc<Self>,
        requests_max: usize,
        pause: Duration,
    ) -> Vec<tokio::task::JoinHandle<()>> {
        let habit = Habit { requests_max, pause };
        vec![
            tokio::spawn(Arc::clone(self).http1(false, habit)),
            tokio::spawn(Arc::clone(self).http1(true, habit)),
            tokio::spawn(Arc::clone(self).http2(habit)),
            tokio::spawn(Arc::clone(self).http3(habit)),
        ]
    }

    /// Lets all clients finish, and tells what failed.
    pub(crate) async fn end(&self, clients: Vec<tokio::task::JoinHandle<()>>) -> Vec<String> {
        self.is_over.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.expect("a client");
        }
        std::mem::take(&mut self.failures.lock().expect("nobody panics with it"))
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn fail(&self, protocol: &str, what: impl std::fmt::Display) {
        self.failures.lock().expect("nobody panics with it").push(format!("{protocol}: {what}"));
    }

    /// Notes that there is no connection; whether the client goes on.
    fn unconnected(&self, protocol: &str, what: impl std::fmt::Display) -> bool {
        if self.may_close.load(Ordering::Relaxed) {
            return false;
        }
        self.fail(protocol, format!("cannot connect: {what}"));
        true
    }

    fn request(&self, number: usize) -> (Request<Empty<Bytes>>, &[u8]) {
        let (path, body) = &self.bodies[number % self.bodies.len()];
        let request = Request::get(format!("https://localhost{path}"));
        (request.body(Empty::new()).expect("a request"), body)
    }

    /// Judges an answer; whether the connection goes on.
    fn judge(&self, protocol: &str, count: &AtomicUsize, wanted: &[u8], outcome: Outcome) -> bool {
        let is_last = matches!(outcome, Outcome::Last(_));
        match outcome {
            Outcome::Answered(body) | Outcome::Last(body) if body == wanted => {
                count.fetch_add(1, Ordering::Relaxed);
                !is_last
            }
            Outcome::Answered(body) | Outcome::Last(body) => {
                self.fail(protocol, format!("{} bytes in place of {}", body.len(), wanted.len()));
                !is_last
            }
            Outcome::Untouched => {
                self.counts.silent.fetch_add(1, Ordering::Relaxed);
                false
            }
            Outcome::Failed(reason) => {
                self.fail(protocol, reason);
                false
            }
        }
    }

    async fn http1(self: Arc<Self>, is_encrypted: bool, habit: Habit) {
        let (protocol, count) = match is_encrypted {
            true => ("https/1.1", &self.counts.http1),
            false => ("http/1.1", &self.counts.plain),
        };
        let mut number = 0;
        while !self.is_over() {
            let connected = match is_encrypted {
                true => match connect_tls(self.https, self.tls(b"http/1.1")).await {
                    Ok(stream) => handshake(TokioIo::new(stream)).await,
                    Err(error) => Err(error.to_string()),
                },
                false => match TcpStream::connect(self.http).await {
                    Ok(stream) => handshake(TokioIo::new(stream)).await,
                    Err(error) => Err(error.to_string()),
                },
            };
            let mut sender = match connected {
                Ok(sender) => sender,
                Err(error) if self.unconnected(protocol, &error) => continue,
                Err(_) => return,
            };
            self.counts.connections.fetch_add(1, Ordering::Relaxed);
            for _ in 0..habit.requests_max {
                number += 1;
                let (mut request, wanted) = self.request(number);
                let path = request.uri().path().parse().expect("a path");
                *request.uri_mut() = path;
                request.headers_mut().insert("host", "localhost".parse().expect("a value"));
                let outcome = in_time(async {
                    match sender.send_request(request).await {
                        Ok(answer) => {
                            let is_last = answer.headers().get("connection").is_some();
                            match body(answer).await {
                                Ok(body) if is_last => Outcome::Last(body),
                                Ok(body) => Outcome::Answered(body),
                                Err(error) => Outcome::Failed(error),
                            }
                        }
                        Err(error) => Outcome::Failed(format!("{error:?}")),
                    }
                });
                if !self.judge(protocol, count, wanted, outcome.await) || self.is_over() {
                    break;
                }
                tokio::time::sleep(habit.pause).await;
            }
        }
    }

    async fn http2(self: Arc<Self>, habit: Habit) {
        let mut number = 0;
        while !self.is_over() {
            let connected = match connect_tls(self.https, self.tls(b"h2")).await {
                Ok(stream) => http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                    .await
                    .map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            let mut sender = match connected {
                Ok((sender, connection)) => {
                    tokio::spawn(connection);
                    sender
                }
                Err(error) if self.unconnected("h2", &error) => continue,
                Err(_) => return,
            };
            self.counts.connections.fetch_add(1, Ordering::Relaxed);
            for _ in 0..habit.requests_max {
                number += 1;
                let (request, wanted) = self.request(number);
                let outcome = in_time(async {
                    match sender.send_request(request).await {
                        Ok(answer) => match body(answer).await {
                            Ok(body) => Outcome::Answered(body),
                            Err(error) => Outcome::Failed(error),
                        },
                        Err(error) if is_untouched(&error) => Outcome::Untouched,
                        Err(error) => Outcome::Failed(format!("{error:?}")),
                    }
                });
                let outcome = outcome.await;
                if !self.judge("h2", &self.counts.http2, wanted, outcome) || self.is_over() {
                    break;
                }
                tokio::time::sleep(habit.pause).await;
            }
        }
    }

    async fn http3(self: Arc<Self>, habit: Habit) {
        let endpoint = quic_endpoint(self.tls(b"h3"));
        let mut number = 0;
        while !self.is_over() {
            let mut requests = match connect_http3(&endpoint, self.https).await {
                Ok(requests) => requests,
                Err(error) if self.unconnected("h3", &error) => continue,
                Err(_) => return,
            };
            self.counts.connections.fetch_add(1, Ordering::Relaxed);
            for _ in 0..habit.requests_max {
                number += 1;
                let (request, wanted) = self.request(number);
                let outcome = in_time(ask_http3(&mut requests, request.map(|_| ()))).await;
                if !self.judge("h3", &self.counts.http3, wanted, outcome) || self.is_over() {
                    break;
                }
                tokio::time::sleep(habit.pause).await;
            }
        }
        endpoint.close(0_u32.into(), b"");
    }
}

/// How a client asks.
#[derive(Clone, Copy)]
struct Habit {
    requests_max: usize,
    pause: Duration,
}

async fn handshake<T>(io: TokioIo<T>) -> Result<http1::SendRequest<Empty<Bytes>>, String>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(io).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn in_time(asking: impl Future<Output = Outcome>) -> Outcome {
    match tokio::time::timeout(FOREVER, asking).await {
        Ok(outcome) => outcome,
        Err(_) => Outcome::Failed("no answer".to_owned()),
    }
}

async fn body(answer: http::Response<Incoming>) -> Result<Vec<u8>, String> {
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(|error| format!("body: {error:?}"))?;
    match status.as_u16() {
        200 => Ok(body.to_bytes().to_vec()),
        status => Err(format!("status {status}")),
    }
}

/// Whether the server did nothing of a request over HTTP/2, for certain.
fn is_untouched(error: &hyper::Error) -> bool {
    if error.is_canceled() {
        // hyper has not sent it.
        return true;
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(cause) = cause.downcast_ref::<h2::Error>() {
            let reason = cause.reason();
            return (cause.is_go_away()
                && cause.is_remote()
                && reason == Some(h2::Reason::NO_ERROR))
                || reason == Some(h2::Reason::REFUSED_STREAM);
        }
        source = cause.source();
    }
    false
}

async fn ask_http3(requests: &mut Requests, request: Request<()>) -> Outcome {
    // Fails only when the connection is at its end or leaving: nothing was sent.
    let Ok(mut stream) = requests.send_request(request).await else { return Outcome::Untouched };
    let answer = async {
        stream.finish().await?;
        let answer = stream.recv_response().await?;
        let mut body = Vec::new();
        while let Some(mut data) = stream.recv_data().await? {
            body.extend_from_slice(&data.copy_to_bytes(data.remaining()));
        }
        Ok::<_, h3::error::StreamError>((answer.status().as_u16(), body))
    };
    match answer.await {
        Ok((200, body)) => Outcome::Answered(body),
        Ok((status, _)) => Outcome::Failed(format!("status {status}")),
        Err(h3::error::StreamError::RemoteTerminate { code, .. })
            if code == h3::error::Code::H3_REQUEST_REJECTED =>
        {
            Outcome::Untouched
        }
        Err(error) => Outcome::Failed(format!("{error:?}")),
    }
}
