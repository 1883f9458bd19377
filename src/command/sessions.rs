//! `streamverse sessions revoke`: ends the tokens of a session now.

use std::process::ExitCode;

use super::{do_work, load_config};
use crate::cli::Sessions;
use crate::output;
use crate::work::Work;

pub fn run(arguments: Sessions) -> anyhow::Result<ExitCode> {
    let Sessions::Revoke { sessions, config } = arguments;
    let loaded = load_config(&config, Vec::new())?;
    let sink = std::sync::Arc::new(|_| {});
    let work = Work::Revoke { sessions: sessions.clone() };
    crate::runtime()?.block_on(do_work(&loaded.config, work, sink))?;
    for session in sessions {
        output::line(&format!("revoked {session}"));
    }
    Ok(ExitCode::SUCCESS)
}
