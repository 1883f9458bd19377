//! Indexes on disk: what they take, and what becomes of those that another version wrote.

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::manifests::Fetcher;
use crate::media;
use crate::server::{Server, ingest, ingest_with, streamverse_fails, streamverse_ok};
use crate::tools;

/// Where the format stands in a sidecar.
const FORMAT_AT: u64 = 7;

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&streamverse_ok(arguments)).expect("it prints JSON")
}

/// The indexes that lie in the only generation of a title.
fn indexes(data: &Path, id: &str) -> Vec<PathBuf> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).expect("it can be listed");
        entries.map(|entry| entry.expect("it can be listed").path()).collect()
    };
    let inside = list(&data.join("objects/assets").join(id));
    let files = inside.iter().filter(|path| path.is_dir()).flat_map(|folder| list(folder));
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|end| end == "idx")).collect();
    files.sort();
    files
}

/// Makes an index look as if an earlier version had written it.
fn age(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
    let mut file = std::fs::File::options().write(true).open(path).expect("it can be written");
    file.seek(SeekFrom::Start(FORMAT_AT)).expect("it is that long");
    file.write_all(&[1]).expect("it can be written");
}

/// Everything that HLS leads to, by address.
fn everything(data: &Path, id: &str) -> Vec<(String, Vec<u8>)> {
    let server = Server::start(data);
    let mut client = server.client();
    let mut fetcher = Fetcher::new(&mut client);
    fetcher.hls(id, "cmaf");
    fetcher.hls(id, "ts");
    let bodies = fetcher.bodies.iter();
    bodies.map(|(url, body)| (url.to_string(), body.to_vec())).collect()
}

/// Indexes of an earlier version are refused with the command that helps, and that command gives
/// the same title back: the same addresses, the same bytes.
#[test]
fn stale_indexes_are_made_anew() {
    let data = tools::folder("stale-indexes").join("data");
    ingest_with(&data, "film", &media::title("moov-last").paths(), &["--layout", "source"]);
    let before = everything(&data, "film");
    let old = indexes(&data, "film");
    assert_eq!(old.len(), 3, "pictures and two languages");
    let contents: Vec<_> = old.iter().map(|path| std::fs::read(path).expect("read")).collect();
    old.iter().for_each(|path| age(path));

    let place = tools::text(&data);
    let server = Server::start(&data);
    let answer = server.client().get_with("/vod/film/cmaf/master.m3u8", &[]);
    assert_eq!(answer.status, 500);
    server.wait_for_log("streamverse assets reindex film");
    drop(server);
    let message = streamverse_fails(&["assets", "show", "film", "--data", place]);
    assert!(message.contains("format 1, this version reads format 2"), "{message}");

    let reports = json(&["assets", "reindex", "film", "--json", "--data", place]);
    assert_eq!(reports[0]["id"], "film");
    // The digests in the document are still those of ingest, but the bytes are not.
    assert_eq!(reports[0]["tracks"], serde_json::json!(["v1", "a1", "a2"]), "{reports}");
    let new = indexes(&data, "film");
    let made: Vec<_> = new.iter().map(|path| std::fs::read(path).expect("read")).collect();
    assert_eq!(made, contents, "the same source gives the same index");
    assert!(new != old, "under new names");
    assert!(everything(&data, "film") == before);
    streamverse_ok(&["assets", "verify", "film", "--data", place]);

    let reports = json(&["assets", "reindex", "--json", "--data", place]);
    assert_eq!(reports[0]["tracks"], serde_json::json!([]), "nothing is left to do");
}

/// Indexes of a source that was exchanged behind our back would describe another film.
#[test]
fn a_changed_source_is_not_indexed() {
    let data = tools::folder("reindex-changed").join("data");
    ingest_with(&data, "film", &media::title("ntsc").paths(), &["--layout", "source"]);
    let old = indexes(&data, "film");
    age(&old[0]);
    let source = old[0].with_file_name("source-1.mp4");
    std::fs::remove_file(&source).expect("it is there");
    std::fs::copy(&media::title("sixty").paths()[0], &source).expect("it can be copied");
    let place = tools::text(&data);
    let message = streamverse_fails(&["assets", "reindex", "film", "--data", place]);
    assert!(message.contains("does not come out as it was ingested"), "{message}");
    assert_eq!(indexes(&data, "film"), old);
}

/// The source of a packed title is not in the store.
#[test]
fn a_packed_title_is_ingested_again() {
    let data = tools::folder("reindex-packed").join("data");
    ingest(&data, "film", &media::title("ntsc").paths());
    let place = tools::text(&data);
    let message = streamverse_fails(&["assets", "reindex", "film", "--data", place]);
    assert!(message.contains("ingest its files again with --id film --replace"), "{message}");
}

/// What `assets show` counts is what lies on disk.
#[test]
fn show_counts_samples_and_bytes() {
    let data = tools::folder("show-index").join("data");
    ingest_with(&data, "film", &media::title("sixty").paths(), &["--layout", "source"]);
    let shown = json(&["assets", "show", "film", "--json", "--data", tools::text(&data)]);
    let index = &shown["index"];
    assert_eq!(index["samples_video"], 600);
    let bytes: Vec<u64> =
        indexes(&data, "film").iter().map(|path| path.metadata().expect("there").len()).collect();
    assert_eq!([&index["bytes_audio"], &index["bytes_video"]], [bytes[0], bytes[1]]);
    let samples = index["samples_audio"].as_u64().expect("a number");
    assert!((469..=471).contains(&samples), "{samples}");
    // Heads of some hundred bytes weigh in a title of ten seconds.
    assert!(bytes[0] * 2 <= samples * 5, "{bytes:?}");
}
