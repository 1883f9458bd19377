//! `streamverse db migrate | copy`.

use std::process::ExitCode;

use anyhow::bail;
use platform::config::Config;
use platform::db::{Copied, CopyPhase, CopyProgress, Settings, copy, migrate};
use platform::{DataDir, DataDirError};
use serde_json::json;

use super::load_config;
use crate::cli::{ConfigArgs, DbCommand};
use crate::database::SCHEMAS;
use crate::output;

pub fn run(arguments: &DbCommand) -> anyhow::Result<ExitCode> {
    match arguments {
        DbCommand::Migrate { config, dry_run, json } => run_migrate(config, *dry_run, *json)?,
        DbCommand::Copy { to, config, json } => run_copy(config, to, *json)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn run_migrate(arguments: &ConfigArgs, is_dry: bool, as_json: bool) -> anyhow::Result<()> {
    let loaded = load_config(arguments, Vec::new())?;
    let (_data, settings) = own(&loaded.config)?;
    let done = crate::runtime()?.block_on(migrate(&settings, &SCHEMAS, is_dry))?;
    if as_json {
        let rows = done.iter().map(|migrated| {
            json!({
                "schema": migrated.schema,
                "version": migrated.version,
                "name": migrated.name,
            })
        });
        output::json(&json!({ "dry_run": is_dry, "applied": rows.collect::<Vec<_>>() }));
        return Ok(());
    }
    let verb = if is_dry { "would apply" } else { "applied" };
    for migrated in &done {
        let (schema, version, name) = (migrated.schema, migrated.version, migrated.name);
        output::line(&format!("{verb} {schema} {version}: {name}"));
    }
    if done.is_empty() {
        output::line("the database is up to date");
    }
    Ok(())
}

fn run_copy(arguments: &ConfigArgs, to: &str, as_json: bool) -> anyhow::Result<()> {
    let loaded = load_config(arguments, Vec::new())?;
    // Read as the configuration's own address is, secrets and all.
    let flag = ("database.url".to_owned(), to.to_owned());
    let target = load_config(arguments, vec![flag])?;
    let (data, source) = own(&loaded.config)?;
    let target = target.config.database.settings(data.path());
    let sink = output::row_sink(as_json);
    let told = |progress: CopyProgress| {
        let phase = match progress.phase {
            CopyPhase::Copying => "copying",
            CopyPhase::Comparing => "comparing",
        };
        sink.tell(phase, &progress.table, progress.done_rows, progress.total_rows);
    };
    let copied = crate::runtime()?.block_on(copy(&source, &target, &SCHEMAS, told));
    sink.end();
    report(&copied?, as_json);
    Ok(())
}

fn report(copied: &[Copied], as_json: bool) {
    if as_json {
        let tables = copied.iter().map(
            |table| json!({ "table": table.table, "rows": table.rows, "digest": table.digest }),
        );
        let done = json!({ "event": "done", "tables": tables.collect::<Vec<_>>() });
        output::line(&done.to_string());
        return;
    }
    for table in copied {
        output::line(&format!("{:40} {:>10} rows  {}", table.table, table.rows, table.digest));
    }
    output::line("every row was read back and compared; set `[database] url` to the new database");
}

/// The data directory for this command alone, and what its configuration says of the database.
///
/// A server that runs has migrated at its start, and what it writes meanwhile would be missing in
/// a copy: the directory is refused while one owns it, wherever the database lies.
fn own(config: &Config) -> anyhow::Result<(DataDir, Settings)> {
    match DataDir::open(&config.data.dir) {
        Ok(data) => {
            let settings = config.database.settings(data.path());
            Ok((data, settings))
        }
        Err(DataDirError::Owned { path, owner }) => bail!(
            "process {owner} serves {}: it has migrated at its start, and would write past a \
             copy; stop it first",
            path.display()
        ),
        Err(error) => Err(error.into()),
    }
}
