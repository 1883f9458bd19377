//! Requests that may be replays: early data (RFC 8446 2.3, RFC 8470).

use http::{HeaderName, Request};

use super::Connection;
use crate::config::IpPrefix;

/// By which a proxy says that a request came to it as early data (RFC 8470 5.1).
pub const EARLY_DATA: HeaderName = HeaderName::from_static("early-data");

/// Marks a request that was read before the handshake of its connection was done: whoever recorded
/// it may have sent it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EarlyData;

/// Whether a request came as early data, to this server or to a trusted proxy that says so. The
/// field means that whatever its value is.
pub fn came_early<B>(request: &Request<B>, trusted_proxies: &[IpPrefix]) -> bool {
    let extensions = request.extensions();
    let address = extensions.get::<Connection>().and_then(|connection| connection.peer.ip());
    let is_trusted =
        address.is_some_and(|ip| trusted_proxies.iter().any(|network| network.contains(ip)));
    let is_said = is_trusted && request.headers().contains_key(EARLY_DATA);
    is_said || extensions.get::<EarlyData>().is_some()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::http::Peer;

    #[test]
    fn trusted_proxies_are_believed_and_nobody_else() {
        let trusted: Vec<IpPrefix> = vec!["10.0.0.0/8".parse().unwrap()];
        let request = |peer: &str, value: Option<&str>| {
            let mut request = Request::new(());
            if let Some(value) = value {
                request.headers_mut().insert(EARLY_DATA, value.parse().unwrap());
            }
            request.extensions_mut().insert(Connection {
                peer: Peer::Tcp(SocketAddr::new(peer.parse().unwrap(), 1)),
                listener: "test",
                number: 1,
                is_encrypted: true,
                is_certified: false,
            });
            request
        };
        assert!(came_early(&request("10.1.2.3", Some("1")), &trusted));
        assert!(came_early(&request("10.1.2.3", Some("0")), &trusted));
        assert!(!came_early(&request("10.1.2.3", None), &trusted));
        assert!(!came_early(&request("192.0.2.1", Some("1")), &trusted));
        let mut own = request("192.0.2.1", None);
        own.extensions_mut().insert(EarlyData);
        assert!(came_early(&own, &trusted));
    }
}
