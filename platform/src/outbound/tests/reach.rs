//! Where a stranger's address may lead, whatever name servers say; and TLS.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::server::{Answer, Server, ok, raw};
use super::*;

/// Name servers that change their mind: one answer after the other, the last for ever.
struct Fickle(Mutex<VecDeque<Vec<IpAddr>>>);

impl Fickle {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        Arc::new(Self(Mutex::new(answers.iter().map(parse).collect())))
    }
}

impl Resolve for Fickle {
    fn resolve<'a>(&'a self, _: &'a str) -> Addresses<'a> {
        let mut answers = self.0.lock().unwrap();
        let answer = match answers.len() {
            1 => answers[0].clone(),
            _ => answers.pop_front().unwrap_or_default(),
        };
        Box::pin(async move { Ok(answer) })
    }
}

/// Calls for strangers may reach 127.0.0.2 alone.
fn strangers(resolver: Arc<Fickle>) -> Peer {
    let config = config::Outbound {
        allowed_networks: vec!["127.0.0.2".parse().unwrap()],
        allow_http: true,
        ..config::Outbound::default()
    };
    let outbound = Outbound::with_resolver(&config, resolver).unwrap();
    outbound.peer("strangers", Reach::Public, |settings| {
        settings.redirects = Redirects::SameScheme { hops_max: 3 };
        settings.breaker = None;
    })
}

async fn outcome(peer: &Peer, uri: &str) -> String {
    match peer.send(Call::get(uri.parse().unwrap())).await {
        Ok(reply) => String::from_utf8_lossy(&reply.body).into_owned(),
        Err(error) => error.outcome().to_owned(),
    }
}

#[tokio::test]
async fn addresses_inside_are_not_called() {
    let mut server = Server::start(|_| ok("inside")).await;
    let port = server.address.port();
    let peer = strangers(Fickle::new(&[&["127.0.0.1"]]));
    for host in [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "0.0.0.0",
        "169.254.169.254",
        "name.example",
        "2130706433",
        "0x7f.1",
        "localhost",
    ] {
        assert_eq!(outcome(&peer, &format!("http://{host}:{port}/")).await, "forbidden", "{host}");
    }
    for url in ["http://name.example:22/", "http://u:p@name.example/", "http://name.example:6379x/"]
    {
        let Ok(uri) = url.parse::<Uri>() else { continue };
        assert_eq!(peer.send(Call::get(uri)).await.unwrap_err().outcome(), "bad_url", "{url}");
    }
    assert!(server.requests().is_empty());
    assert_eq!(server.connections.load(std::sync::atomic::Ordering::SeqCst), 0);
}

/// The system's own resolver reads numbers as addresses of old; they are judged all the same.
#[tokio::test]
async fn numbers_are_addresses() {
    let server = Server::start(|_| ok("inside")).await;
    let outbound = Outbound::new(&config::Outbound { allow_http: true, ..Default::default() });
    let peer =
        outbound.unwrap().peer("strangers", Reach::Public, |settings| settings.retries_max = 0);
    for host in ["2130706433", "0x7f000001", "017700000001", "127.1", "localhost"] {
        let uri = format!("http://{host}:{}/", server.address.port());
        let word = outcome(&peer, &uri).await;
        assert!(matches!(&*word, "forbidden" | "unreachable"), "{host}: {word}");
    }
    assert_eq!(server.connections.load(std::sync::atomic::Ordering::SeqCst), 0);
}

