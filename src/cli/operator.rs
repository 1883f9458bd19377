//! Commands that act on a running server.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ConfigArgs;

/// Which running server a command acts on.
#[derive(Args, Clone, Debug)]
pub struct ServerArgs {
    /// Ops listener of a server elsewhere, such as http://10.0.0.5:9100. Without it, the server that
    /// owns the data directory is meant, and no key is needed.
    #[arg(long, value_name = "URL", requires = "key")]
    pub server: Option<String>,
    /// Operator key of `--server`, better as `file:PATH` or `env:NAME` than in the clear. It is
    /// `[ops] key` there, or the file keys/ops of its data directory.
    #[arg(long, value_name = "KEY", requires = "server")]
    pub key: Option<String>,
    /// PEM file of the authorities that may vouch for an https `--server`.
    #[arg(long, value_name = "FILE", requires = "server")]
    pub ca: Option<PathBuf>,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Subcommand)]
pub enum Sessions {
    /// Refuse every token of these sessions from now on.
    ///
    /// It holds on this server at once, over restarts too, and on every server that follows its feed
    /// (`[feed] follow` there) within five seconds, or when that is back. Where no server runs on
    /// the data directory, the next one tells.
    Revoke {
        /// As `sign --session` was given, or `sign --json` printed.
        #[arg(required = true, value_name = "ID")]
        sessions: Vec<String>,
        #[command(flatten)]
        server: ServerArgs,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// List the sessions that a running server refuses, and until when it has to remember them.
    List {
        /// Sessions to list, up to 10000.
        #[arg(long, value_name = "N", default_value_t = 1_000)]
        limit: usize,
        /// Go on after this session.
        #[arg(long, value_name = "ID", default_value = "")]
        after: String,
        #[command(flatten)]
        server: ServerArgs,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Have stored answers fetched anew: on the server, and on all that follow its feed.
    ///
    /// What is purged is not used again. With `--soft` it is confirmed with the origin first, which
    /// costs no transfer where nothing changed, and stands in when the origin fails. Purge at the
    /// origin to reach every edge.
    ///
    /// Examples: `cache purge --tag film` (a title), `cache purge --prefix /vod/film/cmaf/ --soft`,
    /// `cache purge --url /vod/film/cmaf/master.m3u8`.
    #[command(group(clap::ArgGroup::new("what").required(true).multiple(true)
        .args(["url", "prefix", "tag"])))]
    Purge {
        /// One address with its query, as viewers ask for it; scheme, host and token are ignored.
        /// A manifest is kept once for each set of parameters: `--prefix` reaches all of them.
        #[arg(long, value_name = "URL")]
        url: Vec<String>,
        /// Every address whose path begins so, such as /vod/film/.
        #[arg(long, value_name = "PATH")]
        prefix: Vec<String>,
        /// Everything with this `Cache-Tag`: the identifier of a title.
        #[arg(long, value_name = "TAG")]
        tag: Vec<String>,
        /// Confirm with the origin instead of forgetting.
        #[arg(long)]
        soft: bool,
        #[command(flatten)]
        server: ServerArgs,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Have an edge fetch what will be asked for, a few at a time.
    Prefetch {
        /// Addresses as viewers ask for them; scheme, host and token are ignored.
        #[arg(required = true, value_name = "URL")]
        urls: Vec<String>,
        #[command(flatten)]
        server: ServerArgs,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Show what a server keeps and serves: hits by title, upstreams, connections, feed.
    Stats {
        /// Titles to show, the most used first.
        #[arg(long, value_name = "N", default_value_t = 20)]
        tags: usize,
        #[command(flatten)]
        server: ServerArgs,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
}

/// See `Command::Drain`.
#[derive(Args, Debug)]
pub struct Drain {
    /// Say where it stands, and change nothing.
    #[arg(long, conflicts_with = "cancel")]
    pub status: bool,
    /// Take requests again.
    #[arg(long)]
    pub cancel: bool,
    #[command(flatten)]
    pub server: ServerArgs,
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
}
