//! Secrets in a Vault: a double of it (`tests/clients/vault_double.py`), which hvac has judged.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::server::{Server, streamverse, streamverse_fails, streamverse_ok};
use crate::tools;

const ROOT_TOKEN: &str = "root-token-of-the-double";
const FIRST_KEY: &str = "Zmlyc3Qga2V5IG9mIHRoZSB0ZXN0cywgbm8gc2VjcmV0IQ==";
const SECOND_KEY: &str = "c2Vjb25kIGtleSBvZiB0aGUgdGVzdHMsIG5vIHNlY3JldA==";

/// A Vault that ends with the test.
struct Vault {
    child: Child,
    address: String,
}

impl Vault {
    #[track_caller]
    fn start(options: &[&str]) -> Self {
        let double = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/vault_double.py");
        let mut child = Command::new("python3")
            .arg(double)
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let mut port = String::new();
        let out = child.stdout.take().expect("it is piped");
        BufReader::new(out).read_line(&mut port).expect("it prints its port");
        let scheme = if options.contains(&"--cert") { "https" } else { "http" };
        Self { child, address: format!("{scheme}://localhost:{}", port.trim()) }
    }

    fn ask(&self, path: &str, body: &Value) -> Value {
        let (url, body) = (format!("{}/{path}", self.address), body.to_string());
        let token = format!("X-Vault-Token: {ROOT_TOKEN}");
        let namespace = "X-Vault-Namespace: media";
        let arguments = ["-sSk", "-H", &token, "-H", namespace, "-d", &body, &url];
        let answer = tools::run("curl", &arguments);
        serde_json::from_str(&answer).unwrap_or_default()
    }

    fn put(&self, path: &str, fields: &Value) {
        self.ask(&format!("v1/kv/data/{path}"), &json!({ "data": fields }));
    }

    fn control(&self, change: &Value) -> Value {
        self.ask("control", change)["counts"].clone()
    }

