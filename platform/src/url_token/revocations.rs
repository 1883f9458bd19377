//! Sessions that were ended before their tokens expire.
//!
//! Only a positive event revokes: whoever can't be asked stops nobody. An entry is kept as long as
//! a token of its session can live, and in a file, so that a restart forgets nothing.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, RwLock};

use super::grant::{SESSION_BYTES_MAX, is_session};
use super::{LEEWAY_SECONDS, LIFE_SECONDS_MAX};

/// Sessions that are revoked at a time; about 150 bytes each.
pub const REVOKED_MAX: usize = 100_000;

/// Longest line of the file: a time, a space, a session, a line end.
const LINE_BYTES_MAX: usize = 22 + SESSION_BYTES_MAX;

/// Why a session was not revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    #[error("`{session}` is no session id")]
    Session { session: String },

    #[error(
        "{REVOKED_MAX} sessions are revoked already; wait until they expire, or replace the \
         signing key, which ends all tokens"
    )]
    Full,

    #[error("cannot keep revoked sessions in {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// The sessions that are revoked. Shared by all requests.
#[derive(Debug, Default)]
pub struct Revocations {
    /// Until when each has to be remembered, in seconds since 1970.
    until: RwLock<HashMap<Box<str>, u64>>,
    /// Spares the lock where nothing was ever revoked.
    is_used: AtomicBool,
    file: Option<RevocationFile>,
}

#[derive(Debug)]
struct RevocationFile {
    path: PathBuf,
    /// Lines at which it is written anew: repeated and expired ones go.
    lines_max: usize,
    log: Mutex<Log>,
}

#[derive(Debug)]
struct Log {
    file: File,
    lines: usize,
}

impl Revocations {
    /// Where the list of a data directory lies.
    pub fn path_in(data_dir: &Path) -> PathBuf {
        data_dir.join("revoked-sessions")
    }

    /// The list that lies at `path`, without what has expired by `now`; a new one if there is none.
    ///
    /// A line that can't be read is skipped, as a crash may leave one at the end.
    ///
    /// # Errors
    /// When the file can't be read or written.
    pub fn open(path: &Path, now: u64) -> Result<Self, RevokeError> {
        Self::open_with(path, now, 2 * REVOKED_MAX)
    }

    pub(super) fn open_with(path: &Path, now: u64, lines_max: usize) -> Result<Self, RevokeError> {
        let fail = |source| RevokeError::Io { path: path.to_owned(), source };
        let until = read(path, now).map_err(fail)?;
        let log = rewrite(path, &until).map_err(fail)?;
        Ok(Self {
            is_used: AtomicBool::new(!until.is_empty()),
            until: RwLock::new(until),
            file: Some(RevocationFile { path: path.to_owned(), lines_max, log: Mutex::new(log) }),
        })
    }

    pub fn is_revoked(&self, session: &str, now: u64) -> bool {
        if !self.is_used.load(Ordering::Acquire) {
            return false;
        }
        let until = self.until.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        until.get(session).is_some_and(|until| now < *until)
    }

    /// Revokes every token of `session`, from this moment, whoever signed it.
    ///
    /// Where a list is kept in a file, it is there when this returns. Doing it again changes
    /// nothing, so that an event may come twice.
    ///
    /// # Errors
    /// When the list is full, or can't be written: then the session is revoked here, until the
    /// next start.
    pub fn revoke(&self, session: &str, now: u64) -> Result<(), RevokeError> {
        if !is_session(session) {
            let session = session.chars().take(SESSION_BYTES_MAX).collect();
            return Err(RevokeError::Session { session });
        }
        let until = now + LIFE_SECONDS_MAX + 2 * LEEWAY_SECONDS;
        {
            let mut known = self.until.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            if REVOKED_MAX <= known.len() && !known.contains_key(session) {
                known.retain(|_, until| now < *until);
                if REVOKED_MAX <= known.len() {
                    return Err(RevokeError::Full);
                }
            }
            known.insert(session.into(), until);
            self.is_used.store(true, Ordering::Release);
        }
        self.file.as_ref().map_or(Ok(()), |file| file.add(session, until, || self.alive(now)))
    }

    /// Writes the list anew, after another process may have replaced its file by one of its own.
    ///
    /// # Errors
    /// When it can't be written: then later revocations may not outlast a restart.
    pub fn write_anew(&self, now: u64) -> Result<(), RevokeError> {
        let Some(file) = &self.file else { return Ok(()) };
        let known = self.alive(now);
        let mut log = file.log.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *log = rewrite(&file.path, &known)
            .map_err(|source| RevokeError::Io { path: file.path.clone(), source })?;
        Ok(())
    }

    fn alive(&self, now: u64) -> HashMap<Box<str>, u64> {
        let mut known = self.until.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.retain(|_, until| now < *until);
        known.clone()
    }

    pub fn len(&self) -> usize {
        self.until.read().map_or(0, |until| until.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl RevocationFile {
    /// Adds a line, or writes all of `known` anew, which has it too.
    fn add(
        &self,
        session: &str,
        until: u64,
        known: impl FnOnce() -> HashMap<Box<str>, u64>,
    ) -> Result<(), RevokeError> {
        let mut log = self.log.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let written = if self.lines_max <= log.lines {
            rewrite(&self.path, &known()).map(|anew| *log = anew)
        } else {
            log.lines += 1;
            let line = format!("{until} {session}\n");
            log.file.write_all(line.as_bytes()).and_then(|()| log.file.sync_data())
        };
        written.map_err(|source| RevokeError::Io { path: self.path.clone(), source })
    }
}

fn read(path: &Path, now: u64) -> io::Result<HashMap<Box<str>, u64>> {
    // More than is ever written.
    const FILE_BYTES_MAX: u64 = 4 * (REVOKED_MAX * LINE_BYTES_MAX) as u64;
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let mut known = HashMap::new();
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        // The last line may be the beginning of one.
        let Some(line) = line.strip_suffix(b"\n") else { continue };
        let Ok(line) = std::str::from_utf8(line) else { continue };
        let Some((until, session)) = line.split_once(' ') else { continue };
        let Ok(until) = until.parse::<u64>() else { continue };
        if now < until && is_session(session) && known.len() < REVOKED_MAX {
            known.insert(session.into(), until);
        }
    }
    Ok(known)
}

/// Writes the list anew and leaves it open at its end.
fn rewrite(path: &Path, until: &HashMap<Box<str>, u64>) -> io::Result<Log> {
    let unfinished = path.with_extension("unfinished");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    let mut text = String::with_capacity(until.len() * LINE_BYTES_MAX);
    for (session, until) in until {
        text.push_str(&format!("{until} {session}\n"));
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    // The name is safe only with the folder that holds it.
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        File::open(folder)?.sync_all()?;
    }
    Ok(Log { file, lines: until.len() })
}
