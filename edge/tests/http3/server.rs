//! The server under test, with a service that answers what a test needs.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use edge::http3::{self, Http3Request, QuicPath};
use http::{Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use platform::config;
use platform::http::{Connection, EarlyData, HttpLimits, bind_udp, read_content};
use platform::tls::Tls;
use tokio::sync::watch;

/// Body of `/large`: more than all buffers between server and client hold.
pub(crate) const LARGE_BYTES: usize = 32 << 20;

/// How often `/once` was asked for.
pub(crate) static ONCE: AtomicUsize = AtomicUsize::new(0);

/// A running server and what its clients need.
pub(crate) struct Running {
    pub(crate) server: http3::Server,
    pub(crate) tls: Tls,
    pub(crate) _data: tempfile::TempDir,
}

pub(crate) fn short_limits() -> HttpLimits {
    HttpLimits {
        connections: 64,
        header_bytes: 4_096,
        header_timeout: Duration::from_millis(400),
        keep_alive: Duration::from_secs(10),
        request_timeout: Duration::from_millis(500),
        write_stall: Duration::from_millis(600),
        ..HttpLimits::default()
    }
}

pub(crate) fn start(limits: HttpLimits) -> Running {
    start_with(limits, &config::Tls::default())
}

pub(crate) fn start_with(limits: HttpLimits, tls: &config::Tls) -> Running {
    let data = tempfile::tempdir().unwrap();
    let tls = Tls::open(tls, data.path()).unwrap();
    let socket = bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
    let (_, limits) = watch::channel(limits);
    let service = tower::service_fn(answer);
    let server = http3::serve(socket, None, tls.over_quic(), "test", limits, service).unwrap();
    Running { server, tls, _data: data }
}

/// Body of `/counted`: no two pieces of it are alike.
pub(crate) fn counted() -> Bytes {
    (0..1_u32 << 19).flat_map(u32::to_be_bytes).collect()
}

async fn answer(
    request: Http3Request,
) -> Result<Response<BoxBody<Bytes, Infallible>>, &'static str> {
    let body = match request.uri().path() {
        "/large" => Full::new(Bytes::from_static(&[7; LARGE_BYTES])).boxed(),
        "/once" => {
            let times = ONCE.fetch_add(1, Ordering::SeqCst) + 1;
            Full::from(times.to_string()).boxed()
        }
        "/counted" => Full::new(counted()).boxed(),
        "/early" => {
            Full::from(request.extensions().get::<EarlyData>().is_some().to_string()).boxed()
        }
        "/echo" => match read_content(request, &short_limits()).await {
            Ok(request) => Full::new(request.into_body()).boxed(),
            Err(error) => {
                let mut answer = Response::new(Full::from(error.to_string()).boxed());
                *answer.status_mut() = error.status();
                return Ok(answer);
            }
        },
        "/never" => std::future::pending().await,
        "/slow" => {
            tokio::time::sleep(Duration::from_millis(200)).await;
            Full::from("slow").boxed()
        }
        "/path" => {
            let path = request.extensions().get::<QuicPath>().unwrap().measure();
            Full::from(format!("{} {}", path.round_trip_micros, path.window_bytes)).boxed()
        }
        "/broken" => return Err("broken on purpose"),
        "/none" => {
            let mut answer = Response::new(Full::default().boxed());
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
            return Ok(answer);
        }
        path => {
            let connection = request.extensions().get::<Connection>().unwrap();
            assert!(connection.is_encrypted);
            let authority = request.uri().authority().unwrap();
            Full::from(format!("{} {path} {authority}", request.method())).boxed()
        }
    };
    Ok(Response::new(body))
}

impl Running {
    /// Settings of a client that trusts this server's certificate alone.
    pub(crate) fn client_tls(&self) -> rustls::ClientConfig {
        self.client_tls_by(rustls::crypto::aws_lc_rs::default_provider())
    }

    /// As [`Self::client_tls`], with other key exchanges.
    pub(crate) fn client_tls_by(
        &self,
        provider: rustls::crypto::CryptoProvider,
    ) -> rustls::ClientConfig {
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject;

        let chain = &self.tls.certificates()[0].chain;
        let certificate = CertificateDer::from_pem_file(chain).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).unwrap();
        let mut client = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"h3".to_vec()];
        client
    }
}
