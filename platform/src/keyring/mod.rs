//! Keys that a server makes for itself: a ring for each purpose, each key with its times.
//!
//! A ring is replaced with overlap. A new key is published before it signs, so that whoever
//! verifies knows it by then; an old one verifies until everything that it signed has expired.
//! What a key does follows from its times and from `now` alone: processes that share a folder
//! change over at the same moment, and nobody has to be awake for it.
//!
//! | module | holds |
//! | --- | --- |
//! | [`purpose`] | what there are rings for, and how long their keys live |
//! | [`material`] | private keys and secrets |
//! | [`jwk`] | public keys as JSON Web Keys (RFC 7517), thumbprints (RFC 7638) |
//! | [`ring`] | the keys of a purpose, their states, rotation: pure |
//! | [`sealing`] | AES-256-GCM: the key that seals the files |
//! | `file` | the bytes of a ring's file |
//! | `folder` | files, replaced whole, behind a lock |
//! | [`keys`] | all rings of a process |
//!
//! Decision 0030.

mod file;
mod folder;
pub mod jwk;
pub mod keys;
pub mod material;
pub mod purpose;
pub mod ring;
pub mod sealing;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

pub use jwk::{Jwk, PublicKey};
pub use keys::{Keys, Opened};
pub use purpose::Purpose;
pub use ring::{How, Key, KeyState, Ring};
pub use sealing::{SealingKey, SealingKeys};

use crate::secret_file::SecretFileError;

/// Why keys can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot use {}: {source}; check that its folder is this user's", path.display())]
    Io { path: PathBuf, source: io::Error },

    #[error(
        "{} can be read by others; run `chmod 600` on it, and `streamverse keys rotate --emergency`",
        path.display()
    )]
    Exposed { path: PathBuf },

    #[error("{} can't be read: {reason}; restore it from a backup", path.display())]
    Unreadable { path: PathBuf, reason: String },

    #[error(
        "{} is sealed with the key `{seal}`, which is not here; set `[keys] seal` to it, or \
         `previous_seal` while it is replaced", path.display()
    )]
    Sealed { path: PathBuf, seal: String },

    #[error("{} is not what the sealing key sealed; restore it from a backup", path.display())]
    Forged { path: PathBuf },

    #[error("there are no keys for {purpose} yet")]
    Missing { purpose: Purpose },

    #[error(
        "a rotation of {purpose} is under way: `{id}` takes over soon; wait, or use --emergency"
    )]
    UnderWay { purpose: Purpose, id: String },

    #[error(
        "{purpose} has {count} keys that still count, and no more are kept; wait until some have expired"
    )]
    TooMany { purpose: Purpose, count: usize },

    #[error("no key of {purpose} signs now; does the clock go wrong?")]
    NoneActive { purpose: Purpose },

    #[error("{purpose} holds no key for this")]
    WrongKind { purpose: Purpose },

    #[error("what was sealed for {purpose} can't be opened: {reason}")]
    NotOpened { purpose: Purpose, reason: &'static str },

    #[error("the key can't be made or read: {0}")]
    Crypto(&'static str),

    #[error(transparent)]
    Secret(#[from] SecretFileError),
}
