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

/// Longest line of the file: until when, the session, since when, and what parts them.
const LINE_BYTES_MAX: usize = 43 + SESSION_BYTES_MAX;

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

/// What became of many sessions; positions are those of the entries that were handed in.
#[derive(Debug, Default)]
pub struct Merged {
    /// Entries that this list did not know, or not for as long.
    pub news: Vec<usize>,
    pub refused: Vec<(usize, RevokeError)>,
    /// The news hold, and a restart forgets them.
    pub not_kept: Option<RevokeError>,
}

/// The sessions that are revoked. Shared by all requests.
#[derive(Debug, Default)]
pub struct Revocations {
    sessions: RwLock<HashMap<Box<str>, Revoked>>,
    /// Spares the lock where nothing was ever revoked.
    is_used: AtomicBool,
    file: Option<RevocationFile>,
}

/// What is known of a session, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Revoked {
    /// When it may be forgotten.
    until: u64,
    /// When this list learned of it.
    since: u64,
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
        let sessions = read(path, now).map_err(fail)?;
        let log = rewrite(path, &sessions).map_err(fail)?;
        Ok(Self {
            is_used: AtomicBool::new(!sessions.is_empty()),
            sessions: RwLock::new(sessions),
            file: Some(RevocationFile { path: path.to_owned(), lines_max, log: Mutex::new(log) }),
        })
    }

    pub fn is_revoked(&self, session: &str, now: u64) -> bool {
        if !self.is_used.load(Ordering::Acquire) {
            return false;
        }
        let known = self.sessions.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.get(session).is_some_and(|revoked| now < revoked.until)
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
        let mut merged = self.merge(&[(session, Self::until(now))], now);
        match merged.refused.pop().map(|(_, error)| error).or(merged.not_kept) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Until when a session that is revoked now has to be remembered.
    pub fn until(now: u64) -> u64 {
        now + LIFE_SECONDS_MAX + 2 * LEEWAY_SECONDS
    }

    /// Revokes many sessions, each remembered until a time, with one write to the file.
    ///
    /// No time is later than [`Self::until`] has it, however far ahead another node's clock is, and
    /// an earlier one shortens nothing.
    pub fn merge(&self, entries: &[(&str, u64)], now: u64) -> Merged {
        let mut merged = Merged::default();
        let mut lines = String::new();
        {
            let mut known =
                self.sessions.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            for (index, &(session, until)) in entries.iter().enumerate() {
                let until = until.min(Self::until(now));
                match insert(&mut known, session, until, now) {
                    Ok(true) => {
                        merged.news.push(index);
                        lines.push_str(&line(session, Revoked { until, since: now }));
                    }
                    Ok(false) => {}
                    Err(error) => merged.refused.push((index, error)),
                }
            }
        }
        if merged.news.is_empty() {
            return merged;
        }
        self.is_used.store(true, Ordering::Release);
        if let Some(file) = &self.file {
            merged.not_kept = file.add(&lines, merged.news.len(), || self.alive(now)).err();
        }
        merged
    }

    /// Sessions that are revoked, of which this list learned at a time or later, and until when
    /// they are remembered.
    pub fn list(&self, since: u64, now: u64) -> Vec<(Box<str>, u64)> {
        let known = self.sessions.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_listed = |revoked: &Revoked| since <= revoked.since && now < revoked.until;
        let listed = known.iter().filter(|(_, revoked)| is_listed(revoked));
        listed.map(|(session, revoked)| (session.clone(), revoked.until)).collect()
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

    fn alive(&self, now: u64) -> HashMap<Box<str>, Revoked> {
        let mut known = self.sessions.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.retain(|_, revoked| now < revoked.until);
        known.clone()
    }

    pub fn len(&self) -> usize {
        self.sessions.read().map_or(0, |known| known.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Takes one session; false when it is remembered for as long already, or need not be at all.
fn insert(
    known: &mut HashMap<Box<str>, Revoked>,
    session: &str,
    until: u64,
    now: u64,
) -> Result<bool, RevokeError> {
    if !is_session(session) {
        let session = session.chars().take(SESSION_BYTES_MAX).collect();
        return Err(RevokeError::Session { session });
    }
    if until <= now || known.get(session).is_some_and(|known| until <= known.until) {
        return Ok(false);
    }
    if REVOKED_MAX <= known.len() && !known.contains_key(session) {
        known.retain(|_, revoked| now < revoked.until);
        if REVOKED_MAX <= known.len() {
            return Err(RevokeError::Full);
        }
    }
    known.insert(session.into(), Revoked { until, since: now });
    Ok(true)
}

impl RevocationFile {
    /// Adds lines, or writes all of `known` anew, which has them too.
    fn add(
        &self,
        lines: &str,
        count: usize,
        known: impl FnOnce() -> HashMap<Box<str>, Revoked>,
    ) -> Result<(), RevokeError> {
        let mut log = self.log.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let written = if self.lines_max <= log.lines {
            rewrite(&self.path, &known()).map(|anew| *log = anew)
        } else {
            log.lines += count;
            log.file.write_all(lines.as_bytes()).and_then(|()| log.file.sync_data())
        };
        written.map_err(|source| RevokeError::Io { path: self.path.clone(), source })
    }
}

fn read(path: &Path, now: u64) -> io::Result<HashMap<Box<str>, Revoked>> {
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
        let Some((until, rest)) = line.split_once(' ') else { continue };
        let Ok(until) = until.parse::<u64>() else { continue };
        // Earlier versions did not write down since when: then it is news to whoever asks.
        let (session, since) = rest.split_once(' ').unwrap_or((rest, ""));
        let since = since.parse().unwrap_or(now);
        if now < until && is_session(session) && known.len() < REVOKED_MAX {
            known.insert(session.into(), Revoked { until, since });
        }
    }
    Ok(known)
}

fn line(session: &str, revoked: Revoked) -> String {
    format!("{} {session} {}\n", revoked.until, revoked.since)
}

/// Writes the list anew and leaves it open at its end.
fn rewrite(path: &Path, sessions: &HashMap<Box<str>, Revoked>) -> io::Result<Log> {
    let unfinished = path.with_extension("unfinished");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    let mut text = String::with_capacity(sessions.len() * LINE_BYTES_MAX);
    for (session, revoked) in sessions {
        text.push_str(&line(session, *revoked));
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    // The name is safe only with the folder that holds it.
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        File::open(folder)?.sync_all()?;
    }
    Ok(Log { file, lines: sessions.len() })
}
