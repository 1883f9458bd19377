//! Subsample layouts against an independent encryptor, and their invariants.
//!
//! `STREAMVERSE_SHAKA_PACKAGER` names the binary of Shaka Packager; without it the comparison is
//! left out. It writes every file twice, clear and encrypted: the clear one is scanned, and the
//! `senc` of the encrypted one must agree, to the byte under `cbcs`, and with protected runs
//! rounded down to whole blocks under `cenc`.
#![allow(clippy::disallowed_methods, reason = "tests read files")]

mod codec_support;

use std::path::{Path, PathBuf};
use std::process::Command;

use codec_support::{Track, make, media_files, read_tracks};
use drm::{Subsample, SubsampleMap};
use packager::codec::{RandomAccess, SampleScanner, describe};
use packager::track::MediaParams;
use packager::track::{TrackInfo, VideoCodec};
use packager::{FourCc, Timescale};
use proptest::prelude::*;

fn track_info(track: &Track) -> Option<TrackInfo> {
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

/// Scans every sample; the layouts and where decoding can start.
fn scan(place: &str, file: &[u8], track: &Track) -> Option<(SubsampleMap, Vec<RandomAccess>)> {
    let info = track_info(track)?;
    let mut scanner = SampleScanner::new(&info);
    let mut layout = SubsampleMap::default();
    let mut access = Vec::new();
    for (index, sample) in track.samples.iter().enumerate() {
        let bytes = file.get(sample.offset..sample.offset + sample.size)?;
        let facts = scanner.scan(bytes, sample.description_index, &mut layout);
        let facts = facts.unwrap_or_else(|reason| panic!("{place}, sample {index}: {reason}"));
        access.push(facts.random_access);
        assert_eq!(layout.len(), index + 1);
        assert_sums_to(layout.sample(index), sample.size);
    }
    Some((layout, access))
}

fn assert_sums_to(subsamples: &[Subsample], size: usize) {
    let sum: u64 = subsamples
        .iter()
        .map(|run| u64::from(run.clear_bytes) + u64::from(run.protected_bytes))
        .sum();
    assert!(subsamples.is_empty() || sum == size as u64, "{subsamples:?} of {size} bytes");
}

/// Our runs as Shaka Packager writes them.
fn as_written(subsamples: &[Subsample], rounds_to_blocks: bool) -> Vec<(u32, u32)> {
    let mut runs = Vec::new();
    let mut clear = 0;
    for run in subsamples {
        clear += run.clear_bytes;
        let left_over = if rounds_to_blocks { run.protected_bytes % 16 } else { 0 };
        if run.protected_bytes > left_over {
            runs.push((clear, run.protected_bytes - left_over));
            clear = 0;
        }
        clear += left_over;
    }
    if clear > 0 {
        runs.push((clear, 0));
    }
    runs
}

fn shaka(binary: &Path, source: &Path, scheme: Option<&str>, output: &Path) -> bool {
    let mut command = Command::new(binary);
    command.arg(format!("in={},stream=video,output={}", source.display(), output.display()));
    if let Some(scheme) = scheme {
        command.args(["--protection_scheme", scheme, "--enable_raw_key_encryption"]).args([
            "--keys",
            "label=:key_id=abba271e8bcf552bbd2e86a434a9a5d9:key=69eaa802a6763af979e8d1940fb88392",
            "--clear_lead",
            "0",
        ]);
    }
    command.output().expect("the packager runs").status.success()
}

/// Samples compared of one file; `None` when the encryptor does not take it.
fn compare_with_shaka(binary: &Path, source: &Path) -> Option<usize> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("codec-shaka");
    std::fs::create_dir_all(&folder).unwrap();
    let stem = source.file_stem().unwrap().to_string_lossy().into_owned();
    let output = |kind: &str| folder.join(format!("{stem}.{kind}.mp4"));
    if !shaka(binary, source, None, &output("clear")) {
        return None;
    }
    let clear = std::fs::read(output("clear")).unwrap();
    let clear_track = read_tracks(&clear).into_iter().next()?;
    let (layout, _) = scan(&stem, &clear, &clear_track)?;
    for scheme in ["cbcs", "cenc"] {
        if !shaka(binary, source, Some(scheme), &output(scheme)) {
            return None;
        }
        let encrypted = std::fs::read(output(scheme)).unwrap();
        let track = read_tracks(&encrypted).into_iter().next()?;
        assert_eq!(track.samples.len(), clear_track.samples.len(), "{stem} {scheme}");
        for (index, sample) in track.samples.iter().enumerate() {
            // VP9's binding asks for whole blocks under either scheme.
            let rounds = scheme == "cenc" || clear_track.entries[0][4..8] == *b"vp09";
            let ours = as_written(layout.sample(index), rounds);
            assert_eq!(ours, sample.subsamples, "{stem} {scheme}, sample {index} (left: ours)");
        }
    }
    Some(clear_track.samples.len())
}

