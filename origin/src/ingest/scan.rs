//! Reads every sample of a source once, in the order of the file, and gives each to its track.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use packager::PackageError;
use packager::index::IndexBuilder;
use packager::text::{SampleTextReader, TextSample};
use packager::track::{Sample, SampleTable};

use super::pack::PackWriter;
use crate::OriginError;

/// Bytes read from the file at a time.
const READ_BYTES: usize = 1 << 20;
/// Consumed bytes that are worth moving the rest of the window for.
const DRAIN_BYTES: usize = 8 << 20;
/// Largest sample that is accepted: ten seconds of uncompressed 8K are no sample.
const SAMPLE_BYTES_MAX: u32 = 256 << 20;

/// What becomes of a track's samples.
pub(super) enum TrackSink {
    Index(Box<IndexBuilder>),
    /// The index of a packed track, and the media object that its samples are copied into.
    Packed(Box<IndexBuilder>, Box<PackWriter>),
    Cues(CueSink),
}

/// Turns the samples of a text track into cues.
pub(super) struct CueSink {
    reader: SampleTextReader,
    table: SampleTable,
    next: usize,
}

impl CueSink {
    pub(super) fn new(reader: SampleTextReader, table: SampleTable) -> Self {
        Self { reader, table, next: 0 }
    }

    pub(super) fn finish(self) -> packager::text::CueTrack {
        self.reader.finish()
    }

    fn handle(&mut self, bytes: &[u8]) -> Result<(), PackageError> {
        let Some(sample) = self.table.samples.get(self.next) else {
            return Ok(());
        };
        self.next += 1;
        self.reader.handle_sample(TextSample {
            number: self.next as u32,
            start_ticks: sample.presentation_time(),
            duration_ticks: u64::from(sample.duration_ticks),
            data: bytes,
        })
    }
}

impl TrackSink {
    fn next_sample(&self) -> Option<&Sample> {
        match self {
            Self::Index(builder) | Self::Packed(builder, _) => builder.next_sample(),
            Self::Cues(sink) => sink.table.samples.get(sink.next),
        }
    }

    fn handle(&mut self, bytes: &[u8]) -> Result<(), FeedError> {
        match self {
            Self::Index(builder) => builder.handle_sample(bytes)?,
            Self::Packed(builder, writer) => {
                builder.handle_sample(bytes)?;
                let written = writer.push_sample(bytes).and_then(|()| {
                    builder.take_block().map_or(Ok(()), |block| writer.end_segment(&block))
                });
                written.map_err(|source| FeedError::Pack(writer.path().to_owned(), source))?;
            }
            Self::Cues(sink) => sink.handle(bytes)?,
        }
        Ok(())
    }
}

/// Reads `path` from start to end, feeds the tracks, and returns the file's digest and length.
///
/// Samples are taken from a moving window, so that the file is read once however its tracks are
/// interleaved; a track that points back is served by reads of its own.
///
/// # Errors
/// [`OriginError::Unreadable`] names the sample that is wrong.
pub(super) fn scan_source(
    path: &Path,
    sinks: &mut [TrackSink],
    progress: &mut dyn FnMut(u64),
) -> Result<(blake3::Hash, u64), OriginError> {
    let name = path.display().to_string();
    let io = |source| OriginError::Io { path: name.clone(), source };
    let unreadable = |source| OriginError::Unreadable { file: name.clone(), source };
    let mut file = File::open(path).map_err(io)?;
    let before = file.metadata().map_err(io)?;
    let mut hasher = blake3::Hasher::new();
    let mut window = Window::default();
    loop {
        let at_end = window.extend(&mut file, &mut hasher).map_err(io)?;
        progress(window.end());
        for sink in sinks.iter_mut() {
            feed(sink, &window, &file).map_err(|error| match error {
                FeedError::Io(source) => io(source),
                FeedError::Pack(path, source) => {
                    OriginError::Io { path: path.display().to_string(), source }
                }
                FeedError::Package(source) => unreadable(source),
            })?;
        }
        if at_end {
            break;
        }
        let needed = sinks.iter().filter_map(|sink| sink.next_sample());
        window.drain_to(needed.map(|sample| sample.offset_bytes).min());
    }
    for sink in sinks.iter() {
        if let Some(sample) = sink.next_sample() {
            let (offset, wanted) = (sample.offset_bytes, u64::from(sample.size_bytes));
            let left = window.end().saturating_sub(offset);
            let kind = packager::FourCc::new(b"mdat");
            return Err(unreadable(PackageError::Truncated { kind, offset, wanted, left }));
        }
    }
    let after = file.metadata().map_err(io)?;
    if (before.len(), before.mtime(), before.mtime_nsec())
        != (after.len(), after.mtime(), after.mtime_nsec())
    {
        let reason = format!("{name} changed while it was read; ingest it when it is finished");
        return Err(OriginError::Refused { reason });
    }
    Ok((hasher.finalize(), window.end()))
}

