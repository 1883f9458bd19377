//! Purges that survive a restart: one line of JSON each, with a checksum in front.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::cache::key::CacheKey;
use crate::cache::purge::{Purge, Purges, Scope};

/// A longer log is written anew, as "everything before the last purge".
const LOG_BYTES_MAX: u64 = 64 << 20;

#[derive(Debug)]
pub struct PurgeLog {
    path: PathBuf,
    tail: Mutex<Tail>,
}

#[derive(Debug)]
struct Tail {
    /// None after a failed write, to be opened again.
    file: Option<File>,
    bytes: u64,
}

impl PurgeLog {
    /// Reads the log into `purges`. A line that was being written when the power went is skipped.
    pub fn open(path: PathBuf, purges: &Purges) -> std::io::Result<Self> {
        let mut text = Vec::new();
        match File::open(&path) {
            Ok(file) => {
                file.take(LOG_BYTES_MAX + 1).read_to_end(&mut text)?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        for line in text.split(|byte| *byte == b'\n') {
            match parse_purge_line(line) {
                Some((Some(purge), stamp)) => purges.restore(&purge, stamp),
                Some((None, floor)) => purges.restore_floor(floor),
                None => {}
            }
        }
        let mut bytes = text.len() as u64;
        if bytes > LOG_BYTES_MAX {
            let floor = purges.stamp();
            purges.restore_floor(floor);
            bytes = write_floor(&path, floor)?;
        }
        let mut file = match OpenOptions::new().create(true).append(true).open(&path) {
            Ok(file) => Some(file),
            // What lies there can still be read. Purges are tried, and reported as not durable.
            Err(error) if is_read_only(&error) => None,
            Err(error) => return Err(error),
        };
        // A torn last line must not swallow the next one.
        if let Some(file) = file.as_mut().filter(|_| text.last().is_some_and(|b| *b != b'\n')) {
            file.write_all(b"\n")?;
        }
        Ok(Self { path, tail: Mutex::new(Tail { file, bytes }) })
    }

    /// Opens the file again for the next purge: another process may have replaced it.
    pub fn reopen(&self) {
        self.tail.lock().expect("no holder panics").file = None;
    }

    /// Writes a purge down; with `sync`, it is on the disk when this returns.
    pub fn append(&self, purge: &Purge, stamp: u64, sync: bool) -> std::io::Result<()> {
        let (kind, text) = match &purge.scope {
            Scope::Url(key) => ("url", key.as_str()),
            Scope::Prefix(prefix) => ("prefix", prefix.as_str()),
            Scope::Tag(tag) => ("tag", tag.as_str()),
        };
        let line = json!({ "stamp": stamp, "soft": purge.is_soft, "kind": kind, "what": text });
        let line = format_line(&line);
        let mut tail = self.tail.lock().expect("no holder panics");
        if tail.bytes > LOG_BYTES_MAX {
            tail.file = None;
            tail.bytes = write_floor(&self.path, stamp)?;
        }
        let mut file = match tail.file.take() {
            Some(file) => file,
            None => OpenOptions::new().create(true).append(true).open(&self.path)?,
        };
        // On an error the file is dropped, and opened anew for the next purge.
        file.write_all(line.as_bytes())?;
        if sync {
            file.sync_data()?;
        }
        tail.bytes += line.len() as u64;
        tail.file = Some(file);
        Ok(())
    }
}

fn is_read_only(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem)
}

/// Replaces a log by one line that purges more than it did; the new length.
fn write_floor(path: &Path, floor: u64) -> std::io::Result<u64> {
    let line = format_line(&json!({ "floor": floor }));
    replace(path, line.as_bytes())?;
    Ok(line.len() as u64)
}

fn format_line(value: &Value) -> String {
    let text = value.to_string();
    format!("{:08x} {text}\n", crc32c::crc32c(text.as_bytes()))
}

/// Reads one line: a purge with its stamp, or a floor.
pub fn parse_purge_line(line: &[u8]) -> Option<(Option<Purge>, u64)> {
    let (checksum, text) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    if u32::from_str_radix(checksum, 16).ok()? != crc32c::crc32c(text.as_bytes()) {
        return None;
    }
    let value: Value = serde_json::from_str(text).ok()?;
    if let Some(floor) = value["floor"].as_u64() {
        return Some((None, floor));
    }
    let what = value["what"].as_str()?.to_owned();
    let scope = match value["kind"].as_str()? {
        "url" => Scope::Url(CacheKey::from_text(&what)?),
        "prefix" => Scope::Prefix(what),
        "tag" => Scope::Tag(what),
        _ => return None,
    };
    let is_soft = value["soft"].as_bool()?;
    Some((Some(Purge { scope, is_soft }), value["stamp"].as_u64()?))
}

/// Writes a file anew, whole or not at all.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension(format!("new-{}", std::process::id()));
    let result = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_data()))
        .and_then(|()| std::fs::rename(&temporary, path));
    if result.is_err() {
        // Nothing is lost with it but room.
        let _ = std::fs::remove_file(&temporary);
    }
    result
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn purge(tag: &str) -> Purge {
        Purge { scope: Scope::Tag(tag.to_owned()), is_soft: false }
    }

    /// The newest stamp that a log gives back.
    fn newest(path: &Path) -> u64 {
        let purges = Purges::default();
        PurgeLog::open(path.to_owned(), &purges).unwrap();
        purges.stamp()
    }

    #[test]
    fn a_torn_line_costs_itself_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("purges.log");
        let purges = Purges::default();
        let log = PurgeLog::open(path.clone(), &purges).unwrap();
        for (tag, now) in [("a", 5), ("b", 6)] {
            let stamp = purges.apply(&purge(tag), UNIX_EPOCH + Duration::from_millis(now));
            log.append(&purge(tag), stamp, true).unwrap();
        }
        assert_eq!(newest(&path), 6);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        assert_eq!(newest(&path), 5);
        let log = PurgeLog::open(path.clone(), &Purges::default()).unwrap();
        log.append(&purge("c"), 9, false).unwrap();
        assert_eq!(newest(&path), 9, "the torn line doesn't swallow the next");
    }

    #[test]
    fn a_log_that_grew_too_long_purges_everything_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("purges.log");
        let log = PurgeLog::open(path.clone(), &Purges::default()).unwrap();
        log.tail.lock().unwrap().bytes = LOG_BYTES_MAX + 1;
        log.append(&purge("a"), 70, true).unwrap();
        let purges = Purges::default();
        PurgeLog::open(path, &purges).unwrap();
        assert_eq!((purges.floor(), purges.stamp()), (70, 70));
    }
}
