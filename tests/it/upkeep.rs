//! Looking after titles: every file has a checksum, and what crashed ingests left is removed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::faults::{file_of, unseal, walk_bytes};
use crate::manifests::Fetcher;
use crate::media;
use crate::server::{BINARY, Server, ingest, signal, streamverse, streamverse_ok};
use crate::tools;

/// Two sprites of two tiles each, the file that points at them, and a poster.
pub(crate) fn pictures(folder: &Path) -> Vec<PathBuf> {
    let make = |name: &str, size: &str| {
        let picture = format!("testsrc=s={size}:d=1:r=1");
        let out = folder.join(name);
        let arguments =
            ["-v", "error", "-f", "lavfi", "-i", &picture, "-frames:v", "1", tools::text(&out)];
        tools::run("ffmpeg", &arguments);
        out
    };
    make("sprite-1.jpg", "320x90");
    make("sprite-2.jpg", "320x90");
    let mut cues = "WEBVTT\n".to_owned();
    for (second, sprite) in [1, 1, 2, 2].into_iter().enumerate() {
        let (end, left) = (second + 1, second % 2 * 160);
        cues += &format!(
            "\n00:0{second}.000 --> 00:0{end}.000\nsprite-{sprite}.jpg#xywh={left},0,160,90\n"
        );
    }
    let thumbnails = folder.join("thumbnails.vtt");
    tools::write(&thumbnails, cues.as_bytes());
    vec![thumbnails, make("poster.jpg", "640x360")]
}

/// `assets verify` of one title: whether it found all well, and its report.
#[track_caller]
fn verify(data: &Path, id: &str) -> (bool, Value) {
    let output = streamverse(&["assets", "verify", id, "--json", "--data", tools::text(data)]);
    let reports: Value = serde_json::from_slice(&output.stdout).expect("reports are JSON");
    (output.status.success(), reports[0].clone())
}

#[test]
fn a_flipped_bit_is_found_in_every_file() {
    let folder = tools::folder("flipped-bit");
    let data = folder.join("data");
    let mut files = media::title("ladder").paths();
    files.extend(pictures(&folder));
    ingest(&data, "film", &files);
    let (is_well, report) = verify(&data, "film");
    assert!(is_well && report["unchecked"] == Value::Array(vec![]), "{report}");

    let generation = file_of(&data, "film", "v1.idx").parent().expect("a folder").to_owned();
    let mut checked = 0;
    for entry in std::fs::read_dir(generation).expect("it can be listed") {
        let path = entry.expect("it can be listed").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        // The document is its own judge: what it says is compared with the files.
        if name == "asset.json" {
            continue;
        }
        let good = std::fs::read(&path).expect("it is there");
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        unseal(&path);
        tools::write(&path, &bad);
        let (is_well, report) = verify(&data, "film");
        assert!(!is_well && report["faults"].to_string().contains(&name), "{name}: {report}");
        tools::write(&path, &good);
        checked += 1;
    }
    // Samples and an index a track, cues, two sprites and a poster.
    assert!(checked >= 13, "{checked} files");
}

/// A title from before pictures had checksums is no fault, and no proof either.
#[test]
fn pictures_without_a_checksum_are_named() {
    let folder = tools::folder("unchecked-pictures");
    let data = folder.join("data");
    let mut files = media::title("ntsc").paths();
    files.extend(pictures(&folder));
    ingest(&data, "film", &files);
    let path = data.join("objects/assets/film/asset.json");
    let mut document: Value =
        serde_json::from_slice(&std::fs::read(&path).expect("it is there")).expect("JSON");
    document.as_object_mut().expect("an object").remove("poster_digest").expect("a digest");
    document["images"].as_object_mut().expect("an object").remove("digests").expect("digests");
    unseal(&path);
    tools::write(&path, document.to_string().as_bytes());

    let (is_well, report) = verify(&data, "film");
    assert!(is_well, "{report}");
    assert_eq!(
        report["unchecked"],
        serde_json::json!(["sprite-1.jpg", "sprite-2.jpg", "poster.jpg"])
    );
    let shown = streamverse_ok(&["assets", "verify", "--data", tools::text(&data)]);
    assert!(shown.contains("poster.jpg: not checked"), "{shown}");
    std::fs::remove_file(file_of(&data, "film", "sprite-2")).expect("it can be removed");
    let (is_well, report) = verify(&data, "film");
    assert!(!is_well && report["faults"].to_string().contains("sprite-2.jpg"), "{report}");
}

