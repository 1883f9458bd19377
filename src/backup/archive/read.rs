//! Reads an archive into a folder, and believes nothing.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{Context, SHA256, digest};
use tar::{Archive, Entries, EntryType, PaxExtensions};

use super::write::Meta;
use super::{
    ArchiveError, CHECKSUMS, CHUNK_BYTES, FILES, MANIFEST, MANIFEST_BYTES_MAX, PAX_BYTES_MAX,
    name_fault, sum_line,
};

/// A time later than this is no time of a file: year 2554.
const SECONDS_MAX: u64 = u64::MAX / 1_000_000_000;
/// A line of the checksums with the longest name.
const LINE_BYTES_MAX: u64 = 4_096;

/// What came out of an archive.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Unpacked {
    /// Files and folders.
    pub entries: u64,
    pub bytes: u64,
}

/// An archive whose manifest was read.
pub struct Reader<'a, R: Read> {
    entries: Entries<'a, R>,
    /// Of the entry that was read last, from 1.
    number: u64,
    manifest: Vec<u8>,
    /// Of the manifest.
    meta: Meta,
}

/// The headers of an entry.
struct Head {
    name: String,
    kind: EntryType,
    len_bytes: u64,
    meta: Meta,
}

/// Where files go, and what may come.
struct Target<'a> {
    folder: &'a Path,
    /// Of the entry that is written.
    number: u64,
    max: Unpacked,
    done: Unpacked,
    sums: File,
    buffer: Vec<u8>,
}

impl<'a, R: Read> Reader<'a, R> {
    /// # Errors
    /// When it is no archive of ours.
    pub fn open(archive: &'a mut Archive<R>) -> Result<Self, ArchiveError> {
        // Raw, since the library reads pax records of any length into memory.
        let entries = archive.entries().map_err(ArchiveError::Read)?.raw(true);
        let meta = Meta { mode: 0, modified_ns: 0 };
        let mut reader = Self { entries, number: 0, manifest: Vec::new(), meta };
        let foreign = |what: &str| ArchiveError::Foreign(what.to_owned());
        let first = reader.head().map_err(|error| match error {
            ArchiveError::Read(error) => foreign(&error.to_string()),
            ArchiveError::Refused { reason, .. } => {
                foreign(&format!("of its first entry, {reason}"))
            }
            error => error,
        })?;
        let Some((head, content)) = first else {
            return Err(foreign("it is empty"));
        };
        if head.name != MANIFEST || head.kind != EntryType::Regular {
            return Err(foreign("its first entry is not manifest.json"));
        }
        if MANIFEST_BYTES_MAX < head.len_bytes {
            return Err(foreign("its manifest is too long"));
        }
        let mut manifest = Vec::new();
        content.take(head.len_bytes).read_to_end(&mut manifest).map_err(ArchiveError::Read)?;
        if (manifest.len() as u64) < head.len_bytes {
            return Err(ArchiveError::CutOff);
        }
        (reader.manifest, reader.meta) = (manifest, head.meta);
        Ok(reader)
    }

    pub fn manifest(&self) -> &[u8] {
        &self.manifest
    }

