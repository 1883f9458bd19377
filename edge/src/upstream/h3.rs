//! HTTP/3 to an upstream (RFC 9114): one QUIC connection, made again when it is lost.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use h3::client::{RequestStream, SendRequest};
use h3::error::StreamError;
use h3_quinn::{BidiStream, OpenStreams};
use http::{Request, Response, Uri};
use http_body::{Body, Frame};
use platform::config::Upstream;
use quinn::crypto::rustls::QuicClientConfig;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::UpstreamError;
use super::connect::{host_of, tls_config};
use super::settings::{self, Settings};

/// Silence after which a connection is lost; pings keep it from being silent while it lives.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// Speaks HTTP/3 to one upstream.
pub(super) struct H3 {
    config: quinn::ClientConfig,
    host: String,
    port: u16,
    connect_timeout: Duration,
    header_bytes_max: u64,
    /// Locked while a connection is made, so that one is made for all who wait.
    live: Mutex<Option<Live>>,
}

struct Live {
    connection: quinn::Connection,
    requests: SendRequest<OpenStreams, Bytes>,
}

/// Why a request has no answer.
pub(super) enum H3Error {
    /// It never left.
    Connect(io::Error),
    /// The connection is gone, or the request was refused.
    Lost(StreamError),
    /// What came is no answer.
    Answer(StreamError),
}

impl H3 {
    pub(super) fn new(
        upstream: &Upstream,
        base: &Uri,
        settings: &Settings,
    ) -> Result<Self, UpstreamError> {
        let tls = QuicClientConfig::try_from(tls_config(upstream)?)
            .map_err(|_| UpstreamError::Url { url: upstream.url.clone() })?;
        let mut config = quinn::ClientConfig::new(Arc::new(tls));
        let mut transport = quinn::TransportConfig::default();
        transport
            .stream_receive_window(settings::STREAM_WINDOW_BYTES.into())
            .receive_window(settings::CONNECTION_WINDOW_BYTES.into())
            .max_concurrent_bidi_streams(0_u32.into())
            // Control, two of QPACK (RFC 9114 6.2), and one that a peer greases with.
            .max_concurrent_uni_streams(4_u32.into())
            .datagram_receive_buffer_size(None)
            .keep_alive_interval(Some(settings::PING_TIMEOUT))
            .max_idle_timeout(quinn::IdleTimeout::try_from(SILENCE_MAX).ok());
        config.transport_config(Arc::new(transport));
        Ok(Self {
            config,
            host: host_of(base).ok_or_else(|| UpstreamError::Url { url: upstream.url.clone() })?,
            port: base.port_u16().unwrap_or(443),
            connect_timeout: settings.connect_timeout,
            header_bytes_max: settings.header_bytes_max,
            live: Mutex::default(),
        })
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn request(&self, request: Request<()>) -> Result<Response<H3Body>, H3Error> {
        let mut requests = self.requests().await.map_err(H3Error::Connect)?;
        let mut stream = requests.send_request(request).await.map_err(sort)?;
        match stream.finish().await {
            // Whoever has read enough may stop the rest of a request and answer all the same
            // (RFC 9114 4.1).
            Ok(()) | Err(StreamError::RemoteTerminate { .. }) => {}
            Err(error) => return Err(sort(error)),
        }
        let response = stream.recv_response().await.map_err(sort)?;
        Ok(response.map(|()| H3Body { stream }))
    }

    /// The connection there is, or a new one.
    async fn requests(&self) -> io::Result<SendRequest<OpenStreams, Bytes>> {
        let mut live = self.live.lock().await;
        if let Some(live) = &*live
            && live.connection.close_reason().is_none()
        {
            return Ok(live.requests.clone());
        }
        *live = None;
        let connected = timeout(self.connect_timeout, self.connect()).await;
        let connected = connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let requests = connected.requests.clone();
        *live = Some(connected);
        Ok(requests)
    }

    async fn connect(&self) -> io::Result<Live> {
        let addresses = tokio::net::lookup_host((self.host.as_str(), self.port)).await?;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in addresses {
            match self.connect_to(address).await {
                Ok(live) => return Ok(live),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect_to(&self, address: SocketAddr) -> io::Result<Live> {
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        // A socket a connection: it goes when the connection does.
        let endpoint = quinn::Endpoint::client(any)?;
        let connecting = endpoint
            .connect_with(self.config.clone(), address, &self.host)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let connection = connecting.await?;
        let (mut driver, requests) = h3::client::builder()
            .max_field_section_size(self.header_bytes_max)
            .send_grease(false)
            .build(h3_quinn::Connection::new(connection.clone()))
            .await
            .map_err(io::Error::other)?;
        tokio::spawn(async move {
            let end = std::future::poll_fn(|context| driver.poll_close(context)).await;
            tracing::debug!(%end, "an HTTP/3 connection to an upstream ended");
        });
        Ok(Live { connection, requests })
    }
}

/// Tells an answer that is none from a connection that is gone. A connection that was given up
/// because of what came on it counts as gone: the library doesn't say more.
fn sort(error: StreamError) -> H3Error {
    match error {
        StreamError::HeaderTooBig { .. } | StreamError::StreamError { .. } => {
            H3Error::Answer(error)
        }
        error => H3Error::Lost(error),
    }
}

impl H3Error {
    pub(super) fn cause(&self) -> String {
        match self {
            Self::Connect(error) => super::wire::cause_of(error),
            Self::Lost(error) | Self::Answer(error) => error.to_string(),
        }
    }
}

/// The body of an answer. Dropped early, it tells the upstream to stop.
pub(super) struct H3Body {
    stream: RequestStream<BidiStream<Bytes>, Bytes>,
}

impl Body for H3Body {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = self.get_mut().stream.poll_recv_data(context);
        piece.map(|piece| match piece {
            Ok(piece) => {
                piece.map(|mut piece| Ok(Frame::data(piece.copy_to_bytes(piece.remaining()))))
            }
            Err(error) => Some(Err(error.into())),
        })
    }
}
