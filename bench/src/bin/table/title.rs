//! The two titles of the serving rows, and the same bytes as files.
//!
//! `streamverse package` promises the names and bytes that `serve` answers with. So its output is
//! what nginx serves, and what every body of `serve` is compared with before anything is timed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::Settings;
use crate::media::Media;
use crate::spawn::run;

pub(crate) struct Title {
    id: &'static str,
    /// The paths of every file under its static tree.
    paths: Vec<String>,
    pub(crate) ingest: Ingest,
}

/// What `ingest --json` says of a title, and how long it took.
pub(crate) struct Ingest {
    pub(crate) wall: Duration,
    pub(crate) tracks: Vec<IndexSize>,
}

/// The index of one track.
#[derive(Clone, Copy)]
pub(crate) struct IndexSize {
    pub(crate) is_video: bool,
    pub(crate) bytes: u64,
    pub(crate) samples: u64,
}

pub(crate) struct Titles {
    pub(crate) data: PathBuf,
    /// Root of the static files: `vod/ID/...` below it.
    pub(crate) files: PathBuf,
    /// Three rungs.
    pub(crate) ten_minutes: Title,
    /// The lowest rung alone, for comparison with the three hours.
    pub(crate) one_rung: Title,
    pub(crate) three_hours: Title,
}

impl Titles {
    pub(crate) fn ingest(settings: &Settings, media: &Media) -> Result<Self> {
        let data = settings.work.join("data");
        let files = settings.work.join("files");
        let title = |id, sources: &[PathBuf], presets| {
            let ingest = ingest(settings, &data, id, sources)?;
            package(settings, &files.join("vod").join(id), sources, presets)?;
            let mut paths = Vec::new();
            list(&files, &files.join("vod").join(id), &mut paths)?;
            Ok::<_, anyhow::Error>(Title { id, paths, ingest })
        };
        let lowest = media.ten_minutes.len() - 1;
        Ok(Self {
            ten_minutes: title("ten", &media.ten_minutes, "cmaf,ts")?,
            one_rung: title("one", &media.ten_minutes[lowest..], "cmaf")?,
            three_hours: title("three", std::slice::from_ref(&media.three_hours), "cmaf")?,
            data,
            files,
        })
    }

    /// All that the static tree holds.
    pub(crate) fn paths(&self) -> Vec<String> {
        let titles = [&self.ten_minutes, &self.one_rung, &self.three_hours];
        titles.into_iter().flat_map(|title| title.paths.iter().cloned()).collect()
    }
}

impl Title {
    /// Paths of media segments below a folder such as `fmp4`, as players ask for them: every
    /// rendition's first, then every rendition's second. Trick play (`i7.m4s`) is left out.
    pub(crate) fn segments(&self, folder: &str) -> Vec<String> {
        let base = format!("/vod/{}/{folder}/", self.id);
        let below = self.paths.iter().filter(|path| path.starts_with(&base));
        let mut numbered: Vec<(u32, &String)> =
            below.filter_map(|path| Some((segment_number(path)?, path))).collect();
        numbered.sort_unstable();
        numbered.into_iter().map(|(_, path)| path.clone()).collect()
    }

    /// The path of a manifest, such as `cmaf/manifest.mpd`.
    pub(crate) fn manifest(&self, name: &str) -> Result<String> {
        let path = format!("/vod/{}/{name}", self.id);
        if !self.paths.contains(&path) {
            bail!("`package` wrote no {path}");
        }
        Ok(path)
    }
}

/// 12 for `…/12.m4s`.
fn segment_number(path: &str) -> Option<u32> {
    Path::new(path).file_stem()?.to_str()?.parse().ok()
}

fn ingest(settings: &Settings, data: &Path, id: &str, sources: &[PathBuf]) -> Result<Ingest> {
    let mut command = Command::new(&settings.streamverse);
    command.arg("ingest").args(sources).args(["--id", id, "--ladder", "none", "--json"]);
    command.arg("--data").arg(data);
    let began = Instant::now();
    let said = run(&mut command)?;
    let wall = began.elapsed();
    let done = said.lines().last().context("`ingest --json` said nothing")?;
    let done: serde_json::Value = serde_json::from_str(done)?;
    let tracks = done["result"]["tracks"].as_array().context("`ingest --json` names no tracks")?;
    let sizes = tracks.iter().map(|track| {
        Some(IndexSize {
            is_video: track["kind"] == "video",
            bytes: track["index_bytes"].as_u64()?,
            samples: track["sample_count"].as_u64()?,
        })
    });
    let tracks = sizes.collect::<Option<_>>().context("`ingest --json` names no sizes")?;
    Ok(Ingest { wall, tracks })
}

fn package(settings: &Settings, out: &Path, sources: &[PathBuf], presets: &str) -> Result<()> {
    fs::create_dir_all(out.parent().context("a folder")?)?;
    let mut command = Command::new(&settings.streamverse);
    command.arg("package").args(sources).arg("--out").arg(out).args(["--presets", presets]);
    run(&mut command).map(drop)
}

/// Paths below `root` of all files in `folder`, each with a leading slash.
fn list(root: &Path, folder: &Path, paths: &mut Vec<String>) -> Result<()> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    entries.sort_unstable();
    for entry in entries {
        if entry.is_dir() {
            list(root, &entry, paths)?;
        } else {
            let path = entry.strip_prefix(root)?.to_str().context("a name in UTF-8")?;
            paths.push(format!("/{path}"));
        }
    }
    Ok(())
}
