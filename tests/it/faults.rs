//! What goes wrong under a running server: changed files, damaged documents, power cuts, a
//! second server, signals.

use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::client;
use crate::manifests::Fetcher;
use crate::media;
use crate::server::{
    BINARY, Server, ingest, ingest_with, streamverse, streamverse_fails, streamverse_ok,
};
use crate::tools;

/// The first file below the titles's folder whose name has `part`.
#[track_caller]
pub(crate) fn file_of(data: &Path, id: &str, part: &str) -> PathBuf {
    let folder = data.join("objects/assets").join(id);
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("it can be listed") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().expect("a name").to_string_lossy().contains(part) {
                return path;
            }
        }
    }
    panic!("no {part} in {id}");
}

/// Lets a file be changed by its owner: stored copies are sealed.
pub(crate) fn unseal(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
}

/// How media may lie in the store, and part of the name of the file that pictures lie in.
const LAYOUTS: [(&str, &str); 2] = [("source", "source-1"), ("packed", "v1.samples")];

/// A server with the titles `one` and `two`.
#[track_caller]
fn two_titles(name: &str) -> (PathBuf, Server) {
    two_titles_laid_out(name, "packed")
}

#[track_caller]
fn two_titles_laid_out(name: &str, layout: &str) -> (PathBuf, Server) {
    let data = tools::folder(&format!("{name}-{layout}")).join("data");
    ingest_with(&data, "one", &media::title("ntsc").paths(), &["--layout", layout]);
    ingest(&data, "two", &media::title("sixty").paths());
    let server = Server::start(&data);
    (data, server)
}

/// Damages the media of title `one` and asks for its segments with pictures.
#[track_caller]
fn check_changed_source(name: &str, change: impl Fn(&Path)) {
    for (layout, file) in LAYOUTS {
        check_changed_media(name, layout, file, &change);
    }
}

#[track_caller]
fn check_changed_media(name: &str, layout: &str, file: &str, change: impl Fn(&Path)) {
    let (data, mut server) = two_titles_laid_out(name, layout);
    let mut client = server.client();
    let mut fetcher = Fetcher::new(&mut client);
    fetcher.hls("one", "cmaf");
    fetcher.hls("one", "ts");
    let before = fetcher.bodies;
    let source = file_of(&data, "one", file);
    unseal(&source);
    change(&source);
    let is_segment = |url: &str| url.ends_with(".m4s") || url.ends_with(".ts");
    let has_pictures = |url: &str| url.contains("v1");
    let segments: Vec<_> =
        before.iter().filter(|(url, _)| is_segment(url) && has_pictures(url)).collect();
    assert!(segments.len() > 4);
    check_refused(&server, segments.iter().map(|(url, _)| *url));
    assert!(server.is_alive());
    server.kill();
    // It is noticed by a server that never saw the right one, too.
    check_refused(&Server::start(&data), segments.iter().map(|(url, _)| *url));
}

#[test]
fn a_truncated_source_is_noticed() {
    check_changed_source("source-truncated", |source| {
        let file = std::fs::OpenOptions::new().write(true).open(source).expect("it opens");
        file.set_len(1_000).expect("it can be cut");
    });
}

#[test]
fn a_modified_source_is_noticed() {
    check_changed_source("source-modified", |source| {
        std::thread::sleep(Duration::from_millis(20));
        let mut file = std::fs::OpenOptions::new().write(true).open(source).expect("it opens");
        file.seek(SeekFrom::Start(50_000)).expect("it is long enough");
        file.write_all(&[0; 4_096]).expect("it can be written");
    });
}

/// Another file under the name of the source: an open one goes on with the old bytes, which are
/// still the right ones; after that nothing is served of the other.
#[test]
fn a_replaced_source_is_noticed() {
    for (layout, file) in LAYOUTS {
        check_replaced_media(layout, file);
    }
}

#[track_caller]
fn check_replaced_media(layout: &str, file: &str) {
    let (data, server) = two_titles_laid_out("source-replaced", layout);
    let mut client = server.client();
    let mut fetcher = Fetcher::new(&mut client);
    fetcher.hls("one", "cmaf");
    let before = fetcher.bodies;
    let source = file_of(&data, "one", file);
    let other = std::fs::read(&media::title("sixty").paths()[0]).expect("it is there");
    std::fs::remove_file(&source).expect("it can be removed");
    tools::write(&source, &other);
    for (url, body) in &before {
        let answer = client.get_with(url, &[]);
        assert!(answer.status == 503 || (answer.status == 200 && answer.body == *body), "{url}");
    }
    server.kill();
    let server = Server::start(&data);
    check_refused(&server, before.keys());
}

