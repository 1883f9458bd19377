//! Demuxing: one track's samples, copied out of the source into a media object of their own.
//!
//! Where a read costs a round trip, what a segment needs has to lie together. So each segment's
//! block is followed by its samples (`packager::index`, packed tracks), and one read brings both.
//! The block is known after the last sample, and until then the samples wait: in memory, and those
//! of a long segment in a file.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Samples of one track that wait in memory.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// Written to the file at a time.
const WRITE_BYTES: usize = 1 << 20;

/// A media object that is being written.
pub(crate) struct PackWriter {
    out: BufWriter<HashingFile>,
    path: PathBuf,
    waiting: Waiting,
}

/// A media object that is whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PackedMedia {
    /// Where it lies until it is stored.
    pub path: PathBuf,
    pub len_bytes: u64,
    pub digest: blake3::Hash,
}

impl PackWriter {
    pub(crate) fn create(path: PathBuf) -> io::Result<Self> {
        Self::with_memory(path, WAITING_BYTES_MAX)
    }

    fn with_memory(path: PathBuf, memory_bytes_max: usize) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        let file = HashingFile { file, hasher: blake3::Hasher::new(), len_bytes: 0 };
        let waiting = Waiting {
            memory: Vec::new(),
            memory_bytes_max,
            spill: None,
            spill_path: path.with_extension("spill"),
        };
        Ok(Self { out: BufWriter::with_capacity(WRITE_BYTES, file), path, waiting })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes a sample of the segment that is open.
    pub(crate) fn push_sample(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.waiting.push(bytes)
    }

    /// Ends the segment, whose block stands before its samples.
    pub(crate) fn end_segment(&mut self, block: &[u8]) -> io::Result<()> {
        self.out.write_all(block)?;
        self.waiting.write_to(&mut self.out)
    }

    pub(crate) fn finish(self) -> io::Result<PackedMedia> {
        let file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        let digest = file.hasher.finalize();
        Ok(PackedMedia { path: self.path, len_bytes: file.len_bytes, digest })
    }
}

/// Samples of the open segment.
struct Waiting {
    memory: Vec<u8>,
    memory_bytes_max: usize,
    /// What came before the bytes in memory.
    spill: Option<File>,
    spill_path: PathBuf,
}

impl Waiting {
    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.memory.len() + bytes.len() > self.memory_bytes_max {
            self.spill()?;
        }
        self.memory.extend_from_slice(bytes);
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        let spill = match &mut self.spill {
            Some(spill) => spill,
            none => {
                let mut options = OpenOptions::new();
                let file =
                    options.read(true).write(true).create_new(true).open(&self.spill_path)?;
                none.insert(file)
            }
        };
        spill.write_all(&self.memory)?;
        self.memory.clear();
        Ok(())
    }

    fn write_to(&mut self, out: &mut impl Write) -> io::Result<()> {
        if let Some(mut spill) = self.spill.take() {
            spill.rewind()?;
            io::copy(&mut spill, out)?;
            std::fs::remove_file(&self.spill_path)?;
        }
        out.write_all(&self.memory)?;
        self.memory.clear();
        Ok(())
    }
}

/// A file whose digest is known when its last byte is written.
struct HashingFile {
    file: File,
    hasher: blake3::Hasher,
    len_bytes: u64,
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.len_bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A folder for the media objects of one ingest, removed with all that is in it when dropped.
#[derive(Debug)]
pub(crate) struct PackFolder(PathBuf);

impl PackFolder {
    pub(crate) fn create(path: PathBuf) -> io::Result<Self> {
        // What is in it belongs to nobody else on the machine.
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PackFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "cannot remove a temporary folder");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A segment above the bound goes by way of the file and comes out the same.
    #[test]
    fn long_segments_spill() {
        let path = std::env::temp_dir().join(format!("pack-{}", uuid::Uuid::now_v7().simple()));
        let folder = PackFolder::create(path.clone()).unwrap();
        let segments: [&[usize]; 4] = [&[10, 20], &[60, 50, 70, 1, 300, 2], &[5], &[400]];
        let mut writer = PackWriter::with_memory(path.join("v1.samples"), 100).unwrap();
        let mut expected = Vec::new();
        let mut spilled = 0;
        for (number, sizes) in segments.into_iter().enumerate() {
            let block = [b'#', number as u8];
            expected.extend_from_slice(&block);
            for (index, &size) in sizes.iter().enumerate() {
                let sample = vec![(number * 10 + index) as u8; size];
                expected.extend_from_slice(&sample);
                writer.push_sample(&sample).unwrap();
                assert!(writer.waiting.memory.len() <= 100.max(size));
            }
            spilled += usize::from(path.join("v1.spill").exists());
            writer.end_segment(&block).unwrap();
            assert!(!path.join("v1.spill").exists());
        }
        assert_eq!(spilled, 2);
        let packed = writer.finish().unwrap();
        assert_eq!(std::fs::read(&packed.path).unwrap(), expected);
        assert_eq!(packed.len_bytes, expected.len() as u64);
        assert_eq!(packed.digest, blake3::hash(&expected));
        drop(folder);
        assert!(!path.exists());
    }
}