    /// Writes all files into `folder`, which is empty, and compares them with their checksums.
    /// `sums` is an empty file for the reader's use; `told` hears how many bytes were read.
    ///
    /// # Errors
    /// When there is more than `max`, or anything that [`super::Writer`] doesn't write; when it was
    /// damaged or cut off; when a file can't be written. Then `folder` holds what came before.
    pub fn unpack(
        mut self,
        folder: &Path,
        sums: File,
        max: Unpacked,
        told: &mut dyn FnMut(u64),
    ) -> Result<Unpacked, ArchiveError> {
        let done = Unpacked::default();
        let (number, buffer) = (self.number, vec![0; CHUNK_BYTES]);
        let mut target = Target { folder, number, max, done, sums, buffer };
        let sum = digest(&SHA256, &self.manifest);
        target.note(&sum_line(Some(&sum), self.manifest.len() as u64, self.meta, MANIFEST))?;
        loop {
            let Some((head, mut content)) = self.head()? else {
                return Err(ArchiveError::CutOff);
            };
            target.number = self.number;
            if head.name == CHECKSUMS {
                target.compare(&head, content)?;
                break;
            }
            let refuse = |reason| ArchiveError::Refused {
                number: self.number,
                name: head.name.clone(),
                reason,
            };
            let Some(name) = head.name.strip_prefix(FILES) else {
                return Err(refuse("it is none of the files"));
            };
            if let Some(reason) = name_fault(name) {
                return Err(refuse(reason));
            }
            let left_bytes = target.max.bytes - target.done.bytes;
            if target.done.entries == target.max.entries || left_bytes < head.len_bytes {
                return Err(refuse("there is more than the manifest says"));
            }
            target.done.entries += 1;
            target.done.bytes += head.len_bytes;
            match head.kind {
                EntryType::Directory if head.len_bytes != 0 => {
                    return Err(refuse("it is a folder with content"));
                }
                EntryType::Directory => target.folder(name, head.meta)?,
                _ if name.ends_with('/') => return Err(refuse("it is a file named as a folder")),
                _ => target.file(name, &head, &mut content, told)?,
            }
        }
        match self.entries.next() {
            None => {}
            Some(Err(_)) => return Err(ArchiveError::CutOff),
            Some(Ok(_)) => {
                let (number, name) = (self.number + 1, String::new());
                let reason = "it comes after the checksums";
                return Err(ArchiveError::Refused { number, name, reason });
            }
        }
        if target.done != max {
            return Err(ArchiveError::CutOff);
        }
        Ok(target.done)
    }

    /// The next entry, which is one of ours: a pax record, and behind it a file or a folder.
    fn head(&mut self) -> Result<Option<(Head, impl Read + use<'a, R>)>, ArchiveError> {
        let Some(record) = self.entries.next() else { return Ok(None) };
        let record = record.map_err(ArchiveError::Read)?;
        self.number += 1;
        let number = self.number;
        let named = |entry: &tar::Entry<'_, R>| {
            String::from_utf8_lossy(&entry.header().path_bytes()).into_owned()
        };
        let name = named(&record);
        let refuse = |name: String, reason| ArchiveError::Refused { number, name, reason };
        if record.header().entry_type() != EntryType::XHeader {
            let reason = match record.header().entry_type() {
                EntryType::Symlink | EntryType::Link => "it is a link",
                EntryType::Regular | EntryType::Directory => "it has no time",
                _ => "it is neither a file nor a folder",
            };
            return Err(refuse(name, reason));
        }
        if PAX_BYTES_MAX < record.size() {
            return Err(refuse(name, "its pax record is too long"));
        }
        let mut bytes = Vec::new();
        let len_bytes = record.size();
        record.take(PAX_BYTES_MAX).read_to_end(&mut bytes).map_err(ArchiveError::Read)?;
        if (bytes.len() as u64) < len_bytes {
            return Err(ArchiveError::CutOff);
        }
        let (path, modified_ns) = records(&bytes).map_err(|reason| refuse(name, reason))?;

        let Some(entry) = self.entries.next() else { return Err(ArchiveError::CutOff) };
        let entry = entry.map_err(ArchiveError::Read)?;
        let header = entry.header();
        let (kind, shown) = (header.entry_type(), named(&entry));
        match kind {
            EntryType::Regular | EntryType::Directory => {}
            EntryType::Symlink | EntryType::Link => return Err(refuse(shown, "it is a link")),
            _ => return Err(refuse(shown, "it is neither a file nor a folder")),
        }
        let name = match path {
            Some(path) => path,
            None => String::from_utf8(header.path_bytes().into_owned())
                .map_err(|_| refuse(shown.clone(), "its name is no UTF-8"))?,
        };
        let mode = header.mode().map_err(|_| refuse(shown, "its mode can't be read"))? & 0o777;
        let meta = Meta { mode, modified_ns };
        Ok(Some((Head { name, kind, len_bytes: entry.size(), meta }, entry)))
    }
}

/// The name, where it doesn't fit into the header, and the time.
fn records(bytes: &[u8]) -> Result<(Option<String>, u64), &'static str> {
    let (mut path, mut time) = (None, None);
    for record in PaxExtensions::new(bytes) {
        let record = record.map_err(|_| "its pax record can't be read")?;
        let value = record.value().map_err(|_| "its pax record is no UTF-8")?;
        match record.key() {
            Ok("path") if path.is_none() => path = Some(value.to_owned()),
            Ok("mtime") if time.is_none() => {
                time = Some(nanoseconds(value).ok_or("its time can't be read")?);
            }
            _ => return Err("it has an unknown pax record"),
        }
    }
    Ok((path, time.ok_or("it has no time")?))
}

