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
