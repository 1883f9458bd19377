//! Media for the codec tests: the files that others made (`STREAMVERSE_MEDIA`), files made by the
//! ffmpeg command line, and a small MP4 reader that owes nothing to the crate under test.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
#![allow(clippy::disallowed_methods, reason = "tests read files")]

mod mp4;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

pub use mp4::{Track, read_tracks};
use packager::codec::describe;
use packager::track::TrackInfo;
use packager::{FourCc, Timescale};

/// All files below `STREAMVERSE_MEDIA` whose names end like an MP4's; none where it is not set.
pub fn media_files() -> Vec<PathBuf> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        let Ok(list) = std::fs::read_dir(folder) else { return };
        for entry in list.flatten() {
            let path = entry.path();
            let extension = path.extension().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() {
                walk(&path, files);
            } else if ["mp4", "mov", "m4a", "3gp", "ismv"].contains(&extension) {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    if let Some(folder) = std::env::var_os("STREAMVERSE_MEDIA") {
        walk(Path::new(&folder), &mut files);
    }
    files.sort();
    files
}

/// A file made by ffmpeg from its own test sources, kept for the next run. `args` come after the
/// inputs: a moving 30 fps picture and a stereo tone, each of `seconds`.
pub fn make(name: &str, size: &str, seconds: &str, args: &[&str]) -> PathBuf {
    // Tests of one binary ask for the same files at the same time.
    static MAKING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = MAKING.lock();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("codec");
    std::fs::create_dir_all(&folder).unwrap();
    let mut hasher = DefaultHasher::new();
    (size, seconds, args).hash(&mut hasher);
    let name = format!("{:08x}-{name}", hasher.finish() as u32);
    let path = folder.join(&name);
    if path.exists() {
        return path;
    }
    let partial = folder.join(format!("{}-{name}", std::process::id()));
    let picture = format!("testsrc2=s={size}:r=30:d={seconds}");
    let tone = format!("sine=f=440:r=48000:d={seconds},aformat=channel_layouts=stereo");
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", &picture])
        .args(["-f", "lavfi", "-i", &tone])
        .args(args)
        .arg(&partial)
        .output()
        .expect("ffmpeg is installed");
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ffmpeg for {name}: {message}");
    std::fs::rename(&partial, &path).unwrap();
    path
}

/// What ffprobe says about each stream: lists of `key=value`.
pub fn ffprobe(path: &Path) -> Vec<HashMap<String, String>> {
    let output = Command::new("ffprobe")
        .args(["-v", "quiet", "-show_streams"])
        .arg(path)
        .output()
        .expect("ffprobe is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split("[STREAM]")
        .skip(1)
        .map(|stream| {
            let rows = stream.lines().filter_map(|line| line.split_once('='));
            rows.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
        })
        .collect()
}

/// Key frames as ffprobe flags them: the byte position of each packet's data.
pub fn ffprobe_packets(path: &Path, track_id: u32) -> Vec<(usize, bool)> {
    let output = Command::new("ffprobe")
        .args(["-v", "quiet", "-select_streams", &format!("i:{track_id}")])
        .args(["-show_entries", "packet=pos,flags", "-of", "csv=p=0"])
        .arg(path)
        .output()
        .expect("ffprobe is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .filter_map(|line| {
            let (position, flags) = line.split_once(',')?;
            Some((position.parse().ok()?, flags.starts_with('K')))
        })
        .collect()
}

/// What the demuxer would say of the track; `None` where it is not packaged.
pub fn track_info(track: &Track) -> Option<TrackInfo> {
    Some(TrackInfo {
        source_track_id: track.id,
        timescale: Timescale::new(track.timescale)?,
        language: "und".to_owned(),
        name: String::new(),
        display_matrix: None,
        sample_entries: track.entries.clone(),
        media: describe(track.id, FourCc(track.handler), track.entries.first()?, 0).ok()?,
    })
}

/// Every slice header syntax that the encoders at hand can write.
pub fn video_files() -> Vec<PathBuf> {
    let x264 = |name: &str, args: &str| {
        let args = format!("-map 0:v -c:v libx264 -pix_fmt yuv420p {args}");
        make(name, "320x240", "2", &args.split(' ').collect::<Vec<_>>())
    };
    let x265 = |name: &str, pix_fmt: &str, params: &str| {
        let args = format!(
            "-map 0:v -c:v libx265 -pix_fmt {pix_fmt} -tag:v hvc1 \
             -x265-params log-level=error:{params}"
        );
        make(name, "416x240", "2", &args.split(' ').collect::<Vec<_>>())
    };
    let other = |name: &str, size: &str, args: &str| {
        make(name, size, "1", &format!("-map 0:v {args}").split(' ').collect::<Vec<_>>())
    };
    let aom = |name: &str, size: &str, args: &str| {
        other(name, size, &format!("-c:v libaom-av1 -cpu-used 8 -b:v 500k {args}"))
    };
    vec![
        aom("av1.mp4", "320x240", "-g 10"),
        aom("av1_tiles.mp4", "1280x512", "-tiles 4x2 -g 10"),
        aom("av1_tile_rows.mp4", "640x640", "-tile-rows 2 -tile-columns 0"),
        aom(
            "av1_screen.mp4",
            "320x240",
            "-aom-params tune-content=screen:enable-palette=1:\
             enable-intrabc=1:error-resilient=1",
        ),
        aom("av1_lossless.mp4", "320x240", "-aom-params lossless=1"),
        other(
            "svt_superres.mp4",
            "640x480",
            "-c:v libsvtav1 -preset 8 -svtav1-params superres-mode=2",
        ),
        aom("av1_segments.mp4", "320x240", "-aq-mode 2 -usage realtime -aom-params deltaq-mode=0"),
        aom(
            "av1_delta_q.mp4",
            "320x240",
            "-aom-params deltaq-mode=1:enable-global-motion=1:\
             enable-chroma-deltaq=1:enable-qm=1",
        ),
        aom("av1_grain.mp4", "320x240", "-denoise-noise-level 30"),
        aom("av1_mono.mp4", "320x240", "-pix_fmt gray"),
        aom("av1_444.mp4", "320x240", "-pix_fmt yuv444p10le"),
        aom("av1_rotating.mp4", "320x240", "-vf rotate=t/2 -aom-params enable-global-motion=1"),
        other("svt.mp4", "320x240", "-c:v libsvtav1 -preset 8 -g 15"),
        other(
            "svt_grain.mp4",
            "320x240",
            "-c:v libsvtav1 -preset 8 -svtav1-params film-grain=20:tile-columns=1:enable-tf=1",
        ),
        other("rav1e.mp4", "640x256", "-c:v librav1e -speed 10 -tile-columns 2 -g 10"),
        other(
            "vp9.mp4",
            "320x240",
            "-c:v libvpx-vp9 -deadline good -cpu-used 5 \
             -auto-alt-ref 1 -lag-in-frames 16 -g 15",
        ),
        other(
            "vp9_tiles.mp4",
            "1280x256",
            "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 \
             -tile-columns 2 -tile-rows 1 -aq-mode 3",
        ),
        other(
            "vp9_resilient.mp4",
            "320x240",
            "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -error-resilient 1",
        ),
        other(
            "vp9_444.mp4",
            "320x240",
            "-c:v libvpx-vp9 -deadline good -cpu-used 5 \
             -pix_fmt yuv444p12le -auto-alt-ref 1 -lag-in-frames 10",
        ),
        other(
            "vp9_lossless.mp4",
            "320x240",
            "-c:v libvpx-vp9 -deadline good -cpu-used 5 -lossless 1",
        ),
        x264("cavlc.mp4", "-profile:v baseline -x264opts slices=4:ref=4"),
        x264(
            "main.mp4",
            "-profile:v main -x264opts bframes=3:b-pyramid=normal:weightb=1:weightp=2:ref=5",
        ),
        x264("high.mp4", "-x264opts bframes=5:b-pyramid=strict:8x8dct=1:direct=temporal:slices=3"),
        x264("faded.mp4", "-vf fade=in:0:40 -x264opts weightp=2:ref=3:bframes=2:keyint=30"),
        x264("interlaced.mp4", "-flags +ildct+ilme -x264opts tff=1:bframes=2:ref=4:weightp=0"),
        x264("open_gop.mp4", "-x264opts open-gop=1:keyint=20:min-keyint=5:bframes=3"),
        x264("intra_refresh.mp4", "-x264opts intra-refresh=1:keyint=20"),
        x264("no_deblock.mp4", "-x264opts no-deblock=1:slice-max-size=300"),
        x264("deblock.mp4", "-x264opts deblock=-3,2:nal-hrd=vbr:vbv-maxrate=1000:vbv-bufsize=1000"),
        x264("lossless.mp4", "-qp 0 -x264opts slices=2"),
        x264("avc3.mp4", "-x264opts repeat-headers=1:keyint=10 -tag:v avc3"),
        x265("hevc.mp4", "yuv420p", "keyint=20:bframes=4:b-pyramid=1:ref=4"),
        x265("hevc_slices.mp4", "yuv420p", "slices=3:wpp=1:weightb=1:weightp=1:ref=5"),
        x265("hevc_wavefront.mp4", "yuv420p10le", "wpp=1:ctu=16:min-cu-size=8:no-sao=1"),
        x265(
            "hevc_open.mp4",
            "yuv420p",
            "open-gop=1:keyint=15:min-keyint=5:bframes=3:repeat-headers=1:aud=1:\
             hrd=1:vbv-maxrate=2000:vbv-bufsize=2000",
        ),
        x265("hevc_444.mp4", "yuv444p12le", "no-deblock=1:cbqpoffs=2:crqpoffs=-2"),
        x265("hevc_gray.mp4", "gray", "tskip=1:weightb=1"),
        x265("hevc_layers.mp4", "yuv420p", "temporal-layers=3:bframes=3:scaling-list=default"),
        x265("hevc_field.mp4", "yuv420p", "interlace=tff:no-wpp=1:frame-dup=0"),
    ]
}
