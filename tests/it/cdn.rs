//! Tokens in the CDNs' own formats: made by the command line and by `openssl`, taken by a server that
//! holds public keys, and gone before anything is asked of an origin.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::client::{self, Answer};
use crate::manifests::resolve;
use crate::same_bytes;
use crate::server::{Server, streamverse_fails, streamverse_ok};
use crate::tools;

const MASTER: &str = "/vod/ladder/cmaf/master.m3u8";
/// As viewers name the server; its listener is another.
const BASE: &str = "https://cdn.example";
const HOST: &str = "cdn.example";
const SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// A scheme, the file that signs, the file that checks, and what carries its tokens.
type Case = (&'static str, &'static str, &'static str, &'static [&'static str]);
const CASES: [Case; 7] = [
    ("cloudfront", "rsa.pem", "rsa.pub", &["query", "cookie"]),
    ("cloudfront", "p256.pem", "p256.pub", &["query", "cookie"]),
    ("akamai", "secret.hex", "", &["query", "cookie", "header"]),
    ("media-cdn", "ed25519.pem", "ed25519.pub", &["query", "path", "cookie"]),
    ("uri-signing", "p256.pem", "p256.pub", &["query", "path", "cookie"]),
    ("uri-signing", "secret.hex", "", &["query"]),
    ("cat", "ed25519.pem", "ed25519.pub", &["query", "cookie", "header"]),
];

/// Key files by `openssl`.
fn keys(folder: &Path) -> PathBuf {
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
fn key_entry(keys: &Path, scheme: &str, id: &str, private: &str, public: &str) -> String {
    let (kind, file) = if public.is_empty() { ("secret", private) } else { ("public", public) };
    let file = keys.join(file);
    format!(
        "[[cdn.key]]\nscheme = \"{scheme}\"\nid = \"{id}\"\n{kind} = \"file:{}\"\n",
        file.display()
    )
}

fn delivery(scheme: &str, carry: &str) -> String {
    format!("[[delivery]]\nbase_url = \"{BASE}\"\nscheme = \"{scheme}\"\ncarry = \"{carry}\"\n")
}

/// A server with the title `ladder` and this configuration.
fn serve(folder: &Path, text: &str) -> Server {
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
struct Signed {
    target: String,
    headers: Vec<(String, String)>,
    json: serde_json::Value,
}

#[track_caller]
fn sign(scheme: &str, key: &Path, arguments: &[&str]) -> Signed {
    let command = ["sign", "--json", "--scheme", scheme, "--base", BASE, "--key", "k1"];
    let file = ["--key-file", tools::text(key)];
    let path: &[&str] = if arguments.iter().any(|it| it.starts_with("/vod/ladder/cmaf/")) {
        &[]
    } else {
        &[MASTER]
    };
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
    let target = url.strip_prefix(BASE).unwrap_or_else(|| panic!("{url}")).to_owned();
    Signed { target, headers, json }
}

/// GET by the name that viewers use.
#[track_caller]
fn get(server: SocketAddr, target: &str, headers: &[(String, String)]) -> Answer {
    get_at(server, HOST, target, headers)
}

#[track_caller]
fn get_at(server: SocketAddr, host: &str, target: &str, headers: &[(String, String)]) -> Answer {
    let mut request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut stream = BufReader::new(client::connect(server));
    stream.get_mut().write_all((request + "\r\n").as_bytes()).expect("it is sent");
    client::read_answer(&mut stream, "GET").expect("an answer")
}

#[track_caller]
fn check_refused(answer: &Answer, code: &str) {
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
fn first_segment(server: SocketAddr, signed: &Signed) -> String {
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
fn reload(server: &Server, file: &Path, text: &str, times: usize) {
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

/// A renewed token comes with the answer, opens like the first one, and is for its viewer alone.
#[test]
fn tokens_are_renewed() {
    let folder = tools::folder("cdn-renewal");
    let keys = keys(&folder);
    let secret = keys.join("secret.hex");
    let text = key_entry(&keys, "uri-signing", "k1", "secret.hex", "")
        + &key_entry(&keys, "cat", "k1", "secret.hex", "")
        + &delivery("uri-signing", "query");
    let server = serve(&folder, &text);

    let signed = sign("uri-signing", &secret, &["--carry", "cookie", "--renew", "5m"]);
    let answer = get(server.media, &signed.target, &signed.headers);
    assert_eq!(answer.header("cache-control"), "private, max-age=3600");
    let cookie = answer.header("set-cookie");
    let (pair, attributes) = cookie.split_once(';').expect("attributes");
    assert!(pair.starts_with("URISigningPackage=") && attributes.contains("Secure"), "{cookie}");
    let next = [("Cookie".to_owned(), pair.to_owned())];
    assert_ne!(next[0].1, signed.headers[0].1);
    let again = get(server.media, MASTER, &next);
    assert_eq!(again.status, 200, "{again:?}");
    assert!(!again.header("set-cookie").is_empty(), "a renewed token is renewed, too");

    // In the query: the new token stands in the manifest.
    let signed = sign("uri-signing", &secret, &["--renew", "5m", "--ttl", "1m"]);
    let answer = get(server.media, &signed.target, &[]);
    let old = signed.target.split_once('=').expect("a token").1;
    assert!(answer.text().contains("URISigningPackage=") && !answer.text().contains(old));
    assert_eq!(answer.header("cache-control"), "private, no-store");
    let segment = first_segment(server.media, &signed);
    assert_eq!(get(server.media, &segment, &[]).status, 200);

    // CTA-5007: near the end alone.
    let early = sign("cat", &secret, &["--carry", "header", "--renew", "5m"]);
    let answer = get(server.media, MASTER, &early.headers);
    assert_eq!((answer.status, answer.header("cta-common-access-token")), (200, ""));
    let near = ["--ttl", "1m", "--renew", "5m", "--renew-before", "5m"];
    let signed = sign("cat", &secret, &[&["--carry", "header"][..], &near].concat());
    let answer = get(server.media, MASTER, &signed.headers);
    let token = answer.header("cta-common-access-token").to_owned();
    assert!(!token.is_empty() && token != signed.headers[0].1, "{answer:?}");
    assert!(answer.header("access-control-expose-headers").contains("cta-common-access-token"));
    assert!(answer.header("cache-control").starts_with("private"), "{answer:?}");
    let next = [("CTA-Common-Access-Token".to_owned(), token)];
    assert_eq!(get(server.media, MASTER, &next).status, 200);
    let signed = sign("cat", &secret, &near);
    let answer = get(server.media, &signed.target, &[]);
    let location = answer.header("location").to_owned();
    assert_eq!((answer.status, answer.header("cache-control")), (307, "private, no-store"));
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(get(server.media, &location, &[]).status, 307, "it is near its end again");
    let lasting = ["--ttl", "1m", "--renew", "1h", "--renew-before", "5m"];
    let signed = sign("cat", &secret, &lasting);
    let location = get(server.media, &signed.target, &[]).header("location").to_owned();
    assert_eq!(get(server.media, &location, &[]).status, 200);
}

/// A token for one request opens one; sessions end when they are revoked.
#[test]
fn tokens_are_used_up_and_revoked() {
    let folder = tools::folder("cdn-replay");
    let keys = keys(&folder);
    let secret = keys.join("secret.hex");
    let text = key_entry(&keys, "cat", "k1", "secret.hex", "")
        + &key_entry(&keys, "akamai", "k1", "secret.hex", "");
    let text = format!("{text}[media]\npublic_url = \"{BASE}\"\n");
    let server = serve(&folder, &text);
    let once = sign("cat", &secret, &["--once"]);
    let other = sign("cat", &secret, &["--once", "--carry", "header"]);
    // What is refused uses nothing up.
    check_refused(&get_at(server.media, "b.example", &once.target, &[]), "signature_invalid");
    assert_eq!(get(server.media, &once.target, &[]).status, 200);
    check_refused(&get(server.media, &once.target, &[]), "signature_invalid");
    assert_eq!(get(server.media, MASTER, &other.headers).status, 200);
    reload(&server, &folder.join("c.toml"), &text, 1);
    check_refused(&get(server.media, MASTER, &other.headers), "signature_invalid");

    for scheme in ["cat", "akamai"] {
        let session = format!("viewer-{scheme}");
        let mine = sign(scheme, &secret, &["--session", &session]);
        let random = sign(scheme, &secret, &[]);
        assert_eq!(get(server.media, &mine.target, &[]).status, 200);
        let data = folder.join("data");
        let ended = random.json["session"].as_str().expect("a session");
        let revoke = ["sessions", "revoke", "--data", tools::text(&data), &session, ended];
        streamverse_ok(&revoke);
        check_refused(&get(server.media, &mine.target, &[]), "signature_invalid");
        check_refused(&get(server.media, &random.target, &[]), "signature_invalid");
    }
    let metrics = client::Client::new(server.ops).get("/metrics").text().to_owned();
    for reason in ["token_replayed", "token_revoked"] {
        assert!(metrics.contains(&format!("reason=\"{reason}\"")), "{metrics}");
    }
}

/// A double of an origin: what it was asked, and one playlist for everyone.
fn double() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let kept = kept.clone();
            std::thread::spawn(move || answer_all(stream, &kept));
        }
    });
    (address, asked)
}

fn answer_all(mut stream: std::net::TcpStream, asked: &Mutex<Vec<String>>) {
    const BODY: &str = "#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:6,\n1.m4s\n";
    let mut head = String::new();
    let mut byte = [0];
    while stream.read(&mut byte).is_ok_and(|len| len == 1) {
        head.push(char::from(byte[0]));
        if head.ends_with("\r\n\r\n") {
            let body = if head.starts_with("GET /ready") { "ready" } else { BODY };
            if body == BODY {
                asked.lock().expect("nobody panics with it").push(head.clone());
            }
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nContent-Type: \
                 application/vnd.apple.mpegurl\r\nCache-Control: public, max-age=60\r\n\
                 ETag: \"1\"\r\n\r\n{body}",
                body.len()
            );
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
            head.clear();
        }
    }
}

/// Two viewers, two tokens, each of which ends at the edge: one object, one question to the origin,
/// in which neither shows.
#[test]
fn no_token_reaches_an_origin() {
    let folder = tools::folder("cdn-edge");
    let keys = keys(&folder);
    let (origin, asked) = double();
    let mut count = 0;
    for (scheme, private, public, carriers) in CASES {
        let text = key_entry(&keys, scheme, "k1", private, public)
            + &delivery(scheme, "query")
            + "[cdn.akamai]\nheader = \"x-token\"\n"
            + &format!("[[upstream]]\nurl = \"http://{origin}\"\n");
        let file = folder.join("edge.toml");
        tools::write(&file, text.as_bytes());
        let data = folder.join(format!("edge-{scheme}-{private}"));
        let arguments = ["--roles", "edge", "--config", tools::text(&file)];
        let edge = Server::start_closed_with(&data, &arguments, &[]);
        count += 1;
        for carry in carriers {
            let config = ["--config", tools::text(&file), "--carry", carry];
            for more in [&["--ttl", "1h"], &["--ttl", "2h"]] {
                let signed = sign(scheme, &keys.join(private), &[&config[..], more].concat());
                let mut headers = signed.headers.clone();
                headers.push(("User-Agent".to_owned(), "double".to_owned()));
                let answer = get(edge.media, &signed.target, &headers);
                assert_eq!(answer.status, 200, "{scheme} by {carry}: {answer:?}");
                let is_carried = answer.text().contains("1.m4s?");
                assert_eq!(is_carried, *carry == "query", "{scheme}: {}", answer.text());
                if is_carried {
                    assert_eq!(answer.header("cache-control"), "private, no-store");
                    assert_eq!(answer.header("etag"), "");
                    let query = signed.target.split_once('?').expect("a query").1;
                    let line = format!("#EXT-X-MAP:URI=\"init.mp4?{query}\"");
                    assert!(answer.text().contains(&line), "{line}: {}", answer.text());
                }
            }
        }
        let asked = asked.lock().expect("nobody panics with it").clone();
        assert_eq!(asked.len(), count, "one object for all viewers of {scheme}: {asked:?}");
        let head = &asked[count - 1];
        assert!(head.starts_with(&format!("GET {MASTER} HTTP/1.1\r\n")), "{head}");
        let lines: Vec<_> = head.to_ascii_lowercase().lines().map(str::to_owned).collect();
        for name in ["cookie", "x-token", "cta-common-access-token", "user-agent"] {
            assert!(!lines.iter().any(|line| line.starts_with(name)), "{head}");
        }
    }
}

/// With `carry = "query"` a manifest by HLS and DASH leads to its segments with the token, and is as
/// before for those whose token is inherited.
#[test]
fn manifests_carry_the_query() {
    let folder = tools::folder("cdn-carry");
    let keys = keys(&folder);
    let text =
        key_entry(&keys, "cloudfront", "k1", "", "rsa.pub") + &delivery("cloudfront", "query");
    let server = serve(&folder, &text);
    let key = keys.join("rsa.pem");
    for (manifest, uri) in [("manifest.mpd", "media=\"$Number$.m4s?"), ("master.m3u8", ".m3u8?")] {
        let path = format!("/vod/ladder/cmaf/{manifest}");
        let path = path.as_str();
        let signed = sign("cloudfront", &key, &[path]);
        let plain = sign("cloudfront", &key, &[path, "--carry", "cookie"]);
        let stored = get(server.media, path, &plain.headers);
        assert!(stored.header("cache-control").starts_with("public"), "{stored:?}");
        let conditions = [
            ("If-None-Match".to_owned(), stored.header("etag").to_owned()),
            ("Range".to_owned(), "bytes=0-9".to_owned()),
        ];
        let answer = get(server.media, &signed.target, &conditions);
        assert_eq!((answer.status, answer.header("etag")), (200, ""), "{answer:?}");
        assert_eq!(answer.header("cache-control"), "private, no-store");
        let query = signed.target.split_once('?').expect("a query").1;
        let written = match manifest {
            "manifest.mpd" => query.replace('&', "&amp;"),
            _ => query.to_owned(),
        };
        assert!(answer.text().contains(uri), "{}", answer.text());
        // Without the token it is the same text.
        let without = answer.text().replace(&format!("?{written}"), "");
        assert_eq!(without, stored.text());
        // A token for one URL is not carried where it opens nothing.
        let exact = sign("cloudfront", &key, &[path, "--exact"]);
        assert_eq!(get(server.media, &exact.target, &[]).body, stored.body);
    }
    let segment = first_segment(server.media, &sign("cloudfront", &key, &[]));
    assert!(segment.contains("Signature="), "{segment}");
    assert_eq!(get(server.media, &segment, &[]).status, 200);
}

/// Cookies work across sites for the pages that are named, and for no others.
#[test]
fn pages_send_cookies() {
    let folder = tools::folder("cdn-cookies");
    let keys = keys(&folder);
    let text = "[cdn]\ncookie_origins = [\"https://www.example\"]\n".to_owned()
        + &key_entry(&keys, "cat", "k1", "", "ed25519.pub");
    let server = serve(&folder, &text);
    let signed = sign("cat", &keys.join("ed25519.pem"), &["--carry", "cookie"]);
    let page = |origin: &str| vec![("Origin".to_owned(), origin.to_owned())];
    let headers = |origin: &str| [signed.headers.clone(), page(origin)].concat();
    // The token names https, and nothing here says that TLS ends in front.
    check_refused(&get(server.media, MASTER, &headers("https://www.example")), "signature_invalid");
    let text = format!("{text}[media]\npublic_url = \"{BASE}\"\n");
    server.kill();
    let server = serve(&folder, &text);
    let answer = get(server.media, MASTER, &headers("https://www.example"));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), "https://www.example");
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
    assert!(answer.headers.iter().any(|(name, value)| name == "vary" && value == "Origin"));
    let answer = get(server.media, MASTER, &headers("https://evil.example"));
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    // A refusal can be read, and a preflight is told what it asks for.
    let refused = get(server.media, MASTER, &page("https://www.example"));
    check_refused(&refused, "signature_required");
    assert_eq!(refused.header("access-control-allow-origin"), "https://www.example");
    let mut client = server.client();
    let asked = [
        ("Origin", "https://www.example"),
        ("Access-Control-Request-Headers", "cta-common-access-token, range"),
    ];
    let preflight = client.send("OPTIONS", MASTER, &asked);
    assert_eq!(preflight.status, 204);
    let allowed = preflight.header("access-control-allow-headers");
    assert_eq!(allowed, "cta-common-access-token, range");
}

