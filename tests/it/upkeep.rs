//! Looking after titles: every file has a checksum, and what crashed ingests left is removed.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::faults::{file_of, unseal};
use crate::media;
use crate::server::{ingest, streamverse, streamverse_ok};
use crate::tools;

/// Two sprites of two tiles each, the file that points at them, and a poster.
fn pictures(folder: &Path) -> Vec<PathBuf> {
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
    // A source, three indexes or more, cues, two sprites and a poster.
    assert!(checked >= 7, "{checked} files");
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
