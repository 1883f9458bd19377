//! The rules of HTTP on every kind of resource (RFC 9110, RFC 9112, RFC 9113) and the contract's
//! table of caching headers, query parameters and errors.

use std::io::{BufReader, Write};

use crate::client::{self, Answer, Client};
use crate::manifests::{self, Fetcher};
use crate::media;
use crate::same_bytes;
use crate::server::{Server, ingest};
use crate::tools;

/// Headers that differ from answer to answer.
const VARYING: [&str; 2] = ["date", "x-request-id"];

fn steady(answer: &Answer) -> Vec<(String, String)> {
    let mut headers = answer.headers.clone();
    headers.retain(|(name, _)| !VARYING.contains(&name.as_str()));
    headers.sort();
    headers
}

#[track_caller]
fn serve(name: &str) -> Server {
    let data = tools::folder(name).join("data");
    same_bytes::ladder(&data);
    ingest(&data, "muxed", &media::title("ntsc").paths());
    Server::start(&data)
}

/// One address of each kind with what the contract says of its caching.
#[track_caller]
fn kinds(client: &mut Client) -> Vec<(String, &'static str, &'static str)> {
    let mut fetcher = Fetcher::new(client);
    fetcher.hls("ladder", "cmaf");
    fetcher.hls("muxed", "ts");
    fetcher.hls("ladder", "ts");
    fetcher.hls("ladder", "cmaf-single");
    fetcher.dash("ladder", "cmaf");
    fetcher.dash("ladder", "cmaf-single");
    let urls: Vec<String> = fetcher.bodies.into_keys().collect();
    let forever = "public, max-age=31536000, immutable";
    let hour = "public, max-age=3600";
    let find = |part: &str, end: &str| {
        let found = urls.iter().find(|url| url.contains(part) && url.ends_with(end));
        found.unwrap_or_else(|| panic!("no {part} {end}")).clone()
    };
    vec![
        (find("/fmp4/sd/v1", "/1.m4s"), "video/mp4", forever),
        (find("/fmp4/audio", "/2.m4s"), "audio/mp4", forever),
        (find("/fmp4/sd/v1", "/i1.m4s"), "video/mp4", forever),
        (find("/fmp4/sd/v1", "init.mp4"), "video/mp4", forever),
        (find("/fmp4/sd/v1", "track.mp4"), "video/mp4", forever),
        (find("/fmp4/text/", "/1.m4s"), "application/mp4", forever),
        (find("/mpegts/sd/v1_a1", "/1.ts"), "video/mp2t", forever),
        (find("/mpegts/audio", "/1.ts"), "video/mp2t", forever),
        (find("/mpegts/sd/", "/i1.ts"), "video/mp2t", forever),
        (find("/webvtt/", "/1.vtt"), "text/vtt; charset=utf-8", forever),
        (find("/webvtt-ts/", "/1.vtt"), "text/vtt; charset=utf-8", forever),
        (find("ladder/cmaf/", "master.m3u8"), "application/vnd.apple.mpegurl", hour),
        (find("ladder/cmaf/", "v1.m3u8"), "application/vnd.apple.mpegurl", hour),
        (find("ladder/cmaf/", "manifest.mpd"), "application/dash+xml", hour),
    ]
}

#[test]
fn heads_and_caching() {
    let server = serve("http-head");
    let mut client = server.client();
    for (url, content_type, caching) in kinds(&mut client) {
        let get = client.get(&url);
        let head = client.send("HEAD", &url, &[]);
        assert_eq!(steady(&head), steady(&get), "{url}");
        assert_eq!(get.header("content-type"), content_type, "{url}");
        assert_eq!(get.header("cache-control"), caching, "{url}");
        assert_eq!(get.header("accept-ranges"), "bytes", "{url}");
        assert_eq!(get.header("access-control-allow-origin"), "*", "{url}");
        assert!(get.header("access-control-expose-headers").contains("Content-Range"), "{url}");
        let id = url.split('/').nth(2).expect("a title");
        assert_eq!(get.header("cache-tag"), id, "{url}");
        let etag = get.header("etag");
        assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 4, "{url}: {etag}");
        assert!(!get.header("x-request-id").is_empty() && !get.header("date").is_empty());
    }
}

