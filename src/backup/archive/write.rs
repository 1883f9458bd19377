//! Writes an archive.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256, digest};
use tar::{Builder, EntryType, Header};

use super::{ArchiveError, CHECKSUMS, CHUNK_BYTES, FILES, MANIFEST, name_fault, sum_line};

/// What an entry has besides its name and its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Meta {
    pub mode: u32,
    /// Nanoseconds since 1970.
    pub modified_ns: u64,
}

/// Writes entries one after another.
pub struct Writer<W: Write> {
    out: Builder<W>,
    /// The lines of the last entry, until its turn comes.
    sums: File,
    buffer: Vec<u8>,
    now: Meta,
}

impl<W: Write> Writer<W> {
    /// `sums` is an empty file for this writer's use.
    ///
    /// # Errors
    /// When nothing can be written.
    pub fn new(out: W, sums: File, manifest: &[u8], now_ms: u64) -> Result<Self, ArchiveError> {
        let now = Meta { mode: 0o600, modified_ns: now_ms.saturating_mul(1_000_000) };
        let mut writer = Self { out: Builder::new(out), sums, buffer: vec![0; CHUNK_BYTES], now };
        writer.head(MANIFEST, EntryType::Regular, manifest.len() as u64, now)?;
        writer.bytes(manifest)?;
        writer.pad(manifest.len() as u64)?;
        let sum = digest(&SHA256, manifest);
        writer.note(&sum_line(Some(&sum), manifest.len() as u64, now, MANIFEST))?;
        Ok(writer)
    }

    /// A folder; `name` is its path without a slash at the end.
    ///
    /// # Errors
    /// When it can't be written, or the name is none.
    pub fn folder(&mut self, name: &str, meta: Meta) -> Result<(), ArchiveError> {
        let name = format!("{FILES}{}/", checked(name)?);
        self.head(&name, EntryType::Directory, 0, meta)?;
        self.note(&sum_line(None, 0, meta, &name))
    }

    /// The first `len_bytes` of a file; `told` hears how many were written.
    ///
    /// # Errors
    /// When it can't be read or written, is shorter, or the name is none.
    pub fn file(
        &mut self,
        name: &str,
        meta: Meta,
        len_bytes: u64,
        path: &Path,
        told: &mut dyn FnMut(u64),
    ) -> Result<(), ArchiveError> {
        let fail = |source| ArchiveError::File { action: "read", path: path.to_owned(), source };
        let mut file = File::open(path).map_err(fail)?.take(len_bytes);
        let name = format!("{FILES}{}", checked(name)?);
        self.head(&name, EntryType::Regular, len_bytes, meta)?;
        let mut digest = Context::new(&SHA256);
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut left_bytes = len_bytes;
        while 0 < left_bytes {
            let count = file.read(&mut buffer).map_err(fail)?;
            if count == 0 {
                return Err(ArchiveError::Shorter { path: path.to_owned() });
            }
            digest.update(&buffer[..count]);
            self.bytes(&buffer[..count])?;
            left_bytes -= count as u64;
            told(count as u64);
        }
        self.buffer = buffer;
        self.pad(len_bytes)?;
        self.note(&sum_line(Some(&digest.finish()), len_bytes, meta, &name))
    }

    /// Writes the checksums and the end; gives what was written to.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn finish(mut self) -> Result<W, ArchiveError> {
        self.sums.rewind().map_err(ArchiveError::Write)?;
        let len_bytes = self.sums.metadata().map_err(ArchiveError::Write)?.len();
        self.head(CHECKSUMS, EntryType::Regular, len_bytes, self.now)?;
        io::copy(&mut self.sums, self.out.get_mut()).map_err(ArchiveError::Write)?;
        self.pad(len_bytes)?;
        self.out.into_inner().map_err(ArchiveError::Write)
    }

    /// The headers of an entry, whose bytes follow. The time is in a pax record, since a title's
    /// file counts as another one when its time differs by a nanosecond, and so is a name that the
    /// header can't hold.
    fn head(
        &mut self,
        name: &str,
        kind: EntryType,
        len_bytes: u64,
        meta: Meta,
    ) -> Result<(), ArchiveError> {
        let (seconds, ns) = (meta.modified_ns / 1_000_000_000, meta.modified_ns % 1_000_000_000);
        let time = format!("{seconds}.{ns:09}");
        let mut header = Header::new_ustar();
        let is_long = 100 < name.len() || !name.is_ascii();
        let mut records = vec![("mtime", time.as_bytes())];
        if is_long {
            records.push(("path", name.as_bytes()));
        }
        let short = if is_long { "files/long-name" } else { name };
        header.set_path(short).map_err(ArchiveError::Write)?;
        self.out.append_pax_extensions(records).map_err(ArchiveError::Write)?;
        header.set_entry_type(kind);
        header.set_size(len_bytes);
        header.set_mode(meta.mode & 0o777);
        header.set_mtime(seconds);
        header.set_uid(0);
        header.set_gid(0);
        header.set_cksum();
        self.bytes(header.as_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.out.get_mut().write_all(bytes).map_err(ArchiveError::Write)
    }

    /// Entries begin at multiples of 512 bytes.
    fn pad(&mut self, len_bytes: u64) -> Result<(), ArchiveError> {
        let over = (len_bytes % 512) as usize;
        if over == 0 { Ok(()) } else { self.bytes(&[0; 512][over..]) }
    }

    fn note(&mut self, line: &str) -> Result<(), ArchiveError> {
        self.sums.write_all(line.as_bytes()).map_err(ArchiveError::Write)
    }
}

fn checked(name: &str) -> Result<&str, ArchiveError> {
    match name_fault(name) {
        Some(reason) => Err(ArchiveError::Refused { number: 0, name: name.to_owned(), reason }),
        None => Ok(name),
    }
}