enum FeedError {
    Io(std::io::Error),
    /// On a media object that is being written.
    Pack(PathBuf, std::io::Error),
    Package(PackageError),
}

impl From<PackageError> for FeedError {
    fn from(error: PackageError) -> Self {
        Self::Package(error)
    }
}

/// Gives a track all samples that the window holds, and those that lie before it.
fn feed(sink: &mut TrackSink, window: &Window, file: &File) -> Result<(), FeedError> {
    while let Some(sample) = sink.next_sample() {
        let (start, len) = (sample.offset_bytes, sample.size_bytes);
        if len > SAMPLE_BYTES_MAX {
            let (what, max) = ("bytes in one sample", u64::from(SAMPLE_BYTES_MAX));
            return Err(FeedError::Package(PackageError::LimitExceeded { what, max }));
        }
        if start + u64::from(len) > window.end() {
            return Ok(());
        }
        match window.get(start, len as usize) {
            Some(bytes) => sink.handle(bytes)?,
            None => {
                let mut bytes = vec![0; len as usize];
                file.read_exact_at(&mut bytes, start).map_err(FeedError::Io)?;
                sink.handle(&bytes)?;
            }
        }
    }
    Ok(())
}

/// The part of the file that is in memory.
#[derive(Default)]
struct Window {
    bytes: Vec<u8>,
    /// Offset of the first byte.
    start: u64,
}

impl Window {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// Reads on; `true` at the end of the file.
    fn extend(&mut self, file: &mut File, hasher: &mut blake3::Hasher) -> std::io::Result<bool> {
        let before = self.bytes.len();
        let read = file.take(READ_BYTES as u64).read_to_end(&mut self.bytes)?;
        hasher.update(&self.bytes[before..]);
        Ok(read == 0)
    }

    fn get(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..)?.get(..len)
    }

    /// Drops what lies before `needed`; everything when nothing is needed any more.
    fn drain_to(&mut self, needed: Option<u64>) {
        let needed = needed.unwrap_or_else(|| self.end()).clamp(self.start, self.end());
        let unneeded = (needed - self.start) as usize;
        if unneeded >= DRAIN_BYTES || unneeded == self.bytes.len() {
            self.bytes.drain(..unneeded);
            self.start = needed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_keeps_what_is_needed() {
        let mut window = Window { bytes: vec![7; DRAIN_BYTES + 10], start: 100 };
        window.drain_to(Some(101));
        assert_eq!(window.start, 100);
        window.drain_to(Some(100 + DRAIN_BYTES as u64));
        assert_eq!((window.start, window.bytes.len()), (100 + DRAIN_BYTES as u64, 10));
        assert_eq!(window.get(window.start + 8, 2), Some(&[7, 7][..]));
        assert!(window.get(window.start + 8, 3).is_none());
        assert!(window.get(99, 1).is_none());
        window.drain_to(None);
        assert!(window.bytes.is_empty());
    }
}
