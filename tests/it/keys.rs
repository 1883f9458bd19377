//! `streamverse keys`, on a running server and on a directory that nobody owns.

use std::path::Path;

use serde_json::Value;

use crate::server::{Server, streamverse, streamverse_fails, streamverse_ok};
use crate::tools;

const MASTER: &str = "/vod/x/cmaf/master.m3u8";
const SEAL: &str = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";
const OTHER_SEAL: &str = "EjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJCrze8=";

fn keys(data: &Path, arguments: &[&str]) -> Value {
    let all = [&["keys"], arguments, &["--json", "--data", tools::text(data)]].concat();
    serde_json::from_str(&streamverse_ok(&all)).expect("it prints JSON")
}

fn states(data: &Path, purpose: &str) -> Vec<String> {
    let list = keys(data, &["list"]);
    let mut rings = list["rings"].as_array().expect("a list").iter();
    let ring = rings.find(|ring| ring["purpose"] == purpose).expect("there is one").clone();
    let rows = ring["keys"].as_array().expect("a list").clone();
    rows.iter().map(|row| row["state"].as_str().expect("a text").to_owned()).collect()
}

fn url(data: &Path) -> String {
    streamverse_ok(&["sign", MASTER, "--data", tools::text(data)]).trim().to_owned()
}

/// URLs that were signed before a rotation go on, those before an emergency end: on a running
/// server, at once.
#[test]
fn a_rotation_counts_on_a_running_server_at_once() {
    let data = tools::folder("keys-rotate").join("data");
    let server = Server::start_closed(&data);
    let mut client = server.client();
    let first = url(&data);
    assert_eq!(client.get_with(&first, &[]).status, 404, "let in; there is no such title");
    let answer = keys(&data, &["rotate", "url-tokens"]);
    assert_eq!(answer["revoked"], 0);
    assert_eq!(states(&data, "url-tokens"), ["active", "next"]);
    assert_eq!(client.get_with(&first, &[]).status, 404);
    let again = ["keys", "rotate", "url-tokens", "--data", tools::text(&data)];
    assert!(streamverse_fails(&again).contains("under way"));

    let answer = keys(&data, &["rotate", "url-tokens", "--emergency"]);
    assert_eq!(answer["revoked"], 2);
    assert_eq!(client.get_with(&first, &[]).status, 403, "without a moment's delay");
    let second = url(&data);
    assert_eq!(client.get_with(&second, &[]).status, 404);
    server.kill();
    let server = Server::start_closed(&data);
    assert_eq!(server.client().get_with(&first, &[]).status, 403, "after a restart, too");
    assert_eq!(server.client().get_with(&second, &[]).status, 404);

    // From afar nobody rotates: the ops listener knows no such path, key or not.
    let key = std::fs::read_to_string(data.join("keys/ops")).expect("it was made");
    let bearer = format!("Bearer {}", key.trim());
    let mut ops = crate::client::Client::new(server.ops);
    let answer = ops.send("POST", "/keys/rotate", &[("authorization", &bearer)]);
    assert_eq!(answer.status, 404);
}

#[test]
fn every_purpose_has_a_ring_that_verifies() {
    let data = tools::folder("keys-verify").join("data");
    std::fs::create_dir_all(&data).expect("it can be made");
    let plain = ["keys", "list", "--data", tools::text(&data)];
    assert!(streamverse_ok(&plain).contains("no keys yet"));
    for purpose in ["access-tokens", "url-tokens", "sessions", "records", "content-seeds", "audit"]
    {
        keys(&data, &["rotate", purpose]);
    }
    let verified = keys(&data, &["verify"]);
    assert_eq!(verified["faults"], serde_json::json!([]), "{verified}");
    assert_eq!(verified["keys"], 6);
    let wrong = streamverse(&["keys", "rotate", "cookies", "--data", tools::text(&data)]);
    assert_eq!(wrong.status.code(), Some(2));

    // Secrets are shown to whoever asks for them by name, and it is written down first.
    let text = |arguments: &[&str]| keys(&data, arguments).to_string();
    assert!(!text(&["list"]).contains("secret"));
    assert_eq!(text(&["list", "--reveal"]).matches("\"secret\"").count(), 1, "content seeds alone");
    let audit = std::fs::read_to_string(data.join("keys/audit.log")).expect("it is written");
    assert_eq!(audit.lines().filter(|line| line.contains("--reveal")).count(), 1, "{audit}");

    let ring = data.join("keys/rings/records");
    let good = std::fs::read_to_string(&ring).expect("it is there");
    tools::write(&ring, good.replace("\"generation\":1", "\"generation\":x").as_bytes());
    let message = streamverse_fails(&["keys", "verify", "--data", tools::text(&data)]);
    assert!(message.contains("rings/records") && message.contains("backup"), "{message}");
}

/// Sealed files open with their key alone, which can be replaced.
#[test]
fn sealed_rings_need_their_key() {
    let folder = tools::folder("keys-sealed");
    let (data, file) = (folder.join("data"), folder.join("c.toml"));
    let seal = |text: String| {
        tools::write(&file, format!("[keys]\n{text}").as_bytes());
        ["--config", tools::text(&file)].map(str::to_owned)
    };
    let first = seal(format!("seal = \"{SEAL}\"\n"));
    let with = |config: &[String; 2], arguments: &[&str]| {
        let config: Vec<&str> = config.iter().map(String::as_str).collect();
        [arguments, &["--data", tools::text(&data)], &config].concat().join(" ")
    };
    let ok = |line: &str| streamverse_ok(&line.split(' ').collect::<Vec<_>>());
    let fails = |line: &str| streamverse_fails(&line.split(' ').collect::<Vec<_>>());
    std::fs::create_dir_all(&data).expect("it can be made");
    ok(&with(&first, &["keys", "rotate", "content-seeds"]));
    ok(&with(&first, &["sign", MASTER]));
    assert!(!data.join("keys/url-token").exists(), "no key lies there in the open");
    let list = ok(&with(&first, &["keys", "list", "--reveal"]));
    let message = fails(&format!("keys list --data {}", tools::text(&data)));
    assert!(message.contains("[keys] seal"), "{message}");
    let message = fails(&format!("serve --data {}", tools::text(&data)));
    assert!(message.contains("[keys] seal"), "{message}");
    let both = seal(format!("seal = \"{OTHER_SEAL}\"\nprevious_seal = \"{SEAL}\"\n"));
    ok(&with(&both, &["keys", "verify"]));
    let second = seal(format!("seal = \"{OTHER_SEAL}\"\n"));
    let seed = |text: &str| text.rsplit(' ').next().unwrap_or_default().trim().to_owned();
    assert_eq!(seed(&ok(&with(&second, &["keys", "list", "--reveal"]))).len(), seed(&list).len());
    let bad = seal("seal = \"short\"\n".to_owned());
    assert!(fails(&with(&bad, &["config", "check"])).contains("openssl rand"));
}