#[test]
fn ranges_are_slices() {
    let server = serve("http-range");
    let mut client = server.client();
    for (url, content_type, _) in kinds(&mut client) {
        let whole = client.get(&url);
        let len = whole.body.len();
        let etag = whole.header("etag");
        let middle = len / 2;
        let ranges = [
            ("bytes=0-0".to_owned(), 0, 1),
            (format!("bytes={middle}-{}", middle + 9), middle, (middle + 10).min(len)),
            (format!("bytes={middle}-"), middle, len),
            ("bytes=-7".to_owned(), len - 7, len),
            (format!("bytes=0-{}", len + 1_000), 0, len),
            (format!("bytes={}-{}", len / 3, len * 2 / 3), len / 3, len * 2 / 3 + 1),
        ];
        for (range, start, end) in &ranges {
            for headers in
                [vec![("Range", range.as_str())], vec![("Range", range), ("If-Range", etag)]]
            {
                let part = client.get_with(&url, &headers);
                assert_eq!(part.status, 206, "{url} {range}");
                assert!(part.body == whole.body[*start..*end], "{url} {range}");
                let expected = format!("bytes {start}-{}/{len}", end - 1);
                assert_eq!(part.header("content-range"), expected, "{url}");
                assert_eq!(part.header("etag"), etag);
                let head = client.send("HEAD", &url, &headers);
                assert_eq!(steady(&head), steady(&part), "{url} {range}");
            }
        }
        check_several(&mut client, &url, &whole, content_type);
        let stale = client.get_with(&url, &[("Range", "bytes=0-0"), ("If-Range", "\"other\"")]);
        assert_eq!((stale.status, stale.body.len()), (200, len), "{url}");
        let beyond = client.get_with(&url, &[("Range", &format!("bytes={len}-"))]);
        assert_eq!(beyond.status, 416, "{url}");
        assert_eq!(beyond.header("content-range"), format!("bytes */{len}"));
        for nonsense in ["bytes=a-b", "lines=1-2", "bytes=5-2", "bytes"] {
            let answer = client.get_with(&url, &[("Range", nonsense)]);
            assert!(matches!(answer.status, 200 | 416), "{url} {nonsense}: {}", answer.status);
        }
    }
}

/// `multipart/byteranges` (RFC 9110 14.6).
#[track_caller]
fn check_several(client: &mut Client, url: &str, whole: &Answer, content_type: &str) {
    let len = whole.body.len();
    let wanted = [(0, 5), (len / 2, len / 2 + 9), (len - 3, len)];
    let list: Vec<String> =
        wanted.iter().map(|(start, end)| format!("{start}-{}", end - 1)).collect();
    let range = format!("bytes={}", list.join(","));
    let answer = client.get_with(url, &[("Range", &range)]);
    assert_eq!(answer.status, 206, "{url} {range}");
    let kind = answer.header("content-type");
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect("several parts");
    let boundary = boundary.trim_matches('"');
    let mut expected = Vec::new();
    for (start, end) in wanted {
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: bytes {start}-{}/{len}\r\n\r\n",
            end - 1
        );
        expected.extend_from_slice(head.as_bytes());
        expected.extend_from_slice(&whole.body[start..end]);
    }
    expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    assert!(answer.body == expected, "{url} {range}");
}

#[test]
fn validators() {
    let server = serve("http-validators");
    let mut client = server.client();
    for (url, _, caching) in kinds(&mut client) {
        let etag = client.get(&url).header("etag").to_owned();
        for known in [etag.clone(), format!("\"x\", {etag}"), "*".to_owned(), format!("W/{etag}")] {
            let answer = client.get_with(&url, &[("If-None-Match", &known)]);
            assert_eq!(answer.status, 304, "{url} {known}");
            assert_eq!(answer.header("etag"), etag);
            assert_eq!(answer.header("cache-control"), caching);
            assert_eq!(answer.header("content-type"), "");
            let head = client.send("HEAD", &url, &[("If-None-Match", &known)]);
            assert_eq!(steady(&head), steady(&answer));
        }
        // The precondition comes before the range (RFC 9110 13.2.2).
        let both = [("If-None-Match", etag.as_str()), ("Range", "bytes=0-0")];
        assert_eq!(client.get_with(&url, &both).status, 304);
        assert_eq!(client.get_with(&url, &[("If-None-Match", "\"x\"")]).status, 200);
        assert_eq!(client.get_with(&url, &[("If-Match", "\"x\"")]).status, 412);
        assert_eq!(client.get_with(&url, &[("If-Match", &etag)]).status, 200);
    }
}