/// An ingest that takes a while.
fn long_film(folder: &Path) -> PathBuf {
    let (title, out) = (media::title("ladder").paths()[0].clone(), folder.join("long.mp4"));
    let input = ["-v", "error", "-stream_loop", "60", "-i", tools::text(&title)];
    let output = ["-map", "0:v", "-map", "0:a:0", "-c", "copy", tools::text(&out)];
    tools::run("ffmpeg", &[&input[..], &output].concat());
    out
}

/// Starts to ingest `film` and stops the process (SIGSTOP) when its source is in the store and it
/// is no title yet.
#[track_caller]
fn stopped_ingest(data: &Path, store: &Path, film: &Path) -> Child {
    let child = Command::new(BINARY)
        // A copied source is in the store long before the title is.
        .args(["ingest", "--layout", "source", "--data", tools::text(data), "--id", "film"])
        .arg(film)
        .env("STREAMVERSE__OBJECTS__URL", format!("file:{}", store.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let deadline = Instant::now() + Duration::from_secs(30);
    while walk_bytes(&store.join("assets/film")) == 0 {
        assert!(Instant::now() < deadline, "nothing is ingested");
        std::thread::sleep(Duration::from_millis(1));
    }
    signal(child.id(), "STOP");
    assert!(!store.join("assets/film/asset.json").exists(), "it was too fast for this test");
    child
}

/// `kill -9` leaves a folder, and the next server removes it at once.
#[test]
fn what_a_killed_ingest_left_goes_when_a_server_starts() {
    let folder = tools::folder("killed-ingest");
    let (data, film) = (folder.join("data"), long_film(&folder));
    let store = data.join("objects");
    ingest(&data, "other", &media::title("ntsc").paths());
    let mut killed = stopped_ingest(&data, &store, &film);
    killed.kill().expect("it can be killed");
    killed.wait().expect("it can be waited for");
    assert!(walk_bytes(&store.join("assets/film")) > 10_000_000);
    assert!(walk_bytes(&store.join("ingests/film")) > 0);

    let server = Server::start(&data);
    server.wait_for_log("removed what an ingest left");
    let deadline = Instant::now() + Duration::from_secs(10);
    while store.join("ingests").exists() {
        assert!(Instant::now() < deadline, "the claim stays");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!store.join("assets/film").exists());
    Fetcher::new(&mut server.client()).hls("other", "cmaf");
    server.kill();

    // And without a server, when somebody looks after titles.
    let mut killed = stopped_ingest(&data, &store, &film);
    killed.kill().expect("it can be killed");
    killed.wait().expect("it can be waited for");
    let shown = streamverse_ok(&["assets", "verify", "--data", tools::text(&data)]);
    assert!(shown.contains("film") && shown.contains("removed"), "{shown}");
    assert!(!store.join("assets/film").exists());
    ingest(&data, "film", &[film]);
    let (is_well, report) = verify(&data, "film");
    assert!(is_well && report["removed"] == Value::Array(vec![]), "{report}");
}

/// Two data directories on one store: what the other process writes is left alone, however long it
/// gives no sign of life.
#[test]
fn what_another_process_ingests_is_left_alone() {
    let folder = tools::folder("foreign-ingest");
    let (store, film) = (folder.join("store"), long_film(&folder));
    let url = format!("file:{}", store.display());
    let mut ingesting = stopped_ingest(&folder.join("theirs"), &store, &film);
    let before = walk_bytes(&store.join("assets/film"));

    let ours = folder.join("ours");
    let server = Server::start_with(&ours, &[], &[("STREAMVERSE__OBJECTS__URL", &url)]);
    // Sweeping at the start ends before or while this does the same.
    streamverse_ok(&["assets", "verify", "--data", tools::text(&ours)]);
    assert_eq!(walk_bytes(&store.join("assets/film")), before);
    assert!(!server.log().contains("removed"), "{}", server.log());

    // Not by removing a title of the same name either, which was made meanwhile.
    let small = tools::text(&media::title("ntsc").paths()[0]).to_owned();
    streamverse_ok(&["ingest", "--id", "film", "--data", tools::text(&ours), &small]);
    assert!(walk_bytes(&store.join("assets/film")) > before);
    streamverse_ok(&["assets", "remove", "film", "--data", tools::text(&ours)]);
    assert_eq!(walk_bytes(&store.join("assets/film")), before);

    signal(ingesting.id(), "CONT");
    assert!(ingesting.wait().expect("it can be waited for").success());
    streamverse_ok(&["assets", "verify", "film", "--data", tools::text(&ours)]);
    assert!(!store.join("ingests").exists(), "the claim is released");
}
