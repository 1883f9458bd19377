//! Both sides of a restart that no viewer notices: [`claim`] asks the server that runs, and
//! [`give`] hands over to the one that asks.
//!
//! While a hand-over is under way this process writes nothing to the data directory, and serves as
//! ever. If the other one fails, it goes on with both.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use edge::http3::{Elder, HandshakesUnderWay, Inherited, Lineage};
use platform::config::Config;
use platform::handover::{Claim, Go, HandoverError, Heir, ask};
use platform::http::Listener;
use platform::url_token::Revocations;
use platform::{DataDir, DataDirError};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::listen::Listeners;
use crate::backend::Backend;
use crate::clock;
use crate::feed::Feed;
use crate::ownership::Ownership;

/// How long the other process may take to open everything.
const READY_MAX: Duration = Duration::from_secs(60);
/// How long an ingest may hold up a hand-over, and how often the other process hears of it.
const WORK_MAX: Duration = Duration::from_secs(600);
const WORK_NEWS: Duration = Duration::from_secs(5);

/// Names of descriptors. Those of listeners are the names of the ready line.
const LOCK: &str = "lock";
const QUIC: &str = "quic";
const ADMIN: &str = "admin";
/// Followed by a generation.
const PACKETS: &str = "packets ";

/// What goes with the descriptors.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Estate {
    /// What connection ids are made of; with the socket named [`QUIC`].
    lineage: Option<Lineage>,
}

/// What is known only when this process has stopped reading.
#[derive(Debug, Default, Deserialize, Serialize)]
struct LastWord {
    handshakes: Vec<HandshakesUnderWay>,
}