#[test]
fn errors_are_problems() {
    let server = serve("http-errors");
    let mut client = server.client();
    let segment = kinds(&mut client)[0].0.clone();
    let (folder, _) = segment.rsplit_once('/').expect("a folder");
    let in_folder = |file: &str| format!("{folder}/{file}");
    let master = "/vod/ladder/cmaf/master.m3u8";
    let query = |query: &str| format!("{master}?{query}");
    let cases = [
        ("/vod/nobody/cmaf/master.m3u8".to_owned(), 404, "unknown_title"),
        ("/vod/..%2f..%2fetc/cmaf/master.m3u8".to_owned(), 400, "invalid_target"),
        ("/vod/ladder/nonsense/master.m3u8".to_owned(), 404, "not_found"),
        ("/vod/ladder/cmaf/v9.m3u8".to_owned(), 404, "not_found"),
        ("/vod/ladder/cmaf/".to_owned(), 404, "not_found"),
        ("/vod/ladder".to_owned(), 404, "not_found"),
        ("/vod/ladder/poster.jpg".to_owned(), 404, "not_found"),
        ("/nothing".to_owned(), 404, "not_found"),
        ("/vod/ladder/cenc/master.m3u8".to_owned(), 501, "not_built"),
        ("/live/news/cmaf/master.m3u8".to_owned(), 501, "not_built"),
        ("/license/widevine".to_owned(), 501, "not_built"),
        (in_folder("0.m4s"), 404, "not_found"),
        (in_folder("5.m4s"), 404, "not_found"),
        (in_folder("01.m4s"), 404, "not_found"),
        (in_folder("99999999999999999999999.m4s"), 404, "not_found"),
        (in_folder("%zz.m4s"), 400, "invalid_target"),
        (in_folder("1.ts"), 404, "not_found"),
        (in_folder("../1.m4s"), 400, "invalid_target"),
        (query("max_height=tall"), 400, "invalid_parameter"),
        (query("max_height=10"), 400, "invalid_parameter"),
        (query("start=-1"), 400, "invalid_parameter"),
        (query("start=5&end=5"), 400, "invalid_parameter"),
        (query("start=100"), 400, "invalid_parameter"),
        (query("start=1e400"), 400, "invalid_parameter"),
        (query("audio=xx"), 400, "invalid_parameter"),
        (query("text=xx"), 400, "invalid_parameter"),
        (query("key_format=x"), 400, "invalid_parameter"),
    ];
    for (path, status, code) in cases {
        let answer = client.get_with(&path, &[]);
        assert_eq!(answer.status, status, "{path}: {}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
        let problem = answer.json();
        assert_eq!(problem["code"], code, "{path}: {problem}");
        assert_eq!(problem["status"], status, "{path}");
        for field in ["type", "title", "detail"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        }
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        let caching = answer.header("cache-control");
        assert!(
            caching == "no-store" || (status == 404 && caching == "public, max-age=1"),
            "{path}: {caching}"
        );
        let head = client.send("HEAD", &path, &[]);
        assert_eq!(head.status, status, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let answer = client.send(method, master, &[("Content-Length", "0")]);
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.header("allow").contains("GET"));
    }
    let preflight = client.send(
        "OPTIONS",
        master,
        &[
            ("Origin", "https://player.example"),
            ("Access-Control-Request-Method", "GET"),
            ("Access-Control-Request-Headers", "range, cmcd-session"),
        ],
    );
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), "*");
    assert!(preflight.header("access-control-allow-methods").contains("GET"));
    assert!(!preflight.header("access-control-allow-headers").is_empty());
}

#[test]
fn manifests_are_filtered_and_clipped() {
    let server = serve("http-query");
    let mut client = server.client();
    let master = |client: &mut Client, query: &str| {
        let url = format!("/vod/ladder/cmaf/master.m3u8{query}");
        manifests::parse_master(&client.get(&url).body)
    };
    let plain = client.get("/vod/ladder/cmaf/master.m3u8").body;
    for unknown in ["?CMCD=bl%3D21300", "?_HLS_msn=3", "?utm=%ff%00", "?&&=&", "?session=1"] {
        let answer = client.get(&format!("/vod/ladder/cmaf/master.m3u8{unknown}"));
        assert!(answer.body == plain, "{unknown} changes nothing");
    }
    let heights = |master: &m3u8_rs::MasterPlaylist| -> Vec<u64> {
        let variants = master.variants.iter().filter(|variant| !variant.is_i_frame);
        variants.map(|variant| variant.resolution.expect("a size").height).collect()
    };
    assert_eq!(heights(&master(&mut client, "")), [360, 240, 144]);
    assert_eq!(heights(&master(&mut client, "?max_height=240")), [240, 144]);
    assert_eq!(heights(&master(&mut client, "?max_bitrate=200000")), [144]);
    assert_eq!(heights(&master(&mut client, "?video=v2")), [240]);
    let languages = |master: &m3u8_rs::MasterPlaylist, kind| -> Vec<String> {
        let of_kind = master.alternatives.iter().filter(|a| a.media_type == kind);
        of_kind.filter_map(|alternative| alternative.language.clone()).collect()
    };
    use m3u8_rs::AlternativeMediaType::{Audio, Subtitles};
    let only = master(&mut client, "?audio=fr&text=de");
    assert_eq!(languages(&only, Audio), ["fr"]);
    assert_eq!(languages(&only, Subtitles), ["de"]);
    assert!(languages(&master(&mut client, "?text="), Subtitles).is_empty());

    // Clipped to the segments that hold the times: 6 to 18 seconds.
    let mut durations = Vec::new();
    for (preset, query) in
        [("cmaf", "?start=7&end=13"), ("ts", "?start=7&end=13"), ("cmaf-single", "?end=13&start=7")]
    {
        let url = format!("/vod/ladder/{preset}/master.m3u8{query}");
        let clipped = manifests::parse_master(&client.get(&url).body);
        for variant in &clipped.variants {
            let media = client.get(&manifests::resolve(&url, &variant.uri));
            let playlist = manifests::parse_media(&media.body);
            if !variant.is_i_frame {
                let seconds: f32 = playlist.segments.iter().map(|segment| segment.duration).sum();
                durations.push(seconds.round() as i64);
            }
        }
    }
    assert_eq!(durations, [12; 9]);
    let mut fetcher = Fetcher::new(&mut client);
    let xml = fetcher.get("/vod/ladder/cmaf/manifest.mpd?start=7&end=13");
    let xml = String::from_utf8(xml).expect("UTF-8");
    crate::judge::check_schema(&xml);
    let mpd = dash_mpd_core::parse(&xml).expect("an MPD");
    let duration = mpd.mediaPresentationDuration.expect("a duration");
    assert!((duration.as_secs_f64() - 12.0).abs() < 0.05, "{duration:?}");
}

