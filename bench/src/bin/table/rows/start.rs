//! `serve` on its defaults: time from the start of the program to its `ready` line, and what it
//! holds a second later. The data directory has the titles of this run.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use bench::process;

use crate::Settings;
use crate::ours::Ours;
use crate::report::{Report, Row, Target, median};
use crate::title::Titles;

const IDLE: Duration = Duration::from_secs(1);

pub(crate) fn measure(settings: &Settings, titles: &Titles, report: &mut Report) -> Result<()> {
    let (mut ready_ms, mut resident_mb) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        let server = Ours::start_with(settings, &titles.data, &[])?;
        ready_ms.push(server.time_to_ready.as_secs_f64() * 1e3);
        thread::sleep(IDLE);
        resident_mb.push(process::memory(server.pid)?.resident_bytes as f64 / 1e6);
    }
    let rows = [("time to ready", "ms", ready_ms, 300.0), ("idle memory", "MB", resident_mb, 80.0)];
    for (name, unit, figures, most) in rows {
        let (ours, target) = (median(figures), Target::Most(most));
        report.row(&Row { name, unit, ours, peer: None, target })?;
    }
    Ok(())
}
