//! `streamverse assets list | remove | verify`.

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
