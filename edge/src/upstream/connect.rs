//! Connections to upstreams: TCP, and TLS where the address says https.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use platform::config::{Upstream, UpstreamProtocol};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use super::UpstreamError;
use super::identity::Identity;

/// Connects to one upstream.
#[derive(Clone)]
pub struct Connect {
    tls: Option<TlsConnector>,
    timeout: Duration,
}

impl Connect {
    /// # Errors
    /// When the certificates that the upstream names can't be used.
    pub fn new(upstream: &Upstream, timeout: Duration) -> Result<Self, UpstreamError> {
        let is_https = upstream.url.starts_with("https://");
        let tls = if is_https { Some(Arc::new(tls_config(upstream)?).into()) } else { None };
        Ok(Self { tls, timeout })
    }

    async fn connect(self, uri: Uri) -> io::Result<TokioIo<Stream>> {
        let invalid = |reason| io::Error::new(io::ErrorKind::InvalidInput, reason);
        let host = host_of(&uri).ok_or_else(|| invalid("the address names no host"))?;
        let port = uri.port_u16().unwrap_or_else(|| if self.tls.is_some() { 443 } else { 80 });
        let tcp = TcpStream::connect((host.as_str(), port)).await?;
        tcp.set_nodelay(true)?;
        let Some(tls) = self.tls else { return Ok(TokioIo::new(Stream::Tcp(tcp))) };
        let name = ServerName::try_from(host).map_err(|_| invalid("the host is no TLS name"))?;
        let stream = tls.connect(name, tcp).await?;
        Ok(TokioIo::new(Stream::Tls(Box::new(stream))))
    }
}

impl Service<Uri> for Connect {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connect = self.clone();
        let timeout = connect.timeout;
        Box::pin(async move {
            let connected = tokio::time::timeout(timeout, connect.connect(uri)).await;
            connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        })
    }
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

/// The host of an address. IPv6 stands in brackets there, and without them everywhere else.
pub(super) fn host_of(uri: &Uri) -> Option<String> {
    let host = uri.host()?;
    Some(host.trim_start_matches('[').trim_end_matches(']').to_owned())
}

/// Settings of TLS towards an upstream. Inside a runtime: a client certificate is looked after.
pub(super) fn tls_config(upstream: &Upstream) -> Result<ClientConfig, UpstreamError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(UpstreamError::Tls)?
        .with_root_certificates(roots(upstream)?);
    let mut config = match (&upstream.client_certificate, &upstream.client_key) {
        (Some(certificate), Some(key)) => {
            let identity = Identity::read(certificate.clone(), key.clone(), provider)?;
            let identity = Arc::new(identity);
            tokio::spawn(Arc::clone(&identity).watch());
            builder.with_client_cert_resolver(identity)
        }
        _ => builder.with_no_client_auth(),
    };
    let alpn: &[&[u8]] = match upstream.protocol {
        UpstreamProtocol::Auto => &[b"h2", b"http/1.1"],
        UpstreamProtocol::Http1 => &[b"http/1.1"],
        UpstreamProtocol::H2 => &[b"h2"],
        UpstreamProtocol::H3 => &[b"h3"],
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

/// The configured authorities, or the system's.
fn roots(upstream: &Upstream) -> Result<RootCertStore, UpstreamError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &upstream.ca {
        for certificate in read_certificates(path)? {
            roots.add(certificate).map_err(UpstreamError::Tls)?;
        }
        return Ok(roots);
    }
    // Some systems list certificates that no longer parse; the others still count.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(UpstreamError::NoRoots { url: upstream.url.clone() });
    }
    Ok(roots)
}

pub(super) fn read_certificates(
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, UpstreamError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| unreadable(path, &error))?;
    if certificates.is_empty() {
        return Err(unreadable(path, &"it holds no certificate"));
    }
    Ok(certificates)
}

pub(super) fn unreadable(path: &Path, reason: &dyn std::fmt::Display) -> UpstreamError {
    UpstreamError::Pem { path: path.to_owned(), reason: reason.to_string() }
}
