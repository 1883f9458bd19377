//! What can go wrong with a journal.

use std::io;
use std::sync::Arc;

/// Why a journal can't do what it was asked to.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    #[error("cannot {action} in the journal {folder}: {source}; check that the folder is writable")]
    Io { folder: String, action: &'static str, source: Arc<io::Error> },

    #[error(
        "the journal {folder} is written by another process; stop that, or name another folder"
    )]
    Locked { folder: String },

    #[error("{file}: {fault}; move the file away to go on without what is in it")]
    Segment { file: String, fault: super::format::HeaderFault },

    #[error("a record has {bytes} bytes, of at most {bytes_max}")]
    TooLarge { bytes: usize, bytes_max: usize },

    #[error("a key has {bytes} bytes, of at most {bytes_max}")]
    KeyTooLarge { bytes: usize, bytes_max: usize },

    /// The record may be there after the next start, or not: whoever needs it writes it again.
    #[error(
        "the record is not known to be stored: {source}; the journal goes on when the disk does"
    )]
    NotStored { source: Arc<io::Error> },

    #[error("the journal is closed")]
    Closed,

    #[error("`{name}` is no name of a reader; use 1 to 64 of a-z, 0-9, `-` and `_`")]
    ReaderName { name: String },

    #[error(
        "the place of reader `{name}` can't be read from {file}; remove the file to read again \
         from the oldest record"
    )]
    Cursor { name: String, file: String },
}

impl JournalError {
    pub(super) fn io(folder: &str, action: &'static str) -> impl FnOnce(io::Error) -> Self + use<> {
        let folder = folder.to_owned();
        move |source| Self::Io { folder, action, source: Arc::new(source) }
    }
}
