//! `streamverse backup`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use platform::Staging;
use serde_json::json;

use super::{do_work, load_config};
use crate::backup::pack::{Goal, pack};
use crate::backup::{Manifest, Staged};
use crate::cli::Backup;
use crate::output;
use crate::work::{Event, EventSink, Work};

pub fn run(arguments: &Backup) -> anyhow::Result<ExitCode> {
    let loaded = load_config(&arguments.config, Vec::new())?;
    let config = &loaded.config;
    if !config.data.dir.is_dir() {
        bail!("there is no data directory {}; name it with --data", config.data.dir.display());
    }
    let goal = Goal::new(&arguments.file, &config.data.dir)?;
    if arguments.json && matches!(goal, Goal::Stdout) {
        bail!("standard output is for the archive or for JSON, not for both; leave one out");
    }
    let sink = output::event_sink(arguments.json);
    let quiet: EventSink = Arc::new(|_| {});
    let runtime = crate::runtime()?;
    let staged = runtime.block_on(do_work(config, Work::Stage, quiet))?;
    let staged: Staged = serde_json::from_value(staged).context("the server answers oddly")?;
    let staging = Staging::join(&staged.folder)
        .with_context(|| format!("cannot use {}", staged.folder.display()))?;
    // From here on a server may start, stop or hand over: the folder is this process's.
    drop(runtime);
    let packed = pack(&staging, staged, &goal, sink.clone());
    drop(staging);
    let manifest = packed?;
    if config.database.url.is_some() {
        // Also beside JSON: whoever restores this later misses every account.
        eprintln!(
            "warning: the database of `database.url` is NOT in it; save it by its own means \
             (pg_dump, or a copy of the SQLite file while no server runs)"
        );
    }
    sink(Event::Done { result: report(&manifest, &goal) });
    if !arguments.json {
        print(&manifest, &goal);
    }
    Ok(ExitCode::SUCCESS)
}

fn report(manifest: &Manifest, goal: &Goal) -> serde_json::Value {
    let file = match goal {
        Goal::Stdout => None,
        Goal::File(path) => Some(path.display().to_string()),
    };
    json!({ "file": file, "manifest": manifest })
}

/// To standard error where the archive goes to standard output.
fn print(manifest: &Manifest, goal: &Goal) {
    let say = |text: &str| match goal {
        Goal::Stdout => eprintln!("{text}"),
        Goal::File(_) => output::line(text),
    };
    if let Goal::File(path) = goal {
        say(&path.display().to_string());
    }
    for part in &manifest.parts {
        let megabytes = part.bytes as f64 / 1e6;
        say(&format!("  {:24} {:>8} files {megabytes:>12.1} MB", part.name, part.files));
    }
    for left_out in &manifest.left_out {
        say(&format!("  NOT in it: {}: {}", left_out.what, left_out.why));
    }
    say("  NOT in it: the configuration, and files that it names outside the data directory");
}
