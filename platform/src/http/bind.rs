//! Sockets to listen on, and who is at the other end.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::{TcpListener, TcpSocket, UnixListener};
use tokio::sync::watch;

/// Connections that the kernel holds while we are busy. It caps this at `net.core.somaxconn`.
const BACKLOG: u32 = 4096;

/// What a UDP socket should hold each way: at a gigabit a second, the packets of 30 milliseconds,
/// for which a busy machine may not run us. The kernel caps it at `net.core.rmem_max` and `wmem_max`.
const UDP_BUFFER_BYTES: usize = 4 << 20;

/// A bound socket.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: ListenSocket,
    /// Nothing is accepted before this is true.
    pub(super) begins: Option<watch::Receiver<bool>>,
}

#[derive(Debug)]
pub(super) enum ListenSocket {
    Tcp(TcpListener),
    Unix { listener: UnixListener, file: SocketFile },
}

/// The name of a unix socket, which goes with the listener unless another process listens on.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    is_kept: Arc<AtomicBool>,
}

/// A listening socket for another process, which can listen on when this one stops.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) socket: OwnedFd,
    file_is_kept: Option<Arc<AtomicBool>>,
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
        Ok(Self::new(ListenSocket::Tcp(socket.listen(BACKLOG)?)))
    }

    fn new(socket: ListenSocket) -> Self {
        Self { socket, begins: None }
    }

    /// A TCP socket that another process bound and listened on.
    ///
    /// # Errors
    /// When it is no such socket.
    pub fn tcp_handed_over(socket: OwnedFd) -> io::Result<Self> {
        let listener = std::net::TcpListener::from(socket);
        listener.set_nonblocking(true)?;
        Ok(Self::new(ListenSocket::Tcp(TcpListener::from_std(listener)?)))
    }

    /// As [`Self::tcp_handed_over`], for the socket that [`Self::unix`] bound at `path`.
    ///
    /// # Errors
    /// When it is no such socket.
    pub fn unix_handed_over(socket: OwnedFd, path: &Path) -> io::Result<Self> {
        let listener = std::os::unix::net::UnixListener::from(socket);
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        Ok(Self::new(ListenSocket::Unix { listener, file: SocketFile::new(path) }))
    }

    /// Leaves connections in the kernel's queue until `begins` is true.
    #[must_use]
    pub fn not_before(mut self, begins: watch::Receiver<bool>) -> Self {
        self.begins = Some(begins);
        self
    }

    pub(super) fn spare(&self) -> io::Result<Spare> {
        let (socket, file_is_kept) = match &self.socket {
            ListenSocket::Tcp(listener) => (listener.as_fd(), None),
            ListenSocket::Unix { listener, file } => {
                (listener.as_fd(), Some(Arc::clone(&file.is_kept)))
            }
        };
        Ok(Spare { socket: socket.try_clone_to_owned()?, file_is_kept })
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
        Ok(Self::new(ListenSocket::Unix { listener, file: SocketFile::new(path) }))
    }

    /// The address that was bound, for TCP.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match &self.socket {
            ListenSocket::Tcp(listener) => listener.local_addr().ok(),
            ListenSocket::Unix { .. } => None,
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

impl Spare {
    /// Another process listens on: the file stays.
    pub(super) fn keep_file(&self) {
        if let Some(is_kept) = &self.file_is_kept {
            is_kept.store(true, Ordering::Relaxed);
        }
    }
}

impl SocketFile {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), is_kept: Arc::default() }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !self.is_kept.load(Ordering::Relaxed) {
            // A file that remains is replaced by the next listener.
            let _ = std::fs::remove_file(&self.path);
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
