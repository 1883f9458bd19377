//! The side of the process that takes over.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::link::{Ingoing, Outgoing, Step};
use super::{HandoverError, Message, VERSION, socket_in};

/// How long the other process may be silent. While it finishes what it writes it says so.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What a running process gave away, while it still serves.
#[derive(Debug)]
pub struct Claim {
    link: UnixStream,
    descriptors: HashMap<String, OwnedFd>,
    /// What else it told.
    pub state: Value,
}

/// Whose turn it is.
#[derive(Debug)]
pub enum Go {
    /// The other process reads nothing any more, and told this.
    Told(Value),
    /// The other process died: nobody is left to tell anything.
    Alone,
}

/// Asks the process that serves from `data_dir` to hand over. Blocks; `waits` is called with what
/// it waits for.
///
/// # Errors
/// When there is none, it refuses, or it goes away.
pub fn ask(data_dir: &Path, mut waits: impl FnMut(&str)) -> Result<Claim, HandoverError> {
    let path = socket_in(data_dir);
    let unreachable = |source| HandoverError::Unreachable { path: path.clone(), source };
    let link = UnixStream::connect(&path).map_err(unreachable)?;
    link.set_read_timeout(Some(SILENCE_MAX))?;
    link.set_write_timeout(Some(SILENCE_MAX))?;
    send(&link, &Message::Ask { version: VERSION })?;
    loop {
        match receive(&link)?.ok_or(HandoverError::Gone)? {
            (Message::Wait { reason }, _) => waits(&reason),
            (Message::Refused { reason }, _) => return Err(HandoverError::Refused { reason }),
            (Message::Offer { names, state }, descriptors) if names.len() == descriptors.len() => {
                let descriptors = names.into_iter().zip(descriptors).collect();
                return Ok(Claim { link, descriptors, state });
            }
            _ => return Err(HandoverError::Unexpected),
        }
    }
}

impl Claim {
    /// The descriptor with this name; each is given once.
    pub fn take(&mut self, name: &str) -> Option<OwnedFd> {
        self.descriptors.remove(name)
    }

    /// All descriptors that are left.
    pub fn take_all(&mut self) -> HashMap<String, OwnedFd> {
        std::mem::take(&mut self.descriptors)
    }

    /// A copy of the connection: as long as it is open, the other process knows that this one has
    /// not given up.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn link(&self) -> io::Result<OwnedFd> {
        Ok(self.link.try_clone()?.into())
    }

    /// Says that everything is open, and waits for the word to serve. Blocks.
    ///
    /// # Errors
    /// When the other process thought better of it.
    pub fn ready(self) -> Result<Go, HandoverError> {
        match send(&self.link, &Message::Ready) {
            // It may have refused before it closed, which is still to be read.
            Ok(()) | Err(HandoverError::Gone) => {}
            Err(error) => return Err(error),
        }
        match receive(&self.link)? {
            Some((Message::Go { state }, _)) => Ok(Go::Told(state)),
            Some((Message::Refused { reason }, _)) => Err(HandoverError::Refused { reason }),
            Some(_) => Err(HandoverError::Unexpected),
            None => Ok(Go::Alone),
        }
    }
}

fn send(link: &UnixStream, message: &Message) -> Result<(), HandoverError> {
    let mut message = Outgoing::new(message, &[])?;
    loop {
        match message.send(link) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return Err(HandoverError::Gone);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The next message, or none when the other side has closed.
fn receive(link: &UnixStream) -> Result<Option<(Message, Vec<OwnedFd>)>, HandoverError> {
    let mut message = Ingoing::default();
    loop {
        match message.read(link) {
            Ok(Step::More) => {}
            Ok(Step::Whole(message, descriptors)) => return Ok(Some((message, descriptors))),
            Ok(Step::End) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(HandoverError::Late);
            }
            Err(error) => return Err(error.into()),
        }
    }
}