/// Of `SECONDS.NANOSECONDS`, as [`super::Writer`] writes it.
fn nanoseconds(text: &str) -> Option<u64> {
    let (seconds, ns) = text.split_once('.')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if ns.len() != 9 || !digits(seconds) || !digits(ns) {
        return None;
    }
    let seconds: u64 = seconds.parse().ok().filter(|seconds| *seconds < SECONDS_MAX)?;
    Some(seconds * 1_000_000_000 + ns.parse::<u64>().ok()?)
}

impl Target<'_> {
    fn folder(&mut self, name: &str, meta: Meta) -> Result<(), ArchiveError> {
        let name = name.strip_suffix('/').unwrap_or(name);
        let path = self.folder.join(name);
        // What comes later has to get in.
        let mode = meta.mode | 0o700;
        DirBuilder::new()
            .mode(mode)
            .create(&path)
            .map_err(|error| fault(self.number, "make", &path, error))?;
        self.note(&sum_line(None, 0, meta, &format!("{FILES}{name}/")))
    }

    /// Nothing that is there is written over: a name that comes twice is an error, and so is a
    /// folder that wasn't made before.
    fn file(
        &mut self,
        name: &str,
        head: &Head,
        content: &mut impl Read,
        told: &mut dyn FnMut(u64),
    ) -> Result<(), ArchiveError> {
        let path = self.folder.join(name);
        let number = self.number;
        let fail = |error| fault(number, "write", &path, error);
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create_new(true).mode(0o600).open(&path).map_err(fail)?;
        let mut digest = Context::new(&SHA256);
        let mut left_bytes = head.len_bytes;
        while 0 < left_bytes {
            let count = content.read(&mut self.buffer).map_err(ArchiveError::Read)?;
            if count == 0 {
                return Err(ArchiveError::CutOff);
            }
            digest.update(&self.buffer[..count]);
            file.write_all(&self.buffer[..count]).map_err(fail)?;
            left_bytes -= count as u64;
            told(count as u64);
        }
        let modified = SystemTime::UNIX_EPOCH + Duration::from_nanos(head.meta.modified_ns);
        file.set_modified(modified).map_err(fail)?;
        file.set_permissions(Permissions::from_mode(head.meta.mode)).map_err(fail)?;
        self.note(&sum_line(Some(&digest.finish()), head.len_bytes, head.meta, &head.name))
    }

    fn note(&mut self, line: &str) -> Result<(), ArchiveError> {
        self.sums.write_all(line.as_bytes()).map_err(ArchiveError::Write)
    }

    /// Compares what came with what the archive's last entry lists.
    fn compare(&mut self, head: &Head, content: impl Read) -> Result<(), ArchiveError> {
        self.sums.rewind().map_err(ArchiveError::Read)?;
        let mut ours = BufReader::new(&mut self.sums);
        let mut theirs = BufReader::new(content.take(head.len_bytes));
        let mut read_bytes = 0;
        loop {
            let (one, other) = (line(&mut ours)?, line(&mut theirs)?);
            read_bytes += other.len() as u64;
            if one == other && !one.is_empty() {
                continue;
            }
            if one.is_empty() && other.is_empty() {
                break;
            }
            if other.is_empty() && read_bytes < head.len_bytes {
                return Err(ArchiveError::CutOff);
            }
            let line = if one.is_empty() { other } else { one };
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let name = line.splitn(5, ' ').last().unwrap_or_default().to_owned();
            return Err(ArchiveError::Damaged { name });
        }
        if read_bytes < head.len_bytes { Err(ArchiveError::CutOff) } else { Ok(()) }
    }
}

fn line(from: &mut impl BufRead) -> Result<Vec<u8>, ArchiveError> {
    let mut line = Vec::new();
    from.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(ArchiveError::Read)?;
    Ok(line)
}

/// A name that is there already, or whose folder isn't, is the archive's fault.
fn fault(number: u64, action: &'static str, path: &Path, source: io::Error) -> ArchiveError {
    let reason = match source.kind() {
        io::ErrorKind::AlreadyExists => "its name comes twice",
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "its folder did not come before",
        _ => return ArchiveError::File { action, path: path.to_owned(), source },
    };
    let name = path.display().to_string();
    ArchiveError::Refused { number, name, reason }
}
