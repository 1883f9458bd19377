//! Subsample layouts against an independent encryptor, and their invariants.
//!
//! `STREAMVERSE_SHAKA_PACKAGER` names the binary of Shaka Packager; without it the comparison is
//! left out. It writes every file twice, clear and encrypted: the clear one is scanned, and the
//! `senc` of the encrypted one must agree, to the byte under `cbcs`, and with protected runs
//! rounded down to whole blocks under `cenc`.
#![allow(clippy::disallowed_methods, reason = "tests read files")]

mod codec_support;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use codec_support::{Track, ffprobe_packets, media_files, read_tracks, track_info, video_files};
use drm::{Subsample, SubsampleMap};
use packager::codec::{RandomAccess, SampleFacts, SampleScanner};
use packager::track::MediaParams;
use proptest::prelude::*;

/// Scans every sample of the file; none may be refused.
fn scan(place: &str, file: &[u8], track: &Track) -> Option<(SubsampleMap, Vec<SampleFacts>)> {
    let info = track_info(track)?;
    let mut scanner = SampleScanner::new(&info);
    let mut layout = SubsampleMap::default();
    let mut facts = Vec::new();
    for (index, sample) in track.samples.iter().enumerate() {
        let bytes = file.get(sample.offset..sample.offset + sample.size)?;
        let said = scanner.scan(bytes, sample.description_index, &mut layout);
        facts.push(said.unwrap_or_else(|reason| panic!("{place}, sample {index}: {reason}")));
        assert_eq!(layout.len(), index + 1);
        assert_sums_to(layout.sample(index), sample.size);
    }
    Some((layout, facts))
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
        compared += samples.unwrap_or(0);
    }
    // Every sample of the 39 made files, which Shaka Packager 3.8 takes without exception.
    assert!(compared >= 1740, "{compared} samples");
}

/// Where decoding can start is where ffprobe flags a key frame.
#[test]
fn random_access_points_are_the_key_frames() {
    let mut opens = 0;
    for path in video_files().into_iter().chain(media_files()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let skips = [
            // Recovery takes several pictures from each of its key frames on.
            "intra_refresh.mp4",
            // Slices with start codes inside of a prefix NAL unit, which no reader expects.
            "ax_sample_sef_slow_motion.mp4",
        ];
        if skips.iter().any(|skipped| name.ends_with(skipped)) {
            continue;
        }
        let file = std::fs::read(&path).unwrap();
        for mut track in read_tracks(&file) {
            let is_video = |info: &packager::track::TrackInfo| {
                matches!(info.media, MediaParams::Video(_)) && info.codecs() != "mp4v.20.8"
            };
            let Some(_) = track_info(&track).filter(is_video) else { continue };
            let length = file.len();
            track.samples.retain(|sample| sample.offset + sample.size <= length);
            let keys: HashMap<_, _> = ffprobe_packets(&path, track.id).into_iter().collect();
            let (_, facts) = scan(&name, &file, &track).unwrap();
            for (sample, facts) in track.samples.iter().zip(facts) {
                let Some(is_key) = keys.get(&sample.offset) else { continue };
                let is_access =
                    matches!(facts.random_access, RandomAccess::Closed | RandomAccess::Open);
                assert_eq!(is_access, *is_key, "{name}, sample at byte {}", sample.offset);
                opens += u32::from(facts.random_access == RandomAccess::Open);
            }
        }
    }
    assert!(opens > 5, "{opens} open random access points");
}

#[test]
fn captions_of_real_files_are_found() {
    for (name, channels, services) in [
        ("shk_cea.mp4", 0b0101, 0),
        ("shk_h265_cea.mp4", 0b0001, 1),
        ("shk_multiple_trun.mp4", 0b0001, 0),
        ("shk_small.mp4", 0, 0),
    ] {
        let Some(path) = media_files().into_iter().find(|path| path.ends_with(name)) else {
            continue;
        };
        let file = std::fs::read(path).unwrap();
        let (_, facts) = scan(name, &file, &read_tracks(&file)[0]).unwrap();
        let all = facts.iter().fold((0, 0), |(channels, services), facts| {
            (channels | facts.cea608_channels, services | facts.cea708_services)
        });
        assert_eq!(all, (channels, services), "{name}");
    }
}

/// Any bytes at all: the layout still adds up to the sample, one entry a call, without a panic.
#[test]
fn mutated_samples_never_panic() {
    let mut tracks = Vec::new();
    for path in video_files() {
        let file = std::fs::read(path).unwrap();
        let track = read_tracks(&file).remove(0);
        let samples: Vec<Vec<u8>> = track.samples[..12]
            .iter()
            .map(|sample| file[sample.offset..sample.offset + sample.size].to_vec())
            .collect();
        tracks.push((track_info(&track).unwrap(), samples));
    }
    // Headers lie in front: half of the changes go to the first bytes.
    let place = prop_oneof![0..64_usize, 0..4096_usize];
    let mutations = prop::collection::vec((0..12_usize, place, any::<u8>()), 1..20);
    let config =
        ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let strategy = (any::<prop::sample::Index>(), mutations);
    let outcome = runner.run(&strategy, |(which, mutations)| {
        let (info, samples) = which.get(&tracks);
        let mut samples = samples.clone();
        for (sample, at, value) in mutations {
            let sample = &mut samples[sample];
            let at = at % sample.len();
            sample[at] = value;
            if value == 7 {
                sample.truncate(at + 1);
            }
        }
        let mut scanner = SampleScanner::new(info);
        let mut layout = SubsampleMap::default();
        for (index, sample) in samples.iter().enumerate() {
            let _ = scanner.scan(sample, 0, &mut layout);
            assert_eq!(layout.len(), index + 1);
            assert_sums_to(layout.sample(index), sample.len());
        }
        Ok(())
    });
    outcome.unwrap();
}
