//! How far a reader has come, in a file `NAME.cursor`: one line of text.

use super::error::JournalError;
use super::segments::{Segments, UNFINISHED};

const NAME_BYTES_MAX: usize = 64;
const MAGIC: &str = "streamverse-journal-cursor 1";
/// A whole line, with room.
const LINE_BYTES_MAX: usize = 128;

pub(super) fn check_name(name: &str) -> Result<(), JournalError> {
    let is_fit =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_fit) {
        return Ok(());
    }
    Err(JournalError::ReaderName { name: name.to_owned() })
}

fn file_name(name: &str) -> String {
    format!("{name}.cursor")
}

/// The next sequence for this reader; None for a new one.
pub(super) fn load(segments: &Segments, name: &str) -> Result<Option<u64>, JournalError> {
    let file = file_name(name);
    let opened = match segments.storage.open(&file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(segments.io("open a cursor")(error)),
    };
    let mut bytes = [0; LINE_BYTES_MAX];
    let len_bytes = opened.read_at(0, &mut bytes).map_err(segments.io("read a cursor"))?;
    let parsed = parse(&bytes[..len_bytes]);
    parsed.map(Some).ok_or_else(|| JournalError::Cursor { name: name.to_owned(), file })
}

/// Replaces the cursor, durably.
pub(super) fn save(segments: &Segments, name: &str, next: u64) -> Result<(), JournalError> {
    let file = file_name(name);
    let unfinished = format!("{file}{UNFINISHED}");
    let storage = &segments.storage;
    let write = || {
        match storage.remove(&unfinished) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let opened = storage.create(&unfinished)?;
        opened.write_all_at(0, line(next).as_bytes())?;
        opened.sync_data()?;
        storage.rename(&unfinished, &file)?;
        storage.sync()
    };
    write().map_err(segments.io("write a cursor"))
}

fn line(next: u64) -> String {
    format!("{MAGIC} {next} {:08x}\n", crc32fast::hash(&next.to_le_bytes()))
}

fn parse(bytes: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(bytes).ok()?;
    let number = text.strip_prefix(MAGIC)?.strip_prefix(' ')?.split_once(' ')?.0;
    let next = number.parse().ok()?;
    (text == line(next)).then_some(next)
}
