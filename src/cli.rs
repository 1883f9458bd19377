//! The command line: what the contract promises, with help that teaches.

mod keys;
mod operator;
mod sign;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use origin::ingest::Layout;

pub use keys::KeysCommand;
pub use operator::{CacheCommand, Drain, ServerArgs, Sessions};
pub use sign::{CarryForm, Scheme, Sign, SignCdn};

const EXIT_STATUS: &str =
    "Exit status: 0 done, 1 failed (the message names cause and cure), 2 wrong usage.";

/// Media server for people who run a streaming service.
///
/// One binary packages HLS and DASH just in time from MP4, on a laptop or in a fleet. The first
/// steps: `streamverse ingest movie.mp4 --ladder none`, then `streamverse serve --open`.
#[derive(Debug, Parser)]
#[command(name = "streamverse", bin_name = "streamverse", version, max_term_width = 100)]
#[command(after_help = EXIT_STATUS)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve media, the control API, metrics and health until SIGTERM or SIGINT.
    ///
    /// Media goes out by HTTP/1.1 and HTTP/2, and on the `media.https` address over TLS and, on the
    /// UDP port of the same number, by HTTP/3. When all listeners are up, one line goes to standard
    /// output: `ready` and a JSON object with the bound addresses. Logs go to standard error. SIGHUP
    /// reloads the log level, the limits, the presets, the signing keys and those of CDNs, the
    /// trusted proxies, the certificates, and what the gateway of the control API lets in. SIGUSR2 starts the program anew from where it lies,
    /// with `--take-over`: an upgrade that no viewer notices.
    Serve(Serve),
    /// Make a title of one or several files.
    ///
    /// Several MP4 or MOV files become renditions of one title, and have to share key frames.
    /// WebVTT and SubRip files become subtitles; their language and purpose are read from the name
    /// (`movie.en.vtt`, `movie.pt-BR.forced.srt`, `movie.de.sdh.vtt`). A WebVTT file that points
    /// at sprites (`sprite-1.jpg#xywh=…`) becomes thumbnails, a JPEG the poster.
    Ingest(Ingest),
    /// Package files into a folder that any web server can serve.
    ///
    /// The files have the names and the bytes that `serve` would answer with. Files are taken as by
    /// `ingest`; no data directory is needed.
    Package(Package),
    /// Say what a file holds, how it would be packaged, and what is wrong with it.
    ///
    /// Reads the whole file and writes nothing.
    Probe(Probe),
    /// Make signed URLs that open paths on a server that runs without `--open`.
    ///
    /// One token opens all the PATHs, and by default the whole title or channel that each lies in:
    /// the relative URIs of a manifest inherit it. The key is the active `[[signing_key]]` of the
    /// configuration, or that of the data directory, which is made when there is none. Prints one
    /// URL a line, with `media.public_url` in front where it is set.
    ///
    /// With `--scheme` the URLs are those of a CDN. They name a host (`--base`, a `[[delivery]]` or
    /// `media.public_url`) and need a key of that CDN (a `[[cdn.key]]`, or `--key-file`). Where the
    /// token travels as a cookie or a header, a line with it follows each URL.
    #[command(after_long_help = sign::EXAMPLES)]
    Sign(Box<Sign>),
    /// End sessions before their signed URLs expire.
    #[command(subcommand)]
    Sessions(Sessions),
    /// Purge, prefetch, and see what a running server keeps.
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Take a running server out of rotation.
    ///
    /// `/ready` answers 503 from now on, so that load balancers send no more; requests that come all
    /// the same are answered. When the state is `drained`, nothing is under way and the server can
    /// be stopped.
    Drain(Drain),
    /// List, rotate or verify the keys that the server makes for itself.
    ///
    /// There is a ring of keys for each purpose: access tokens, signed URLs, what is sealed for
    /// clients and in the database, seeds of content keys, the audit log.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Create and list people, grant them rights (not built yet).
    Users(Unbuilt),
    /// Create or list tenants (not built yet).
    Tenants(Unbuilt),
    /// List, remove or verify titles.
    #[command(subcommand)]
    Assets(Assets),
    /// Write a backup of the data directory (not built yet: copy the directory).
    Backup(Unbuilt),
    /// Restore a backup (not built yet).
    Restore(Unbuilt),
    /// Migrate or copy the database (not built yet).
    Db(Unbuilt),
    /// Check this machine and the data directory for what commonly goes wrong.
    Doctor(Doctor),
    /// Print or check the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// A command of the contract that a later version brings.
#[derive(Args, Debug)]
pub struct Unbuilt {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub arguments: Vec<String>,
}

/// Where the configuration comes from.
#[derive(Args, Clone, Debug)]
pub struct ConfigArgs {
    /// TOML or YAML file; `streamverse config print` shows every key with its default.
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Data directory [default: ./data].
    #[arg(long, value_name = "DIR", global = true)]
    pub data: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Serve {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Roles that this process plays, separated by commas. `edge` alone answers from the origins
    /// of `[[upstream]]` and keeps what it may; with `origin`, or without this option, titles are
    /// packaged in this process. `control` answers the control API. Without this option all of them
    /// are played; `encoder` is not built yet.
    #[arg(long, value_delimiter = ',', value_name = "ROLES")]
    pub roles: Vec<Role>,
    /// Ask for no signed URLs and show a page that plays every title. For development and
    /// benchmarks. Without it media needs signed URLs: see `streamverse sign`.
    #[arg(long)]
    pub open: bool,
    /// Take the place of the server that runs on this data directory, if one does: its sockets and
    /// the directory change hands, it finishes what is under way and exits, and no request fails.
    /// Should this process not come up, the other one goes on.
    #[arg(long)]
    pub take_over: bool,
}

/// See `--layout`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum MediaLayout {
    /// Each track in a file of its own, in the order in which it is sent: cheapest to serve. What
    /// was given is not kept.
    Packed,
    /// The files as they were given. Takes no space where the file system can share their blocks
    /// (XFS, Btrfs); segments of muxed files cost more processor time and more reads.
    Source,
}

