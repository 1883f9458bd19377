//! Sockets to listen on, and who is at the other end.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpSocket, UnixListener};

/// Connections that the kernel holds while we are busy. It caps this at `net.core.somaxconn`.
const BACKLOG: u32 = 4096;

/// What a UDP socket should hold each way: at a gigabit a second, the packets of 30 milliseconds,
/// for which a busy machine may not run us. The kernel caps it at `net.core.rmem_max` and `wmem_max`.
const UDP_BUFFER_BYTES: usize = 4 << 20;

/// A bound socket.
#[derive(Debug)]
pub enum Listener {
    Tcp(TcpListener),
    Unix { listener: UnixListener, path: PathBuf },
}

/// Who opened a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Peer {
    Tcp(SocketAddr),
    /// Over QUIC.
    Udp(SocketAddr),
    /// A process on this machine that may open the socket's file.
    Unix,
}

impl Listener {
    /// Binds to `address`; port 0 picks a free one. Needs a tokio runtime.
    pub fn tcp(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address).map_err(|error| name_cause(&address.to_string(), &error))?;
        socket.listen(BACKLOG).map(Self::Tcp)
    }

    /// Binds a socket at `path` that only this user may open, over any file that lies there.
    ///
    /// The socket gets its mode under another name, so that it never stands at `path` open to
    /// others. The caller makes sure that no other process listens there ([`crate::DataDir`]).
    pub fn unix(path: &Path) -> io::Result<Self> {
        let unfinished = path.with_extension("unfinished");
        remove_if_there(&unfinished)?;
        let listener = UnixListener::bind(&unfinished)
            .map_err(|error| name_cause(&path.display().to_string(), &error))?;
        std::fs::set_permissions(&unfinished, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&unfinished, path)?;
        Ok(Self::Unix { listener, path: path.to_owned() })
    }

    /// The address that was bound, for TCP.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix { .. } => None,
        }
    }
}

/// Binds a UDP socket for QUIC to `address`, with large buffers as far as the kernel allows.
///
/// # Errors
/// When the address is taken or not ours, naming cause and cure.
pub fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)
        .map_err(|error| name_cause(&format!("{address} (UDP)"), &error))?;
    // Less is slower, not wrong; `doctor` tells of it.
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, UDP_BUFFER_BYTES);
    let _ = rustix::net::sockopt::set_socket_send_buffer_size(&socket, UDP_BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    Ok(socket)
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix { path, .. } = self {
            // A file that remains is replaced by the next listener.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Peer {
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) | Self::Udp(address) => Some(address.ip()),
            Self::Unix => None,
        }
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn name_cause(place: &str, error: &io::Error) -> io::Error {
    let cure = match error.kind() {
        io::ErrorKind::AddrInUse => "another process listens there; stop it or choose another port",
        io::ErrorKind::AddrNotAvailable => "no interface of this machine has that address",
        io::ErrorKind::PermissionDenied => "ports below 1024 and foreign folders need privileges",
        _ => "check the address",
    };
    io::Error::new(error.kind(), format!("cannot listen on {place}: {error} ({cure})"))
}
