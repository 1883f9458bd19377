//! Measures StreamVerse beside its peers and prints one table; what `make bench` runs.
//!
//! ```text
//! table TARGET_DIR
//! ```
//!
//! `TARGET_DIR/release/streamverse` is measured. Media is made once and kept in
//! `TARGET_DIR/bench-media`; everything else is made anew in `TARGET_DIR/bench-work` and removed.
//! `bench/README.md` says how each row is measured and what the environment variables do.

mod edge;
mod media;
mod nginx;
mod ours;
mod programs;
mod report;
mod rows;
mod spawn;
mod title;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use report::Report;

/// The core of whatever is measured.
const SERVER_CORE: usize = 0;
/// The core of the client.
const CLIENT_CORE: usize = 1;

/// What a run is told from outside.
struct Settings {
    target: PathBuf,
    work: PathBuf,
    streamverse: PathBuf,
    rounds: usize,
    duration: Duration,
    strict: bool,
    part: Option<Part>,
}

/// A group of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Packaging,
    Edge,
}

impl Settings {
    fn has(&self, part: Part) -> bool {
        self.part.is_none_or(|wanted| wanted == part)
    }

    fn new(target: &Path) -> Result<Self> {
        let target = target.canonicalize().with_context(|| format!("{}", target.display()))?;
        let streamverse = target.join("release/streamverse");
        if !streamverse.is_file() {
            bail!("{} is missing: `cargo build --release` makes it", streamverse.display());
        }
        let rounds = variable("ROUNDS", 5.0)? as usize;
        let seconds = variable("SECONDS_EACH", 3.0)?;
        if rounds == 0 || seconds <= 0.0 {
            bail!("ROUNDS and SECONDS_EACH are at least 1 and above 0");
        }
        Ok(Self {
            work: target.join("bench-work"),
            target,
            streamverse,
            rounds,
            duration: Duration::try_from_secs_f64(seconds).context("SECONDS_EACH")?,
            strict: variable("STRICT", 0.0)? != 0.0,
            part: match std::env::var("PART").as_deref() {
                Err(_) | Ok("" | "all") => None,
                Ok("packaging") => Some(Part::Packaging),
                Ok("edge") => Some(Part::Edge),
                Ok(other) => bail!("PART is all, packaging or edge, not `{other}`"),
            },
        })
    }
}

fn variable(name: &str, default: f64) -> Result<f64> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is a number, not `{text}`")),
        Err(_) => Ok(default),
    }
}

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target] = arguments.as_slice() else { bail!("usage: table TARGET_DIR") };
    if std::thread::available_parallelism()?.get() < 2 {
        bail!("two cores are needed: one for the server, one for the client");
    }
    let settings = Settings::new(Path::new(target))?;
    // What a run that was killed has left.
    remove(&settings.work)?;
    std::fs::create_dir_all(&settings.work)?;
    let outcome = measure(&settings);
    remove(&settings.work)?;
    let misses = outcome?;
    Ok(ExitCode::from(u8::from(settings.strict && misses > 0)))
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(source).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Every row, in the order of the table; how many miss their target.
fn measure(settings: &Settings) -> Result<usize> {
    let mut report = Report::begin(Path::new("bench/results"))?;
    report.note(&machine()?)?;
    if settings.has(Part::Packaging) {
        packaging(settings, &mut report)?;
    }
    if settings.has(Part::Edge) {
        edge::measure(settings, &mut report)?;
    }
    report.note(&format!("\nLoad {} at the end.", load_average()?))?;
    Ok(report.misses())
}

fn packaging(settings: &Settings, report: &mut Report) -> Result<()> {
    let media = media::make(&settings.target.join("bench-media"))?;
    eprintln!("ingesting and packaging");
    let titles = title::Titles::ingest(settings, &media)?;
    rows::serving::measure(settings, &titles, report)?;
    rows::cold::measure(settings, &titles, report)?;
    rows::stalled::measure(settings, &titles, report)?;
    rows::index::measure(settings, &titles, report)?;
    rows::start::measure(settings, &titles, report)?;
    rows::offline::measure(settings, &media, report)
}

fn machine() -> Result<String> {
    let cpus = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let cores = std::thread::available_parallelism()?;
    let model = model.map_or("unknown processor", |(_, model)| model);
    let nginx = nginx::version()?;
    Ok(format!(
        "{model}, {cores} cores, Linux {}, {nginx}, load {} at the start",
        kernel.trim(),
        load_average()?
    ))
}

/// Of the last 1, 5 and 15 minutes: how much else the machine had to do.
fn load_average() -> Result<String> {
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let load: Vec<&str> = load.split(' ').take(3).collect();
    Ok(load.join(" "))
}
