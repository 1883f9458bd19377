//! `streamverse probe`: what ingest would make of a file, without making it.

use std::process::ExitCode;

use origin::ingest::{probe, target_duration};

use super::ingest::print_report;
use crate::cli::Probe;
use crate::output;

/// Segment length that the report is for.
const TARGET_SECONDS: u32 = 6;

pub fn run(arguments: &Probe) -> anyhow::Result<ExitCode> {
    let report = probe(&arguments.file, target_duration(TARGET_SECONDS))?;
    if arguments.json {
        output::json(&report);
    } else {
        print_report(&serde_json::to_value(&report)?);
    }
    Ok(ExitCode::SUCCESS)
}
