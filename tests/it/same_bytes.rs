//! The same request has the same bytes: after a restart, and on another node.

use std::collections::BTreeMap;
use std::path::Path;

use crate::manifests::Fetcher;
use crate::media;
use crate::server::{Server, ingest, ingest_with};
use crate::tools;

/// Presets of the title `ladder`.
const PRESETS: [&str; 3] = ["cmaf", "ts", "cmaf-single"];

/// Every resource that manifests of a title lead to, with the length that was announced.
#[track_caller]
pub(crate) fn everything(server: &Server, id: &str) -> BTreeMap<String, Vec<u8>> {
    everything_below(server, "", id)
}

/// As [`everything`], by manifests below `root`.
#[track_caller]
pub(crate) fn everything_below(server: &Server, root: &str, id: &str) -> BTreeMap<String, Vec<u8>> {
    let mut client = server.client();
    let mut fetcher = Fetcher::below(&mut client, root);
    for preset in PRESETS {
        fetcher.hls(id, preset);
        if preset != "ts" {
            fetcher.dash(id, preset);
        }
    }
    fetcher.bodies
}

#[track_caller]
pub(crate) fn ladder(data: &Path) -> serde_json::Value {
    ingest(data, "ladder", &media::title("ladder").paths())
}

#[test]
fn a_restart_changes_no_byte() {
    let data = tools::folder("restart").join("data");
    ladder(&data);
    let server = Server::start(&data);
    let before = everything(&server, "ladder");
    let mut client = server.client();
    let etag = |client: &mut crate::client::Client, url: &str| {
        client.send("HEAD", url, &[]).header("etag").to_owned()
    };
    let etags: Vec<_> = before.keys().map(|url| etag(&mut client, url)).collect();
    server.kill();

    let server = Server::start(&data);
    let after = everything(&server, "ladder");
    assert!(before.len() > 60, "{}", before.len());
    assert!(before == after);
    let mut client = server.client();
    for (url, expected) in before.keys().zip(etags) {
        assert!(!expected.is_empty());
        assert_eq!(etag(&mut client, url), expected, "{url}");
    }
}

#[test]
fn two_nodes_agree() {
    let folder = tools::folder("two-nodes");
    let resources = ["one", "two"].map(|name| {
        let data = folder.join(name);
        ladder(&data);
        everything(&Server::start(&data), "ladder")
    });
    let [one, two] = resources;
    assert!(one == two, "{:?}\n{:?}", one.keys(), two.keys());
}

/// However the media lies in the store, names and bytes are the same.
#[test]
fn layouts_agree() {
    let folder = tools::folder("layouts");
    let titles = ["ladder", "cut", "tx3g"];
    let resources = ["packed", "source"].map(|layout| {
        let data = folder.join(layout);
        for id in titles {
            ingest_with(&data, id, &media::title(id).paths(), &["--layout", layout]);
        }
        let server = Server::start(&data);
        titles.map(|id| everything(&server, id))
    });
    let [packed, source] = resources;
    assert!(packed[0].len() > 60, "{}", packed[0].len());
    for (packed, source) in packed.iter().zip(&source) {
        assert!(packed.keys().eq(source.keys()), "{:?}\n{:?}", packed.keys(), source.keys());
        for (url, bytes) in packed {
            assert!(source[url] == *bytes, "{url}");
        }
    }
}

/// HEAD, GET and the manifests agree on the size of everything.
#[test]
fn sizes_announced_are_sizes_sent() {
    let data = tools::folder("sizes").join("data");
    ladder(&data);
    ingest(&data, "cut", &media::title("cut").paths());
    ingest(&data, "tx3g", &media::title("tx3g").paths());
    let server = Server::start(&data);
    let mut client = server.client();
    for id in ["ladder", "cut", "tx3g"] {
        for (url, body) in everything(&server, id) {
            let head = client.send("HEAD", &url, &[]);
            assert_eq!(head.header("content-length"), body.len().to_string(), "{url}");
            let get = client.get(&url);
            assert_eq!(get.header("content-length"), body.len().to_string(), "{url}");
        }
    }
}
