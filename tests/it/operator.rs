//! What operators do to a running server, by the ops listener and by commands.

use std::io::{BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;

use crate::client::{Answer, Client, connect, read_answer};
use crate::same_bytes;
use crate::server::{Server, streamverse_fails, streamverse_ok};
use crate::tools;

/// Whoever has the operator key of a server.
#[derive(Clone, Debug)]
pub(crate) struct Operator {
    address: SocketAddr,
    key: String,
}

impl Operator {
    /// With the key that the server made for itself.
    pub(crate) fn of(server: &Server, data: &Path) -> Self {
        let key = std::fs::read_to_string(data.join("keys/ops")).expect("the server made a key");
        Self { address: server.ops, key: key.trim_end().to_owned() }
    }

    #[track_caller]
    pub(crate) fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        let authorization = format!("Bearer {}", self.key);
        let host = self.address.to_string();
        let headers = [("Host", host.as_str()), ("Authorization", &authorization)];
        send(self.address, method, path, &headers, body)
    }

    /// What has to succeed.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> serde_json::Value {
        let answer = self.send(method, path, body);
        assert_eq!(answer.status, 200, "{method} {path}: {answer:?}");
        answer.json()
    }
}

/// A request with exactly these headers, and a length.
#[track_caller]
fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut request = format!("{method} {path} HTTP/1.1\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if method != "GET" {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    request.push_str(body);
    let mut stream = BufReader::new(connect(address));
    // A server that refuses early may close before it has read everything.
    let _ = stream.get_mut().write_all(request.as_bytes());
    read_answer(&mut stream, method).expect("an answer comes")
}

#[track_caller]
fn check_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[test]
fn strangers_are_kept_out() {
    let data = tools::folder("operator-guard").join("data");
    let variables = [("STREAMVERSE__OPS__NAMES", "ops.example.org")];
    let server = Server::start_closed_with(&data, &[], &variables);
    let operator = Operator::of(&server, &data);
    let mode = tools::run("stat", &["-c", "%a", tools::text(&data.join("keys/ops"))]);
    assert_eq!(mode.trim(), "600");

    let host = server.ops.to_string();
    let right = format!("Bearer {}", operator.key);
    let wrong = format!("Bearer {}x", operator.key);
    let get = |path: &str, headers: &[(&str, &str)]| send(server.ops, "GET", path, headers, "");
    for path in ["/stats", "/drain", "/feed", "/sessions/revoked"] {
        let refused = get(path, &[("Host", &host)]);
        check_problem(&refused, 401, "key_required");
        assert!(refused.header("www-authenticate").starts_with("Bearer"), "{refused:?}");
        let refused = get(path, &[("Host", &host), ("Authorization", &wrong)]);
        check_problem(&refused, 401, "key_invalid");
    }
    for name in ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io"] {
        for path in ["/stats", "/config"] {
            let refused = get(path, &[("Host", name), ("Authorization", &right)]);
            check_problem(&refused, 421, "host_not_allowed");
        }
        // Probes and scrapers come by whatever name their machine has.
        for path in ["/metrics", "/health", "/ready"] {
            assert_eq!(get(path, &[("Host", name)]).status, 200, "{path}");
        }
    }
    for name in [host.as_str(), "localhost:9", "OPS.example.org:9100"] {
        assert_eq!(get("/stats", &[("Host", name), ("Authorization", &right)]).status, 200);
    }

    check_problem(&operator.send("GET", "/nothing", ""), 404, "not_found");
    let refused = operator.send("POST", "/stats", "{}");
    check_problem(&refused, 405, "method_not_allowed");
    assert_eq!(refused.header("allow"), "GET");
    for body in [
        "",
        "[]",
        "{\"tags\":[\"a\"],\"hard\":true}",
        "{\"tags\":\"a\"}",
        "{}",
        "{\"tags\":[\"a,b\"]}",
        "{\"urls\":[\"/vod/../x\"]}",
        "{\"prefixes\":[\"vod\"]}",
    ] {
        check_problem(&operator.send("POST", "/cache/purge", body), 400, "invalid_request");
    }
    check_problem(
        &operator.send("POST", "/sessions/revoke", "{\"sessions\":[\"a b\"]}"),
        400,
        "invalid_request",
    );
    check_problem(
        &operator.send("POST", "/cache/prefetch", "{\"urls\":[\"/a\"]}"),
        409,
        "no_cache",
    );
    let large = format!("{{\"tags\":[\"{}\"]}}", "a".repeat(70_000));
    check_problem(&operator.send("POST", "/cache/purge", &large), 413, "content_too_large");
    let headers =
        [("Host", host.as_str()), ("Authorization", &right), ("Transfer-Encoding", "chunked")];
    let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", large.len(), large);
    let mut request = "POST /cache/purge HTTP/1.1\r\n".to_owned();
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut stream = BufReader::new(connect(server.ops));
    let _ = stream.get_mut().write_all(format!("{request}\r\n{chunk}").as_bytes());
    let refused = read_answer(&mut stream, "POST").expect("an answer comes");
    check_problem(&refused, 413, "content_too_large");

    let metrics = Client::new(server.ops).get("/metrics").text().to_owned();
    for reason in ["key_required", "key_invalid", "host_not_allowed"] {
        let row = format!("streamverse_ops_refused_total{{reason=\"{reason}\"}}");
        assert!(metrics.contains(&row), "{row}: {metrics}");
    }
    assert!(!server.log().contains(&operator.key), "the key shows nowhere");
}

