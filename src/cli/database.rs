//! `streamverse db`.

use clap::Subcommand;

use super::ConfigArgs;

#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Bring the tables up to date, as `serve` does when it starts.
    ///
    /// All changes are made together or not at all. A database of a newer version is refused.
    Migrate {
        #[command(flatten)]
        config: ConfigArgs,
        /// Try the changes and take them back.
        #[arg(long)]
        dry_run: bool,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Copy everything to an empty database, from SQLite to PostgreSQL or back.
    ///
    /// Stop the server first: what it writes during the copy would not be in it. Every row is read
    /// back and compared before the copy is committed. Then set `[database] url` to the new one.
    Copy {
        /// `sqlite:PATH` or `postgres://…`, better as `env:NAME` or `file:PATH`: others on this
        /// machine see what stands on a command line. `[database] insecure` and `ca` hold for it.
        #[arg(long, value_name = "URL")]
        to: String,
        #[command(flatten)]
        config: ConfigArgs,
        /// One JSON line per progress event and a JSON report at the end.
        #[arg(long)]
        json: bool,
    },
}
