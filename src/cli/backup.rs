//! `streamverse backup` and `streamverse restore`.

use std::path::PathBuf;

use clap::Args;

use super::ConfigArgs;

pub const BACKUP_EXAMPLES: &str = "Examples:
  streamverse backup --data /var/lib/streamverse /backup/$(date +%F).tar
  streamverse backup - | age -r age1… > /backup/today.tar.age      encrypted
  streamverse backup - | ssh HOST 'cat > today.tar.unfinished && mv today.tar.unfinished today.tar'
  tar -tvf today.tar                                               what is in it";

pub const RESTORE_EXAMPLES: &str = "Examples:
  streamverse restore today.tar --data /var/lib/streamverse
  age -d -i key.txt today.tar.age | streamverse restore - --data /var/lib/streamverse";

#[derive(Args, Debug)]
pub struct Backup {
    /// File to write, or `-` for standard output. A backup that is there is replaced, anything else
    /// isn't.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub config: ConfigArgs,
    /// One JSON line per progress event and a JSON report at the end.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Restore {
    /// What `backup` wrote, or `-` for standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Compare files with their checksums, and don't look into databases and titles.
    #[arg(long)]
    pub no_verify: bool,
    /// One JSON line per progress event and a JSON report at the end.
    #[arg(long)]
    pub json: bool,
}
