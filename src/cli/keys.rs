//! `streamverse keys`.

use clap::Subcommand;
use platform::keyring::Purpose;

use super::ConfigArgs;

/// See `Command::Keys`.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Show the keys of each purpose: id, state, age, until when they count.
    ///
    /// States: `next` (published, signs soon), `active` (signs or seals), `retiring` (what it made
    /// still counts), `revoked` (nothing of it counts).
    List {
        /// Show the seeds that content keys are derived from, and write that down in keys/audit.log.
        #[arg(long)]
        reveal: bool,
        #[command(flatten)]
        config: ConfigArgs,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Put a new key in the place of the active one.
    ///
    /// The new key is published first and takes over a minute later, ten minutes for purposes whose
    /// public keys others fetch; what the old one made counts until it has expired. A running server
    /// learns of it at once. With `--emergency` the new key takes over now, and for access-tokens,
    /// url-tokens and sessions nothing that an older key made counts any more.
    Rotate {
        /// access-tokens, url-tokens, sessions, records, content-seeds or audit.
        #[arg(value_name = "PURPOSE")]
        purpose: Purpose,
        /// A key has leaked: let it count no more.
        #[arg(long)]
        emergency: bool,
        #[command(flatten)]
        config: ConfigArgs,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Open every ring, use every key, and say what is wrong.
    Verify {
        #[command(flatten)]
        config: ConfigArgs,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
}
