//! Certificates by ACME (RFC 8555), from Pebble: the test server of Let's Encrypt, which checks every
//! signature, rejects some nonces on purpose, and asks the listeners as an authority does.

use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::server::Server;
use crate::tools;

/// An authority, and the name server that it asks: every name leads to this machine.
struct Authority {
    folder: PathBuf,
    children: Vec<Child>,
    directory_url: String,
    management: u16,
    /// What vouches for the directory's own address.
    ca: PathBuf,
}

fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        if UdpSocket::bind(address).is_ok() {
            return address.port();
        }
    }
}

fn start(program: &str, arguments: &[&str]) -> Child {
    let child = Command::new(program)
        .args(arguments)
        .env("PEBBLE_VA_NOSLEEP", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    child.unwrap_or_else(|error| panic!("{program}: {error}; `make test` installs it"))
}

impl Authority {
    /// Asks servers at these ports.
    fn start(folder: &Path, http_port: u16, https_port: u16) -> Self {
        let made = folder.join("made");
        // Each start in a folder of its own makes a certificate for localhost.
        Server::start(&made).kill();
        let (ca, key) = (made.join("tls/development.pem"), made.join("tls/development.key"));
        let [port, management, dns, dns_management] = [(); 4].map(|()| free_port());
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": ca,
            "privateKey": key,
            "httpPort": http_port,
            "tlsPort": https_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
        }});
        let config_file = folder.join("pebble.json");
        tools::write(&config_file, config.to_string().as_bytes());
        let dns = format!("127.0.0.1:{dns}");
        let names = ["-dns01", &dns, "-http01", "", "-https01", "", "-tlsalpn01", ""];
        let more = ["-management", &format!("127.0.0.1:{dns_management}"), "-defaultIPv6", ""];
        let children = vec![
            start("pebble-challtestsrv", &[&names[..], &more[..]].concat()),
            start("pebble", &["-config", tools::text(&config_file), "-dnsserver", &dns]),
        ];
        let directory_url = format!("https://localhost:{port}/dir");
        let authority = Self { folder: folder.to_owned(), children, directory_url, management, ca };
        let deadline = Instant::now() + Duration::from_secs(20);
        while tools::run_unchecked("curl", &["-sfk", &authority.directory_url]).code != Some(0) {
            assert!(Instant::now() < deadline, "pebble does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        authority
    }

    /// A configuration that orders a certificate for `domains`.
    fn config(&self, challenge: &str, domains: &[&str]) -> PathBuf {
        let file = self.folder.join("conf.toml");
        let text = format!(
            "[tls.acme]\ndirectory_url = {:?}\ncontacts = [\"mailto:operator@example.org\"]\n\
             domains = {domains:?}\nterms_agreed = true\nchallenge = {challenge:?}\nca = {:?}\n",
            self.directory_url, self.ca
        );
        tools::write(&file, text.as_bytes());
        file
    }

    /// The root of what it issues.
    fn root(&self) -> PathBuf {
        let file = self.folder.join("root.pem");
        let url = format!("https://localhost:{}/roots/0", self.management);
        let root = tools::run("curl", &["-sSf", "--cacert", tools::text(&self.ca), &url]);
        tools::write(&file, root.as_bytes());
        file
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Checks that a server presents a certificate of `root` for `name`.
#[track_caller]
fn check_presents(server: &Server, root: &Path, name: &str) {
    let port = server.https.port();
    let (url, address) =
        (format!("https://{name}:{port}/health"), format!("{name}:{port}:127.0.0.1"));
    for version in ["--http1.1", "--http2"] {
        let trust = ["--cacert", tools::text(root), "--resolve", &address];
        let said = tools::run("curl", &[&["-sS", version, &url][..], &trust[..]].concat());
        assert_eq!(said, "ok\n");
    }
}

const ISSUED: &str = "a certificate was issued and is in force";

#[test]
fn a_certificate_is_ordered_kept_and_extended_over_tls() {
    let folder = tools::folder("acme_tls");
    let (http, https) = (free_port(), free_port());
    let authority = Authority::start(&folder, http, https);
    let data = folder.join("data");
    let variables = [("STREAMVERSE__MEDIA__HTTPS", &*format!("127.0.0.1:{https}"))];
    let serve = |domains: &[&str]| {
        let config = authority.config("tls-alpn-01", domains);
        Server::start_with(&data, &["--config", tools::text(&config)], &variables)
    };
    let server = serve(&["media.example.test", "cdn.example.test"]);
    server.wait_for_log(ISSUED);
    let root = authority.root();
    check_presents(&server, &root, "media.example.test");
    check_presents(&server, &root, "cdn.example.test");
    let metrics = Client::new(server.ops).get("/metrics");
    let issued = "streamverse_tls_acme_orders_total{outcome=\"issued\"} 1";
    assert!(metrics.text().contains(issued), "{}", metrics.text());
    assert!(metrics.text().contains("streamverse_tls_certificate_expires_seconds{chain="));
    for file in ["account.json", "certificate.pem"] {
        let facts = std::fs::metadata(data.join("tls/acme").join(file)).expect(file);
        assert_eq!(facts.permissions().mode() & 0o777, 0o600, "{file}");
    }
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));

    // Nothing is ordered while there is a good one.
    let server = serve(&["media.example.test", "cdn.example.test"]);
    check_presents(&server, &root, "media.example.test");
    assert!(!server.log().contains("ordering a certificate"), "{}", server.log());
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));

    // Another name, the same account.
    let server = serve(&["media.example.test", "new.example.test"]);
    server.wait_for_log(ISSUED);
    check_presents(&server, &root, "new.example.test");
    assert!(!server.log().contains("made an ACME account"), "{}", server.log());
}

#[test]
fn a_certificate_is_ordered_over_http() {
    let folder = tools::folder("acme_http");
    let (http, https) = (free_port(), free_port());
    let authority = Authority::start(&folder, http, https);
    let config = authority.config("http-01", &["media.example.test"]);
    let variables = [("STREAMVERSE__MEDIA__HTTP", &*format!("127.0.0.1:{http}"))];
    let arguments = ["--config", tools::text(&config)];
    // Not open: an authority has no token.
    let server = Server::start_closed_with(&folder.join("data"), &arguments, &variables);
    server.wait_for_log(ISSUED);
    check_presents(&server, &authority.root(), "media.example.test");
}

/// An authority that is away keeps nobody waiting, at the start or at the end.
#[test]
fn without_an_authority_the_server_serves_all_the_same() {
    let folder = tools::folder("acme_away");
    let config = folder.join("conf.toml");
    let text = format!(
        "[tls.acme]\ndirectory_url = \"https://localhost:{}/dir\"\nterms_agreed = true\n\
         domains = [\"media.example.test\"]\n",
        free_port()
    );
    tools::write(&config, text.as_bytes());
    let data = folder.join("data");
    let server = Server::start_with(&data, &["--config", tools::text(&config)], &[]);
    check_presents(&server, &data.join("tls/development.pem"), "localhost");
    server.wait_for_log("no certificate was issued");
    let metrics = Client::new(server.ops).get("/metrics");
    let failed = "streamverse_tls_acme_orders_total{outcome=\"failed\"} 1";
    assert!(metrics.text().contains(failed), "{}", metrics.text());
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
}
