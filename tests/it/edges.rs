//! An edge and an origin as two processes: the same bytes, signed, cached, and there when the
//! origin isn't.

use std::path::{Path, PathBuf};

use crate::client::Client;
use crate::same_bytes;
use crate::server::{Server, streamverse_fails, streamverse_ok};
use crate::tools;

const SECRET: &str = "a-secret-between-edge-and-origin";
const MASTER: &str = "/vod/ladder/cmaf/master.m3u8";

/// An origin that answers its edges only.
fn origin(data: &Path) -> Server {
    let variables =
        [("STREAMVERSE__SHIELD__SECRET", "env:TEST_SHIELD_SECRET"), ("TEST_SHIELD_SECRET", SECRET)];
    Server::start_closed_with(data, &["--roles", "origin"], &variables)
}

/// An edge in front of it, with the configuration of `text`.
fn edge(folder: &Path, origin: &Server, text: &str) -> (PathBuf, Server) {
    let data = folder.join("edge");
    let file = folder.join("edge.toml");
    let upstream = format!(
        "{text}\n[[upstream]]\nurl = \"http://{}\"\nsecret = \"env:TEST_SHIELD_SECRET\"\n",
        origin.media
    );
    tools::write(&file, upstream.as_bytes());
    let arguments = ["--roles", "edge", "--config", tools::text(&file)];
    let variables = [("TEST_SHIELD_SECRET", SECRET)];
    let server = Server::start_closed_with(&data, &arguments, &variables);
    (data, server)
}

/// The root of signed URLs of the title, from the edge's own key.
fn root(edge_data: &Path) -> String {
    let arguments = ["sign", "--json", "--data", tools::text(edge_data), MASTER];
    let signed: serde_json::Value =
        serde_json::from_str(&streamverse_ok(&arguments)).expect("it is JSON");
    format!("/~{}", signed["token"].as_str().expect("a token"))
}

/// How the edge came by an answer (RFC 9211).
fn status(client: &mut Client, url: &str) -> (u16, String, Vec<u8>) {
    let answer = client.get_with(url, &[]);
    (answer.status, answer.header("cache-status").to_owned(), answer.body)
}

#[test]
fn an_edge_serves_what_its_origin_packages() {
    let folder = tools::folder("edge-origin");
    let data = folder.join("data");
    same_bytes::ladder(&data);
    let open = Server::start(&data);
    let expected = same_bytes::everything(&open, "ladder");
    open.signal("TERM");
    assert_eq!(open.wait(), Some(0));

    let origin = origin(&data);
    let (edge_data, edge) = edge(&folder, &origin, "");
    let refused = edge.client().get_with(MASTER, &[]);
    assert_eq!(
        (refused.status, refused.json()["code"].as_str()),
        (403, Some("signature_required"))
    );
    let past = origin.client().get_with(MASTER, &[]);
    assert_eq!((past.status, past.json()["code"].as_str()), (403, Some("shield_required")));

    let root = root(&edge_data);
    let served = same_bytes::everything_below(&edge, &root, "ladder");
    let unsigned =
        served.iter().map(|(url, body)| (url.strip_prefix(&root).expect("it is below"), body));
    assert!(unsigned.eq(expected.iter().map(|(url, body)| (url.as_str(), body))));

    // Another viewer, another token, the same object.
    let other = self::root(&edge_data);
    assert_ne!(other, root);
    let mut client = edge.client();
    for (url, body) in &expected {
        let (code, how, again) = status(&mut client, &format!("{other}{url}"));
        assert_eq!(code, 200, "{url}");
        assert!(how.contains("hit"), "{url}: {how}");
        assert!(again == *body, "{url}");
    }
    let segment = expected.keys().find(|url| url.ends_with("/2.m4s")).expect("a segment");
    let part = client.get_with(&format!("{other}{segment}"), &[("Range", "bytes=100-299")]);
    assert_eq!((part.status, &*part.body), (206, &expected[segment][100..300]));
    let head = client.send("HEAD", &format!("{other}{segment}"), &[]);
    assert_eq!(head.header("content-length"), expected[segment].len().to_string());
    assert_eq!(head.header("access-control-allow-origin"), "*");

    // The origin goes: what is kept goes on, what isn't is told apart from what isn't there.
    origin.kill();
    for (url, body) in &expected {
        let (code, _, again) = status(&mut client, &format!("{other}{url}"));
        assert!(code == 200 && again == *body, "{url}");
    }
    let (code, _, _) = status(&mut client, &format!("{other}/vod/ladder/cmaf/absent.m3u8"));
    assert!(matches!(code, 502..=504), "{code}");
    edge.signal("TERM");
    assert_eq!(edge.wait(), Some(0));
}

/// An edge without origins, and origins without an edge, are mistakes that are told at once.
#[test]
fn roles_and_upstreams_belong_together() {
    let folder = tools::folder("edge-roles");
    let data = folder.join("data");
    let place = tools::text(&data);
    let message = streamverse_fails(&["serve", "--roles", "edge", "--data", place]);
    assert!(message.contains("[[upstream]]"), "{message}");
    let file = folder.join("c.toml");
    tools::write(&file, b"[[upstream]]\nurl = \"http://127.0.0.1:9\"\n");
    let with = ["serve", "--data", place, "--config", tools::text(&file)];
    let message = streamverse_fails(&with);
    assert!(message.contains("--roles edge"), "{message}");
}

/// Times that everything is asked for until it lies on the disk.
const ROUNDS_MAX: usize = 20;

/// What lies on the disk of an edge is there for the process that takes over.
#[test]
fn an_edge_hands_its_disk_over() {
    let folder = tools::folder("edge-hand-over");
    let data = folder.join("data");
    same_bytes::ladder(&data);
    let origin = origin(&data);
    let text = "[cache]\ndisk_bytes = \"256 MiB\"\n[limits]\ndrain_seconds = 5.0";
    let (edge_data, edge) = edge(&folder, &origin, text);
    let root = root(&edge_data);
    let served = same_bytes::everything_below(&edge, &root, "ladder");
    // What is asked for twice goes to the disk, unless enough is on its way there: then the next
    // request sends it.
    for _ in 0..ROUNDS_MAX {
        let again = same_bytes::everything_below(&edge, &root, "ladder");
        assert!(served == again);
        if served.len() as f64 <= edge.metric("streamverse_cache_disk_objects ") {
            break;
        }
    }
    let config = folder.join("edge.toml");
    let arguments = ["--take-over", "--roles", "edge", "--config", tools::text(&config)];
    let variables = [("TEST_SHIELD_SECRET", SECRET)];
    let second = Server::start_closed_with(&edge_data, &arguments, &variables);
    assert_eq!(second.media, edge.media);
    origin.kill();
    let mut client = second.client();
    let segments: Vec<_> = served.iter().filter(|(url, _)| url.ends_with(".m4s")).collect();
    assert!(10 < segments.len());
    for (url, body) in segments {
        let (code, how, got) = status(&mut client, url);
        assert!(code == 200 && got == *body && how.contains("hit"), "{url}: {code} {how}");
    }
    assert_eq!(edge.wait(), Some(0));
}
