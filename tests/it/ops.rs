//! What the operator looks at: health, metrics, configuration, logs.

use crate::client::Client;
use crate::same_bytes;
use crate::server::{Server, streamverse_fails, streamverse_ok};
use crate::tools;

#[test]
fn health_metrics_and_configuration() {
    let data = tools::folder("ops").join("data");
    same_bytes::ladder(&data);
    let server = Server::start_with(
        &data,
        &[],
        &[
            ("STREAMVERSE__LOG__FORMAT", "json"),
            ("STREAMVERSE__LOG__LEVEL", "debug"),
            ("STREAMVERSE__OBJECTS__S3__SECRET_KEY", "very-secret"),
            ("STREAMVERSE__OBJECTS__S3__ACCESS_KEY", "access"),
        ],
    );
    let mut ops = Client::new(server.ops);
    let mut media = server.client();
    for path in ["/health", "/ready"] {
        assert_eq!(ops.get(path).status, 200);
        let answer = media.get(path);
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    let served = same_bytes::everything(&server, "ladder");
    let bytes: usize = served.values().map(Vec::len).sum();
    let metrics = ops.get("/metrics");
    assert!(
        metrics.header("content-type").starts_with("application/openmetrics-text"),
        "{metrics:?}"
    );
    let text = metrics.text();
    assert!(text.ends_with("# EOF\n"), "the exposition is complete");
    let sum = |name: &str| -> f64 {
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    };
    let requests: Vec<&str> = text.lines().filter(|line| line.contains("requests_total")).collect();
    assert!(!requests.is_empty(), "{text}");
    assert!(sum("streamverse_http_requests_total") >= served.len() as f64, "{requests:?}");
    assert!(text.contains("_bucket{"), "latency is a histogram");
    assert!(bytes > 1_000_000);
    let sent = text.lines().any(|line| {
        line.contains("bytes")
            && line
                .rsplit(' ')
                .next()
                .and_then(|n| n.parse::<f64>().ok())
                .is_some_and(|n| n >= 1_000_000.0)
    });
    assert!(sent, "bytes sent are counted: {text}");
    assert!(text.contains("process_open_fds"), "{text}");

    let config = ops.get("/config");
    assert!(!config.text().contains("very-secret"), "secrets are redacted");
    assert!(config.json().is_object());

    let answer = media.get("/time");
    assert!(answer.text().ends_with('Z'));
    let id = answer.header("x-request-id").to_owned();
    assert!(!id.is_empty());
    assert!(ops.get_with("/nothing", &[]).status == 404);
    for line in server.log().lines() {
        serde_json::from_str::<serde_json::Value>(line)
            .unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

#[test]
fn configuration_mistakes_are_named() {
    let folder = tools::folder("config");
    let file = folder.join("c.toml");
    let file = tools::text(&file);
    tools::write(file.as_ref(), b"[media]\nhtpp = \"127.0.0.1:0\"\n");
    let message = streamverse_fails(&["config", "check", "--config", file]);
    assert!(message.contains("htpp") && message.contains("http"), "{message}");
    tools::write(file.as_ref(), b"[log]\nlevel = \"debug\"\n");
    streamverse_ok(&["config", "check", "--config", file]);
    let printed = streamverse_ok(&["config", "print", "--config", file]);
    assert!(printed.contains("debug"), "{printed}");
}

/// `config check` and `serve` judge alike.
#[test]
fn a_protected_preset_is_refused_before_anything_starts() {
    let folder = tools::folder("protected-preset");
    let (file, data) = (folder.join("c.toml"), folder.join("data"));
    let preset = "[[preset]]\nname = \"mine\"\npackaging = \"cmaf\"\nprotection = ";
    tools::write(&file, format!("{preset}\"cenc\"\n").as_bytes());
    let (file, data) = (tools::text(&file), tools::text(&data));
    let checked = streamverse_fails(&["config", "check", "--config", file]);
    let served = streamverse_fails(&["serve", "--open", "--config", file, "--data", data]);
    for message in [checked, served] {
        assert!(message.contains("preset[0].protection"), "{message}");
        assert!(message.contains("not built yet"), "{message}");
    }
    tools::write(file.as_ref(), format!("{preset}\"none\"\n").as_bytes());
    streamverse_ok(&["config", "check", "--config", file]);
}

/// The address of a client stands in the log, and a forwarded one only where a proxy is trusted.
#[test]
fn the_log_says_who_asked() {
    let folder = tools::folder("client-address");
    let (file, data) = (folder.join("c.toml"), folder.join("data"));
    let trusting = |networks: &str| {
        let text = format!("[log]\nformat = \"json\"\n[net]\ntrusted_proxies = {networks}\n");
        tools::write(&file, text.as_bytes());
    };
    trusting("[]");
    let server = Server::start_with(&data, &["--config", tools::text(&file)], &[]);
    let client_of = |name: &str, forwarded: &str| {
        let headers = [("X-Request-Id", name), ("X-Forwarded-For", forwarded)];
        server.client().get_with("/time", &headers);
        server.wait_for_log(name);
        let log = server.log();
        let line = log.lines().find(|line| line.contains(name)).expect("it was waited for");
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON lines");
        line.pointer("/client").or_else(|| line.pointer("/fields/client")).cloned()
    };
    let (proxy, viewer) = (Some("127.0.0.1".into()), Some("198.51.100.7".into()));
    assert_eq!(client_of("believing-none", "198.51.100.7"), proxy);
    trusting("[\"127.0.0.0/8\"]");
    server.signal("HUP");
    server.wait_for_log("configuration reloaded");
    assert_eq!(client_of("believing-proxy", "6.6.6.6, 198.51.100.7"), viewer);
    assert_eq!(client_of("unreadable", "nonsense"), proxy);
}