/// Everything of title `one` is answered with 503 and the cause, and title `two` is whole.
#[track_caller]
fn check_refused<'a>(server: &Server, urls: impl Iterator<Item = &'a String>) {
    let mut client = server.client();
    for url in urls {
        let answer = client.get_with(url, &[]);
        assert_eq!(answer.status, 503, "{url}");
        let problem = answer.json();
        assert_eq!(problem["code"], "source_changed", "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|why| why.contains("changed")), "{problem}");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    assert!(!Fetcher::new(&mut client).hls("two", "cmaf").is_empty());
}

#[test]
fn a_removed_source_harms_no_other_title() {
    for (layout, file) in LAYOUTS {
        check_removed_media(layout, file);
    }
}

#[track_caller]
fn check_removed_media(layout: &str, file: &str) {
    let (data, mut server) = two_titles_laid_out("source-removed", layout);
    std::fs::remove_file(file_of(&data, "one", file)).expect("it can be removed");
    let mut client = server.client();
    let answer = client.get_with("/vod/one/cmaf/v1.m3u8", &[]);
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.json()["code"], "storage_unavailable");
    assert!(!answer.text().contains("objects/"), "paths stay inside: {answer:?}");
    Fetcher::new(&mut client).hls("two", "cmaf");
    assert!(server.is_alive());
}

#[test]
fn a_damaged_document_harms_no_other_title() {
    let (data, mut server) = two_titles("document");
    let document = data.join("objects/assets/one/asset.json");
    let good = std::fs::read(&document).expect("it is there");
    let mut client = server.client();
    let mut lying = good.clone();
    lying.truncate(good.len() / 2);
    for bytes in [b"".to_vec(), b"{}".to_vec(), b"[1]".to_vec(), lying, vec![0xff; 5_000]] {
        unseal(&document);
        tools::write(&document, &bytes);
        wait_for_status(&mut client, "/vod/one/cmaf/master.m3u8", 500);
        let problem = client.get_with("/vod/one/cmaf/master.m3u8", &[]).json();
        assert_eq!(problem["code"], "damaged_title", "{problem}");
        assert!(!problem.to_string().contains(tools::text(&data)), "paths stay inside: {problem}");
        Fetcher::new(&mut client).hls("two", "cmaf");
        let titles = client.get("/titles.json").json();
        assert!(titles.to_string().contains("\"two\""), "{titles}");
    }
    tools::write(&document, &good);
    wait_for_status(&mut client, "/vod/one/cmaf/master.m3u8", 200);
    assert!(server.is_alive());
}

#[test]
fn a_damaged_index_is_noticed() {
    let data = tools::folder("index").join("data");
    ingest(&data, "one", &media::title("ntsc").paths());
    ingest(&data, "two", &media::title("sixty").paths());
    let index = file_of(&data, "one", "v1.idx");
    let good = std::fs::read(&index).expect("it is there");
    unseal(&index);
    for at in [0, good.len() / 4, good.len() / 2, good.len() - 1] {
        let mut bytes = good.clone();
        bytes[at] ^= 0x40;
        tools::write(&index, &bytes);
        let server = Server::start(&data);
        let mut client = server.client();
        let mut noticed = 0;
        let master = client.get_with("/vod/one/cmaf/v1.m3u8", &[]);
        let mut answers = vec![master.clone()];
        if master.status == 200 {
            for line in master.text().lines().filter(|line| line.ends_with("m4s")) {
                let url = crate::manifests::resolve("/vod/one/cmaf/", line);
                answers.push(client.get_with(&url, &[]));
            }
        }
        for answer in answers {
            assert!(!answer.is_cut, "byte {at}");
            if answer.status != 200 {
                assert_eq!(answer.status, 500, "byte {at}");
                assert_eq!(answer.json()["code"], "damaged_title", "byte {at}");
                noticed += 1;
            }
        }
        let verified = streamverse(&["assets", "verify", "one", "--data", tools::text(&data)]);
        assert!(!verified.status.success(), "byte {at}");
        assert!(noticed > 0, "byte {at}");
        Fetcher::new(&mut client).hls("two", "cmaf");
    }
}

#[track_caller]
fn wait_for_status(client: &mut client::Client, path: &str, status: u16) {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let found = client.get_with(path, &[]).status;
        if found == status {
            return;
        }
        assert!(Instant::now() < deadline, "{path} stays {found}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_power_cut_during_ingest_leaves_no_title() {
    let folder = tools::folder("power-cut");
    let data = folder.join("data");
    let big = folder.join("big.mp4");
    tools::run(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-stream_loop",
            "60",
            "-i",
            tools::text(&media::title("ladder").paths()[0]),
            "-map",
            "0:v",
            "-map",
            "0:a:0",
            "-c",
            "copy",
            tools::text(&big),
        ],
    );
    for delay_ms in [5, 30, 80, 150] {
        let mut child = Command::new(BINARY)
            .args(["ingest", "--data", tools::text(&data), "--id", "big", tools::text(&big)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        std::thread::sleep(Duration::from_millis(delay_ms));
        child.kill().expect("it can be killed");
        child.wait().expect("it can be waited for");
        let listed = streamverse_ok(&["assets", "list", "--json", "--data", tools::text(&data)]);
        // A title that is listed is whole, however late the cut came.
        if listed.contains("\"big\"") {
            streamverse_ok(&["assets", "verify", "big", "--data", tools::text(&data)]);
            streamverse_ok(&["assets", "remove", "big", "--data", tools::text(&data)]);
        }
    }
    ingest(&data, "big", &[big]);
    let server = Server::start(&data);
    let mut client = server.client();
    assert!(client.get("/vod/big/cmaf/master.m3u8").text().contains("v1.m3u8"));
    drop(server);
    // What the killed ones left of the title goes with it. A copy that was not finished has no
    // name yet, and the store sweeps it up when it is old.
    streamverse_ok(&["assets", "remove", "big", "--data", tools::text(&data)]);
    assert_eq!(walk_bytes(&data.join("objects/assets")), 0);
}

pub(crate) fn walk_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .map(|entry| {
            let entry = entry.expect("it can be listed");
            if entry.path().is_dir() {
                walk_bytes(&entry.path())
            } else {
                entry.metadata().expect("it is there").len()
            }
        })
        .sum()
}

#[test]
fn a_data_directory_has_one_server_and_takes_commands_through_it() {
    let (data, server) = two_titles("owner");
    let output = Command::new(BINARY)
        .args(["serve", "--open", "--data", tools::text(&data)])
        .env("STREAMVERSE__MEDIA__HTTP", "127.0.0.1:0")
        .env("STREAMVERSE__MEDIA__HTTPS", "off")
        .env("STREAMVERSE__OPS__HTTP", "127.0.0.1:0")
        .env("STREAMVERSE__CONTROL__HTTP", "off")
        .env("STREAMVERSE__CONTROL__HTTPS", "off")
        .env("STREAMVERSE__CONTROL__GRPC", "off")
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("in use by process"));

    let file = media::title("vfr").paths()[0].clone();
    let out = streamverse_ok(&[
        "ingest",
        "--json",
        "--data",
        tools::text(&data),
        "--id",
        "three",
        tools::text(&file),
    ]);
    for line in out.lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect("JSON lines");
        assert!(matches!(event["event"].as_str(), Some("progress" | "done")), "{event}");
        if event["event"] == "progress" {
            assert!(event["done_bytes"].as_u64() <= event["total_bytes"].as_u64(), "{event}");
        }
    }
    assert!(out.lines().count() > 1, "progress is told: {out}");
    let mut client = server.client();
    Fetcher::new(&mut client).hls("three", "cmaf");
    let bad = data.join("../bad.mp4");
    tools::write(&bad, b"nothing");
    let message = streamverse_fails(&["ingest", "--data", tools::text(&data), tools::text(&bad)]);
    assert!(message.contains("bad.mp4"), "{message}");
    let listed = streamverse_ok(&["assets", "list", "--json", "--data", tools::text(&data)]);
    assert!(listed.contains("three"));
    streamverse_ok(&["assets", "remove", "three", "--data", tools::text(&data)]);
    assert_eq!(client.get_with("/vod/three/cmaf/master.m3u8", &[]).status, 404);
    streamverse_ok(&["assets", "verify", "--data", tools::text(&data)]);
}

