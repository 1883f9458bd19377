//! Events as JSON lines in a file that is rotated: `cmcd.jsonl`, and full ones as `.1` (the latest),
//! `.2` and so on. A thread of its own writes; what it can't keep up with is dropped and counted.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::Context;
use edge::cmcd::event::{CmcdSink, Event};

use super::metrics::PlayerMetrics;

/// Lines that wait for the disk.
const LINES_MAX: usize = 8_192;

/// Hands events to the thread that writes. The thread ends with it.
pub(super) struct FileSink {
    lines: SyncSender<String>,
    metrics: PlayerMetrics,
}

struct Writer {
    path: PathBuf,
    file: BufWriter<File>,
    written_bytes: u64,
    bytes_max: u64,
    files_kept: u32,
    metrics: PlayerMetrics,
}

impl FileSink {
    pub(super) fn open(
        path: &Path,
        bytes_max: u64,
        files_kept: u32,
        metrics: &PlayerMetrics,
    ) -> anyhow::Result<Self> {
        let name = || format!("cannot write `cmcd.events_file` {}", path.display());
        let (file, written_bytes) = open(path).with_context(name)?;
        let mut writer = Writer {
            path: path.to_owned(),
            file,
            written_bytes,
            bytes_max,
            files_kept,
            metrics: metrics.clone(),
        };
        let (lines, receiver) = sync_channel(LINES_MAX);
        std::thread::Builder::new()
            .name("cmcd".to_owned())
            .spawn(move || writer.run(&receiver))
            .with_context(name)?;
        Ok(Self { lines, metrics: metrics.clone() })
    }
}

impl CmcdSink for FileSink {
    fn take(&self, event: &Event<'_>) {
        if self.lines.try_send(event.to_json()).is_err() {
            self.metrics.events_dropped.inc();
        }
    }
}

/// At its end, with the bytes that it has.
fn open(path: &Path) -> io::Result<(BufWriter<File>, u64)> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let len_bytes = file.metadata()?.len();
    Ok((BufWriter::new(file), len_bytes))
}

impl Writer {
    fn run(&mut self, lines: &Receiver<String>) {
        while let Ok(line) = lines.recv() {
            let outcome = self.write(&line);
            self.note(outcome);
            // Together with what came meanwhile, and then at once: whoever follows the file waits.
            while let Ok(line) = lines.try_recv() {
                let outcome = self.write(&line);
                self.note(outcome);
            }
            let flushed = self.file.flush();
            self.note(flushed);
        }
    }

    fn note(&self, outcome: io::Result<()>) {
        if let Err(error) = outcome {
            // Once for the first, so that a full disk is told and not shouted.
            if self.metrics.file_errors.inc() == 0 {
                let path = self.path.display();
                tracing::error!(%path, %error, "events of players are not written");
            }
        }
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        let len_bytes = line.len() as u64 + 1;
        if self.bytes_max < self.written_bytes + len_bytes && self.written_bytes > 0 {
            self.rotate()?;
        }
        self.file.write_all(line.as_bytes())?;
        self.file.write_all(b"\n")?;
        self.written_bytes += len_bytes;
        self.metrics.events_written.inc();
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file.flush()?;
        for number in (1..self.files_kept).rev() {
            let from = numbered(&self.path, number);
            if from.exists() {
                std::fs::rename(from, numbered(&self.path, number + 1))?;
            }
        }
        match self.files_kept {
            0 => std::fs::remove_file(&self.path)?,
            _ => std::fs::rename(&self.path, numbered(&self.path, 1))?,
        }
        (self.file, self.written_bytes) = open(&self.path)?;
        Ok(())
    }
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_files_are_put_aside() {
        let folder = std::env::temp_dir().join(format!("streamverse-cmcd-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("cmcd.jsonl");
        let metrics = PlayerMetrics::default();
        let (file, written_bytes) = open(&path).expect("a file");
        let mut writer = Writer {
            path: path.clone(),
            file,
            written_bytes,
            bytes_max: 20,
            files_kept: 2,
            metrics,
        };
        for number in 0..10 {
            writer.write(&format!("line {number} ..")).expect("it can be written");
        }
        writer.file.flush().expect("it can be written");
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(read(&path), "line 8 ..\nline 9 ..\n");
        assert_eq!(read(&numbered(&path, 1)), "line 6 ..\nline 7 ..\n");
        assert_eq!(read(&numbered(&path, 2)), "line 4 ..\nline 5 ..\n");
        assert!(!numbered(&path, 3).exists());
        assert_eq!(writer.metrics.events_written.get(), 10);
        std::fs::remove_dir_all(&folder).expect("it can be removed");
    }
}