#[test]
fn connections_are_kept_and_pipelined() {
    let server = serve("http-pipeline");
    let mut client = server.client();
    let urls: Vec<String> = kinds(&mut client).into_iter().map(|(url, _, _)| url).collect();
    let bodies: Vec<Vec<u8>> = urls.iter().map(|url| client.get(url).body).collect();
    let mut stream = client::connect(server.media);
    let requests: String =
        urls.iter().map(|url| client::request_text("GET", url, server.media, &[])).collect();
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let writer = std::thread::spawn(move || stream.write_all(requests.as_bytes()));
    for (url, body) in urls.iter().zip(&bodies) {
        let answer = client::read_answer(&mut reader, "GET").expect("an answer");
        assert_eq!(answer.status, 200, "{url}");
        assert!(answer.body == *body, "{url}");
    }
    writer.join().expect("the writer ends").expect("all is sent");

    let raw = |text: &str| {
        let mut stream = client::connect(server.media);
        stream.write_all(text.as_bytes()).expect("it is sent");
        client::read_answer(&mut BufReader::new(stream), "GET").map(|answer| answer.status)
    };
    let large = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "y".repeat(100_000));
    assert_eq!(raw(&large).expect("an answer"), 431);
    assert_eq!(raw("NONSENSE\r\n\r\n").expect("an answer"), 400);
    assert_eq!(raw("GET /health HTTP/1.0\r\n\r\n").expect("an answer"), 200);
    let long = format!("GET /vod/{} HTTP/1.1\r\nHost: x\r\n\r\n", "y".repeat(5_000));
    assert!(matches!(raw(&long).expect("an answer"), 404 | 414));
    let absolute = "GET http://x/health HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(raw(absolute).expect("an answer"), 200);
}

/// HTTP/2 with prior knowledge: many streams on one connection, same bytes.
#[test]
fn http2_without_tls() {
    use http_body_util::{BodyExt, Empty};
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let server = serve("http-h2c");
    let mut client = server.client();
    let kinds = kinds(&mut client);
    let expected: Vec<Answer> = kinds.iter().map(|(url, _, _)| client.get(url)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let stream = tokio::net::TcpStream::connect(server.media).await.expect("it connects");
        let handshake =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = handshake.await.expect("HTTP/2 is spoken");
        tokio::spawn(connection);
        let requests: Vec<_> = kinds
            .iter()
            .map(|(url, _, _)| {
                let mut sender = sender.clone();
                let uri = format!("http://{}{url}", server.media);
                tokio::spawn(async move {
                    let request = hyper::Request::get(uri).body(Empty::<bytes::Bytes>::new());
                    let answer = sender.send_request(request.expect("a request")).await;
                    let answer = answer.expect("an answer");
                    let status = answer.status();
                    let etag = answer.headers()["etag"].to_str().expect("text").to_owned();
                    let body = answer.into_body().collect().await.expect("a body").to_bytes();
                    (status, etag, body)
                })
            })
            .collect();
        for (request, expected) in requests.into_iter().zip(&expected) {
            let (status, etag, body) = request.await.expect("no panic");
            assert_eq!(status, 200);
            assert_eq!(etag, expected.header("etag"));
            assert!(body == expected.body);
        }
    });
}