#[test]
fn a_replaced_title_keeps_its_old_segments() {
    let data = tools::folder("replace").join("data");
    ingest(&data, "x", &media::title("ntsc").paths());
    let server = Server::start(&data);
    let mut client = server.client();
    let mut fetcher = Fetcher::new(&mut client);
    fetcher.hls("x", "cmaf");
    fetcher.hls("x", "ts");
    let before = fetcher.bodies;
    ingest_with(&data, "x", &media::title("sixty").paths(), &["--replace"]);
    let mut fetcher = Fetcher::new(&mut client);
    fetcher.hls("x", "cmaf");
    let after = fetcher.bodies;
    let is_media =
        |url: &str| url.ends_with(".m4s") || url.ends_with(".ts") || url.ends_with("init.mp4");
    assert!(after.keys().filter(|url| is_media(url)).all(|url| !before.contains_key(url)));
    for (url, body) in before.iter().filter(|(url, _)| is_media(url)) {
        let answer = client.get(url);
        assert!(answer.body == *body, "{url}");
        assert!(answer.header("cache-control").contains("immutable"));
    }
    // An unknown revision of a known track is not kept by any cache.
    let url = before.keys().find(|url| url.ends_with("/1.m4s")).expect("a segment");
    let (head, tail) = url.rsplit_once('-').expect("a revision");
    let unknown = format!("{head}-0123456789/{}", tail.rsplit('/').next().expect("a file"));
    let answer = client.get_with(&unknown, &[]);
    assert_eq!((answer.status, answer.header("cache-control")), (404, "no-store"));
    assert_eq!(answer.json()["code"], "unknown_revision");
}

