//! One file that holds a folder: a tar (POSIX.1-2024 `pax`, "ustar Interchange Format").
//!
//! ```text
//! manifest.json     what the archive is; the caller's
//! files/…           folders before what lies in them, each file with its time in a pax record
//! checksums         a line for each entry before: SHA-256, bytes, mode, nanoseconds since 1970, name
//! ```
//!
//! `tar -x` reads it too. Written and read as a stream: memory doesn't grow with the number of
//! files. What is read is hostile until its last byte: [`read`] takes no kind of entry, no name and
//! no size that [`write`] doesn't write.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::io;
use std::path::PathBuf;

use aws_lc_rs::digest::Digest;
use data_encoding::HEXLOWER;

pub use read::{Reader, Unpacked};
pub use write::{Meta, Writer};

/// The first entry.
const MANIFEST: &str = "manifest.json";
/// The last one.
const CHECKSUMS: &str = "checksums";
/// Begins all names in between.
const FILES: &str = "files/";

const MANIFEST_BYTES_MAX: u64 = 4 << 20;
/// Longest name within `files/`, which is that of a file in a data directory.
const NAME_BYTES_MAX: usize = 2_048;
/// Deepest folder.
const DEPTH_MAX: usize = 64;
/// Holds a name and a time.
const PAX_BYTES_MAX: u64 = 8_192;
/// Read and hashed at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// Why an archive can't be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("cannot write the archive: {0}")]
    Write(io::Error),

    #[error("cannot read the archive: {0}")]
    Read(io::Error),

    #[error("cannot {action} {}: {source}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },

    #[error("{} became shorter while it was read", path.display())]
    Shorter { path: PathBuf },

    #[error("this is no backup of StreamVerse: {0}")]
    Foreign(String),

    #[error(
        "the archive is refused at its entry {number}, {name:?}: {reason}. No `backup` writes that"
    )]
    Refused { number: u64, name: String, reason: &'static str },

    #[error(
        "{name:?} is not what the archive's list of checksums says: the archive is damaged. Use \
         another copy of it"
    )]
    Damaged { name: String },

    #[error(
        "the archive ends in the middle: it was cut off, or its backup was never finished. Use a \
         whole copy"
    )]
    CutOff,
}

/// The line of an entry in [`CHECKSUMS`]; a folder has no digest. Time and mode are in it, since a
/// tar's own checksums don't cover pax records.
fn sum_line(digest: Option<&Digest>, len_bytes: u64, meta: Meta, name: &str) -> String {
    let digest = digest.map_or_else(|| "-".to_owned(), |digest| HEXLOWER.encode(digest.as_ref()));
    let Meta { mode, modified_ns } = meta;
    format!("{digest} {len_bytes} {:o} {modified_ns} {name}\n", mode & 0o777)
}

/// Why a name within `files/` is none; folders end with a slash.
fn name_fault(name: &str) -> Option<&'static str> {
    let path = name.strip_suffix('/').unwrap_or(name);
    let mut depth = 0;
    for part in path.split('/') {
        depth += 1;
        match part {
            "" => return Some("its path is absolute or has an empty part"),
            "." | ".." => return Some("its path leads elsewhere"),
            _ if part.chars().any(char::is_control) => {
                return Some("its name has a control character");
            }
            _ if 255 < part.len() => return Some("a part of its path is too long"),
            _ => {}
        }
    }
    if NAME_BYTES_MAX < name.len() || DEPTH_MAX < depth {
        return Some("its path is too long");
    }
    None
}
