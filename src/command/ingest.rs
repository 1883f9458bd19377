//! `streamverse ingest`.

use std::process::ExitCode;

use anyhow::bail;
use serde_json::Value;

use super::{absolute, do_work, load_config};
use crate::cli::Ingest;
use crate::output;
use crate::work::Work;

pub fn run(arguments: &Ingest) -> anyhow::Result<ExitCode> {
    if let Some(server) = &arguments.server {
        bail!("uploading to {server} is not built yet; ingest on the machine that serves it");
    }
    if arguments.ladder != "none" {
        bail!(
            "--ladder {} is not built yet; encode the renditions yourself, give them all, and say \
             --ladder none",
            arguments.ladder
        );
    }
    let loaded = load_config(&arguments.config, Vec::new())?;
    let config = &loaded.config;
    let target_duration_seconds = arguments
        .target_duration
        .unwrap_or_else(|| config.packager.target_duration_seconds.round() as u32);
    let work = Work::Ingest {
        files: absolute(&arguments.files)?,
        id: arguments.id.clone(),
        title: arguments.title.clone(),
        target_duration_seconds,
        replace: arguments.replace,
        layout: arguments.layout.into(),
    };
    let sink = output::event_sink(arguments.json);
    let report = crate::runtime()?.block_on(do_work(config, work, sink))?;
    if !arguments.json {
        print_report(&report);
    }
    Ok(ExitCode::SUCCESS)
}

/// The report as people read it.
pub fn print_report(report: &Value) {
    let text = |value: &Value, key: &str| match &value[key] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    output::line(&format!(
        "{}  \"{}\"  {:.3} s in {} segments",
        text(report, "id"),
        text(report, "title"),
        report["duration_seconds"].as_f64().unwrap_or(0.0),
        text(report, "segment_count"),
    ));
    for track in list(report, "tracks") {
        let size = match (&track["width"], &track["height"]) {
            (Value::Number(width), Value::Number(height)) => format!(" {width}x{height}"),
            _ => String::new(),
        };
        let rate = match track["frame_rate"].as_f64() {
            Some(rate) => format!(" {rate} fps"),
            None => String::new(),
        };
        output::line(&format!(
            "  {:4} {:18} {:4} {}{size}{rate} {} kb/s",
            text(track, "name"),
            text(track, "codecs"),
            text(track, "language"),
            text(track, "label"),
            track["average_bitrate"].as_u64().unwrap_or(0) / 1_000,
        ));
    }
    for preset in list(report, "presets") {
        let left_out: Vec<_> = list(preset, "left_out").iter().filter_map(Value::as_str).collect();
        if preset["playable"] == false {
            output::line(&format!("  preset {}: not playable", text(preset, "preset")));
        }
        for reason in left_out {
            output::line(&format!("  preset {} leaves out {reason}", text(preset, "preset")));
        }
    }
    for track in list(report, "left_out") {
        output::line(&format!(
            "  left out: track {} of file {}: {}",
            text(track, "track_id"),
            track["source"].as_u64().unwrap_or(0) + 1,
            text(track, "reason"),
        ));
    }
    for warning in list(report, "warnings").iter().filter_map(Value::as_str) {
        output::line(&format!("  warning: {warning}"));
    }
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}
