//! Media of the packaging rows: H.264 and AAC in one muxed MP4 a rung, key frames every 2 s.
//!
//! A minute is encoded once and repeated without encoding, so that ten minutes cost a few seconds
//! and three hours none. Files are kept: delete one to have it made again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::spawn::run;

pub(crate) struct Media {
    /// 1080p at 6 Mb/s, 720p at 3, 480p at 1.5.
    pub(crate) ten_minutes: Vec<PathBuf>,
    /// The 480p file eighteen times over.
    pub(crate) three_hours: PathBuf,
}

const RUNGS: [(&str, &str, u32); 3] =
    [("1080", "1920x1080", 6_000), ("720", "1280x720", 3_000), ("480", "854x480", 1_500)];

pub(crate) fn make(folder: &Path) -> Result<Media> {
    fs::create_dir_all(folder)?;
    let mut ten_minutes = Vec::new();
    for (name, size, kbps) in RUNGS {
        let file = folder.join(format!("{name}.mp4"));
        if !file.exists() {
            let minute = folder.join("minute.unfinished.mp4");
            encode_minute(&minute, size, kbps)?;
            repeat(&minute, 10, &file)?;
            fs::remove_file(&minute)?;
        }
        ten_minutes.push(file);
    }
    let three_hours = folder.join("480-3h.mp4");
    if !three_hours.exists() {
        repeat(&ten_minutes[RUNGS.len() - 1], 18, &three_hours)?;
    }
    Ok(Media { ten_minutes, three_hours })
}

fn encode_minute(file: &Path, size: &str, kbps: u32) -> Result<()> {
    let mut ffmpeg = Command::new("ffmpeg");
    let picture = format!("testsrc2=size={size}:rate=30:duration=60,noise=alls=20:allf=t");
    let sound = "sine=frequency=440:sample_rate=48000:duration=60";
    let rate = format!("{kbps}k");
    ffmpeg.args(["-nostdin", "-v", "error", "-y"]);
    ffmpeg.args(["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", sound, "-shortest"]);
    ffmpeg.args(["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-bf", "2"]);
    ffmpeg.args(["-g", "60", "-keyint_min", "60", "-sc_threshold", "0"]);
    ffmpeg.args(["-b:v", &rate, "-maxrate", &rate, "-bufsize", &rate]);
    ffmpeg.args(["-c:a", "aac", "-b:a", "128k", "-ac", "2"]).arg(file);
    run(&mut ffmpeg).map(drop)
}

/// A file played `times` times. It has its name only once it is whole.
fn repeat(source: &Path, times: u32, file: &Path) -> Result<()> {
    let unfinished = file.with_extension("unfinished.mp4");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error", "-y"]);
    ffmpeg.args(["-stream_loop", &(times - 1).to_string(), "-i"]).arg(source);
    ffmpeg.args(["-c", "copy", "-movflags", "+faststart"]).arg(&unfinished);
    run(&mut ffmpeg)?;
    Ok(fs::rename(&unfinished, file)?)
}
