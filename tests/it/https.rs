//! The https listener of the whole program, asked by curl; HTTP/3 is asked by `tests/clients`.

use std::path::Path;

use crate::server::{Server, streamverse, streamverse_fails};
use crate::tools;

/// Headers and body of `path`, by curl with more options, trusting the certificate at `trust` alone.
fn curl(server: &Server, option: &str, trust: &Path, path: &str) -> String {
    let url = format!("https://localhost:{}{path}", server.https.port());
    let address = format!("localhost:{}:127.0.0.1", server.https.port());
    let mut arguments: Vec<&str> = option.split(' ').collect();
    let trust = tools::text(trust);
    arguments.extend(["-sS", "-i", "--cacert", trust, "--resolve", &address, &url]);
    tools::run("curl", &arguments)
}

#[test]
fn https_speaks_both_protocols_and_names_the_third() {
    let data = tools::folder("https").join("data");
    let server = Server::start(&data);
    let trust = data.join("tls/development.pem");
    let alt_svc = format!("alt-svc: h3=\":{}\"; ma=86400\r\n", server.https.port());
    for (option, status) in [
        ("--http1.1", "HTTP/1.1 200 OK\r\n"),
        ("--http2", "HTTP/2 200 \r\n"),
        ("--tls-max 1.2", "HTTP/2 200 \r\n"),
    ] {
        let answer = curl(&server, option, &trust, "/health");
        assert!(answer.starts_with(status) && answer.ends_with("ok\n"), "{option}: {answer}");
        assert!(answer.contains(&alt_svc), "{option}: {answer}");
    }
    // Over plain HTTP it is not named: h3 is for hosts that clients know by a certificate.
    let plain = tools::run("curl", &["-sS", "-i", &format!("http://{}/health", server.media)]);
    assert!(plain.ends_with("ok\n") && !plain.contains("alt-svc"), "{plain}");
    let metrics = crate::client::Client::new(server.ops).get("/metrics");
    assert!(metrics.text().contains("protocol=\"h2\""), "{metrics:?}");

    // The key is the server's alone, and the certificate survives a restart.
    let before = std::fs::read(&trust).unwrap();
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
    let server = Server::start(&data);
    assert_eq!(std::fs::read(&trust).unwrap(), before);
    curl(&server, "--http2", &trust, "/ready");
}

/// A certificate that was replaced is presented after a SIGHUP, and a bad one changes nothing.
#[test]
fn a_hang_up_adopts_a_new_certificate() {
    let folder = tools::folder("https_reload");
    let development = |name: &str| {
        // Each start in a folder of its own makes a certificate.
        let data = folder.join(name);
        Server::start(&data).kill();
        (data.join("tls/development.pem"), data.join("tls/development.key"))
    };
    let (first, second) = (development("first"), development("second"));
    let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
    let install = |from: &(std::path::PathBuf, std::path::PathBuf)| {
        std::fs::copy(&from.1, &key).unwrap();
        std::fs::copy(&from.0, &chain).unwrap();
    };
    install(&first);
    let config = folder.join("conf.toml");
    let text = format!("[[tls.certificate]]\nchain = {chain:?}\nkey = {key:?}\n");
    std::fs::write(&config, text).unwrap();
    let data = folder.join("data");
    let server = Server::start_with(&data, &["--config", tools::text(&config)], &[]);
    curl(&server, "--http2", &first.0, "/health");

    std::fs::write(&key, "no key").unwrap();
    server.signal("HUP");
    server.wait_for_log("the certificates were not changed");
    curl(&server, "--http2", &first.0, "/health");

    install(&second);
    server.signal("HUP");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let address = format!("localhost:{}:127.0.0.1", server.https.port());
    let url = format!("https://localhost:{}/health", server.https.port());
    let trust = ["-sS", "--cacert", tools::text(&second.0), "--resolve", &address, &url];
    while tools::run_unchecked("curl", &trust).code != Some(0) {
        assert!(std::time::Instant::now() < deadline, "{}", server.log());
    }
}

#[test]
fn doctor_looks_at_certificates() {
    let folder = tools::folder("https_doctor");
    let config = folder.join("conf.toml");
    let said = |text: &str| {
        std::fs::write(
            &config,
            format!(
                "[media]\nhttp = \"off\"\nhttps = \"127.0.0.1:0\"\n[ops]\nhttp = \"off\"\n{text}"
            ),
        )
        .unwrap();
        let data = folder.join("data");
        let arguments = ["doctor", "--config", tools::text(&config), "--data", tools::text(&data)];
        String::from_utf8(streamverse(&arguments).stdout).unwrap()
    };
    let found = said("");
    assert!(found.contains("ok      certificates: none is configured"), "{found}");
    assert!(found.contains("UDP buffers:") && found.contains("media.https over UDP:"), "{found}");
    let found = said("[[tls.certificate]]\nchain = \"/nowhere.pem\"\nkey = \"/nowhere.key\"\n");
    assert!(found.contains("FAULT   certificates: cannot read /nowhere.pem"), "{found}");

    let data = folder.join("made");
    Server::start(&data).kill();
    let tls = data.join("tls");
    let text = format!(
        "[[tls.certificate]]\nchain = {:?}\nkey = {:?}\n",
        tls.join("development.pem"),
        tls.join("development.key")
    );
    let found = said(&text);
    assert!(found.contains("warning certificates:") && found.contains("expires in"), "{found}");
}

/// `serve` doesn't start with a certificate it can't present.
#[test]
fn a_bad_certificate_stops_the_start() {
    let folder = tools::folder("https_bad");
    let config = folder.join("conf.toml");
    let text = "[[tls.certificate]]\nchain = \"/nowhere.pem\"\nkey = \"/nowhere.key\"\n";
    std::fs::write(&config, text).unwrap();
    let data = folder.join("data");
    let error = streamverse_fails(&[
        "serve",
        "--config",
        tools::text(&config),
        "--data",
        tools::text(&data),
    ]);
    assert!(error.contains("/nowhere.pem"), "{error}");
}