#[test]
fn sigterm_lets_a_slow_reader_finish() {
    let folder = tools::folder("drain");
    let (data, big) = (folder.join("data"), folder.join("big.mp4"));
    tools::run(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-stream_loop",
            "30",
            "-i",
            tools::text(&media::title("ladder").paths()[0]),
            "-map",
            "0:v",
            "-c",
            "copy",
            tools::text(&big),
        ],
    );
    ingest(&data, "big", &[big]);
    let server = Server::start(&data);
    let playlist = server.client().get("/vod/big/cmaf-single/v1.m3u8");
    let line = playlist.text().lines().find(|line| line.ends_with("track.mp4")).expect("a file");
    let url = crate::manifests::resolve("/vod/big/cmaf-single/", line);
    let mut stream = client::connect(server.media);
    let request = client::request_text("GET", &url, server.media, &[]);
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut first = [0; 1_000];
    stream.read_exact(&mut first).expect("the answer begins");
    server.signal("TERM");
    server.wait_for_log("stopping");
    let refused = Instant::now();
    while std::net::TcpStream::connect(server.media).is_ok() {
        assert!(refused.elapsed() < Duration::from_secs(5), "new connections are refused");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(500));
    let mut whole = BufReader::new((&first[..]).chain(stream));
    let answer = client::read_answer(&mut whole, "GET").expect("the answer goes on");
    assert!(!answer.is_cut);
    assert!(answer.body.len() > 20_000_000, "{}", answer.body.len());
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn sighup_reloads_and_a_bad_file_changes_nothing() {
    let folder = tools::folder("reload");
    let (data, file) = (folder.join("data"), folder.join("c.toml"));
    tools::write(&file, b"[limits]\nheader_bytes = \"1 KiB\"\n");
    let server = Server::start_with(&data, &["--config", tools::text(&file)], &[]);
    let long = "x".repeat(3_000);
    let status = |server: &Server| server.client().get_with("/time", &[("X-Long", &long)]).status;
    assert_eq!(status(&server), 431);
    tools::write(&file, b"[limits]\nheader_bytes = \"32 KiB\"\n");
    server.signal("HUP");
    server.wait_for_log("configuration reloaded");
    assert_eq!(status(&server), 200);
    tools::write(&file, b"[limits]\nheader_bites = \"1 KiB\"\n");
    server.signal("HUP");
    server.wait_for_log("was not reloaded");
    assert_eq!(status(&server), 200);
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
}
