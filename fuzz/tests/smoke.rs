//! Runs every target over the corpus, over parts of files made by ffmpeg, and over a bounded number
//! of deterministic mutations of both.
//!
//! `STREAMVERSE_FUZZ_ITERATIONS` raises the number of mutations of each target, which is 600 by
//! default. A failure prints the target and the input as hexadecimal.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use fuzz::{Random, TARGETS, Target, mutate, seeds};

/// Mutations of each target.
const ITERATIONS: u32 = 600;
/// Longest input that is mutated: more takes time and finds nothing.
const INPUT_BYTES_MAX: usize = 64 << 10;
/// What one input may take without optimisation on a busy machine.
const TIME_MAX: Duration = Duration::from_secs(10);

fn iterations() -> u32 {
    let raised = std::env::var("STREAMVERSE_FUZZ_ITERATIONS").ok();
    raised.map_or(ITERATIONS, |count| count.parse().expect("STREAMVERSE_FUZZ_ITERATIONS counts"))
}

/// Files of the corpus, by target.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Small files that ffmpeg makes, and what they hold for each target.
fn made_by_ffmpeg() -> &'static BTreeMap<&'static str, Vec<Vec<u8>>> {
    static MADE: OnceLock<BTreeMap<&'static str, Vec<Vec<u8>>>> = OnceLock::new();
    MADE.get_or_init(|| {
        let mut made: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for file in ffmpeg_files() {
            for (target, seed) in seeds::of_file(&file) {
                made.entry(target).or_default().push(seed);
            }
            made.entry("demux").or_default().push(file.clone());
            made.entry("pipeline").or_default().push(file);
        }
        made
    })
}

fn ffmpeg_files() -> Vec<Vec<u8>> {
    let folder = std::env::temp_dir().join(format!("streamverse-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let cues = folder.join("cues.srt");
    std::fs::write(&cues, "1\n00:00:00,200 --> 00:00:01,000\nOne <i>two</i>\n").unwrap();
    let cues = cues.to_str().unwrap();
    let picture = "-f lavfi -i testsrc2=s=64x36:r=10:d=3";
    let sound = "-f lavfi -i sine=d=3:r=16000";
    let x264 = "-c:v libx264 -g 10 -x264-params bframes=2";
    let commands = [
        format!("{picture} {sound} {x264} -c:a aac -movflags +faststart"),
        format!("{picture} {sound} {x264} -c:a aac -movflags frag_keyframe+empty_moov"),
        format!("{picture} {x264} -f mov -movflags +negative_cts_offsets"),
        format!("{picture} {sound} -c:v libx265 -x265-params log-level=0:keyint=10 -c:a ac3"),
        format!("{picture} -c:v libvpx-vp9 -g 10 -deadline realtime -cpu-used 8"),
        format!("{picture} -c:v libaom-av1 -g 10 -usage realtime -cpu-used 8"),
        format!("{sound} -c:a eac3"),
        format!("{sound} -c:a flac -strict -2"),
        format!("{sound} -c:a libmp3lame"),
        format!("{sound} -c:a libopus -ar 48000"),
        format!("{picture} -i {cues} {x264} -c:s mov_text"),
    ];
    let make = |(number, arguments): (usize, &String)| {
        let out = folder.join(format!("{number}.mp4"));
        let status = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-y"])
            .args(arguments.split_whitespace())
            .arg(&out)
            .status()
            .expect("ffmpeg is installed");
        assert!(status.success(), "ffmpeg {arguments}");
        std::fs::read(&out).unwrap()
    };
    let files = commands.iter().enumerate().map(make).collect();
    std::fs::remove_dir_all(&folder).unwrap();
    files
}

/// Runs one input; a panic names it.
fn run(name: &str, target: Target, input: &[u8]) {
    let start = Instant::now();
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
        let mut hexadecimal = String::new();
        for byte in input {
            let _ = write!(hexadecimal, "{byte:02x}");
        }
        eprintln!("target {name} fails on {} bytes: {hexadecimal}", input.len());
        resume_unwind(panic);
    }
    let taken = start.elapsed();
    assert!(taken < TIME_MAX, "target {name} took {taken:?} for {} bytes", input.len());
}

#[track_caller]
fn smoke(name: &str) {
    let (_, target) = TARGETS.iter().copied().find(|(known, _)| *known == name).unwrap();
    let mut inputs = corpus(name);
    inputs.extend(made_by_ffmpeg().get(name).cloned().unwrap_or_default());
    assert!(!inputs.is_empty(), "target {name} has seeds");
    run(name, target, b"");
    for input in &inputs {
        run(name, target, input);
    }
    let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
    for _ in 0..iterations() {
        let mut input = inputs[random.below(inputs.len())].clone();
        input.truncate(INPUT_BYTES_MAX);
        let other = &inputs[random.below(inputs.len())];
        mutate(&mut input, other, &mut random);
        run(name, target, &input);
    }
}

macro_rules! smoke_tests {
    ($($name:ident),+ $(,)?) => {
        $(#[test]
        fn $name() {
            smoke(stringify!($name));
        })+

        #[test]
        fn every_target_has_a_test_and_a_program() {
            let tested = [$(stringify!($name)),+];
            let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
            for (name, _) in TARGETS {
                assert!(tested.contains(&name), "{name}");
                assert!(programs.join(format!("{name}.rs")).is_file(), "{name}");
            }
            assert_eq!(tested.len(), TARGETS.len());
        }
    };
}

smoke_tests!(
    demux,
    describe,
    scanner,
    sidecar,
    block,
    ts,
    text,
    text_samples,
    thumbnails,
    picture,
    resource_name,
    query,
    range,
    config,
    object_key,
    asset_document,
    http3_field_section,
    http3_frames,
    pipeline,
    target,
    url_token,
    access_token,
    feed,
    journal,
    cache_object,
    cache_files,
    cache_ranges,
    cache_control,
    cdn_request,
    cdn_cloudfront,
    cdn_akamai,
    cdn_media_cdn,
    cdn_uri_signing,
    cdn_cat,
    cdn_cbor,
    cdn_key_file,
    cmcd,
    api_cursor,
    api_json,
    api_language,
);
