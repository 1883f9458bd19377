//! Purges that survive a restart: one line of JSON each, with a checksum in front.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::cache::key::CacheKey;
use crate::cache::purge::{Purge, Purges, Scope};

/// A longer log is written anew on start, as "everything before the last purge".
const LOG_BYTES_MAX: u64 = 64 << 20;

#[derive(Debug)]
pub struct PurgeLog {
    path: PathBuf,
    file: Mutex<Option<File>>,
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
            match parse_line(line) {
                Some((Some(purge), stamp)) => purges.restore(&purge, stamp),
                Some((None, floor)) => purges.restore_floor(floor),
                None => {}
            }
        }
        if text.len() as u64 > LOG_BYTES_MAX {
            let floor = purges.stamp();
            purges.restore_floor(floor);
            replace(&path, format_line(&json!({ "floor": floor })).as_bytes())?;
        }
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        // A torn last line must not swallow the next one.
        if text.last().is_some_and(|byte| *byte != b'\n') {
            file.write_all(b"\n")?;
        }
        Ok(Self { path, file: Mutex::new(Some(file)) })
    }

    /// Writes a purge down; with `sync`, it is on the disk when this returns.
    pub fn append(&self, purge: &Purge, stamp: u64, sync: bool) -> std::io::Result<()> {
        let (kind, text) = match &purge.scope {
            Scope::Url(key) => ("url", key.as_str()),
            Scope::Prefix(prefix) => ("prefix", prefix.as_str()),
            Scope::Tag(tag) => ("tag", tag.as_str()),
        };
        let line = json!({ "stamp": stamp, "soft": purge.is_soft, "kind": kind, "what": text });
        let mut slot = self.file.lock().expect("no holder panics");
        if slot.is_none() {
            *slot = Some(OpenOptions::new().create(true).append(true).open(&self.path)?);
        }
        let file = slot.as_mut().expect("opened above");
        let result = file.write_all(format_line(&line).as_bytes());
        let result = if sync { result.and_then(|()| file.sync_data()) } else { result };
        if result.is_err() {
            *slot = None;
        }
        result
    }
}

fn format_line(value: &Value) -> String {
    let text = value.to_string();
    format!("{:08x} {text}\n", crc32c::crc32c(text.as_bytes()))
}

/// A purge with its stamp, or a floor.
fn parse_line(line: &[u8]) -> Option<(Option<Purge>, u64)> {
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
