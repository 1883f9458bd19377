//! Connections: a name is resolved once, its addresses are judged, and the connection is made to one
//! of those that were judged.
//!
//! Nothing resolves the name a second time, so a name server that answers differently the next time
//! (DNS rebinding) gains nothing. A name that leads inside as well as outside is refused as a whole.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use super::address::{AddressGuard, Forbidden};
use super::resolve::{ADDRESSES_MAX, Resolve};

/// Least time that one of several addresses gets.
const ADDRESS_TIMEOUT_MIN: Duration = Duration::from_millis(250);

/// Connects one peer.
#[derive(Clone)]
pub(super) struct Connect {
    pub(super) tls: TlsConnector,
    pub(super) resolver: Arc<dyn Resolve>,
    /// `None`: the operator chose the address, which may lead anywhere.
    pub(super) guard: Option<Arc<AddressGuard>>,
    pub(super) timeout: Duration,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("the address names no host")]
    NoHost,
    #[error("`{host}` has no address: {reason}")]
    Resolve { host: String, reason: String },
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    #[error("{address}: {source}")]
    Tcp { address: SocketAddr, source: io::Error },
    #[error("the TLS handshake failed: {0}")]
    Tls(io::Error),
    #[error("no connection in time")]
    Timeout,
}

impl Connect {
    async fn connect(self, uri: Uri) -> Result<TokioIo<Stream>, ConnectError> {
        let until = Instant::now() + self.timeout;
        let is_tls = uri.scheme_str() == Some("https");
        let host = host_of(&uri).ok_or(ConnectError::NoHost)?;
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let addresses = self.addresses(host).await?;
        let tcp = first_of(&addresses, port, until).await?;
        // Small requests should not wait for one another; a socket that refuses still works.
        let _ = tcp.set_nodelay(true);
        if !is_tls {
            return Ok(TokioIo::new(Stream::Tcp(tcp)));
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|_| ConnectError::NoHost)?;
        let stream = self.tls.connect(name, tcp).await.map_err(ConnectError::Tls)?;
        Ok(TokioIo::new(Stream::Tls(Box::new(stream))))
    }

    /// The addresses of a host, every one of which may be called.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ConnectError> {
        let mut addresses = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => {
                let fail = |reason: String| ConnectError::Resolve { host: host.to_owned(), reason };
                let found = self.resolver.resolve(host).await;
                found.map_err(|error| fail(error.to_string()))?
            }
        };
        addresses.truncate(ADDRESSES_MAX);
        if let Some(guard) = &self.guard {
            addresses.iter().try_for_each(|address| guard.check(*address))?;
        }
        if addresses.is_empty() {
            let reason = "the name servers know none".to_owned();
            return Err(ConnectError::Resolve { host: host.to_owned(), reason });
        }
        Ok(addresses)
    }
}

/// A connection to the first address that takes one; each gets its share of the time that is left.
async fn first_of(
    addresses: &[IpAddr],
    port: u16,
    until: Instant,
) -> Result<TcpStream, ConnectError> {
    let mut last = ConnectError::NoHost;
    for (index, address) in addresses.iter().enumerate() {
        let address = SocketAddr::new(*address, port);
        let left = until.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - index).unwrap_or(1);
        last = match timeout(share.max(ADDRESS_TIMEOUT_MIN), TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(source)) => ConnectError::Tcp { address, source },
            Err(_) => ConnectError::Timeout,
        };
    }
    Err(last)
}

impl Service<Uri> for Connect {
    type Response = TokioIo<Stream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connect = self.clone();
        let wait = connect.timeout;
        Box::pin(async move {
            timeout(wait, connect.connect(uri)).await.unwrap_or(Err(ConnectError::Timeout))
        })
    }
}

/// The host of an address. IPv6 stands in brackets there, and without them everywhere else.
fn host_of(uri: &Uri) -> Option<&str> {
    let host = uri.host()?;
    Some(host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host))
}

/// A connection, in the clear or over TLS.
pub enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        match self {
            Self::Tls(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                Connected::new().negotiated_h2()
            }
            _ => Connected::new(),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
