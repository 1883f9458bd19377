//! What commands write: results to standard output, everything else to standard error.

use std::io::Write;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::work::{Event, EventSink};

/// Writes a line to standard output. A reader that went away ends the program quietly.
pub fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n"));
    if written.and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Writes one JSON document.
pub fn json(value: &impl Serialize) {
    line(&serde_json::to_string_pretty(value).expect("results are plain data with string keys"));
}

/// Shows events as a progress bar, or as a JSON line each.
pub fn event_sink(as_json: bool) -> EventSink {
    if as_json {
        return Arc::new(|event| {
            line(&serde_json::to_string(&event).expect("events are plain data with string keys"));
        });
    }
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template(
        "{msg:8} [{bar:40}] {bytes}/{total_bytes} {bytes_per_sec} {eta}",
    );
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("=> "));
    }
    Arc::new(move |event| match event {
        Event::Progress { phase, done_bytes, total_bytes } => {
            bar.set_length(total_bytes);
            bar.set_position(done_bytes);
            bar.set_message(phase);
        }
        _ => bar.finish_and_clear(),
    })
}

/// Shows rows that are done of a phase and a table.
pub struct RowSink {
    bar: Option<ProgressBar>,
}

/// Shows rows as a progress bar, or as a JSON line each time.
pub fn row_sink(as_json: bool) -> RowSink {
    if as_json {
        return RowSink { bar: None };
    }
    let bar = ProgressBar::new(0);
    let template = "{msg:30} [{bar:30}] {human_pos}/{human_len} rows {per_sec} {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    RowSink { bar: Some(bar) }
}

impl RowSink {
    pub fn tell(&self, phase: &str, table: &str, done_rows: u64, total_rows: u64) {
        let Some(bar) = &self.bar else {
            return line(
                &serde_json::json!({
                    "event": "progress",
                    "phase": phase,
                    "table": table,
                    "done_rows": done_rows,
                    "total_rows": total_rows,
                })
                .to_string(),
            );
        };
        bar.set_length(total_rows);
        bar.set_position(done_rows);
        bar.set_message(format!("{phase} {table}"));
    }

    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