    fn count(&self, what: &str) -> u64 {
        self.control(&json!({}))[what].as_u64().expect("a count")
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn login(vault: &Vault) -> String {
    format!(
        "[vault]\naddress = \"{}\"\nrole_id = \"role-of-the-double\"\n\
         secret_id = \"secret-id-of-the-double\"\nrefresh_seconds = 1\nwait_seconds = 0\n",
        vault.address
    )
}

/// Checks a configuration whose operator key is `reference`; gives what is said, whole.
fn check(folder: &Path, vault: &str, reference: &str) -> (bool, String) {
    let file = folder.join("check.toml");
    let text = format!("[ops]\nkey = \"vault:{reference}\"\n{vault}");
    tools::write(&file, text.as_bytes());
    let output = streamverse(&["config", "check", "--config", tools::text(&file)]);
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn both_versions_are_read_and_failures_name_path_and_cure() {
    let folder = tools::folder("vault-read");
    let vault = Vault::start(&[]);
    vault.put("app/ops", &json!({ "key": "0123456789abcdef", "number": 7 }));
    vault.put("app/forbidden", &json!({ "key": "0123456789abcdef" }));
    vault.put("gone", &json!({ "key": "0123456789abcdef" }));
    vault.ask("v1/old/ops", &json!({ "key": "0123456789abcdef" }));
    let url = format!("{}/v1/kv/data/gone", vault.address);
    let token = format!("X-Vault-Token: {ROOT_TOKEN}");
    tools::run("curl", &["-sS", "-X", "DELETE", "-H", &token, &url]);
    let role = login(&vault);
    let with_token =
        format!("[vault]\naddress = \"{}\"\ntoken = \"{ROOT_TOKEN}\"\n", vault.address);
    for (settings, reference) in
        [(&role, "kv/app/ops#key"), (&role, "old/ops#key"), (&with_token, "kv/app/ops#key")]
    {
        let (is_fine, said) = check(&folder, settings, reference);
        assert!(is_fine, "{reference}: {said}");
    }
    let wrong = role.replace("secret-id-of", "wrong-id-of");
    let bad_token = with_token.replace(ROOT_TOKEN, "guessed");
    let away = format!(
        "[vault]\naddress = \"http://127.0.0.1:9\"\ntoken = \"{ROOT_TOKEN}\"\nwait_seconds = 0\n"
    );
    for (settings, reference, cause, cure) in [
        (&role, "kv/app/forbidden#key", "forbids", "policy"),
        (&role, "kv/absent#key", "nothing lies", "vault kv put"),
        (&role, "old/absent#key", "nothing lies", "vault kv put"),
        (&role, "kv/gone#key", "deleted", "vault kv put"),
        (&role, "kv/app/ops#absent", "no field `absent`", "vault kv patch"),
        (&role, "kv/app/ops#number", "no field `number`", "vault kv patch"),
        (&role, "secret/app#key", "forbids", "policy"),
        (&role, "kv/app/ops", "write vault:", "#FIELD"),
        (&role, "kv/../sys/seal#key", "letters", "slashes"),
        (&wrong, "kv/app/ops#key", "refuses our login", "`role_id` and `secret_id`"),
        (&bad_token, "kv/app/ops#key", "refuses our login", "`[vault] token`"),
        (&away, "kv/app/ops#key", "127.0.0.1:9 can't be reached", "`[vault] address`"),
    ] {
        let (is_fine, said) = check(&folder, settings, reference);
        assert!(!is_fine && said.contains(cause) && said.contains(cure), "{reference}: {said}");
        assert!(said.contains(&format!("vault:{reference}")), "{reference}: {said}");
        assert!(!said.contains("0123456789") && !said.contains("of-the-double"), "{said}");
    }
    vault.control(&json!({ "sealed": true }));
    let (_, said) = check(&folder, &role, "kv/app/ops#key");
    assert!(said.contains("503") && said.contains("unseal"), "{said}");
    // A start waits for one that comes back.
    vault.control(&json!({ "sealed": false, "failing": 3 }));
    let patient = role.replace("wait_seconds = 0", "wait_seconds = 20");
    assert!(check(&folder, &patient, "kv/app/ops#key").0);
    vault.control(&json!({ "hang": 3 }));
    let hasty = format!("{role}timeout_seconds = 0.3\n");
    let (_, said) = check(&folder, &hasty, "kv/app/ops#key");
    assert!(said.contains("in time"), "{said}");
}

/// Over TLS, by an authority of one's own and in a namespace.
#[test]
fn tls_and_namespaces() {
    let folder = tools::folder("vault-tls");
    let data = folder.join("data");
    Server::start(&data).kill();
    let (cert, key) = (data.join("tls/development.pem"), data.join("tls/development.key"));
    let options =
        ["--cert", tools::text(&cert), "--key", tools::text(&key), "--namespace", "media"];
    let vault = Vault::start(&options);
    vault.put("ops", &json!({ "key": "0123456789abcdef" }));
    let ca = format!("ca = \"{}\"\n", cert.display());
    let namespace = "namespace = \"media\"\n";
    for (more, wanted) in [
        (format!("{ca}{namespace}"), None),
        (ca.clone(), Some("refuses our login")),
        (namespace.to_owned(), Some("certificate")),
        (
            format!("{}{namespace}", ca.replace("development.pem", "absent.pem")),
            Some("can't be read"),
        ),
    ] {
        let (is_fine, said) = check(&folder, &format!("{}{more}", login(&vault)), "kv/ops#key");
        match wanted {
            None => assert!(is_fine, "{said}"),
            Some(wanted) => assert!(!is_fine && said.contains(wanted), "{said}"),
        }
    }
}

/// A running server follows its Vault, renews its login, signs in anew, and outlives it.
#[test]
fn a_server_follows_its_vault() {
    let folder = tools::folder("vault-serve");
    let (data, file) = (folder.join("data"), folder.join("c.toml"));
    let vault = Vault::start(&[]);
    vault.control(&json!({ "token_ttl": 3 }));
    vault.put("url", &json!({ "key": FIRST_KEY }));
    let keys =
        "[[signing_key]]\nid = \"k\"\nalgorithm = \"hmac-sha256\"\nsecret = \"vault:kv/url#key\"\n";
    tools::write(&file, format!("{}{keys}", login(&vault)).as_bytes());
    let config = ["--config", tools::text(&file)];
    let server = Server::start_closed_with(&data, &config, &[]);
    let url = || {
        let arguments = ["sign", "/vod/x/cmaf/master.m3u8", "--data", tools::text(&data)];
        streamverse_ok(&[&arguments[..], &config[..]].concat()).trim().to_owned()
    };
    let first = url();
    let mut client = server.client();
    assert_eq!(client.get_with(&first, &[]).status, 404, "let in; there is no such title");

    vault.put("url", &json!({ "key": SECOND_KEY }));
    server.wait_for_log("signing_key[0].secret: another secret");
    wait_until(|| client.get_with(&first, &[]).status == 403);
    assert_eq!(client.get_with(&url(), &[]).status, 404);
    wait_until(|| 2 < vault.count("renew"));
    let logins = vault.count("login");
    vault.control(&json!({ "revoke": true }));
    wait_until(|| logins < vault.count("login"));

    let second = url();
    vault.control(&json!({ "sealed": true }));
    server.wait_for_log("the value that was read before is used on");
    assert_eq!(client.get_with(&second, &[]).status, 404);
    // A reload for something else goes through meanwhile.
    tools::write(&file, format!("{}{keys}[log]\nlevel = \"debug\"\n", login(&vault)).as_bytes());
    server.signal("HUP");
    server.wait_for_log("log.level: \\\"info\\\" -> \\\"debug\\\"");
    assert_eq!(client.get_with(&second, &[]).status, 404);
    // One that starts has nothing to go on with.
    let other = folder.join("other");
    let message =
        streamverse_fails(&[&["serve", "--data", tools::text(&other)], &config[..]].concat());
    assert!(message.contains("vault:kv/url#key") && message.contains("unseal"), "{message}");
    for secret in [FIRST_KEY, SECOND_KEY, "secret-id-of-the-double", "hvs."] {
        assert!(!server.log().contains(secret));
    }
    let shown = crate::client::Client::new(server.ops).get("/config");
    assert!(shown.text().contains("vault:kv/url#key") && !shown.text().contains("of-the-double"));
}

#[track_caller]
fn wait_until(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "not within twenty seconds");
        std::thread::sleep(Duration::from_millis(50));
    }
}