/// The data directory, and with `take_over` what a server that runs on it gave away.
///
/// # Errors
/// When another process owns the directory and doesn't give it up.
pub(super) fn own(config: &Config, take_over: bool) -> anyhow::Result<(DataDir, Option<Claim>)> {
    let path = &config.data.dir;
    let owned = match DataDir::open(path) {
        Err(error @ DataDirError::Owned { .. }) if take_over => error,
        outcome => return Ok((outcome?, None)),
    };
    let wait = |reason: &str| tracing::info!(reason, "the running server asks to wait");
    match ask(&path.canonicalize()?, wait) {
        Ok(mut claim) => {
            let lock = claim.take(LOCK).context("the running server gave no lock")?;
            Ok((DataDir::take_over(path, lock, claim.link()?)?, Some(claim)))
        }
        // It ended in the meantime: then nobody owns the directory.
        Err(error @ (HandoverError::Gone | HandoverError::Unreachable { .. })) => {
            match DataDir::open(path) {
                Ok(data) => Ok((data, None)),
                Err(_) => Err(anyhow::Error::new(error).context(owned.to_string())),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Where listening sockets come from: the process before this one, or the kernel.
pub(super) struct Sockets {
    handed: HashMap<String, OwnedFd>,
    lineage: Option<Lineage>,
    elders: Vec<Elder>,
    /// Nothing is accepted before it is this process's turn.
    begins: Option<watch::Receiver<bool>>,
}

impl Sockets {
    /// All that `claim` has, by the names of listeners; and what begins them.
    pub(super) fn new(claim: Option<&mut Claim>) -> anyhow::Result<(Self, watch::Sender<bool>)> {
        let (begin, begins) = watch::channel(false);
        let mut sockets =
            Self { handed: HashMap::new(), lineage: None, elders: Vec::new(), begins: None };
        if let Some(claim) = claim {
            let estate: Estate = serde_json::from_value(claim.state.take())
                .context("the running server hands over in an unknown way")?;
            sockets.lineage = estate.lineage;
            sockets.begins = Some(begins);
            for (name, socket) in claim.take_all() {
                match name.strip_prefix(PACKETS).map(str::parse) {
                    None => drop(sockets.handed.insert(name, socket)),
                    Some(generation) => {
                        let generation = generation.context("a generation is a number")?;
                        sockets.elders.push(Elder { generation, packets: socket });
                    }
                }
            }
        }
        Ok((sockets, begin))
    }

    /// The socket of that name, if it listens where the configuration wants it, or a new one.
    pub(super) fn tcp(
        &mut self,
        name: &str,
        address: SocketAddr,
        bind: impl FnOnce() -> anyhow::Result<Listener>,
    ) -> anyhow::Result<Listener> {
        let handed = self.handed.remove(name).map(Listener::tcp_handed_over).transpose()?;
        let handed = handed.filter(|listener| fits(listener.local_address(), address));
        let listener = handed.map_or_else(bind, Ok)?;
        Ok(self.in_turn(listener))
    }

    /// Both sockets of https.
    pub(super) fn https(
        &mut self,
        address: SocketAddr,
        bind: impl FnOnce() -> anyhow::Result<(Listener, UdpSocket)>,
    ) -> anyhow::Result<(Listener, UdpSocket, Option<Inherited>)> {
        if let (Some(tcp), Some(udp)) =
            (self.handed.remove("media_https"), self.handed.remove(QUIC))
        {
            let (listener, socket) = (Listener::tcp_handed_over(tcp)?, UdpSocket::from(udp));
            socket.set_nonblocking(true)?;
            let is_wanted =
                fits(listener.local_address(), address) && fits(socket.local_addr().ok(), address);
            if let Some(lineage) = self.lineage.take().filter(|_| is_wanted) {
                let elders = std::mem::take(&mut self.elders);
                let inherited = Inherited { lineage, elders };
                return Ok((self.in_turn(listener), socket, Some(inherited)));
            }
        }
        let (listener, socket) = bind()?;
        Ok((self.in_turn(listener), socket, None))
    }

    pub(super) fn admin(&mut self, path: &Path) -> std::io::Result<Listener> {
        let listener = match self.handed.remove(ADMIN) {
            Some(socket) => Listener::unix_handed_over(socket, path),
            None => Listener::unix(path),
        };
        Ok(self.in_turn(listener?))
    }

    fn in_turn(&self, listener: Listener) -> Listener {
        match &self.begins {
            Some(begins) => listener.not_before(begins.clone()),
            None => listener,
        }
    }
}

/// Whether a socket listens where it should. Port 0 is any.
fn fits(listens: Option<SocketAddr>, wanted: SocketAddr) -> bool {
    listens.is_some_and(|listens| {
        listens.ip() == wanted.ip() && (wanted.port() == 0 || listens.port() == wanted.port())
    })
}

/// Says that everything is open, and serves when it is this process's turn.
///
/// # Errors
/// When the server that runs doesn't let go.
pub(super) async fn take_turn(
    claim: Claim,
    listeners: &Listeners,
    begin: &watch::Sender<bool>,
) -> anyhow::Result<()> {
    let word = match tokio::task::spawn_blocking(move || claim.ready()).await?? {
        Go::Told(state) => serde_json::from_value(state).unwrap_or_default(),
        Go::Alone => {
            tracing::warn!("the server before this one died; going on without its connections");
            LastWord::default()
        }
    };
    if let Some(quic) = &listeners.quic {
        quic.begin(&word.handshakes);
    }
    begin.send_replace(true);
    Ok(())
}

/// What a process that serves may have to give.
pub(super) struct Given<'a> {
    pub(super) data: &'a DataDir,
    pub(super) backend: &'a Backend,
    pub(super) listeners: &'a Listeners,
    pub(super) ownership: &'a Ownership,
    pub(super) revocations: &'a Revocations,
    pub(super) feed: &'a Feed,
}

/// Hands over to `heir`; gives its process id. From then on this process has to end.
///
/// # Errors
/// When the other one fails: then nothing has changed.
pub(super) async fn give(given: &Given<'_>, mut heir: Heir) -> Result<Option<i32>, HandoverError> {
    let process_id = heir.process_id();
    tracing::info!(process_id, "a process wants to take over");
    let frozen = {
        let mut freezing = std::pin::pin!(given.ownership.freeze());
        let deadline = tokio::time::Instant::now() + WORK_MAX;
        loop {
            tokio::select! {
                frozen = freezing.as_mut() => break frozen,
                () = tokio::time::sleep(WORK_NEWS) => {
                    if deadline < tokio::time::Instant::now() {
                        let reason = "work on the data directory goes on; try again when it is done";
                        heir.refuse(reason).await;
                        return Err(HandoverError::Refused { reason: reason.to_owned() });
                    }
                    heir.wait("an ingest or another change of the data directory").await?;
                }
            }
        }
    };
    let freezing = given.backend.clone();
    // A panic of the thread would leave the cache as it was.
    let _ = tokio::task::spawn_blocking(move || freezing.freeze()).await;
    let thaw = Thaw { given, is_over: false };
    let (descriptors, estate) = given.estate()?;
    heir.offer(&descriptors, serde_json::to_value(estate).map_err(std::io::Error::from)?).await?;
    drop(descriptors);
    heir.ready(READY_MAX).await?;

    let quic = given.listeners.quic.as_ref();
    let handshakes = quic.map(edge::http3::Server::step_aside).unwrap_or_default();
    let word = serde_json::to_value(LastWord { handshakes }).map_err(std::io::Error::from)?;
    if let Err(error) = heir.go(word).await {
        quic.inspect(|quic| quic.step_back());
        return Err(error);
    }
    thaw.never();
    given.data.give_up();
    frozen.lose();
    Ok(process_id)
}

impl Given<'_> {
    fn estate(&self) -> std::io::Result<(Vec<(String, OwnedFd)>, Estate)> {
        let mut descriptors = vec![(LOCK.to_owned(), self.data.lock()?)];
        for (name, server) in &self.listeners.servers {
            descriptors.push(((*name).to_owned(), server.duplicate()?));
        }
        let mut estate = Estate::default();
        if let Some(quic) = &self.listeners.quic {
            let of_quic = quic.estate()?;
            descriptors.push((QUIC.to_owned(), of_quic.socket));
            for elder in of_quic.elders {
                descriptors.push((format!("{PACKETS}{}", elder.generation), elder.packets));
            }
            estate.lineage = Some(of_quic.lineage);
        }
        Ok((descriptors, estate))
    }
}

/// Takes back what was put aside, unless the hand-over came about.
struct Thaw<'a> {
    given: &'a Given<'a>,
    is_over: bool,
}

impl Thaw<'_> {
    fn never(mut self) {
        self.is_over = true;
    }
}

