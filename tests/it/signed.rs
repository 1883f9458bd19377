//! Signed URLs, from the command that makes them to the bytes that they open.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::client::{self, Answer, Client};
use crate::same_bytes;
use crate::server::{Server, ingest, streamverse, streamverse_fails, streamverse_ok};
use crate::{media, tools};

const MASTER: &str = "/vod/ladder/cmaf/master.m3u8";

/// What `sign --json` prints.
#[track_caller]
fn sign(data: &Path, arguments: &[&str]) -> serde_json::Value {
    let command = ["sign", "--json", "--data", tools::text(data)];
    let printed = streamverse_ok(&[&command[..], arguments].concat());
    serde_json::from_str(&printed).expect("it is JSON")
}

/// The first signed URL.
#[track_caller]
fn url(data: &Path, arguments: &[&str]) -> String {
    sign(data, arguments)["urls"][0].as_str().expect("a URL").to_owned()
}

/// As `sign` takes times.
#[track_caller]
fn in_hours(hours: u32) -> String {
    let format = ["-u", "-d", &format!("+{hours} hours"), "+%Y-%m-%dT%H:%M:%SZ"];
    tools::run("date", &format).trim_end().to_owned()
}

fn get(client: &mut Client, url: &str) -> Answer {
    client.get_with(url, &[])
}