/// Our own tokens: a live viewer's manifests go on after the first token's end, its segments don't.
#[test]
fn native_tokens_are_renewed() {
    let folder = tools::folder("native-renewal");
    let data = folder.join("data");
    let server = serve(&folder, "");
    let sign = |arguments: &[&str]| {
        let command = ["sign", "--json", "--data", tools::text(&data), MASTER];
        let printed = streamverse_ok(&[&command[..], arguments].concat());
        let signed: serde_json::Value = serde_json::from_str(&printed).expect("it is JSON");
        signed["urls"][0].as_str().expect("a URL").to_owned()
    };
    let segment_of = |master: &str| {
        let signed = Signed {
            target: master.to_owned(),
            headers: Vec::new(),
            json: serde_json::Value::Null,
        };
        first_segment(server.media, &signed)
    };
    // Far from its end it is answered as ever.
    let lasting = sign(&["--ttl", "1h", "--renew", "1h"]);
    assert_eq!(get(server.media, &lasting, &[]).status, 200);

    let short = sign(&["--ttl", "3s", "--renew", "10m", "--session", "viewer-1"]);
    let token = |url: &str| url[..url[1..].find('/').expect("a path") + 1].to_owned();
    let near = get(server.media, &format!("{short}?max_height=720"), &[]);
    assert_eq!((near.status, near.header("cache-control")), (307, "private, no-store"));
    let renewed = near.header("location").to_owned();
    assert!(renewed.ends_with("/vod/ladder/cmaf/master.m3u8?max_height=720"), "{renewed}");
    assert_ne!(token(&renewed), token(&short));
    let segment = segment_of(&renewed);
    let old_segment = segment.replace(&token(&renewed), &token(&short));
    assert_eq!(get(server.media, &segment, &[]).status, 200);
    assert_eq!(get(server.media, &old_segment, &[]).status, 200, "until the end");
    std::thread::sleep(Duration::from_millis(3_200));
    check_refused(&get(server.media, &old_segment, &[]), "signature_expired");
    let late = get(server.media, &short, &[]);
    assert_eq!(late.status, 307, "a player comes back to the address that it began with");
    assert_eq!(get(server.media, late.header("location"), &[]).status, 200);
    // Without the claim the end is the end.
    let plain = sign(&["--ttl", "1s"]);
    std::thread::sleep(Duration::from_millis(2_100));
    check_refused(&get(server.media, &plain, &[]), "signature_expired");
    // A revoked session is not renewed.
    streamverse_ok(&["sessions", "revoke", "--data", tools::text(&data), "viewer-1"]);
    for url in [&short, &renewed, &segment] {
        check_refused(&get(server.media, url, &[]), "signature_invalid");
    }
    let metrics = client::Client::new(server.ops).get("/metrics").text().to_owned();
    assert!(
        metrics.contains(r#"streamverse_access_renewed_total{scheme="native"} 2"#),
        "{metrics}"
    );
}

/// What would not work is told when it is signed or configured, with its cure.
#[test]
fn mistakes_are_told() {
    let folder = tools::folder("cdn-mistakes");
    let keys = keys(&folder);
    let file = |name: &str| tools::text(&keys.join(name)).to_owned();
    let (rsa, public, ed25519, hex) =
        (file("rsa.pem"), file("rsa.pub"), file("ed25519.pem"), file("secret.hex"));
    let missing = file("none.pem");
    let base = ["--base", BASE, "--key", "k1", "--key-file"];
    let with = |scheme: &'static str, key: &str, more: &[&str]| {
        let all = [&["sign", MASTER, "--scheme", scheme][..], &base, &[key], more].concat();
        streamverse_fails(&all)
    };
    for (message, cause) in [
        (with("cloudfront", &missing, &[]), "cannot read the key file"),
        (with("cloudfront", &public, &[]), "a private key, to sign"),
        (with("cloudfront", &ed25519, &[]), "the key can't sign with"),
        (with("media-cdn", &rsa, &[]), "Ed25519"),
        (with("akamai", &hex, &["--carry", "path"]), "use query, cookie or header"),
        (with("akamai", &hex, &["--carry", "header"]), "configure a header's name"),
        (with("cloudfront", &rsa, &["--session", "x"]), "leave them out"),
        (with("cloudfront", &rsa, &["--class", "sd"]), "no classes"),
        (with("cloudfront", &rsa, &["--claim", "a=b"]), "no claims"),
        (with("cloudfront", &rsa, &["--renew", "5m"]), "sign anew"),
        (with("cloudfront", &rsa, &["--once"]), "use cat"),
        (with("cloudfront", &rsa, &["--ttl", "60d"]), "cdn.lifetime_seconds_max"),
        (with("cloudfront", &rsa, &["--ip", "here"]), "is no address"),
        (with("cloudfront", &rsa, &["--pattern", "vod/*"]), "begins with a slash"),
        (with("cat", &hex, &["--pattern", "/vod/*"]), "sign a prefix"),
        (with("cat", &hex, &["--prefix", "/vod/other/"]), "does not begin with the prefix"),
        (with("cat", &hex, &["--prefix", "/vod/a/", "--prefix", "/vod/b/"]), "opens one prefix"),
        (with("cat", &hex, &["/vod/ladder/cmaf/manifest.mpd", "--carry", "cookie"]), "one PATH"),
        (streamverse_fails(&["sign", MASTER, "--scheme", "cat"]), "--base"),
        (
            streamverse_fails(&["sign", MASTER, "--scheme", "cat", "--base", BASE]),
            "configure a [[cdn.key]]",
        ),
        (streamverse_fails(&["sign", MASTER, "--base", BASE]), "add --scheme"),
    ] {
        assert!(message.contains(cause), "{cause}: {message}");
    }

    let config = folder.join("c.toml");
    let check = |text: &str| {
        tools::write(&config, text.as_bytes());
        streamverse_fails(&["config", "check", "--config", tools::text(&config)])
    };
    let entry = |scheme: &str, kind: &str, value: &str| {
        format!("[[cdn.key]]\nscheme = \"{scheme}\"\nid = \"k\"\n{kind} = \"{value}\"\n")
    };
    let reference = |file: &str| format!("file:{file}");
    for (text, cause) in [
        (entry("cloudfront", "public", &reference(&rsa)), "its public half"),
        (entry("cloudfront", "public", &reference(&hex)), "no public key"),
        (entry("cloudfront", "public", &reference(&file("ed25519.pub"))), "RSA key of 2048"),
        (entry("cloudfront", "secret", "0011"), "too short"),
        (entry("akamai", "secret", &reference(&rsa)), "in hexadecimal"),
        (entry("media-cdn", "secret", &reference(&hex)), "an Ed25519 key"),
        (entry("cat", "secret", "what"), "neither PEM"),
        (entry("cat", "secret", "env:ABSENT_VARIABLE"), "not set"),
        ("[cdn.uri_signing]\nissuers = \"x\"\n".to_owned(), "cdn.uri_signing.issuer`?"),
        (
            entry("uri-signing", "secret", SECRET)
                + "[cdn.uri_signing]\ndecryption_key = \"00112233\"\n",
            "cdn.uri_signing.decryption_key",
        ),
    ] {
        let message = check(&text);
        assert!(message.contains(cause), "{cause}: {message}");
        assert!(!message.contains(SECRET) && !message.contains("00112233"), "{message}");
    }
    let good = entry("cat", "secret", SECRET) + &delivery("cat", "cookie");
    tools::write(&config, good.as_bytes());
    let place = ["--config", tools::text(&config)];
    assert!(streamverse_ok(&["config", "check", place[0], place[1]]).contains("is valid"));
    // Address, key and carrier come from the configuration.
    let printed = streamverse_ok(&["sign", MASTER, "--scheme", "cat", place[0], place[1]]);
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines[0], format!("{BASE}{MASTER}"));
    assert!(lines[1].starts_with("Cookie: cta-common-access-token="), "{printed}");
    let help = streamverse_ok(&["sign", "--help"]);
    for scheme in ["cloudfront", "akamai", "media-cdn", "uri-signing", "cat"] {
        assert!(help.contains(&format!("--scheme {scheme}")), "{scheme}");
    }
}
