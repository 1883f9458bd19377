//! `streamverse package` writes what a server would answer, and any web server can serve it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::media;
use crate::same_bytes;
use crate::server::{Server, streamverse_fails, streamverse_ok};
use crate::tools;

fn files_below(folder: &Path, prefix: &str, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be listed") {
        let entry = entry.expect("it can be listed");
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            files_below(&entry.path(), &format!("{name}/"), found);
        } else {
            found.insert(name, std::fs::read(entry.path()).expect("the file can be read"));
        }
    }
}

#[test]
fn a_folder_has_the_bytes_of_the_server() {
    let folder = tools::folder("package");
    let (data, out) = (folder.join("data"), folder.join("out"));
    same_bytes::ladder(&data);
    let served = same_bytes::everything(&Server::start(&data), "ladder");
    let files = media::title("ladder").paths();
    let mut arguments =
        vec!["package", "--json", "--presets", "cmaf,ts,cmaf-single", "--out", tools::text(&out)];
    arguments.extend(files.iter().map(|file| tools::text(file)));
    let lines = streamverse_ok(&arguments);
    let events: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect();
    assert_eq!(events.last().expect("an end")["event"], "done");

    let mut written = BTreeMap::new();
    files_below(&out, "", &mut written);
    let served: BTreeMap<String, Vec<u8>> = served
        .into_iter()
        .map(|(url, body)| (url.trim_start_matches("/vod/ladder/").to_owned(), body))
        .collect();
    for (name, body) in &served {
        assert!(written.get(name) == Some(body), "{name} differs or is missing");
    }
    let surplus: Vec<_> = written.keys().filter(|name| !served.contains_key(*name)).collect();
    // `all.vtt` and the like are for clients that ask by name.
    assert!(surplus.iter().all(|name| name.ends_with("all.vtt")), "{surplus:?}");

    for manifest in
        ["cmaf/master.m3u8", "ts/master.m3u8", "cmaf-single/master.m3u8", "cmaf/manifest.mpd"]
    {
        let path = out.join(manifest);
        let entries = ["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"];
        let mut arguments = entries.to_vec();
        if manifest.ends_with("m3u8") {
            arguments.extend(["-allowed_extensions", "ALL"]);
        }
        arguments.push(tools::text(&path));
        let said = tools::run_unchecked("ffprobe", &arguments);
        assert_eq!(said.code, Some(0), "{manifest}: {}", said.err);
        let seconds: f64 = said.out.trim().parse().expect("a duration");
        assert!((seconds - 20.0).abs() < 0.2, "{manifest}: {seconds}");
    }
}

#[test]
fn unknown_presets_and_bad_files_are_refused() {
    let folder = tools::folder("package-refused");
    let out = folder.join("out");
    let file = media::title("ladder").paths()[0].clone();
    let refuse = |preset: &str, file: &Path| {
        let arguments =
            ["package", "--presets", preset, "--out", tools::text(&out), tools::text(file)];
        streamverse_fails(&arguments)
    };
    assert!(refuse("nonsense", &file).contains("known are cmaf"));
    assert!(refuse("cenc", &file).contains("not built yet"));
    let bad = folder.join("bad.mp4");
    tools::write(&bad, b"nothing of the kind");
    assert!(refuse("cmaf", &bad).contains("bad.mp4"));
    let left = std::fs::read_dir(&out).map_or(0, Iterator::count);
    assert_eq!(left, 0, "a refused input leaves nothing");
}