impl From<MediaLayout> for Layout {
    fn from(layout: MediaLayout) -> Self {
        match layout {
            MediaLayout::Packed => Self::Packed,
            MediaLayout::Source => Self::Source,
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Role {
    Edge,
    Origin,
    Encoder,
    Control,
}

#[derive(Args, Debug)]
pub struct Ingest {
    /// MP4, MOV, WebVTT, SubRip, JPEG.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Identifier in URLs [default: made from the title].
    #[arg(long)]
    pub id: Option<String>,
    /// Title shown to viewers [default: name of the first file].
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// `none` keeps the files as they are; encoding a ladder is not built yet.
    #[arg(long, value_name = "auto|none|FILE", default_value = "none")]
    pub ladder: String,
    /// Segments end at the first common key frame after so many seconds
    /// [default: `packager.target_duration_seconds`].
    #[arg(long, value_name = "SECONDS")]
    pub target_duration: Option<u32>,
    /// Replace a title that exists; its segments stay valid for seven days.
    #[arg(long)]
    pub replace: bool,
    /// How the media lies in the store.
    #[arg(long, value_enum, default_value_t = MediaLayout::Packed)]
    pub layout: MediaLayout,
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Upload to a running server instead of a data directory (not built yet).
    #[arg(long, value_name = "URL", requires = "token")]
    pub server: Option<String>,
    /// Access token for `--server`.
    #[arg(long, value_name = "T")]
    pub token: Option<String>,
    /// One JSON line per progress event and a JSON report at the end.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Package {
    /// MP4, MOV, WebVTT, SubRip, JPEG.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Folder to write into; made when missing.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// What to write, separated by commas: `cmaf`, `cmaf-single`, `ts`.
    #[arg(long, value_delimiter = ',', default_value = "cmaf")]
    pub presets: Vec<String>,
    /// Segments end at the first common key frame after so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 6)]
    pub target_duration: u32,
    /// One JSON line per progress event and a JSON report at the end.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Probe {
    /// MP4 or MOV.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
}

/// Seconds of `90s`, `30m`, `12h` or `7d`.
fn seconds(text: &str) -> Result<u64, String> {
    let unit_seconds = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        _ => return Err("write a number and a unit: 90s, 30m, 12h, 7d".to_owned()),
    };
    let count: Option<u64> = text[..text.len() - 1].parse().ok();
    let seconds = count.and_then(|count| count.checked_mul(unit_seconds));
    seconds.ok_or_else(|| "write a whole number and a unit: 90s, 30m, 12h, 7d".to_owned())
}

/// Seconds since 1970 of an RFC 3339 time.
fn timestamp(text: &str) -> Result<u64, String> {
    let time: Option<jiff::Timestamp> = text.parse().ok();
    let seconds = time.and_then(|time| u64::try_from(time.as_second()).ok());
    seconds.ok_or_else(|| "write a time such as 2026-01-31T23:59:59Z".to_owned())
}

#[derive(Debug, Subcommand)]
pub enum Assets {
    /// List titles.
    List {
        #[command(flatten)]
        config: ConfigArgs,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Show one title: its tracks, and the bytes that its indexes take.
    Show {
        /// Identifier, as `assets list` shows it.
        id: String,
        #[command(flatten)]
        config: ConfigArgs,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Make the indexes of a title anew from its stored sources, as a new version may ask for.
    /// Addresses and the bytes behind them stay the same.
    Reindex {
        /// All titles when no identifier is given.
        id: Option<String>,
        #[command(flatten)]
        config: ConfigArgs,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Remove a title and its files.
    Remove {
        /// Identifier, as `assets list` shows it.
        id: String,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Read every file of a title again and compare it with its checksum.
    ///
    /// Also removes what is left of ingests that crashed, and of generations that are no longer
    /// served. What an ingest under way has written is left alone.
    Verify {
        /// All titles when no identifier is given.
        id: Option<String>,
        #[command(flatten)]
        config: ConfigArgs,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args, Debug)]
pub struct Doctor {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the effective configuration, secrets redacted.
    Print {
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Check a configuration and say what is wrong with it.
    Check {
        #[command(flatten)]
        config: ConfigArgs,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_are_read() {
        for (text, expected) in [("90s", 90), ("30m", 1_800), ("12h", 43_200), ("7d", 604_800)] {
            assert_eq!(seconds(text), Ok(expected));
        }
        for text in ["", "12", "h", "-1h", "1.5h", "12 h", "é", "99999999999999999999s", "1w"] {
            assert!(seconds(text).is_err(), "{text}");
        }
        assert_eq!(timestamp("2027-01-15T08:00:00Z"), Ok(1_800_000_000));
        assert_eq!(timestamp("2027-01-15T09:00:00+01:00"), Ok(1_800_000_000));
        for text in ["", "tomorrow", "1800000000", "1960-01-01T00:00:00Z"] {
            assert!(timestamp(text).is_err(), "{text}");
        }
    }
}
