//! `streamverse package` beside a copy of what it wrote, and beside other packagers.
//!
//! Each writes ten minutes in three rungs as HLS of fMP4 segments of 6 s, held to one core; its
//! processor time is divided by the bytes that it wrote.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::media::Media;
use crate::programs;
use crate::report::{Report, Row, Target, median};
use crate::spawn::{on_core, run_timed};
use crate::{SERVER_CORE, Settings};

/// Each round writes some 800 MB for each program.
const ROUNDS_MAX: usize = 3;

struct Packager {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<OsString>,
    out: PathBuf,
    figures: Vec<f64>,
}

pub(crate) fn measure(settings: &Settings, media: &Media, report: &mut Report) -> Result<()> {
    let folder = settings.work.join("offline");
    let mut packagers = packagers(settings, media, &folder);
    for _ in 0..settings.rounds.min(ROUNDS_MAX) {
        fs::create_dir_all(&folder)?;
        for packager in &mut packagers {
            // ffmpeg and shaka-packager differ in which folders they make.
            if packager.name != "cp" && packager.name != "streamverse" {
                fs::create_dir_all(&packager.out)?;
            }
            let mut command = on_core(SERVER_CORE, &packager.program);
            let cpu = run_timed(command.args(&packager.arguments))?;
            let gb = size(&packager.out)? as f64 / 1e9;
            packager.figures.push(cpu.as_secs_f64() / gb);
        }
        fs::remove_dir_all(&folder)?;
    }

    let mut medians =
        packagers.into_iter().map(|packager| (packager.name, median(packager.figures)));
    let (_, ours) = medians.next().context("ours is the first")?;
    for (at, (name, figure)) in medians.enumerate() {
        report.row(&Row {
            name: &format!("`package` to fMP4, offline, beside {name}"),
            unit: "CPU s/GB",
            ours,
            peer: Some((name, figure)),
            target: if at == 0 { Target::Most(1.0) } else { Target::None },
        })?;
    }
    Ok(())
}

/// Ours first, then the copy of its output, then the others.
fn packagers(settings: &Settings, media: &Media, folder: &Path) -> Vec<Packager> {
    let sources = &media.ten_minutes;
    let make = |name, program: PathBuf, arguments: fn(&[PathBuf], &Path) -> Vec<OsString>| {
        let out = folder.join(name);
        let arguments = arguments(sources, &out);
        Packager { name, program, arguments, out, figures: Vec::new() }
    };
    let mut all = vec![
        make("streamverse", settings.streamverse.clone(), programs::streamverse),
        make("cp", "cp".into(), |_, out| {
            vec!["-r".into(), out.with_file_name("streamverse").into(), out.into()]
        }),
        make("ffmpeg -c copy", "ffmpeg".into(), programs::ffmpeg),
    ];
    if let Some(program) = programs::find_shaka_packager(&settings.target) {
        all.push(make("shaka-packager", program, programs::shaka_packager));
    }
    all
}

fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let entry = entry?;
        let about = entry.metadata()?;
        bytes += if about.is_dir() { size(&entry.path())? } else { about.len() };
    }
    Ok(bytes)
}
