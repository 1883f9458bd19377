//! `DIR/feed.log`: the purges that followers may ask for after a restart.
//!
//! ```text
//! since 1799990000000                                    every later purge is here
//! 1799999999000 {"id":"0198…","type":"cache.purged",…}   when it came in, and what it says
//! ```
//!
//! Lines are added, and the file is written anew when half of them are forgotten. A last line that
//! a crash cut off belongs to a purge that nobody was told of. Any other damage, and a file that is
//! not there, is a memory that begins now: `since` says so, and followers take it from there.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use platform::feed::fact::EVENT_BYTES_MAX;
use platform::feed::log::{FACTS_MAX, LoggedPurge};
use platform::feed::{Epoch, Event, FactLog};

/// Lines at which the file is written anew.
const LINES_MAX: usize = 2 * FACTS_MAX;
/// More than is ever written.
const FILE_BYTES_MAX: u64 = (LINES_MAX * (EVENT_BYTES_MAX + 32)) as u64;

#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    /// None after a write that failed: then all is written anew.
    file: Option<File>,
    lines: usize,
}

/// The log as the file has it, and the file, ready to be added to.
pub(super) fn open(path: &Path, epoch: Epoch, now_ms: u64) -> anyhow::Result<(FactLog, LogFile)> {
    let read = || read(path, epoch, now_ms);
    let log = read().with_context(|| format!("cannot read {}", path.display()))?;
    let mut file = LogFile { path: path.to_owned(), file: None, lines: 0 };
    file.rewrite(log.since_ms(), &log.purges(), &[], now_ms)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok((log, file))
}

fn read(path: &Path, epoch: Epoch, now_ms: u64) -> io::Result<FactLog> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(FactLog::new(epoch, now_ms));
        }
        Err(error) => return Err(error),
    };
    let mut reader = BufReader::new(file.take(FILE_BYTES_MAX));
    let (mut since_ms, mut purges, mut is_damaged) = (None, Vec::new(), false);
    let mut line = Vec::new();
    while 0 < reader.read_until(b'\n', &mut line)? {
        // The last line may be the beginning of one.
        let Some(whole) = line.strip_suffix(b"\n") else { break };
        match std::str::from_utf8(whole).ok().and_then(Line::parse) {
            Some(Line::Since(ms)) if since_ms.is_none() => since_ms = Some(ms),
            Some(Line::Purge(logged_ms, event)) => purges.push((logged_ms, event)),
            _ => is_damaged = true,
        }
        line.clear();
    }
    if is_damaged || since_ms.is_none() {
        let path = path.display();
        tracing::warn!(%path, "damaged: followers will look at everything they keep anew");
        since_ms = Some(now_ms);
    }
    let mut log = FactLog::new(epoch, since_ms.unwrap_or(now_ms));
    for (logged_ms, event) in purges {
        log.restore(event, logged_ms);
    }
    Ok(log)
}

enum Line {
    Since(u64),
    Purge(u64, Event),
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let (head, rest) = line.split_once(' ')?;
        if head == "since" {
            return rest.parse().ok().map(Self::Since);
        }
        Some(Self::Purge(head.parse().ok()?, Event::parse(rest).ok()?))
    }
}

fn lines(purges: &[Event], now_ms: u64) -> String {
    purges.iter().map(|purge| format!("{now_ms} {}\n", purge.to_json())).collect()
}

impl LogFile {
    /// Has all written anew with what is added next.
    pub(super) fn doubt(&mut self) {
        self.file = None;
    }

    /// Adds purges; they are on the disk when this returns. `all` tells what is remembered besides,
    /// for when the file has to be written anew.
    pub(super) fn append(
        &mut self,
        purges: &[Event],
        now_ms: u64,
        all: impl FnOnce() -> (u64, Vec<LoggedPurge>),
    ) -> io::Result<()> {
        if let Some(file) = self.file.as_mut().filter(|_| self.lines + purges.len() < LINES_MAX) {
            let written = file.write_all(lines(purges, now_ms).as_bytes());
            let written = written.and_then(|()| file.sync_data());
            self.lines += purges.len();
            if written.is_err() {
                self.file = None;
            }
            return written;
        }
        let (since_ms, known) = all();
        self.rewrite(since_ms, &known, purges, now_ms)
    }

