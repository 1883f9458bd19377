//! Upstreams over TLS: authorities, ALPN, and certificates of our own.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use edge::fetch::FetchError;
use edge::upstream::Upstreams;
use http::Response;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use platform::config::{Upstream, UpstreamProtocol};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{fast, fetch, upstream};

/// An authority, and a certificate that it gave to 127.0.0.1, as PEM files.
pub(crate) struct Authority {
    dir: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        let authority = Self { dir, issuer };
        authority.give("leaf", 2100);
        authority
    }

    /// Gives a certificate that ends with a year, as NAME.pem and NAME.key.
    pub(crate) fn give(&self, name: &str, year: i32) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        std::fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// For a server with this authority's certificate, which asks for one of `clients`.
    pub(crate) fn server_config(&self, clients: Option<&Self>, alpn: &[&str]) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(clients.roots()), provider)
                    .build()
                    .unwrap(),
            ),
        };
        let chain = vec![CertificateDer::from_pem_file(self.path("leaf.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(self.path("leaf.key")).unwrap();
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("ca.pem")).unwrap()).unwrap();
        roots
    }
}

/// Serves HTTP of both versions; the body is the version.
async fn serve(authority: &Authority, clients: Option<&Authority>, alpn: &[&str]) -> String {
    let config = authority.server_config(clients, alpn);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
                    let body = format!("{:?}", request.version());
                    async { Ok::<_, std::io::Error>(Response::new(Full::new(Bytes::from(body)))) }
                });
                let io = TokioIo::new(stream);
                let _ = if is_h2 {
                    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    builder.serve_connection(io, service).await
                } else {
                    hyper::server::conn::http1::Builder::new().serve_connection(io, service).await
                };
            });
        }
    });
    url
}

async fn ask(upstream: Upstream) -> Result<String, FetchError> {
    let upstreams = Upstreams::start(&fast(), &[upstream]).unwrap();
    let response = fetch(&upstreams, "/vod/a/1.m4s").await?;
    Ok(String::from_utf8(response.into_body()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn alpn_chooses_the_version() {
    let authority = Authority::new();
    let both = serve(&authority, None, &["h2", "http/1.1"]).await;
    let old = serve(&authority, None, &[]).await;
    let with = |url: &str, protocol| Upstream {
        protocol,
        ca: Some(authority.path("ca.pem")),
        ..upstream(url)
    };
    assert_eq!(ask(with(&both, UpstreamProtocol::Auto)).await.unwrap(), "HTTP/2.0");
    assert_eq!(ask(with(&both, UpstreamProtocol::Http1)).await.unwrap(), "HTTP/1.1");
    assert_eq!(ask(with(&both, UpstreamProtocol::H2)).await.unwrap(), "HTTP/2.0");
    assert_eq!(ask(with(&old, UpstreamProtocol::Auto)).await.unwrap(), "HTTP/1.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_not_believed() {
    let (authority, other) = (Authority::new(), Authority::new());
    let url = serve(&authority, None, &["http/1.1"]).await;
    let error = ask(Upstream { ca: Some(other.path("ca.pem")), ..upstream(&url) }).await;
    let error = error.unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_can_ask_for_a_certificate() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let url = serve(&authority, Some(&clients), &["http/1.1"]).await;
    let plain = Upstream { ca: Some(authority.path("ca.pem")), ..upstream(&url) };
    ask(plain.clone()).await.unwrap_err();
    let known = Upstream {
        client_certificate: Some(clients.path("leaf.pem")),
        client_key: Some(clients.path("leaf.key")),
        ..plain.clone()
    };
    assert_eq!(ask(known).await.unwrap(), "HTTP/1.1");
    let stranger = Upstream {
        client_certificate: Some(authority.path("leaf.pem")),
        client_key: Some(authority.path("leaf.key")),
        ..plain
    };
    ask(stranger).await.unwrap_err();
}
