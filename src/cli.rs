//! The command line: what the contract promises, with help that teaches.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use origin::ingest::Layout;

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
    /// Serve media, metrics and health over HTTP until SIGTERM or SIGINT.
    ///
    /// Media goes out by HTTP/1.1 and HTTP/2, and on the `media.https` address over TLS and, on the
    /// UDP port of the same number, by HTTP/3. When all listeners are up, one line goes to standard
    /// output: `ready` and a JSON object with the bound addresses. Logs go to standard error. SIGHUP
    /// reloads the log level, the limits, the presets and the certificates.
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
    /// Make a signed URL for a path (not built yet).
    Sign(Unbuilt),
    /// List, rotate or verify content keys (not built yet).
    Keys(Unbuilt),
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
    /// Roles that this process plays, separated by commas. Edge and origin are served as one;
    /// encoder and control are not built yet.
    #[arg(long, value_delimiter = ',', value_name = "ROLES")]
    pub roles: Vec<Role>,
    /// Ask for no signed URLs and show a page that plays every title. For development and
    /// benchmarks. Without it media answers 403: signed URLs are not built yet.
    #[arg(long)]
    pub open: bool,
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
    /// Remove a title and its files.
    Remove {
        /// Identifier, as `assets list` shows it.
        id: String,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Read every file of a title again and compare it with its checksum.
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