    fn rewrite(
        &mut self,
        since_ms: u64,
        known: &[LoggedPurge],
        new: &[Event],
        now_ms: u64,
    ) -> io::Result<()> {
        self.file = None;
        let unfinished = self.path.with_extension("unfinished");
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        let mut text = format!("since {since_ms}\n");
        for LoggedPurge { logged_ms, event } in known {
            text.push_str(&format!("{logged_ms} {}\n", event.to_json()));
        }
        text.push_str(&lines(new, now_ms));
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&unfinished, &self.path)?;
        // The name is safe only with the folder that holds it.
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            File::open(folder)?.sync_all()?;
        }
        self.lines = known.len() + new.len() + 1;
        self.file = Some(file);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use platform::feed::{Fact, FactId, PurgeScope};

    use super::*;

    fn epoch() -> Epoch {
        Epoch(FactId(7))
    }

    fn purge(number: u64) -> Event {
        let scope = PurgeScope::Tag(format!("film-{number}"));
        let fact = Fact::CachePurged { scope, is_soft: number.is_multiple_of(2) };
        Event { id: FactId(number.into()), at_ms: number, fact }
    }

    /// What the file gives back at `now_ms`: how far back it goes, and its purges.
    fn reopen(path: &Path, now_ms: u64) -> (u64, Vec<(u64, Event)>) {
        let (log, _) = open(path, epoch(), now_ms).expect("it can be read");
        let purges = log.purges().into_iter();
        let purges = purges.map(|purge| (purge.logged_ms, (*purge.event).clone()));
        (log.since_ms(), purges.collect())
    }

    fn add(path: &Path, now_ms: u64, purges: &[Event]) {
        let (log, mut file) = open(path, epoch(), now_ms).expect("it can be read");
        let all = || (log.since_ms(), log.purges());
        file.append(purges, now_ms, all).expect("it can be written");
    }

    #[test]
    fn purges_outlive_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("feed.log");
        add(&path, 100, &[purge(1), purge(2)]);
        add(&path, 200, &[purge(3)]);
        let expected = vec![(100, purge(1)), (100, purge(2)), (200, purge(3))];
        assert_eq!(reopen(&path, 900), (100, expected.clone()));

        // A line that a crash cut off is of a purge that nobody was told of.
        let text = std::fs::read(&path).expect("it is there");
        std::fs::write(&path, [&text[..], b"300 {\"id\":\"00"].concat()).expect("it is writable");
        assert_eq!(reopen(&path, 900), (100, expected.clone()));
        // Other damage may have been a purge.
        std::fs::write(&path, [&text[..], b"300 \xff\n"].concat()).expect("it is writable");
        assert_eq!(reopen(&path, 900), (900, expected.clone()));
        assert_eq!(reopen(&path, 950), (900, expected), "and is repaired");
        std::fs::write(&path, b"").expect("it is writable");
        assert_eq!(reopen(&path, 960), (960, vec![]));
        std::fs::remove_file(&path).expect("it is there");
        assert_eq!(reopen(&path, 970), (970, vec![]));
    }

    /// The file is bounded, and what falls out of it is told.
    #[test]
    fn the_oldest_purges_are_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("feed.log");
        let (mut log, mut file) = open(&path, epoch(), 0).expect("a new one");
        let count = (2 * LINES_MAX) as u64;
        for now_ms in (1..=count).step_by(1_000) {
            let lot: Vec<_> = (now_ms..now_ms + 1_000).map(purge).collect();
            file.append(&lot, now_ms, || (log.since_ms(), log.purges())).expect("it is writable");
            for event in lot {
                log.append(event, now_ms);
            }
        }
        let lines = std::fs::read_to_string(&path).expect("it is text").lines().count();
        assert!(lines <= LINES_MAX, "{lines}");
        let (since_ms, purges) = reopen(&path, count);
        assert_eq!((since_ms, purges.len()), (log.since_ms(), FACTS_MAX));
        assert!(0 < since_ms);
    }
}
