//! A new process takes the place of one that serves, without a moment in which nobody does.
//!
//! The old process listens on `DIR/handover.sock` ([`Door`]); the new one asks there ([`ask`]) and
//! gets copies of the descriptors that matter (unix(7), `SCM_RIGHTS`): a copy shares what is behind
//! it, so both accept from one queue, and the lock of the data directory is held by both.
//!
//! ```text
//! new                      old
//! Ask              →       stops writing to the data directory
//!                  ←       Wait (now and then, while it finishes what it writes)
//!                  ←       Offer: names, descriptors, what else has to be known
//! opens everything, serves nothing
//! Ready            →       stops reading
//!                  ←       Go: what became known meanwhile
//! serves                   finishes what is under way, and ends
//! ```
//!
//! Until `Go` the old process serves as ever, and goes on for good when the new one ends or is told
//! `Refused`. From `Ask` to `Go` only the new process writes to the data directory, before and
//! after that the one that serves. When the old process dies in between, its descriptors are with
//! the new one, which then goes on by itself.
//!
//! Messages are a length of four bytes and JSON; descriptors come with the first byte. The socket
//! is open to its user alone, and the user at the other end is looked at besides (`SO_PEERCRED`).

mod claim;
mod door;
mod link;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use claim::{Claim, Go, ask};
pub use door::{Door, Heir};

/// Changed when a process of another version would misunderstand.
const VERSION: u32 = 1;

/// What the two say.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "say", rename_all = "snake_case")]
enum Message {
    Ask {
        version: u32,
    },
    Wait {
        reason: String,
    },
    /// A name for each descriptor.
    Offer {
        names: Vec<String>,
        state: Value,
    },
    Ready,
    Go {
        state: Value,
    },
    Refused {
        reason: String,
    },
}

/// Why a hand-over didn't come about.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    #[error(
        "cannot reach the server behind {}: {source}; stop it, or start without --take-over where \
         none runs", path.display()
    )]
    Unreachable { path: PathBuf, source: io::Error },

    #[error("the running server refused: {reason}")]
    Refused { reason: String },

    #[error("the other process ended before the hand-over was done")]
    Gone,

    #[error("the other process said what was not its turn to say")]
    Unexpected,

    #[error("the other process did not answer in time")]
    Late,

    #[error("the hand-over failed: {0}")]
    Io(#[from] io::Error),
}

/// Where the process that serves from a data directory hands over.
pub fn socket_in(data_dir: &Path) -> PathBuf {
    data_dir.join("handover.sock")
}
