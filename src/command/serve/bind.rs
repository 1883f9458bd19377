//! New listening sockets, where the process before this one gave none.

use std::net::{SocketAddr, UdpSocket};

use anyhow::{Context, bail};
use platform::config::Listen;
use platform::http::{Listener, bind_udp};

use super::handover::Sockets;

/// Free ports that are tried, when any will do: one may be taken over UDP and free over TCP.
const PORT_TRIES: u32 = 32;

/// A TCP and a UDP socket on one port.
pub(super) fn bind_both(address: SocketAddr) -> anyhow::Result<(Listener, UdpSocket)> {
    let listen = Listen::Address(address);
    for _ in 1..PORT_TRIES {
        let (listener, socket) = match bind_pair(listen)? {
            (listener, Err(_)) if address.port() == 0 => {
                drop(listener);
                continue;
            }
            (listener, socket) => (listener, socket),
        };
        let socket = socket.with_context(|| {
            format!("HTTP/3 needs UDP port {}; stop what has it, or set `media.https` to another address", address.port())
        })?;
        return Ok((listener, socket));
    }
    bail!("no port is free over both TCP and UDP; set `media.https` to a port")
}

fn bind_pair(listen: Listen) -> anyhow::Result<(Listener, std::io::Result<UdpSocket>)> {
    let address = listen.address().context("an address was given")?;
    let listener = bind_new("media.https", address)?;
    let local = listener.local_address().context("TCP has an address")?;
    Ok((listener, bind_udp(local)))
}

/// The socket of the process before this one, or a new one.
pub(super) fn bind(
    sockets: &mut Sockets,
    name: &str,
    key: &str,
    listen: Listen,
) -> anyhow::Result<Option<Listener>> {
    let listener = |address| sockets.tcp(name, address, || bind_new(key, address));
    listen.address().map(listener).transpose()
}

fn bind_new(key: &str, address: SocketAddr) -> anyhow::Result<Listener> {
    Listener::tcp(address).with_context(|| {
        format!(
            "cannot listen on {address}; stop what listens there, or set `{key}` to another \
                 address or to \"off\""
        )
    })
}