/// A drain is told at /ready on every listener; viewers are served all the same, and it can be
/// taken back.
#[test]
fn a_drain_is_told_and_taken_back() {
    let data = tools::folder("operator-drain").join("data");
    same_bytes::ladder(&data);
    let server = Server::start(&data);
    let operator = Operator::of(&server, &data);
    let (mut media, mut ops) = (server.client(), Client::new(server.ops));
    assert_eq!(operator.ask("GET", "/drain", "")["state"], "serving");
    let drained = operator.ask("POST", "/drain", "");
    assert_eq!(drained["state"], "drained", "nothing is under way");
    assert!(drained["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{drained}");
    for client in [&mut media, &mut ops] {
        let answer = client.get_with("/ready", &[]);
        assert_eq!((answer.status, answer.text()), (503, "draining\n"));
        assert_eq!(client.get_with("/health", &[]).status, 200);
    }
    media.get("/vod/ladder/cmaf/master.m3u8");
    assert_eq!(operator.ask("POST", "/drain", "")["since"], drained["since"], "twice is once");
    assert_eq!(operator.ask("DELETE", "/drain", "")["state"], "serving");
    media.get("/ready");

    // The same by command: through the socket, and from elsewhere with the key.
    let place = tools::text(&data);
    assert_eq!(streamverse_ok(&["drain", "--data", place]), "drained, 0 requests under way\n");
    assert_eq!(media.get_with("/ready", &[]).status, 503);
    let (url, key) = (format!("http://{}", server.ops), format!("file:{place}/keys/ops"));
    let there = ["--server", url.as_str(), "--key", key.as_str()];
    let status = streamverse_ok(&[&["drain", "--status"][..], &there].concat());
    assert!(status.starts_with("drained"), "{status}");
    let cancelled = streamverse_ok(&[&["drain", "--cancel", "--json"][..], &there].concat());
    assert!(cancelled.contains("\"serving\""), "{cancelled}");
    media.get("/ready");
    for act in ["act=\"drain\"", "act=\"cancel drain\""] {
        server.wait_for_log(act);
    }
    assert!(server.log().contains("admin.sock") && server.log().contains("audit"));
    let wrong = ["drain", "--server", url.as_str(), "--key", "not-the-key-of-it"];
    let message = streamverse_fails(&wrong);
    assert!(message.contains("not the operator key"), "{message}");
    let nowhere = ["drain", "--server", "http://127.0.0.1:1", "--key", "not-the-key-of-it"];
    let message = streamverse_fails(&nowhere);
    assert!(message.contains("cannot reach http://127.0.0.1:1"), "{message}");
    server.kill();
    let message = streamverse_fails(&["drain", "--data", tools::text(&data.join("absent"))]);
    assert!(message.contains("no server runs"), "{message}");
}
