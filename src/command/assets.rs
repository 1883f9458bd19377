//! `streamverse assets list | show | reindex | remove | verify`.

use std::process::ExitCode;

use serde_json::Value;

use super::{do_work, load_config};
use crate::cli::{Assets, ConfigArgs};
use crate::output;
use crate::work::Work;

pub fn run(arguments: Assets) -> anyhow::Result<ExitCode> {
    match arguments {
        Assets::List { config, json } => {
            let titles = work(&config, Work::List)?;
            if json {
                output::json(&titles);
            } else {
                print_titles(&titles);
            }
            Ok(ExitCode::SUCCESS)
        }
        Assets::Show { id, config, json } => {
            let title = work(&config, Work::Show { id })?;
            if json {
                output::json(&title);
            } else {
                print_title(&title);
            }
            Ok(ExitCode::SUCCESS)
        }
        Assets::Reindex { id, config, json } => {
            let reports = work(&config, Work::Reindex { id })?;
            if json {
                output::json(&reports);
            } else {
                print_reindexed(&reports);
            }
            Ok(ExitCode::SUCCESS)
        }
        Assets::Remove { id, config } => {
            work(&config, Work::Remove { id: id.clone() })?;
            output::line(&format!("removed {id}"));
            Ok(ExitCode::SUCCESS)
        }
        Assets::Verify { id, config, json } => {
            let reports = work(&config, Work::Verify { id })?;
            if json {
                output::json(&reports);
            } else {
                print_verified(&reports);
            }
            let has_faults =
                titles(&reports).any(|report| report["faults"] != Value::Array(vec![]));
            Ok(if has_faults { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
    }
}

fn work(arguments: &ConfigArgs, work: Work) -> anyhow::Result<Value> {
    let loaded = load_config(arguments, Vec::new())?;
    let sink = std::sync::Arc::new(|_| {});
    crate::runtime()?.block_on(do_work(&loaded.config, work, sink))
}

fn titles(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().map_or(&[][..], Vec::as_slice).iter()
}

fn print_titles(list: &Value) {
    if titles(list).next().is_none() {
        output::line("no titles; make one with `streamverse ingest FILE --ladder none`");
    }
    for title in titles(list) {
        output::line(&format!(
            "{:32} {:>10.1} s {:>8} MB  {}",
            title["id"].as_str().unwrap_or_default(),
            title["duration_seconds"].as_f64().unwrap_or(0.0),
            title["bytes"].as_u64().unwrap_or(0) / 1_000_000,
            title["title"].as_str().unwrap_or_default(),
        ));
    }
}

fn print_title(title: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    output::line(&format!(
        "{}  {}, {:.1} s, {} segments",
        text(&title["id"]),
        text(&title["title"]),
        title["duration_seconds"].as_f64().unwrap_or(0.0),
        title["segment_count"],
    ));
    for track in titles(&title["tracks"]) {
        output::line(&format!(
            "  {:4} {:6} {:24} {:>8} kbit/s {:>9} samples, index {} bytes",
            text(&track["name"]),
            text(&track["kind"]),
            text(&track["codecs"]),
            track["average_bitrate"].as_u64().unwrap_or(0) / 1_000,
            track["sample_count"],
            track["index_bytes"],
        ));
    }
    output::line(&format!("  {} bytes in memory while warm", title["index"]["bytes_resident"]));
}

fn print_reindexed(reports: &Value) {
    for report in titles(reports) {
        let tracks = titles(&report["tracks"]).filter_map(Value::as_str).collect::<Vec<_>>();
        let (before, after) = (&report["index_bytes_before"], &report["index_bytes"]);
        let id = report["id"].as_str().unwrap_or_default();
        output::line(&match tracks.is_empty() {
            true => format!("{id:32} as it was, {after} bytes"),
            false => format!("{id:32} {}: {before} bytes, now {after}", tracks.join(", ")),
        });
    }
}

fn print_verified(reports: &Value) {
    for report in titles(reports) {
        let faults = report["faults"].as_array().map_or(&[][..], Vec::as_slice);
        output::line(&format!(
            "{:32} {} files, {} MB: {}",
            report["id"].as_str().unwrap_or_default(),
            report["files"],
            report["bytes"].as_u64().unwrap_or(0) / 1_000_000,
            match (faults.is_empty(), report["files"] == 0) {
                (false, _) => "DAMAGED",
                (true, false) => "all well",
                (true, true) => "no title",
            },
        ));
        for fault in faults {
            output::line(&format!("  {}", fault.as_str().unwrap_or_default()));
        }
        for generation in titles(&report["removed"]).filter_map(Value::as_str) {
            output::line(&format!("  removed {generation}, which belonged to nothing any more"));
        }
        let unchecked = report["unchecked"].as_array().map_or(&[][..], Vec::as_slice);
        for file in unchecked.iter().filter_map(Value::as_str) {
            output::line(&format!(
                "  {file}: not checked, since it was ingested before pictures had checksums; \
                 ingest --replace adds them"
            ));
        }
    }
}