#[test]
fn layouts_agree_with_shaka_packager() {
    let Some(binary) = std::env::var_os("STREAMVERSE_SHAKA_PACKAGER").map(PathBuf::from) else {
        return;
    };
    let mut compared = 0;
    for source in video_files().into_iter().chain(media_files()) {
        let samples = compare_with_shaka(&binary, &source);
        println!("{}: {samples:?}", source.display());
        compared += samples.unwrap_or(0);
    }
    assert!(compared > 1000, "{compared} samples");
}

/// Every slice header syntax that the encoders at hand can write.
fn video_files() -> Vec<PathBuf> {
    let x264 = |name: &str, args: &str| {
        let args = format!("-map 0:v -c:v libx264 -pix_fmt yuv420p {args}");
        make(name, "320x240", "2", &args.split(' ').collect::<Vec<_>>())
    };
    let x265 = |name: &str, pix_fmt: &str, params: &str| {
        let args = format!(
            "-map 0:v -c:v libx265 -pix_fmt {pix_fmt} -tag:v hvc1 -x265-params log-level=error:{params}"
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
            "-aom-params tune-content=screen:enable-palette=1:enable-intrabc=1:error-resilient=1",
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
            "-aom-params deltaq-mode=1:enable-global-motion=1:enable-chroma-deltaq=1:enable-qm=1",
        ),
        aom("av1_grain.mp4", "320x240", "-denoise-noise-level 30"),
        aom("av1_mono.mp4", "320x240", "-pix_fmt gray"),
        aom("av1_444.mp4", "320x240", "-pix_fmt yuv444p10le"),
        aom(
            "av1_rotating.mp4",
            "320x240",
            "-vf rotate=t/2 -aom-params enable-global-motion=1",
        ),
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
            "-c:v libvpx-vp9 -deadline good -cpu-used 5 -auto-alt-ref 1 -lag-in-frames 16 -g 15",
        ),
        other(
            "vp9_tiles.mp4",
            "1280x256",
            "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -tile-columns 2 -tile-rows 1 -aq-mode 3",
        ),
        other(
            "vp9_resilient.mp4",
            "320x240",
            "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -error-resilient 1",
        ),
        other(
            "vp9_444.mp4",
            "320x240",
            "-c:v libvpx-vp9 -deadline good -cpu-used 5 -pix_fmt yuv444p12le -auto-alt-ref 1 -lag-in-frames 10",
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
        x264(
            "high.mp4",
            "-profile:v high -x264opts bframes=5:b-pyramid=strict:8x8dct=1:direct=temporal:slices=3",
        ),
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
            "open-gop=1:keyint=15:min-keyint=5:bframes=3:repeat-headers=1:aud=1:hrd=1:vbv-maxrate=2000:vbv-bufsize=2000",
        ),
        x265("hevc_444.mp4", "yuv444p12le", "no-deblock=1:cbqpoffs=2:crqpoffs=-2"),
        x265("hevc_gray.mp4", "gray", "tskip=1:weightb=1"),
        x265("hevc_layers.mp4", "yuv420p", "temporal-layers=3:bframes=3:scaling-list=default"),
        x265("hevc_field.mp4", "yuv420p", "interlace=tff:no-wpp=1:frame-dup=0"),
    ]
}
