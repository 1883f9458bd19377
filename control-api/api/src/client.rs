//! Where a request comes from.

use std::net::IpAddr;

/// The client's address as far as trusted proxies can be believed, put into the request's
/// extensions by the gateway. None when the connection doesn't tell one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ClientAddress(pub Option<IpAddr>);
