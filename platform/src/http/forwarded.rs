//! Who a request comes from, behind proxies that we trust.

use std::net::IpAddr;

use http::HeaderMap;

use super::Peer;
use crate::config::IpPrefix;

/// Entries of `X-Forwarded-For` that are looked at, from the nearest proxy outwards.
const HOPS_MAX: usize = 16;

/// The client's address: the peer's, or where trusted proxies stand between, the nearest one in
/// `X-Forwarded-For` that is none of them.
///
/// Each proxy appends the address it saw, so that the list is believed from its end and only as
/// far as trusted addresses go. What a client wrote itself lies beyond them. `None` for a peer on
/// a local socket without a believable entry.
pub fn client_address(peer: Peer, headers: &HeaderMap, trusted: &[IpPrefix]) -> Option<IpAddr> {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.ip();
    if client.is_some_and(|address| !is_trusted(address)) {
        return client;
    }
    let entries = headers.get_all("x-forwarded-for").iter().rev();
    let hops = entries.flat_map(|value| value.to_str().unwrap_or("?").rsplit(','));
    for hop in hops.take(HOPS_MAX) {
        // Behind an unreadable entry nothing can be believed.
        let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
        client = Some(address.to_canonical());
        if !is_trusted(address) {
            break;
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(peer: &str, forwarded: &[&str], client: &str) {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let peer = Peer::Tcp(std::net::SocketAddr::new(peer.parse().unwrap(), 1));
        assert_eq!(client_address(peer, &headers, &trusted), Some(client.parse().unwrap()));
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        check("203.0.113.1", &["198.51.100.1"], "203.0.113.1");
        check("10.0.0.1", &[], "10.0.0.1");
        check("10.0.0.1", &["198.51.100.1"], "198.51.100.1");
        check("::1", &["6.6.6.6, 198.51.100.1, 10.2.2.2"], "198.51.100.1");
        check("10.0.0.1", &["6.6.6.6, 198.51.100.1", "10.2.2.2"], "198.51.100.1");
        check("10.0.0.1", &["198.51.100.1, nonsense, 10.2.2.2"], "10.2.2.2");
        check("10.0.0.1", &["10.3.3.3"], "10.3.3.3");
        check("10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1");
    }
}
