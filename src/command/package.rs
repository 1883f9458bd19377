//! `streamverse package`: the same core as the server's, into a folder.

use std::process::ExitCode;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use origin::Library;
use origin::asset::AssetId;
use origin::ingest::{IngestOptions, Layout, Progress, ingest, target_duration};
use origin::package::package;
use origin::preset::{PRESETS, PROTECTED_PRESETS, Preset};
use platform::objects::{LocalStore, ObjectStore};
use serde_json::json;

use super::ingest::print_report;
use crate::cli::Package;
use crate::work::Event;
use crate::{clock, output};

/// Memory for the indexes of the one title.
const INDEX_BYTES_MAX: u64 = 1 << 30;
/// Name of the working folder inside the output.
const WORKING_FOLDER: &str = ".streamverse-package";

pub fn run(arguments: &Package) -> anyhow::Result<ExitCode> {
    let presets = presets(&arguments.presets)?;
    let working = arguments.out.join(WORKING_FOLDER);
    std::fs::create_dir_all(&working)
        .with_context(|| format!("cannot write into {}", arguments.out.display()))?;
    let outcome = crate::runtime()?.block_on(run_in(arguments, &presets, &working));
    std::fs::remove_dir_all(&working)
        .with_context(|| format!("cannot remove {}", working.display()))?;
    outcome
}

fn presets(names: &[String]) -> anyhow::Result<Vec<Preset>> {
    names
        .iter()
        .map(|name| match Preset::find(name) {
            Some(preset) => Ok(preset),
            None if PROTECTED_PRESETS.contains(&name.as_str()) => {
                bail!("preset `{name}` is not built yet: it comes with content protection")
            }
            None => {
                let known = PRESETS.map(|preset| preset.name);
                bail!("there is no preset `{name}`; known are {}", known.join(", "))
            }
        })
        .collect()
}

async fn run_in(
    arguments: &Package,
    presets: &[Preset],
    working: &std::path::Path,
) -> anyhow::Result<ExitCode> {
    let store = ObjectStore::Local(LocalStore::at(working)?);
    let library = Library::new(store, INDEX_BYTES_MAX);
    let id = AssetId::new("package")?;
    let options = IngestOptions {
        files: super::absolute(&arguments.files)?,
        id: Some(id.as_str().to_owned()),
        title: None,
        target: target_duration(arguments.target_duration),
        replace: false,
        layout: Layout::Borrowed,
        now_ms: clock::now_ms(),
    };
    let sink = output::event_sink(arguments.json);
    let shown = sink.clone();
    let progress = move |progress: Progress| shown(crate::work::progress_event(progress));
    let ingested = ingest(&library, options, std::sync::Arc::new(progress)).await?;
    let bar = files_bar(arguments.json);
    let progress = |done: u64, total: u64| {
        if arguments.json {
            let phase = "write_files".to_owned();
            sink(Event::Progress { phase, done_bytes: done, total_bytes: total });
        }
        bar.set_length(total);
        bar.set_position(done);
    };
    let now_ms = clock::now_ms();
    let written = package(&library, &id, presets, &arguments.out, now_ms, &progress).await?;
    bar.finish_and_clear();
    if arguments.json {
        let result = json!({ "ingested": ingested, "written": written });
        output::line(&serde_json::to_string(&Event::Done { result })?);
        return Ok(ExitCode::SUCCESS);
    }
    print_report(&serde_json::to_value(&ingested)?);
    output::line(&format!("{} files, {} bytes; begin with", written.files, written.bytes));
    for manifest in &written.manifests {
        output::line(&format!("  {}", arguments.out.join(manifest).display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn files_bar(is_hidden: bool) -> ProgressBar {
    if is_hidden {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("write    [{bar:40}] {pos}/{len} files {eta}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}
