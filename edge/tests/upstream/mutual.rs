//! Mutual TLS between edges and the listeners of an origin, over all three versions of HTTP.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use edge::fetch::FetchError;
use edge::http3;
use edge::upstream::Upstreams;
use http::{Request, Response};
use http_body_util::Full;
use platform::config::{ClientAuth, TlsCertificate, Upstream, UpstreamProtocol};
use platform::http::{Connection, HttpLimits, Listener, Server, bind_udp, serve_tls};
use platform::tls::Tls;
use tokio::sync::watch;

use crate::tls::Authority;
use crate::{fast, fetch, upstream};

const PROTOCOLS: [(UpstreamProtocol, &str); 3] = [
    (UpstreamProtocol::Http1, "HTTP/1.1 true"),
    (UpstreamProtocol::H2, "HTTP/2.0 true"),
    (UpstreamProtocol::H3, "HTTP/3.0 true"),
];

/// An origin that asks for a certificate.
struct Origin {
    tls: Tls,
    address: SocketAddr,
    _over_tcp: Server,
    _over_quic: http3::Server,
}

/// The version, and whether the client showed a certificate.
async fn answer<B>(request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    let connection = request.extensions().get::<Connection>().unwrap();
    let body = format!("{:?} {}", request.version(), connection.is_certified);
    Ok(Response::new(Full::from(body)))
}

fn start(authority: &Authority, client_auth: ClientAuth) -> Origin {
    let certificate =
        TlsCertificate { chain: authority.path("leaf.pem"), key: authority.path("leaf.key") };
    let config = platform::config::Tls {
        client_auth,
        client_ca: Some(authority.path("clients.pem")),
        certificate: vec![certificate],
        ..Default::default()
    };
    let tls = Tls::open(&config, &authority.path("")).unwrap();
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_address().unwrap();
    let (_, limits) = watch::channel(HttpLimits::default());
    let service = tower::service_fn(answer);
    let over_tcp = serve_tls(listener, tls.over_tcp(), "test", limits.clone(), service);
    let socket = bind_udp(address).unwrap();
    let service = tower::service_fn(answer);
    let over_quic = http3::serve(socket, None, tls.over_quic(), "test", limits, service).unwrap();
    Origin { tls, address, _over_tcp: over_tcp, _over_quic: over_quic }
}

/// Asks as an edge with the certificate `shown` by an authority, or with none.
async fn ask(
    origin: &Origin,
    authority: &Authority,
    protocol: UpstreamProtocol,
    shown: Option<(&Authority, &str)>,
) -> Result<String, FetchError> {
    let file = |end: &str| shown.map(|(by, name)| by.path(&format!("{name}.{end}")));
    let upstream = Upstream {
        protocol,
        ca: Some(authority.path("ca.pem")),
        client_certificate: file("pem"),
        client_key: file("key"),
        ..upstream(&format!("https://{}", origin.address))
    };
    let upstreams = Upstreams::start(&fast(), &[upstream]).unwrap();
    let response = fetch(&upstreams, "/vod/a/1.m4s").await?;
    Ok(String::from_utf8(response.into_body()).unwrap())
}

/// The authority `clients` vouches for the clients of `authority`'s server from now on.
fn trust(authority: &Authority, clients: &Authority) {
    std::fs::copy(clients.path("ca.pem"), authority.path("clients.pem")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_edges_with_a_good_certificate_get_in() {
    let (authority, clients, other) = (Authority::new(), Authority::new(), Authority::new());
    trust(&authority, &clients);
    clients.give("expired", 2020);
    let origin = start(&authority, ClientAuth::Require);
    for (protocol, expected) in PROTOCOLS {
        let right = Some((&clients, "leaf"));
        assert_eq!(ask(&origin, &authority, protocol, right).await.unwrap(), expected);
        // The second is vouched for by the authority of the server, and not by that of clients.
        for shown in
            [None, Some((&authority, "leaf")), Some((&other, "leaf")), Some((&clients, "expired"))]
        {
            let name = shown.map(|(_, name)| name);
            let error = ask(&origin, &authority, protocol, shown).await.expect_err(expected);
            let is_shut_out = matches!(error, FetchError::Unreachable { .. });
            assert!(is_shut_out, "{expected} {name:?}: {error}");
        }
    }
}

/// Whoever is let in by a new authority is let in without a restart, and whoever isn't any more is
/// not, sessions or no sessions. A bad file changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_authority_can_be_replaced() {
    let (authority, old, new) = (Authority::new(), Authority::new(), Authority::new());
    trust(&authority, &old);
    let origin = start(&authority, ClientAuth::Require);
    let (by_old, by_new) = (Some((&old, "leaf")), Some((&new, "leaf")));
    for (protocol, _) in PROTOCOLS {
        ask(&origin, &authority, protocol, by_old).await.unwrap();
        ask(&origin, &authority, protocol, by_new).await.unwrap_err();
    }
    std::fs::write(authority.path("clients.pem"), "nobody").unwrap();
    origin.tls.reload_if_changed().unwrap_err();
    ask(&origin, &authority, UpstreamProtocol::Http1, by_old).await.unwrap();
    trust(&authority, &new);
    assert!(origin.tls.reload_if_changed().unwrap());
    for (protocol, expected) in PROTOCOLS {
        ask(&origin, &authority, protocol, by_old).await.expect_err(expected);
        assert_eq!(ask(&origin, &authority, protocol, by_new).await.unwrap(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_where_it_is_off() {
    let (authority, clients) = (Authority::new(), Authority::new());
    trust(&authority, &clients);
    let origin = start(&authority, ClientAuth::Off);
    for (protocol, _) in PROTOCOLS {
        let answer = ask(&origin, &authority, protocol, Some((&clients, "leaf"))).await.unwrap();
        assert!(answer.ends_with("false"), "{answer}");
    }
}
