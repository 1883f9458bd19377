//! Processes that follow one another on one UDP socket, while connections of each go on.
//!
//! Every connection id carries the number of its process, its generation, masked so that it looks
//! random (RFC 9000 5.1 and 10.3.2). One process reads the socket, the newest; what belongs to an
//! older generation it passes on over a unix socket, as it came. All send on their own duplicate of
//! the UDP socket. The first packets of a connection carry an id that its client chose: the old
//! process tells which ones it has seen of late when it stops reading, and those go to it, too.
//!
//! ```text
//! ids        connection ids: generation in, generation out
//! handshakes ids that clients chose, seen of late
//! packet     what passes between processes
//! socket     quinn's socket with all this behind it
//! ```

mod handshakes;
mod ids;
mod packet;
mod socket;

#[cfg(test)]
mod tests;

use std::os::fd::OwnedFd;

pub(super) use ids::ConnectionIds;
pub(super) use socket::SharedSocket;

use serde::{Deserialize, Serialize};

/// What all processes on a socket have in common, and the number of one.
#[derive(Clone, Deserialize, Serialize)]
pub struct Lineage {
    pub(super) generation: u16,
    key: [u8; 32],
}

impl Lineage {
    /// The first process on a socket.
    pub(super) fn first() -> Self {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).expect("the system has random numbers");
        Self { generation: 0, key }
    }

    /// The process that follows. Numbers come again after 65,536.
    #[must_use]
    pub fn next(&self) -> Self {
        Self { generation: self.generation.wrapping_add(1), key: self.key }
    }

    /// A key for one purpose.
    pub(super) fn key_for(&self, purpose: &str) -> [u8; 32] {
        let context = format!("streamverse quic 2026 {purpose}");
        blake3::derive_key(&context, &self.key)
    }
}

impl std::fmt::Debug for Lineage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Lineage")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// An older process that finishes its connections, and where its packets go.
#[derive(Debug)]
pub struct Elder {
    pub generation: u16,
    pub packets: OwnedFd,
}

/// Ids of handshakes that a generation has under way, as [`crate::http3::Server::step_aside`] tells
/// them.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct HandshakesUnderWay {
    pub(super) generation: u16,
    pub(super) ids: Vec<u64>,
}
