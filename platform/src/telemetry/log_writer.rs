//! Standard error for logs: lines are gathered and written together, a moment later.
//!
//! An access log line a request costs a system call of some microseconds when it is written at
//! once, more than all else of a small answer. Warnings and errors, which somebody may look for
//! after a crash, go out at once with what was gathered before them.

use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long a line may wait.
const DELAY: Duration = Duration::from_millis(100);
/// Gathered lines that are written without waiting.
const GATHERED_BYTES_MAX: usize = 32 << 10;

static GATHERED: Gathered = Gathered { lines: Mutex::new(Vec::new()), wake: Condvar::new() };

struct Gathered {
    lines: Mutex<Vec<u8>>,
    /// Told when the first line was gathered.
    wake: Condvar,
}

/// Makes writers of log lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogWriter;

/// Writes one event.
#[derive(Debug)]
pub(super) struct LineWriter {
    is_urgent: bool,
}

/// Starts the thread that writes what was gathered.
pub(super) fn start() -> io::Result<LogWriter> {
    std::thread::Builder::new().name("log".to_owned()).spawn(|| {
        loop {
            let lines = GATHERED.lines();
            let waited = GATHERED.wake.wait_while(lines, |lines| lines.is_empty());
            drop(waited.unwrap_or_else(PoisonError::into_inner));
            std::thread::sleep(DELAY);
            flush();
        }
    })?;
    Ok(LogWriter)
}

/// Writes what was gathered. Called before the process ends.
pub fn flush() {
    write_out(&mut GATHERED.lines());
}

/// What can't be written is dropped: there is nobody to tell.
fn write_out(lines: &mut Vec<u8>) {
    let _ = io::stderr().write_all(lines);
    lines.clear();
}

impl Gathered {
    fn lines(&self) -> MutexGuard<'_, Vec<u8>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> Self::Writer {
        LineWriter { is_urgent: true }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        LineWriter { is_urgent: *metadata.level() <= Level::WARN }
    }
}

impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = GATHERED.lines();
        if lines.is_empty() {
            GATHERED.wake.notify_one();
        }
        lines.extend_from_slice(line);
        if self.is_urgent || GATHERED_BYTES_MAX < lines.len() {
            write_out(&mut lines);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