/// DNS rebinding: the address that was judged is the one that is called, and the next connection is
/// judged anew.
#[tokio::test]
async fn a_name_that_moves_inside_is_not_followed() {
    let close = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 7\r\n\r\noutside";
    let mut outside = Server::start_at("127.0.0.2:0", move |_| raw(close)).await;
    let port = outside.address.port();
    let mut inside = Server::start_at(&format!("127.0.0.1:{port}"), |_| ok("inside")).await;
    let peer = strangers(Fickle::new(&[&["127.0.0.2"], &["127.0.0.1"]]));
    let url = format!("http://rebind.example:{port}/");
    assert_eq!(outcome(&peer, &url).await, "outside");
    for _ in 0..3 {
        assert_eq!(outcome(&peer, &url).await, "forbidden");
    }
    assert_eq!((outside.requests().len(), inside.requests().len()), (1, 0));

    // One answer that leads both ways is refused as a whole, in either order.
    for mixed in [["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "::1"]] {
        let peer = strangers(Fickle::new(&[&mixed]));
        assert_eq!(outcome(&peer, &url).await, "forbidden");
    }
    assert!(outside.requests().is_empty() && inside.requests().is_empty());
    let peer = strangers(Fickle::new(&[&[]]));
    assert_eq!(outcome(&peer, &url).await, "unreachable");
}

#[tokio::test]
async fn a_redirect_leads_no_further_than_an_address() {
    let inside = Server::start(|_| ok("inside")).await;
    for to in [
        inside.uri("/").to_string(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://[::ffff:127.0.0.1]/".to_owned(),
        "http://user:pass@name.example/".to_owned(),
        "https://name.example/".to_owned(),
        "http://name.example:25/".to_owned(),
    ] {
        let location = format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
        let outside = Server::start_at("127.0.0.2:0", move |_| raw(&location)).await;
        let peer = strangers(Fickle::new(&[&["127.0.0.2"], &["127.0.0.1"]]));
        let word =
            outcome(&peer, &format!("http://name.example:{}/", outside.address.port())).await;
        assert!(matches!(&*word, "forbidden" | "redirect" | "bad_url"), "{to}: {word}");
    }
    assert_eq!(inside.connections.load(std::sync::atomic::Ordering::SeqCst), 0);
}

/// A server with a certificate of its own authority for `name.example`; answers the version it spoke.
async fn tls_server(protocols: &[&[u8]]) -> (u16, PathBuf, tempfile::TempDir) {
    let made = rcgen::generate_simple_self_signed(vec!["name.example".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut settings = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    settings.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(settings));
    let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let answer = service_fn(|request: Request<hyper::body::Incoming>| async move {
                    let said = format!("{:?} {}", request.version(), request.uri().path());
                    Ok::<_, Infallible>(Response::new(Full::new(bytes::Bytes::from(said))))
                });
                let server = auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    (port, ca, folder)
}

#[tokio::test]
async fn tls_speaks_what_is_agreed_and_checks_names() {
    for (protocols, version) in [(&[&b"h2"[..]][..], "HTTP/2.0"), (&[b"http/1.1"], "HTTP/1.1")] {
        let (port, ca, _folder) = tls_server(protocols).await;
        let config = |ca| config::Outbound {
            ca,
            allowed_networks: vec!["127.0.0.2".parse().unwrap()],
            ..config::Outbound::default()
        };
        let resolver = Fickle::new(&[&["127.0.0.2"]]);
        let call = async |ca, host| {
            let outbound = Outbound::with_resolver(&config(ca), resolver.clone()).unwrap();
            let peer = outbound.peer("strangers", Reach::Public, |rule| rule.retries_max = 0);
            outcome(&peer, &format!("https://{host}:{port}/path")).await
        };
        assert_eq!(call(Some(ca.clone()), "name.example").await, format!("{version} /path"));
        assert_eq!(call(Some(ca), "other.example").await, "unreachable");
        assert_eq!(call(None, "name.example").await, "unreachable");
    }
}

#[tokio::test]
async fn http_has_to_be_allowed() {
    let peer = outbound().peer("strangers", Reach::Public, |_| {});
    assert_eq!(outcome(&peer, "http://name.example/").await, "bad_url");
    let stalled = Server::start_at("127.0.0.2:0", |_| Answer::Stall(Vec::new())).await;
    assert_eq!(
        outcome(&peer, &format!("https://127.0.0.2:{}/", stalled.address.port())).await,
        "forbidden"
    );
}
