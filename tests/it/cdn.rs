//! Tokens in the CDNs' own formats: made by the command line and by `openssl`, taken by a server that
//! holds public keys.

use std::io::{BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::client::{self, Answer};
use crate::manifests::resolve;
use crate::same_bytes;
use crate::server::{Server, streamverse_ok};
use crate::tools;

pub(crate) const MASTER: &str = "/vod/ladder/cmaf/master.m3u8";
/// As viewers name the server; its listener is another.
pub(crate) const BASE: &str = "https://cdn.example";
const HOST: &str = "cdn.example";
pub(crate) const SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// A scheme, the file that signs, the file that checks, and what carries its tokens.
pub(crate) type Case = (&'static str, &'static str, &'static str, &'static [&'static str]);
pub(crate) const CASES: [Case; 7] = [
    ("cloudfront", "rsa.pem", "rsa.pub", &["query", "cookie"]),
    ("cloudfront", "p256.pem", "p256.pub", &["query", "cookie"]),
    ("akamai", "secret.hex", "", &["query", "cookie", "header"]),
    ("media-cdn", "ed25519.pem", "ed25519.pub", &["query", "path", "cookie"]),
    ("uri-signing", "p256.pem", "p256.pub", &["query", "path", "cookie"]),
    ("uri-signing", "secret.hex", "", &["query"]),
    ("cat", "ed25519.pem", "ed25519.pub", &["query", "cookie", "header"]),
];

/// Key files by `openssl`.
pub(crate) fn keys(folder: &Path) -> PathBuf {
    let keys = folder.join("keys");
    std::fs::create_dir_all(&keys).expect("it can be made");
    let file = |name: &str| tools::text(&keys.join(name)).to_owned();
    for (name, options) in [
        ("rsa", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"][..]),
        ("other-rsa", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
        ("p256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        ("ed25519", &["-algorithm", "ED25519"]),
        ("other-ed25519", &["-algorithm", "ED25519"]),
    ] {
        let private = file(&format!("{name}.pem"));
        // Progress goes to standard error.
        let made = tools::run_unchecked(
            "openssl",
            &[&["genpkey", "-out", &private][..], options].concat(),
        );
        assert_eq!(made.code, Some(0), "{made:?}");
        let public = file(&format!("{name}.pub"));
        tools::run("openssl", &["pkey", "-in", &private, "-pubout", "-out", &public]);
    }
    tools::write(&keys.join("secret.hex"), SECRET.as_bytes());
    keys
}

/// `[[cdn.key]]` that checks; a scheme without public keys has its secret.
pub(crate) fn key_entry(
    keys: &Path,
    scheme: &str,
    id: &str,
    private: &str,
    public: &str,
) -> String {
    let (kind, file) = if public.is_empty() { ("secret", private) } else { ("public", public) };
    let file = keys.join(file);
    format!(
        "[[cdn.key]]\nscheme = \"{scheme}\"\nid = \"{id}\"\n{kind} = \"file:{}\"\n",
        file.display()
    )
}

pub(crate) fn delivery(scheme: &str, carry: &str) -> String {
    format!("[[delivery]]\nbase_url = \"{BASE}\"\nscheme = \"{scheme}\"\ncarry = \"{carry}\"\n")
}

/// A server with the title `ladder` and this configuration.
pub(crate) fn serve(folder: &Path, text: &str) -> Server {
    let data = folder.join("data");
    if !data.exists() {
        same_bytes::ladder(&data);
    }
    let file = folder.join("c.toml");
    tools::write(&file, text.as_bytes());
    Server::start_closed_with(&data, &["--config", tools::text(&file)], &[])
}

/// One signed URL, with the headers that go along.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) json: serde_json::Value,
}

#[track_caller]
pub(crate) fn sign(scheme: &str, key: &Path, arguments: &[&str]) -> Signed {
    sign_for(BASE, scheme, key, arguments)
}

/// The same, for an address of its own.
#[track_caller]
pub(crate) fn sign_for(base: &str, scheme: &str, key: &Path, arguments: &[&str]) -> Signed {
    let command = ["sign", "--json", "--scheme", scheme, "--base", base, "--key", "k1"];
    let file = ["--key-file", tools::text(key)];
    let path: &[&str] =
        if arguments.iter().any(|it| it.starts_with("/vod/ladder/")) { &[] } else { &[MASTER] };
    let printed = streamverse_ok(&[&command[..], &file, arguments, path].concat());
    let json: serde_json::Value = serde_json::from_str(&printed).expect("it is JSON");
    let signed = &json["urls"][0];
    let pairs = |name: &str| -> Vec<(String, String)> {
        let list = signed[name].as_array().expect("a list").iter();
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        list.map(|pair| (text(&pair["name"]), text(&pair["value"]))).collect()
    };
    let mut headers = pairs("headers");
    let cookies: Vec<_> =
        pairs("cookies").iter().map(|(name, value)| format!("{name}={value}")).collect();
    if !cookies.is_empty() {
        headers.push(("Cookie".to_owned(), cookies.join("; ")));
    }
    let url = signed["url"].as_str().expect("a URL");
    let target = url.strip_prefix(base).unwrap_or_else(|| panic!("{url}")).to_owned();
    Signed { target, headers, json }
}

/// GET by the name that viewers use.
#[track_caller]
pub(crate) fn get(server: SocketAddr, target: &str, headers: &[(String, String)]) -> Answer {
    get_at(server, HOST, target, headers)
}

#[track_caller]
pub(crate) fn get_at(
    server: SocketAddr,
    host: &str,
    target: &str,
    headers: &[(String, String)],
) -> Answer {
    let mut request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut stream = BufReader::new(client::connect(server));
    stream.get_mut().write_all((request + "\r\n").as_bytes()).expect("it is sent");
    client::read_answer(&mut stream, "GET").expect("an answer")
}

#[track_caller]
pub(crate) fn check_refused(answer: &Answer, code: &str) {
    assert_eq!((answer.status, answer.json()["code"].as_str()), (403, Some(code)), "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    let detail = answer.json()["detail"].as_str().expect("a detail").to_owned();
    for told in ["key", "host", "replay", "revoked", "address", "claim", "hash"] {
        assert!(!detail.contains(told), "{detail}");
    }
}

/// Where a reference of a manifest leads, by the rules of RFC 3986 for paths and queries.
fn follow(base: &str, reference: &str) -> String {
    resolve(base.split('?').next().unwrap_or_default(), reference)
}

/// The first segment that a master playlist leads to.
#[track_caller]
pub(crate) fn first_segment(server: SocketAddr, signed: &Signed) -> String {
    let uri = |answer: &Answer, is_wanted: &dyn Fn(&str) -> bool| {
        let mut lines = answer.text().lines().filter(|line| !line.starts_with('#'));
        lines.find(|line| is_wanted(line)).expect("a URI").to_owned()
    };
    let answer = get(server, &signed.target, &signed.headers);
    assert_eq!(answer.status, 200, "{answer:?}");
    let playlist = follow(&signed.target, &uri(&answer, &|line| line.contains(".m3u8")));
    let answer = get(server, &playlist, &signed.headers);
    assert_eq!(answer.status, 200, "{playlist}: {answer:?}");
    follow(&playlist, &uri(&answer, &|line| line.contains(".m4s")))
}

/// Every scheme by every carrier: the title opens, master to segment; another title, another host
/// and another key don't.
#[test]
fn each_scheme_opens_its_title() {
    let folder = tools::folder("cdn-schemes");
    let keys = keys(&folder);
    for (scheme, private, public, carriers) in CASES {
        let text = key_entry(&keys, scheme, "k1", private, public) + &delivery(scheme, "query");
        let text = match scheme {
            "akamai" => text + "[cdn.akamai]\nheader = \"x-token\"\n",
            _ => text,
        };
        let server = serve(&folder, &text);
        let private = keys.join(private);
        check_refused(&get(server.media, MASTER, &[]), "signature_required");
        for carry in carriers {
            let config = ["--config", tools::text(&folder.join("c.toml"))].map(str::to_owned);
            let config: Vec<_> = config.iter().map(String::as_str).collect();
            let with = |more: &[&str]| {
                sign(scheme, &private, &[&["--carry", carry][..], &config, more].concat())
            };
            let signed = with(&[]);
            let name = format!("{scheme} by {carry}");
            let segment = first_segment(server.media, &signed);
            let answer = get(server.media, &segment, &signed.headers);
            assert_eq!(answer.status, 200, "{name}: {segment} {answer:?}");
            assert!(answer.header("cache-control").contains("immutable"), "{name}: {answer:?}");
            let part = [signed.headers.clone(), vec![("Range".into(), "bytes=0-9".into())]];
            let part = get(server.media, &segment, &part.concat());
            assert_eq!((part.status, part.body.len()), (206, 10), "{name}");
            // What players add after signing.
            let separator = if signed.target.contains('?') { '&' } else { '?' };
            let target = format!("{}{separator}CMCD=sid%3D1", signed.target);
            assert_eq!(get(server.media, &target, &signed.headers).status, 200, "{name}");

            let elsewhere = signed.target.replace("/vod/ladder/", "/vod/other/");
            let answer = get(server.media, &elsewhere, &signed.headers);
            check_refused(&answer, "signature_invalid");
            if scheme != "akamai" {
                let answer = get_at(server.media, "b.example", &signed.target, &signed.headers);
                check_refused(&answer, "signature_invalid");
            }
            let short = with(&["--ttl", "1s"]);
            std::thread::sleep(Duration::from_millis(2_100));
            check_refused(&get(server.media, &short.target, &short.headers), "signature_expired");
            check_forgeries(server.media, &signed, &name);
        }
        let foreign = match scheme {
            "cloudfront" => "other-rsa.pem",
            "media-cdn" | "cat" => "other-ed25519.pem",
            _ => continue,
        };
        let signed = sign(scheme, &keys.join(foreign), &[]);
        check_refused(&get(server.media, &signed.target, &signed.headers), "signature_invalid");
        server.kill();
    }
}

/// A token with a character replaced, here and there, opens nothing.
#[track_caller]
fn check_forgeries(server: SocketAddr, signed: &Signed, name: &str) {
    let whole = std::iter::once(&signed.target).chain(signed.headers.iter().map(|(_, it)| it));
    let longest = whole.max_by_key(|text| text.len()).expect("a URL").clone();
    // The end of all is a signature, or a hash's name behind one.
    for from_end in [20, 40, 60] {
        let at = longest.len() - from_end;
        if !longest.as_bytes()[at].is_ascii_alphanumeric() {
            continue;
        }
        let other = if &longest[at..=at] == "e" { "f" } else { "e" };
        let forged = format!("{}{other}{}", &longest[..at], &longest[at + 1..]);
        let swap = |text: &String| if *text == longest { forged.clone() } else { text.clone() };
        let headers: Vec<_> =
            signed.headers.iter().map(|(name, value)| (name.clone(), swap(value))).collect();
        let answer = get(server, &swap(&signed.target), &headers);
        assert_eq!(answer.status, 403, "{name}: {from_end} {answer:?}");
        assert_ne!(answer.json()["code"], "signature_required", "{name}");
    }
}

/// Signatures by `openssl` alone, as the CDNs' documentation tells how.
#[test]
fn others_sign_too() {
    let folder = tools::folder("cdn-openssl");
    let keys = keys(&folder);
    let text = key_entry(&keys, "cloudfront", "k1", "", "rsa.pub")
        + &key_entry(&keys, "akamai", "a1", "secret.hex", "");
    let server = serve(&folder, &text);
    let end = tools::run("date", &["-d", "+1 hour", "+%s"]);
    let end = end.trim();

    let policy = format!(
        r#"{{"Statement":[{{"Resource":"http://cdn.example/vod/ladder/*","Condition":{{"DateLessThan":{{"AWS:EpochTime":{end}}}}}}}]}}"#
    );
    let (message, signature) = (folder.join("policy"), folder.join("signature"));
    tools::write(&message, policy.as_bytes());
    let key = keys.join("rsa.pem");
    let (message, signature) = (tools::text(&message), tools::text(&signature));
    tools::run(
        "openssl",
        &["dgst", "-sha1", "-sign", tools::text(&key), "-out", signature, message],
    );
    let base64 = |file: &str| {
        let text = tools::run("openssl", &["base64", "-A", "-in", file]);
        text.trim().replace('+', "-").replace('=', "_").replace('/', "~")
    };
    let query =
        format!("Policy={}&Signature={}&Key-Pair-Id=k1", base64(message), base64(signature));
    assert_eq!(get(server.media, &format!("{MASTER}?{query}"), &[]).status, 200);
    let cookies = query.replace('&', "; CloudFront-");
    let cookies = [("Cookie".to_owned(), format!("CloudFront-{cookies}"))];
    assert_eq!(get(server.media, MASTER, &cookies).status, 200);
    for devious in ["/vod/x/../ladder/a", "/vod/ladder/%2e%2e/a", "/vod/ladder//a"] {
        for target in [devious.to_owned(), format!("{devious}?{query}")] {
            let answer = get(server.media, &target, &[]);
            assert_eq!(
                (answer.status, answer.json()["code"].as_str()),
                (400, Some("invalid_target"))
            );
        }
    }
    let wrong = query.replace("k1", "k2");
    check_refused(&get(server.media, &format!("{MASTER}?{wrong}"), &[]), "signature_invalid");

    let fields = format!("exp={end}~acl=/vod/ladder/*");
    let file = folder.join("fields");
    tools::write(&file, fields.as_bytes());
    let key = format!("hexkey:{SECRET}");
    let mac = tools::run(
        "openssl",
        &["dgst", "-sha256", "-mac", "HMAC", "-macopt", &key, "-r", tools::text(&file)],
    );
    let mac = mac.split_whitespace().next().expect("a hash");
    let target = format!("{MASTER}?hdnts={fields}~hmac={mac}");
    assert_eq!(get(server.media, &target, &[]).status, 200);
    let longer = target.replace(end, "9999999999");
    check_refused(&get(server.media, &longer, &[]), "signature_invalid");

    let metrics = client::Client::new(server.ops).get("/metrics").text().to_owned();
    for line in [
        r#"streamverse_access_admitted_total{scheme="cloudfront",key="k1"} 2"#,
        r#"streamverse_access_admitted_total{scheme="akamai",key="a1"} 1"#,
        r#"streamverse_access_denied_total{reason="token_invalid"}"#,
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

/// Waits until a reload has been taken over.
#[track_caller]
pub(crate) fn reload(server: &Server, file: &Path, text: &str, times: usize) {
    tools::write(file, text.as_bytes());
    server.signal("HUP");
    let deadline = Instant::now() + Duration::from_secs(20);
    while server.log().matches("configuration reloaded").count() < times {
        assert!(Instant::now() < deadline, "{}", server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    // The line comes before the keys are taken over.
    std::thread::sleep(Duration::from_millis(200));
}

/// Two keys count side by side, then the new one alone; a bad file changes nothing.
#[test]
fn keys_of_cdns_rotate() {
    let folder = tools::folder("cdn-rotation");
    let keys = keys(&folder);
    let old = key_entry(&keys, "media-cdn", "k1", "", "ed25519.pub");
    let new = key_entry(&keys, "media-cdn", "k1", "", "other-ed25519.pub");
    let server = serve(&folder, &(old.clone() + &delivery("media-cdn", "path")));
    let file = folder.join("c.toml");
    let ask = |key: &str| {
        let signed = sign("media-cdn", &keys.join(key), &["--carry", "path"]);
        get(server.media, &signed.target, &signed.headers)
    };
    assert_eq!(ask("ed25519.pem").status, 200);
    check_refused(&ask("other-ed25519.pem"), "signature_invalid");
    reload(&server, &file, &(old.clone() + &new + &delivery("media-cdn", "path")), 1);
    assert_eq!(ask("ed25519.pem").status, 200);
    assert_eq!(ask("other-ed25519.pem").status, 200);
    // One that has ended counts no more, though it is still there.
    let ended = old.clone() + "not_after = \"2020-01-01T00:00:00Z\"\n";
    reload(&server, &file, &(ended + &new + &delivery("media-cdn", "path")), 2);
    check_refused(&ask("ed25519.pem"), "signature_invalid");
    assert_eq!(ask("other-ed25519.pem").status, 200);
    let bad = key_entry(&keys, "media-cdn", "k1", "", "rsa.pub");
    tools::write(&file, bad.as_bytes());
    server.signal("HUP");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !server.log().contains("takes an Ed25519 key") {
        assert!(Instant::now() < deadline, "{}", server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(ask("other-ed25519.pem").status, 200);
    // Paths bear tokens here, and logs don't.
    assert!(server.log().contains("/vod/ladder/~/cmaf/master.m3u8"), "{}", server.log());
    assert!(!server.log().contains("Signature="), "{}", server.log());
}
