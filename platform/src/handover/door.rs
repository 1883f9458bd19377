//! The side of the process that serves and may be replaced.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::Value;
use tokio::io::Interest;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::link::{Ingoing, Outgoing, Step};
use super::{HandoverError, Message, VERSION};

/// How long a process that connects may take to say what it wants.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the kernel may take to accept a message.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a process may take to die.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Where this process may be asked to hand over.
#[derive(Debug)]
pub struct Door {
    heirs: mpsc::Receiver<Heir>,
    accepting: JoinHandle<()>,
    path: PathBuf,
    /// Device and number of the file at `path` when it was ours.
    file: (u64, u64),
}

impl Door {
    /// Listens at `path`, over any file that lies there. Inside a runtime.
    ///
    /// # Errors
    /// When the socket can't be made there.
    pub fn open(path: &Path) -> io::Result<Self> {
        let unfinished = path.with_extension("unfinished");
        match std::fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&unfinished)?;
        // Under another name, so that it never stands there open to others.
        std::fs::set_permissions(&unfinished, std::fs::Permissions::from_mode(0o600))?;
        let facts = std::fs::metadata(&unfinished)?;
        std::fs::rename(&unfinished, path)?;
        let (sender, heirs) = mpsc::channel(1);
        let accepting = tokio::spawn(accept(listener, sender));
        Ok(Self { heirs, accepting, path: path.to_owned(), file: (facts.dev(), facts.ino()) })
    }

    /// The next process that wants to take over.
    pub async fn next(&mut self) -> Heir {
        match self.heirs.recv().await {
            Some(heir) => heir,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.accepting.abort();
        let facts = std::fs::metadata(&self.path);
        // Whoever took over has put a socket of its own there.
        if facts.is_ok_and(|facts| (facts.dev(), facts.ino()) == self.file) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

async fn accept(listener: UnixListener, heirs: mpsc::Sender<Heir>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept on the hand-over socket");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        match tokio::time::timeout(ASK_TIMEOUT, Heir::greet(stream)).await {
            Ok(Ok(heir)) => {
                if heirs.send(heir).await.is_err() {
                    return;
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "refused to hand over"),
            Err(_) => tracing::warn!("a process connected to take over, and asked nothing"),
        }
    }
}

/// A process that wants to take over. Dropped before [`Heir::go`], it is told that it may not.
#[derive(Debug)]
pub struct Heir {
    stream: UnixStream,
    process_id: Option<i32>,
    pub(super) is_told: bool,
    reason: &'static str,
}

impl Heir {
    async fn greet(stream: UnixStream) -> Result<Self, HandoverError> {
        let peer = stream.peer_cred()?;
        let mut heir = Self {
            stream,
            process_id: peer.pid().filter(|id| 0 < *id),
            is_told: false,
            reason: "the hand-over was given up",
        };
        if ![geteuid().as_raw(), 0].contains(&peer.uid()) {
            let reason = format!("user {} does not own this server", peer.uid());
            heir.refuse(&reason).await;
            return Err(HandoverError::Refused { reason });
        }
        match heir.receive().await? {
            Message::Ask { version: VERSION } => Ok(heir),
            Message::Ask { version } => {
                let reason = format!(
                    "it hands over by version {VERSION}, not {version}; stop it, then start the \
                     other"
                );
                heir.refuse(&reason).await;
                Err(HandoverError::Refused { reason })
            }
            _ => Err(HandoverError::Unexpected),
        }
    }

    /// Its number, as this process sees it.
    pub fn process_id(&self) -> Option<i32> {
        self.process_id
    }

    /// Asks for patience.
    ///
    /// # Errors
    /// When it has gone.
    pub async fn wait(&mut self, reason: &str) -> Result<(), HandoverError> {
        self.send(&Message::Wait { reason: reason.to_owned() }, &[]).await
    }

    /// Gives it copies of `descriptors`, each with a name.
    ///
    /// # Errors
    /// When it has gone, or the descriptors are too many.
    pub async fn offer(
        &mut self,
        descriptors: &[(String, OwnedFd)],
        state: Value,
    ) -> Result<(), HandoverError> {
        let names = descriptors.iter().map(|(name, _)| name.clone()).collect();
        let descriptors: Vec<_> = descriptors.iter().map(|(_, fd)| fd.as_fd()).collect();
        self.send(&Message::Offer { names, state }, &descriptors).await
    }

    /// Waits until it has opened everything. One that takes longer than `patience` is ended: it
    /// may write to the data directory until it has gone.
    ///
    /// # Errors
    /// When it has gone.
    pub async fn ready(&mut self, patience: Duration) -> Result<(), HandoverError> {
        let Ok(outcome) = tokio::time::timeout(patience, self.receive()).await else {
            self.end_it();
            // What it says in its last moment is not heard.
            let end = async { while self.receive().await.is_ok() {} };
            let _ = tokio::time::timeout(END_TIMEOUT, end).await;
            return Err(HandoverError::Late);
        };
        match outcome? {
            Message::Ready => Ok(()),
            _ => Err(HandoverError::Unexpected),
        }
    }

    fn end_it(&self) {
        let Some(process) = self.process_id.and_then(Pid::from_raw) else { return };
        tracing::warn!(
            process = self.process_id,
            "ended a process that took too long to take over"
        );
        // It may have ended by itself.
        let _ = kill_process(process, Signal::KILL);
    }

    /// Tells it that it serves from now on.
    ///
    /// # Errors
    /// When it has gone: then nothing has changed hands.
    pub async fn go(mut self, state: Value) -> Result<(), HandoverError> {
        self.send(&Message::Go { state }, &[]).await?;
        self.is_told = true;
        Ok(())
    }

    /// Tells it that it may not, and why.
    pub async fn refuse(&mut self, reason: &str) {
        let refused = Message::Refused { reason: reason.to_owned() };
        // It may have gone.
        let _ = self.send(&refused, &[]).await;
        self.is_told = true;
    }

    async fn send(
        &self,
        message: &Message,
        descriptors: &[std::os::fd::BorrowedFd<'_>],
    ) -> Result<(), HandoverError> {
        let mut message = Outgoing::new(message, descriptors)?;
        let sending = async {
            let step = || message.send(&self.stream);
            let mut is_sent = self.stream.async_io(Interest::WRITABLE, step).await?;
            while !is_sent {
                let step = || message.send(&self.stream);
                is_sent = self.stream.async_io(Interest::WRITABLE, step).await?;
            }
            Ok::<_, io::Error>(())
        };
        match tokio::time::timeout(SEND_TIMEOUT, sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if is_gone(&error) => Err(HandoverError::Gone),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(HandoverError::Late),
        }
    }

    async fn receive(&mut self) -> Result<Message, HandoverError> {
        let mut message = Ingoing::default();
        loop {
            let step = || message.read(&self.stream);
            match self.stream.async_io(Interest::READABLE, step).await {
                Ok(Step::More) => {}
                // Descriptors that nobody asked for are closed.
                Ok(Step::Whole(message, _)) => return Ok(message),
                Ok(Step::End) => return Err(HandoverError::Gone),
                Err(error) if is_gone(&error) => return Err(HandoverError::Gone),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        if !self.is_told {
            let reason = self.reason.to_owned();
            // An end without a word would mean that this process died.
            if let Ok(mut message) = Outgoing::new(&Message::Refused { reason }, &[]) {
                let _ = message.send(&self.stream);
            }
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}
