//! `streamverse config print | check`.

use std::process::ExitCode;

use super::load_config;
use crate::cdn::CdnTokens;
use crate::cli::ConfigCommand;
use crate::output;

pub fn run(arguments: &ConfigCommand) -> anyhow::Result<ExitCode> {
    match arguments {
        ConfigCommand::Print { config } => {
            output::line(load_config(config, Vec::new())?.print().trim_end());
        }
        ConfigCommand::Check { config } => {
            let loaded = load_config(config, Vec::new())?;
            // Keys of CDNs are read by those who use them.
            CdnTokens::from_config(&loaded.config)?;
            output::line("the configuration is valid");
        }
    }
    Ok(ExitCode::SUCCESS)
}