/// A refusal has its code, is kept by nobody, can be read by a page of any origin, and says no
/// more than its code.
#[track_caller]
fn check_refused(answer: &Answer, code: &str) {
    assert_eq!((answer.status, answer.json()["code"].as_str()), (403, Some(code)), "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let detail = answer.json()["detail"].as_str().expect("a detail").to_owned();
    for told in ["prefix", "class", "key", "session", "revoked", "address", "byte", "network"] {
        assert!(!detail.contains(told), "{detail}");
    }
}

/// The first media segment of a rendition that a master playlist names.
#[track_caller]
fn first_segment(client: &mut Client, master: &str, class: &str) -> String {
    let text = client.get(master).text().to_owned();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    for line in lines {
        let playlist = crate::manifests::resolve(master, line);
        let text = client.get(&playlist).text().to_owned();
        let mut segments = text.lines().filter(|line| line.ends_with(".m4s"));
        let segment = segments.find(|line| line.contains(&format!("/{class}/")));
        if let Some(segment) = segment {
            return crate::manifests::resolve(&playlist, segment);
        }
    }
    panic!("no segment of class {class} in {text}");
}

/// All that manifests lead to, by HLS and DASH, is the same with a token as on an open server, and
/// the token shows nowhere but in addresses.
#[test]
fn a_token_opens_all_that_manifests_lead_to() {
    let data = tools::folder("signed").join("data");
    same_bytes::ladder(&data);
    let open = Server::start(&data);
    let expected = same_bytes::everything(&open, "ladder");
    open.signal("TERM");
    assert_eq!(open.wait(), Some(0));

    let variables = [("STREAMVERSE__LOG__LEVEL", "trace")];
    let server = Server::start_closed_with(&data, &[], &variables);
    let mut client = server.client();
    check_refused(&get(&mut client, MASTER), "signature_required");
    for path in ["/health", "/ready", "/time"] {
        assert_eq!(client.get(path).status, 200, "{path}");
    }
    for path in ["/", "/titles.json", "/vod/absent/x", "/live/x/cmaf/master.m3u8"] {
        check_refused(&get(&mut client, path), "signature_required");
    }
    let preflight = client.send("OPTIONS", MASTER, &[("Origin", "https://player.example")]);
    assert_eq!(preflight.status, 204);
    check_refused(&client.send("POST", MASTER, &[]), "signature_required");

    let signed = sign(&data, &[MASTER]);
    let token = signed["token"].as_str().expect("a token").to_owned();
    assert_eq!(signed["urls"][0], format!("/~{token}{MASTER}"));
    assert_eq!(signed["prefixes"], serde_json::json!(["/vod/ladder/"]));
    let root = format!("/~{token}");
    let served = same_bytes::everything_below(&server, &root, "ladder");
    let unsigned =
        served.iter().map(|(url, body)| (url.strip_prefix(&root).expect("it is below"), body));
    assert!(unsigned.eq(expected.iter().map(|(url, body)| (url.as_str(), body))));
    for (url, body) in &served {
        let has_token = body.windows(token.len()).any(|part| part == token.as_bytes());
        assert!(!has_token, "{url}: bodies are shared by all viewers");
    }
    // One representation by any token, and by any spelling of its path.
    let etag = client.get(&format!("{root}{MASTER}")).header("etag").to_owned();
    let other = url(&data, &[MASTER]);
    assert_ne!(other, format!("{root}{MASTER}"));
    let spelled = other.replace("/vod/", "/%76o%64/") + "?CMCD=sid%3D1&utm=2";
    assert_eq!(client.get(&spelled).header("etag"), etag);
    // Not even requests that are refused for their form tell the log a token.
    for refused in
        [format!("/{root}{MASTER}"), format!("/%7E{token}/vod//x"), format!("{root}/../x")]
    {
        let answer = get(&mut client, &refused);
        assert_eq!((answer.status, answer.json()["code"].as_str()), (400, Some("invalid_target")));
    }
    server.wait_for_log("400");
    let log = server.log();
    let tail = &token[token.len() - 20..];
    assert!(!log.contains(tail), "the token is in the log");
    assert!(log.contains("/~/vod/ladder/cmaf/master.m3u8"), "requests are logged");

    let metrics = Client::new(server.ops).get("/metrics").text().to_owned();
    assert!(!metrics.contains(tail));
    let denied = r#"streamverse_access_denied_total{reason="missing"}"#;
    assert!(metrics.contains(denied), "{metrics}");
    assert!(metrics.contains(r#"route="fmp4_segment""#), "routes are named behind tokens");
}

/// A player that we did not write follows signed playlists and MPDs.
#[test]
fn ffmpeg_plays_signed_urls() {
    let data = tools::folder("signed-player").join("data");
    same_bytes::ladder(&data);
    let server = Server::start_closed(&data);
    for manifest in ["cmaf/master.m3u8", "ts/master.m3u8", "cmaf/manifest.mpd"] {
        let signed = url(&data, &[&format!("/vod/ladder/{manifest}")]);
        let address = format!("http://{}{signed}", server.media);
        let frames = "stream=codec_type,nb_read_packets";
        let said = tools::run_unchecked(
            "ffprobe",
            &["-v", "error", "-count_packets", "-show_entries", frames, "-of", "json", &address],
        );
        assert_eq!(said.code, Some(0), "{manifest}: {said:?}");
        let read: serde_json::Value = serde_json::from_str(&said.out).expect("it is JSON");
        let streams = read["streams"].as_array().expect("streams");
        assert!(streams.len() >= 2, "{manifest}: {read}");
        for stream in streams {
            let packets = stream["nb_read_packets"].as_str().map(str::parse::<u64>);
            assert!(packets.is_some_and(|count| count.is_ok_and(|count| count >= 10)), "{read}");
        }
    }
}

#[test]
fn other_tokens_open_nothing() {
    let data = tools::folder("signed-refused").join("data");
    same_bytes::ladder(&data);
    ingest(&data, "other", &media::title("h264-mp3").paths());
    let server = Server::start_closed(&data);
    let mut client = server.client();
    let good = url(&data, &[MASTER]);
    assert_eq!(client.get(&good).status, 200);

    // Each character of the token changed, the token cut, and put together from two.
    let token_end = good[1..].find('/').expect("a path follows") + 1;
    for at in 2..token_end {
        let other = if &good[at..=at] == "A" { "B" } else { "A" };
        let changed = format!("{}{other}{}", &good[..at], &good[at + 1..]);
        check_refused(&get(&mut client, &changed), "signature_invalid");
    }
    let cut = format!("{}{}", &good[..token_end - 1], &good[token_end..]);
    check_refused(&get(&mut client, &cut), "signature_invalid");
    check_refused(&get(&mut client, &format!("/~{MASTER}")), "signature_invalid");

    // Another title, by plain and by devious paths.
    let with = |path: &str| format!("{}{path}", &good[..token_end]);
    check_refused(&get(&mut client, &with("/vod/other/cmaf/master.m3u8")), "signature_invalid");
    check_refused(&get(&mut client, &with("/vod/ladder2/cmaf/master.m3u8")), "signature_invalid");
    for path in [
        "/vod/ladder/../other/cmaf/master.m3u8",
        "/vod/ladder/%2e%2e/other/cmaf/master.m3u8",
        "/vod/ladder/..%2fother/cmaf/master.m3u8",
        "/vod/ladder/%252e%252e/other/cmaf/master.m3u8",
        "/vod/ladder/..\\other/cmaf/master.m3u8",
        "/vod/ladder//../other/cmaf/master.m3u8",
    ] {
        assert_eq!(get(&mut client, &with(path)).status, 400, "{path}");
    }

    // Too late, too early, elsewhere.
    let short = url(&data, &[MASTER, "--ttl", "1s"]);
    std::thread::sleep(Duration::from_millis(2_100));
    check_refused(&get(&mut client, &short), "signature_expired");
    let forged = format!("{}A{}", &short[..10], &short[11..]);
    check_refused(&get(&mut client, &forged), "signature_invalid");
    let early = url(&data, &[MASTER, "--not-before", &in_hours(1), "--expires", &in_hours(2)]);
    check_refused(&get(&mut client, &early), "signature_invalid");
    let elsewhere = url(&data, &[MASTER, "--ip", "203.0.113.0/24"]);
    check_refused(&get(&mut client, &elsewhere), "signature_invalid");
    let forwarded = [("X-Forwarded-For", "203.0.113.7")];
    check_refused(&client.get_with(&elsewhere, &forwarded), "signature_invalid");
    let here = url(&data, &[MASTER, "--ip", "127.0.0.0/8"]);
    assert_eq!(client.get(&here).status, 200);

    // A token of another server's key.
    let foreign = tools::folder("signed-foreign").join("data");
    std::fs::create_dir_all(&foreign).expect("it can be made");
    check_refused(&get(&mut client, &url(&foreign, &[MASTER])), "signature_invalid");
}

/// Behind a proxy that is trusted, the address is the one that the proxy saw.
#[test]
fn addresses_are_those_of_clients() {
    let data = tools::folder("signed-proxy").join("data");
    same_bytes::ladder(&data);
    let variables = [("STREAMVERSE__NET__TRUSTED_PROXIES", "127.0.0.0/8")];
    let server = Server::start_closed_with(&data, &[], &variables);
    let mut client = server.client();
    let signed = url(&data, &[MASTER, "--ip", "203.0.113.0/24"]);
    let from = |client: &mut Client, hops: &str| {
        client.get_with(&signed, &[("X-Forwarded-For", hops)]).status
    };
    assert_eq!(from(&mut client, "203.0.113.7"), 200);
    assert_eq!(from(&mut client, "198.51.100.1"), 403);
    assert_eq!(from(&mut client, "203.0.113.7, 198.51.100.1"), 403, "what a client wrote itself");
}

/// A token of some classes has a manifest of those, and opens no others' segments.
#[test]
fn classes_limit_manifests_and_segments() {
    let folder = tools::folder("signed-classes");
    let data = folder.join("data");
    let file = |size: &str| {
        let file = folder.join(format!("{size}.mp4"));
        let source = format!("testsrc2=s={size}:r=10:d=4");
        let arguments = ["-v", "error", "-nostdin", "-f", "lavfi", "-i", &source];
        let coding = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "20", tools::text(&file)];
        tools::run("ffmpeg", &[&arguments[..], &coding].concat());
        file
    };
    ingest(&data, "ladder", &[file("1280x720"), file("640x360")]);
    let server = Server::start_closed(&data);
    let mut client = server.client();
    let all = url(&data, &[MASTER]);
    let high = first_segment(&mut client, &all, "hd");
    assert_eq!(client.get(&high).status, 200);

    let low = url(&data, &[MASTER, "--class", "audio,sd,text"]);
    let (low_master, all_master) = (client.get(&low), client.get(&all));
    assert_ne!(low_master.header("etag"), all_master.header("etag"));
    let variants = |answer: &Answer| answer.text().matches("#EXT-X-STREAM-INF").count();
    assert!(0 < variants(&low_master) && variants(&low_master) < variants(&all_master));
    let low_token = &low[..low[1..].find('/').expect("a path follows") + 1];
    let high_path = &high[high[1..].find('/').expect("a path follows") + 1..];
    check_refused(&get(&mut client, &format!("{low_token}{high_path}")), "signature_invalid");
    assert_eq!(get(&mut client, &first_segment(&mut server.client(), &low, "sd")).status, 200);
    // Asking for more than the token gives doesn't help.
    let more = client.get(&format!("{low}?max_height=2160"));
    assert_eq!(more.body, low_master.body);

    let capped = url(&data, &[MASTER, "--claim", "max_height=480", "--claim", "plan=basic"]);
    assert!(variants(&client.get(&capped)) < variants(&all_master));
}

/// A session ends at once on a running server, stays ended over a restart, and takes nobody else
/// along.
#[test]
fn sessions_are_revoked() {
    let data = tools::folder("signed-revoked").join("data");
    same_bytes::ladder(&data);
    let server = Server::start_closed(&data);
    let mut client = server.client();
    let mine = url(&data, &[MASTER, "--session", "viewer-1"]);
    let signed = sign(&data, &[MASTER]);
    let other = signed["urls"][0].as_str().expect("a URL");
    for url in [mine.as_str(), other] {
        assert_eq!(client.get(url).status, 200);
    }
    let revoke = ["sessions", "revoke", "--data", tools::text(&data), "viewer-1"];
    assert_eq!(streamverse_ok(&revoke), "revoked viewer-1\n");
    check_refused(&get(&mut client, &mine), "signature_invalid");
    assert_eq!(client.get(other).status, 200);
    // A new token of the session is no way around.
    check_refused(
        &get(&mut client, &url(&data, &[MASTER, "--session", "viewer-1"])),
        "signature_invalid",
    );
    server.kill();

    // Without a server the command writes the list itself.
    let random = signed["session"].as_str().expect("a session");
    streamverse_ok(&["sessions", "revoke", "--data", tools::text(&data), random]);
    let server = Server::start_closed(&data);
    let mut client = server.client();
    for url in [mine.as_str(), other] {
        check_refused(&get(&mut client, url), "signature_invalid");
    }
    assert_eq!(client.get(&url(&data, &[MASTER])).status, 200, "the key is still the same");
    let message = streamverse_fails(&["sessions", "revoke", "--data", tools::text(&data), "a b"]);
    assert!(message.contains("no session id"), "{message}");
}

/// Keys change while the server runs: with overlap, then without the old one; and an edge that has
/// public keys alone lets in and can't sign.
#[test]
fn keys_rotate() {
    let folder = tools::folder("signed-keys");
    let (data, file) = (folder.join("data"), folder.join("c.toml"));
    same_bytes::ladder(&data);
    let old = "[[signing_key]]\nid = \"old\"\nalgorithm = \"hmac-sha256\"\n\
               secret = \"b2xkIGtleSBvZiB0aGUgdGVzdHMsIG5vIHNlY3JldCE=\"\n";
    let new = "[[signing_key]]\nid = \"new\"\nalgorithm = \"ed25519\"\nactive = true\n\
               secret = \"BxwXXNjeGaoWqjr7GHEymRJkP4SaOC12dTGixk7Yr8I=\"\n";
    let public = "[[signing_key]]\nid = \"new\"\nalgorithm = \"ed25519\"\n\
                  public = \"g9u90RZv3ddq7pRAEsLaiT6ju1AGNVb2uXdPz0UGwPE=\"\n";
    let write = |text: &str| tools::write(&file, text.as_bytes());
    let config = ["--config", tools::text(&file)];
    let sign_now = || url(&data, &[&config[..], &[MASTER]].concat());
    write(old);
    let server = Server::start_closed_with(&data, &config, &[]);
    let mut client = server.client();
    let reload = |text: &str, times: usize| {
        write(text);
        server.signal("HUP");
        let deadline = Instant::now() + Duration::from_secs(20);
        while server.log().matches("configuration reloaded").count() < times {
            assert!(Instant::now() < deadline, "{}", server.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        // The line comes before the keys are taken over.
        std::thread::sleep(Duration::from_millis(100));
    };
    let first = sign_now();
    assert_eq!(client.get(&first).status, 200);
    reload(&format!("{old}{new}"), 1);
    let signed = sign(&data, &[&config[..], &[MASTER]].concat());
    assert_eq!(signed["key"], "new");
    assert_eq!(signed["public_key"], "g9u90RZv3ddq7pRAEsLaiT6ju1AGNVb2uXdPz0UGwPE=");
    let second = signed["urls"][0].as_str().expect("a URL").to_owned();
    for url in [&first, &second] {
        assert_eq!(client.get(url).status, 200);
    }
    reload(public, 2);
    check_refused(&get(&mut client, &first), "signature_invalid");
    assert_eq!(client.get(&second).status, 200);
    let message = streamverse_fails(&["sign", MASTER, "--config", config[1]]);
    assert!(message.contains("public keys alone"), "{message}");
    // A bad file changes nothing.
    write("[[signing_key]]\nid = \"x\"\nalgorithm = \"hmac-sha256\"\nsecret = \"AAAA\"\n");
    server.signal("HUP");
    server.wait_for_log("was not reloaded");
    assert_eq!(client.get(&second).status, 200);
    for secret in ["b2xkIGtleSBv", "BxwXXNjeGaoW"] {
        assert!(!server.log().contains(secret));
        assert!(!Client::new(server.ops).get("/config").text().contains(secret));
    }
}

/// The key that a server made for itself can be configured, so that its URLs outlive the move.
#[test]
fn a_made_key_moves_into_the_configuration() {
    let folder = tools::folder("signed-moved");
    let (data, file) = (folder.join("data"), folder.join("c.toml"));
    same_bytes::ladder(&data);
    let signed = sign(&data, &[MASTER]);
    let text = format!(
        "[[signing_key]]\nid = {}\nalgorithm = \"hmac-sha256\"\nsecret = \"file:{}\"\n",
        signed["key"],
        data.join("keys/url-token").display()
    );
    tools::write(&file, text.as_bytes());
    let server = Server::start_closed_with(&data, &["--config", tools::text(&file)], &[]);
    let answer = get(&mut server.client(), signed["urls"][0].as_str().expect("a URL"));
    assert_eq!(answer.status, 200);
}

/// An absolute form is its path, if it names the host that `Host` names (RFC 9112 3.2.2).
#[test]
fn absolute_forms_name_their_host() {
    let data = tools::folder("signed-absolute").join("data");
    same_bytes::ladder(&data);
    let server = Server::start_closed(&data);
    let signed = url(&data, &[MASTER]);
    let ask = |target: &str| {
        let mut stream = std::io::BufReader::new(client::connect(server.media));
        let request = client::request_text("GET", target, server.media, &[]);
        std::io::Write::write_all(stream.get_mut(), request.as_bytes()).expect("it is sent");
        client::read_answer(&mut stream, "GET").expect("an answer")
    };
    let raw = |head: &str| {
        let mut stream = std::io::BufReader::new(client::connect(server.media));
        let request = format!("GET {signed} HTTP/1.1\r\n{head}\r\n");
        std::io::Write::write_all(stream.get_mut(), request.as_bytes()).expect("it is sent");
        client::read_answer(&mut stream, "GET").expect("an answer").status
    };
    assert_eq!(raw("Host: any.example\r\n"), 200);
    assert_eq!(raw(""), 400, "RFC 9112 3.2");
    assert_eq!(raw("Host: one.example\r\nHost: two.example\r\n"), 400, "RFC 9112 3.2");
    assert_eq!(ask(&format!("http://{}{signed}", server.media)).status, 200);
    assert_eq!(ask(&format!("http://elsewhere.example{signed}")).status, 400);
    check_refused(&ask(&format!("http://{}{MASTER}", server.media)), "signature_required");
}

#[test]
fn sign_refuses_what_would_not_work() {
    let data = tools::folder("sign").join("data");
    std::fs::create_dir_all(&data).expect("it can be made");
    let fails = |arguments: &[&str]| {
        streamverse_fails(&[&["sign", "--data", tools::text(&data)][..], arguments].concat())
    };
    let segment = "/vod/a/fmp4/hd/v1-r/1.m4s";
    for (arguments, cause) in [
        (&["/vod/../x"][..], "can't be signed"),
        (&["vod/a/cmaf/master.m3u8"], "can't be signed"),
        (&["/~abc/vod/a/b"], "can't be signed"),
        (&["/other/a"], "--prefix"),
        (&[MASTER, "--ttl", "31d"], "30 days"),
        (&[MASTER, "--not-before", &in_hours(721), "--expires", &in_hours(722)], "30 days"),
        (&[MASTER, "--expires", "2020-01-01T00:00:00Z"], "expired"),
        (&[MASTER, "--prefix", "/vod/other/"], "would not be opened"),
        (&[segment, "--class", "sd"], "would not be opened"),
        (&[MASTER, "--prefix", "/vod/ladder"], "begins and ends"),
        (&[MASTER, "--class", "4k"], "no class"),
        (&[MASTER, "--session", "a b"], "no session id"),
        (&[MASTER, "--ip", "10.0.0.1/8"], "beyond its length"),
        (&[MASTER, "--ip", "everywhere"], "no network"),
        (&[MASTER, "--claim", "x"], "NAME=VALUE"),
        (&[MASTER, "--key", "none"], "no key `none`"),
    ] {
        let message = fails(arguments);
        assert!(message.contains(cause), "{arguments:?}: {message}");
    }
    let absent = tools::folder("sign").join("absent");
    let message = streamverse_fails(&["sign", MASTER, "--data", tools::text(&absent)]);
    assert!(message.contains("no data directory"), "{message}");
    assert!(!absent.exists());
    assert_eq!(streamverse(&["sign", MASTER, "--ttl", "soon"]).status.code(), Some(2));
    assert_eq!(streamverse(&["sign", MASTER, "--scheme", "none"]).status.code(), Some(2));

    std::fs::create_dir_all(&data).expect("it can be made");
    let doctor = || streamverse(&["doctor", "--json", "--data", tools::text(&data)]);
    let said = |wanted: &str| String::from_utf8_lossy(&doctor().stdout).contains(wanted);
    assert!(said("the first start makes one"));
    let out = streamverse_ok(&["sign", "--data", tools::text(&data), MASTER, "/ad/x/cmaf/v1.m3u8"]);
    let lines: Vec<&str> = out.lines().collect();
    let token = lines[0].strip_suffix(MASTER).expect("a path behind the token");
    assert_eq!(lines[1], format!("{token}/ad/x/cmaf/v1.m3u8"), "one token opens both");
    assert!(said("1 known, `local-"));
    let key = data.join("keys/url-token");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&key, mode).expect("it can be changed");
    assert!(said("chmod 600"));
    let message = streamverse_fails(&["serve", "--data", tools::text(&data)]);
    assert!(message.contains("chmod 600"), "{message}");
}
