//! Messages with descriptors over a unix socket.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::Message;

/// Longest message: a few thousand ids of handshakes.
const MESSAGE_BYTES_MAX: usize = 256 << 10;
const LENGTH_BYTES: usize = 4;

/// Descriptors in one message: listeners, the lock, and a few ancestors that still drain.
pub(super) const DESCRIPTORS_MAX: usize = 64;

/// A message on its way out.
pub(super) struct Outgoing<'a> {
    bytes: Vec<u8>,
    sent: usize,
    descriptors: &'a [BorrowedFd<'a>],
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(message: &Message, descriptors: &'a [BorrowedFd<'a>]) -> io::Result<Self> {
        let text = serde_json::to_vec(message)?;
        if MESSAGE_BYTES_MAX < text.len() || DESCRIPTORS_MAX < descriptors.len() {
            return Err(io::Error::other("there is too much to hand over"));
        }
        let mut bytes = (text.len() as u32).to_be_bytes().to_vec();
        bytes.extend_from_slice(&text);
        Ok(Self { bytes, sent: 0, descriptors })
    }

    /// Sends what the socket takes; whether that was all.
    pub(super) fn send(&mut self, socket: impl AsFd) -> io::Result<bool> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if self.sent == 0 && !self.descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(self.descriptors));
        }
        let rest = [IoSlice::new(&self.bytes[self.sent..])];
        self.sent += sendmsg(socket, &rest, &mut control, SendFlags::NOSIGNAL)?;
        Ok(self.sent == self.bytes.len())
    }
}

/// A message on its way in.
#[derive(Default)]
pub(super) struct Ingoing {
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

/// How far a message has come.
pub(super) enum Step {
    More,
    Whole(Message, Vec<OwnedFd>),
    /// The other side has closed.
    End,
}

impl Ingoing {
    /// Reads once, never beyond this message.
    pub(super) fn read(&mut self, socket: impl AsFd) -> io::Result<Step> {
        let wanted = self.wanted()?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let begin = self.bytes.len();
        self.bytes.resize(wanted, 0);
        let mut slices = [IoSliceMut::new(&mut self.bytes[begin..])];
        let outcome = recvmsg(socket, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC);
        let read = outcome.as_ref().map_or(0, |received| received.bytes);
        self.bytes.truncate(begin + read);
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        outcome?;
        if read == 0 {
            return Ok(Step::End);
        }
        if DESCRIPTORS_MAX < self.descriptors.len() {
            return Err(io::Error::other("there are too many descriptors"));
        }
        if self.bytes.len() < self.wanted()? {
            return Ok(Step::More);
        }
        let message = serde_json::from_slice(&self.bytes[LENGTH_BYTES..])?;
        Ok(Step::Whole(message, std::mem::take(&mut self.descriptors)))
    }

    /// Bytes up to the next point at which more is known.
    fn wanted(&self) -> io::Result<usize> {
        let Some(length) = self.bytes.first_chunk::<LENGTH_BYTES>() else {
            return Ok(LENGTH_BYTES);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if MESSAGE_BYTES_MAX < length {
            return Err(io::Error::other("the message is too long"));
        }
        Ok(LENGTH_BYTES + length)
    }
}
