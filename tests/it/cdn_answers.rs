//! What a CDN's token does to answers and to what is asked of an origin: renewal, use, carrying.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::cdn::{
    BASE, CASES, MASTER, Signed, check_refused, delivery, first_segment, get, get_at, key_entry,
    keys, reload, serve, sign, sign_for,
};
use crate::server::{Server, ingest, streamverse_ok};
use crate::upkeep::pictures;
use crate::{client, media, tools};

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

/// Thumbnails, by the index that WebVTT is and by the playlist of sprites.
#[test]
fn thumbnails_carry_the_query() {
    let folder = tools::folder("cdn-thumbnails");
    let (keys, data) = (keys(&folder), folder.join("data"));
    let files = [media::title("ladder").paths(), pictures(&folder)].concat();
    ingest(&data, "ladder", &files);
    let text = key_entry(&keys, "cat", "k1", "", "ed25519.pub") + &delivery("cat", "query");
    let server = serve(&folder, &text);
    let signed = sign("cat", &keys.join("ed25519.pem"), &["/vod/ladder/thumbnails.vtt"]);
    let answer = get(server.media, &signed.target, &[]);
    assert_eq!((answer.status, answer.header("cache-control")), (200, "private, no-store"));
    let sprites: Vec<_> = answer.text().lines().filter(|line| line.contains("#xywh=")).collect();
    assert_eq!(sprites.len(), 4, "{}", answer.text());
    for sprite in sprites {
        let (sprite, _) = sprite.split_once('#').expect("a fragment");
        let answer = get(server.media, &format!("/vod/ladder/{sprite}"), &[]);
        assert_eq!((answer.status, answer.header("content-type")), (200, "image/jpeg"), "{sprite}");
    }
}

/// A player that we did not write finds all segments, where the token is carried and where it is
/// inherited.
#[test]
fn ffmpeg_plays_urls_of_cdns() {
    let folder = tools::folder("cdn-player");
    let keys = keys(&folder);
    let entries = key_entry(&keys, "cat", "k1", "", "ed25519.pub")
        + &key_entry(&keys, "uri-signing", "k1", "", "p256.pub");
    let server = serve(&folder, &entries);
    // The address is known when the server is there.
    let base = format!("http://{}", server.media);
    let text = format!(
        "{entries}[[delivery]]\nbase_url = \"{base}\"\nscheme = \"cat\"\ncarry = \"query\"\n"
    );
    reload(&server, &folder.join("c.toml"), &text, 1);
    // Of a single-file MPD FFmpeg 5.1 drops addresses as long as CloudFront's.
    for (scheme, key, carry) in
        [("cat", "ed25519.pem", "query"), ("uri-signing", "p256.pem", "path")]
    {
        for manifest in
            ["cmaf/master.m3u8", "ts/master.m3u8", "cmaf/manifest.mpd", "cmaf-single/manifest.mpd"]
        {
            let path = format!("/vod/ladder/{manifest}");
            let signed = sign_for(&base, scheme, &keys.join(key), &[&path, "--carry", carry]);
            let address = format!("{base}{}", signed.target);
            let frames = "stream=codec_type,nb_read_packets";
            let said = tools::run_unchecked(
                "ffprobe",
                &[
                    "-v",
                    "error",
                    "-count_packets",
                    "-show_entries",
                    frames,
                    "-of",
                    "json",
                    &address,
                ],
            );
            assert_eq!(said.code, Some(0), "{scheme} {manifest}: {said:?}");
            let read: serde_json::Value = serde_json::from_str(&said.out).expect("it is JSON");
            let streams = read["streams"].as_array().expect("streams");
            assert!(streams.len() >= 2, "{scheme} {manifest}: {read}");
            for stream in streams {
                let packets = stream["nb_read_packets"].as_str().map(str::parse::<u64>);
                let is_long = packets.is_some_and(|count| count.is_ok_and(|count| count >= 10));
                assert!(is_long, "{scheme} {manifest}: {read}");
            }
        }
    }
    assert!(!server.log().contains(" status=403"), "{}", server.log());
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
