//! What systemd is told of this service (sd_notify(3)): a datagram to `$NOTIFY_SOCKET`.
//!
//! Without that variable nothing happens, so that it works the same under any other supervisor.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// All listeners are up.
pub fn ready() {
    notify("READY=1");
}

/// The process ends in good order.
pub fn stopping() {
    notify("STOPPING=1");
}

/// Another process is the service from now on. Told by the one that was, which alone is heard
/// with `NotifyAccess=main`.
pub fn replaced_by(process_id: i32) {
    notify(&format!("MAINPID={process_id}\nREADY=1"));
}

fn notify(text: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
        return;
    };
    if let Err(error) = send(&name, text) {
        tracing::warn!(%error, "systemd could not be told");
    }
}

fn send(name: &OsStr, text: &str) -> io::Result<()> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        name => SocketAddr::from_pathname(OsStr::from_bytes(name))?,
    };
    UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_names_are_reached() {
        let path = std::env::temp_dir().join(format!("notify-{}", std::process::id()));
        let listener = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), "READY=1").unwrap();
        let mut buffer = [0; 64];
        let read = listener.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..read], b"READY=1");
        std::fs::remove_file(&path).unwrap();

        let name = format!("streamverse-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        send(OsStr::new(&format!("@{name}")), "STOPPING=1").unwrap();
        let read = listener.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..read], b"STOPPING=1");
        assert!(send(OsStr::new("/nowhere/notify"), "READY=1").is_err());
    }
}