impl Drop for Thaw<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        self.given.backend.thaw();
        // The other process has put a file of its own in the place of the list.
        if let Err(error) = self.given.revocations.write_anew(clock::now_s()) {
            tracing::error!(%error, "sessions that are revoked now may come back with a restart");
        }
        self.given.feed.doubt_file();
        if let Err(error) = self.given.data.keep() {
            tracing::warn!(%error, "the lock names a process that is gone");
        }
    }
}

/// How this process was started, to start another one in its place.
#[derive(Debug)]
pub(super) struct Origin {
    program: Option<PathBuf>,
}

impl Origin {
    /// At the start, when the program still lies where it was started from. Another one may lie
    /// there when it is needed.
    pub(super) fn note() -> Self {
        Self { program: std::env::current_exe().ok() }
    }

    /// Starts what lies there now, with the same arguments, to take over from this process.
    pub(super) fn start_successor(&self) {
        let Some(program) = &self.program else {
            return tracing::error!(
                "where the program lies is not known; start the new one by hand"
            );
        };
        let arguments = std::env::args_os().skip(1).filter(|argument| argument != OsStr::new(FLAG));
        let mut command = tokio::process::Command::new(program);
        match command.args(arguments).arg(FLAG).spawn() {
            Ok(mut child) => {
                tracing::info!(process_id = child.id(), "started a process to take over");
                // Once it has taken over, this process ends before it.
                tokio::spawn(async move {
                    match child.wait().await {
                        Ok(status) => tracing::error!(%status, "the new process ended"),
                        Err(error) => tracing::error!(%error, "the new process is lost"),
                    }
                });
            }
            Err(error) => {
                let program = program.display();
                tracing::error!(%program, %error, "cannot start a process to take over");
            }
        }
    }
}

const FLAG: &str = "--take-over";
