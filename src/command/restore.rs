//! `streamverse restore`.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use origin::maintenance::{VerifyReport, verify_and_sweep};
use platform::DataDir;
use platform::config::Config;
use serde_json::json;

use super::{load_config, open_library};
use crate::backup::Manifest;
use crate::backup::restore::Restoring;
use crate::cli::Restore;
use crate::clock;
use crate::output;
use crate::work::Event;

pub fn run(arguments: &Restore) -> anyhow::Result<ExitCode> {
    let loaded = load_config(&arguments.config, Vec::new())?;
    let sink = output::event_sink(arguments.json);
    let archive = open(&arguments.file)?;
    let restoring = Restoring::begin(&loaded.config.data.dir)?;
    let manifest = restoring.unpack(archive, sink.clone())?;
    let mut titles = Vec::new();
    if !arguments.no_verify {
        restoring.check_databases(&manifest.databases)?;
        titles = verify_titles(loaded.config.clone(), &restoring.files())?;
    }
    let place = restoring.finish()?;
    sink(Event::Done { result: json!({ "data": place, "manifest": manifest, "titles": titles }) });
    if !arguments.json {
        print(&place, &manifest, &titles, arguments.no_verify);
    }
    let has_faults = titles.iter().any(|title| !title.faults.is_empty());
    Ok(if has_faults { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn open(file: &Path) -> anyhow::Result<Box<dyn Read>> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Box::new(BufReader::with_capacity(1 << 20, opened)))
}

/// Reads every file of every title. What is wrong was wrong before the backup.
fn verify_titles(mut config: Config, files: &Path) -> anyhow::Result<Vec<VerifyReport>> {
    // Those of the archive, wherever the server will look for its own.
    config.objects.url = None;
    let data = DataDir::open(files)?;
    let library = open_library(&config, &data)?;
    let verifying = verify_and_sweep(&library, None, clock::now_ms());
    Ok(crate::runtime()?.block_on(verifying)?)
}

fn print(place: &Path, manifest: &Manifest, titles: &[VerifyReport], is_unverified: bool) {
    output::line(&format!(
        "{}: {} files and folders, {} MB, as of {}",
        place.display(),
        manifest.entries,
        manifest.bytes / 1_000_000,
        manifest.created
    ));
    for database in &manifest.databases {
        output::line(&format!("  database {}", database.path));
    }
    if is_unverified {
        output::line("  titles and databases were not verified; see `streamverse assets verify`");
    } else {
        let whole = titles.iter().filter(|title| title.faults.is_empty()).count();
        output::line(&format!("  {whole} titles verified"));
    }
    for title in titles {
        for fault in &title.faults {
            output::line(&format!("  {} was DAMAGED before the backup: {fault}", title.id));
        }
    }
    for left_out in &manifest.left_out {
        output::line(&format!("  not in the backup: {}: {}", left_out.what, left_out.why));
    }
}
