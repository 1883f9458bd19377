//! The protocols that upstreams speak, behind one request and one body.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::{Body, Frame};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use platform::config::{Upstream, UpstreamProtocol};
use tokio::sync::Notify;

use super::UpstreamError;
use super::connect::Connect;
use super::h3::{H3, H3Body, H3Error};
use super::settings::{self, Settings};

/// Informational answers (RFC 9110 15.2) before the one that counts.
const INFORMATIONAL_MAX: u32 = 16;

/// Connections to one upstream.
pub(super) enum Wire {
    /// HTTP/1.1 and HTTP/2.
    Hyper(Box<Client<Connect, Empty<Bytes>>>),
    H3(Box<H3>),
}

/// A body as it comes.
pub(super) enum WireBody {
    Hyper(Incoming),
    H3(Box<H3Body>),
}

/// Why there is no head of an answer.
pub(super) struct WireError {
    pub(super) kind: WireErrorKind,
    /// Whether the upstream may have seen the request.
    pub(super) was_sent: bool,
    pub(super) cause: String,
}

pub(super) enum WireErrorKind {
    Timeout,
    Unreachable,
    /// What came is no HTTP.
    Garbage,
}

impl Wire {
    pub(super) fn new(
        upstream: &Upstream,
        base: &Uri,
        settings: &Settings,
    ) -> Result<Self, UpstreamError> {
        if upstream.protocol == UpstreamProtocol::H3 {
            return Ok(Self::H3(Box::new(H3::new(upstream, base, settings)?)));
        }
        Ok(Self::Hyper(Box::new(client(upstream, settings)?)))
    }

    /// Sends a request without a body, and waits for the head of its answer.
    pub(super) async fn request(
        &self,
        request: Request<()>,
    ) -> Result<Response<WireBody>, WireError> {
        match self {
            Self::Hyper(client) => ask(client, request).await,
            Self::H3(client) => match client.request(request).await {
                Ok(response) => Ok(response.map(|body| WireBody::H3(Box::new(body)))),
                Err(error) => Err(error.into()),
            },
        }
    }
}

async fn ask(
    client: &Client<Connect, Empty<Bytes>>,
    request: Request<()>,
) -> Result<Response<WireBody>, WireError> {
    let mut request = request.map(|()| Empty::new());
    let flood = Arc::new(Notify::new());
    let (seen, notify) = (AtomicU32::new(0), Arc::clone(&flood));
    hyper::ext::on_informational(&mut request, move |_| {
        if INFORMATIONAL_MAX <= seen.fetch_add(1, Ordering::Relaxed) {
            notify.notify_one();
        }
    });
    tokio::select! {
        biased;
        () = flood.notified() => Err(WireError {
            kind: WireErrorKind::Garbage,
            was_sent: true,
            cause: format!("it sent more than {INFORMATIONAL_MAX} informational answers"),
        }),
        answer = client.request(request) => match answer {
            Ok(response) => Ok(response.map(WireBody::Hyper)),
            Err(error) => Err(error.into()),
        }
    }
}

fn client(
    upstream: &Upstream,
    settings: &Settings,
) -> Result<Client<Connect, Empty<Bytes>>, UpstreamError> {
    let header_bytes_max = settings.header_bytes_max;
    let connect = Connect::new(upstream, settings.connect_timeout)?;
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(settings::POOL_IDLE)
        .pool_max_idle_per_host(settings::POOL_CONNECTIONS_IDLE_MAX)
        // Which requests are sent again is decided in one place, and counted.
        .retry_canceled_requests(false)
        .http1_max_buf_size(usize::try_from(header_bytes_max).unwrap_or(usize::MAX))
        .http2_max_header_list_size(u32::try_from(header_bytes_max).unwrap_or(u32::MAX))
        .http2_initial_stream_window_size(settings::STREAM_WINDOW_BYTES)
        .http2_initial_connection_window_size(settings::CONNECTION_WINDOW_BYTES)
        .http2_keep_alive_interval(settings::PING_INTERVAL)
        .http2_keep_alive_timeout(settings::PING_TIMEOUT)
        .http2_only(upstream.protocol == UpstreamProtocol::H2);
    Ok(builder.build(connect))
}

impl From<ClientError> for WireError {
    fn from(error: ClientError) -> Self {
        let inner = sources(&error).find_map(|source| source.downcast_ref::<hyper::Error>());
        let is_timeout = sources(&error)
            .filter_map(|source| source.downcast_ref::<io::Error>())
            .any(|source| source.kind() == io::ErrorKind::TimedOut);
        let is_garbage = inner.is_some_and(|inner| inner.is_parse() || inner.is_parse_too_large());
        let kind = match () {
            () if is_timeout => WireErrorKind::Timeout,
            () if is_garbage => WireErrorKind::Garbage,
            () => WireErrorKind::Unreachable,
        };
        let was_sent = !error.is_connect() && !inner.is_some_and(hyper::Error::is_canceled);
        Self { kind, was_sent, cause: cause_of(&error) }
    }
}

impl From<H3Error> for WireError {
    fn from(error: H3Error) -> Self {
        let (kind, was_sent) = match &error {
            H3Error::Connect(error) if error.kind() == io::ErrorKind::TimedOut => {
                (WireErrorKind::Timeout, false)
            }
            H3Error::Connect(_) => (WireErrorKind::Unreachable, false),
            H3Error::Lost(_) => (WireErrorKind::Unreachable, true),
            H3Error::Answer(_) => (WireErrorKind::Garbage, true),
        };
        Self { kind, was_sent, cause: error.cause() }
    }
}

/// An error and what is below it.
fn sources<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        error.source()
    })
}

/// The innermost cause: what is above it repeats that something failed.
pub(super) fn cause_of(error: &(dyn Error + 'static)) -> String {
    sources(error).last().map(ToString::to_string).unwrap_or_default()
}

impl Body for WireBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Hyper(body) => Pin::new(body)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(Into::into))),
            Self::H3(body) => Pin::new(&mut **body).poll_frame(context),
        }
    }
}
