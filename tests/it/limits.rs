//! The whole binary as an edge before an origin that is slow on demand: limits and how they are
//! recovered from, who goes first when not everything can be answered, what players say and hear.

use std::collections::BTreeMap;
use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::cdn;
use crate::client::{Answer, Client, connect, read_answer};
use crate::server::{Server, streamverse_ok};
use crate::tools;

/// An origin that answers everything, and segments after a while.
#[derive(Clone, Debug)]
struct Double {
    address: std::net::SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Double {
    fn start(segment_delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let asked = asked.clone();
                std::thread::spawn(move || serve(&stream, segment_delay, &asked));
            }
        });
        Self { address, asked: kept }
    }

    /// Requests for media so far, with their headers.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panics with it").clone()
    }

    #[track_caller]
    fn wait_for(&self, path: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.asked().iter().any(|head| head.starts_with(&format!("GET {path} "))) {
            assert!(Instant::now() < deadline, "nobody asked for {path}: {:?}", self.asked());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn serve(stream: &TcpStream, segment_delay: Duration, asked: &Mutex<Vec<String>>) {
    use std::io::BufRead;
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        if path != "/ready" {
            asked.lock().expect("nobody panics with it").push(head);
        }
        if path.ends_with(".m4s") {
            std::thread::sleep(segment_delay);
        }
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nCache-Control: max-age=600\r\n\
             Content-Type: text/plain\r\nCMSD-Static: ot=v,st=v\r\n\r\n{path}",
            path.len()
        );
        let mut writer = stream;
        if writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// An open edge before `double`, behind a proxy on this machine.
fn edge(folder: &Path, double: &Double, text: &str) -> Server {
    let file = folder.join("edge.toml");
    let text = format!(
        "[net]\ntrusted_proxies = [\"127.0.0.1\"]\n{text}\n[[upstream]]\nurl = \"http://{}\"\n",
        double.address
    );
    tools::write(&file, text.as_bytes());
    Server::start_with(
        &folder.join("data"),
        &["--roles", "edge", "--config", tools::text(&file)],
        &[],
    )
}

fn get_from(client: &mut Client, address: &str, path: &str) -> Answer {
    client.get_with(path, &[("X-Forwarded-For", address)])
}

fn code(answer: &Answer) -> String {
    answer.json()["code"].as_str().unwrap_or_default().to_owned()
}

#[track_caller]
fn wait_for_metric(server: &Server, name: &str, least: f64) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while server.metric(name) < least {
        assert!(Instant::now() < deadline, "{name} is {}", server.metric(name));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn limits_of_addresses_are_hit_and_recovered_from() {
    let double = Double::start(Duration::ZERO);
    let text = "[rate_limit]\naddress_per_second = 0.5\naddress_burst = 5\nexempt = []\n";
    let server = edge(&tools::folder("limits-address"), &double, text);
    let mut client = server.client();
    let path = "/vod/t/cmaf/master.m3u8";
    let limited =
        (0..200).map(|_| get_from(&mut client, "203.0.113.1", path)).find(|a| a.status != 200);
    let limited = limited.expect("there is a limit");
    assert_eq!((limited.status, code(&limited).as_str()), (429, "rate_limited"));
    let seconds: u64 = limited.header("retry-after").parse().expect("it says when");
    assert!((1..=2).contains(&seconds), "{seconds}");
    assert_eq!(limited.header("ratelimit-policy"), "\"address\";q=5;w=10");
    assert_eq!(limited.header("ratelimit"), format!("\"address\";r=0;t={seconds}"));
    assert_eq!(limited.header("access-control-allow-origin"), "*");
    assert!(limited.header("access-control-expose-headers").contains("Retry-After"));

    // Another address, whatever the first one adds in front of its own.
    assert_eq!(get_from(&mut client, "203.0.113.2", path).status, 200);
    assert_eq!(get_from(&mut client, "198.51.100.9, 203.0.113.1", path).status, 429);
    // Nothing is spent on what has no limit.
    for _ in 0..20 {
        assert_eq!(get_from(&mut client, "203.0.113.1", "/health").status, 200);
    }
    assert!(server.metric("streamverse_rate_limited_total{limit=\"address\"}") >= 2.0);
    std::thread::sleep(Duration::from_secs(seconds + 1));
    assert_eq!(get_from(&mut client, "203.0.113.1", path).status, 200);
}

#[test]
fn guesses_of_tokens_are_few() {
    let folder = tools::folder("limits-guesses");
    let (data, file) = (folder.join("data"), folder.join("origin.toml"));
    let text = "[net]\ntrusted_proxies = [\"127.0.0.1\"]\n[rate_limit]\nexempt = []\n\
                refused_per_second = 0.01\nrefused_burst = 3\nsession_per_second = 0.01\nsession_burst = 8\n";
    tools::write(&file, text.as_bytes());
    let server = Server::start_closed_with(&data, &["--config", tools::text(&file)], &[]);
    let path = "/vod/t/cmaf/master.m3u8";
    let arguments = ["sign", "--json", "--data", tools::text(&data), path];
    let signed: serde_json::Value =
        serde_json::from_str(&streamverse_ok(&arguments)).expect("it is JSON");
    let good = format!("/~{}{path}", signed["token"].as_str().expect("a token"));
    let forged = |number: u32| {
        let token = signed["token"].as_str().expect("a token");
        format!("/~{}{number:04}{path}", &token[..token.len() - 4])
    };
    let mut client = server.client();
    // There is no title; but the token opens it.
    assert_eq!(get_from(&mut client, "203.0.113.1", &good).status, 404);
    for number in 0..3 {
        let refused = get_from(&mut client, "203.0.113.1", &forged(number));
        assert_eq!((refused.status, code(&refused).as_str()), (403, "signature_invalid"));
    }
    let limited = get_from(&mut client, "203.0.113.1", &forged(3));
    assert_eq!((limited.status, code(&limited).as_str()), (429, "rate_limited"));
    assert!(limited.header("ratelimit").starts_with("\"refused\""), "{limited:?}");
    // Whoever has a token that was good goes on behind the same address; others are unharmed.
    assert_eq!(get_from(&mut client, "203.0.113.1", &good).status, 404);
    assert_eq!(get_from(&mut client, "203.0.113.2", &forged(4)).status, 403);
    // What needs no token checks none, and no token is no guess.
    for _ in 0..5 {
        assert_eq!(get_from(&mut client, "203.0.113.1", path).status, 403);
    }
    // One token, from however many addresses, is one viewer.
    let limited = (3..20).map(|n| get_from(&mut client, &format!("198.51.100.{n}"), &good));
    let limited =
        limited.into_iter().find(|answer| answer.status == 429).expect("there is a limit");
    assert!(limited.header("ratelimit").starts_with("\"session\""), "{limited:?}");
}

/// An edge that takes CloudFront's tokens, which name no session, in cookies; and the cookies that
/// open `/vod/ladder/fmp4/`.
fn edge_with_cookies(folder: &Path, double: &Double, text: &str) -> (Server, String) {
    let (keys, file) = (cdn::keys(folder), folder.join("edge.toml"));
    let text = format!(
        "[net]\ntrusted_proxies = [\"127.0.0.1\"]\n{text}\n[[upstream]]\nurl = \"http://{}\"\n{}{}",
        double.address,
        cdn::key_entry(&keys, "cloudfront", "k1", "p256.pem", "p256.pub"),
        cdn::delivery("cloudfront", "cookie"),
    );
    tools::write(&file, text.as_bytes());
    let arguments = ["--roles", "edge", "--config", tools::text(&file)];
    let server = Server::start_closed_with(&folder.join("data"), &arguments, &[]);
    let path = "/vod/ladder/fmp4/sd/v1/1.m4s";
    let more = ["--carry", "cookie", "--prefix", "/vod/ladder/fmp4/", path];
    let signed = cdn::sign("cloudfront", &keys.join("p256.pem"), &more);
    let (_, cookies) = signed.headers.into_iter().next().expect("cookies");
    (server, cookies)
}

/// What a viewer adds to its requests makes no other viewer of it.
#[test]
fn a_token_without_session_is_one_viewer() {
    let double = Double::start(Duration::ZERO);
    let text = "[rate_limit]\nexempt = []\nsession_per_second = 0.01\nsession_burst = 5\n";
    let folder = tools::folder("limits-dressed");
    let (server, cookies) = edge_with_cookies(&folder, &double, text);
    let statuses = (0..8).map(|number| {
        let cookies = format!("{cookies}; other={number}");
        let headers = [("Cookie".to_owned(), cookies)];
        cdn::get(server.media, "/vod/ladder/fmp4/sd/v1/1.m4s", &headers).status
    });
    assert_eq!(statuses.collect::<Vec<_>>(), [200, 200, 200, 200, 200, 429, 429, 429]);
}

/// A hint is followed where the token of the request that bears it leads.
#[test]
fn nothing_is_fetched_ahead_that_the_token_does_not_open() {
    let double = Double::start(Duration::ZERO);
    let (server, cookies) = edge_with_cookies(&tools::folder("limits-scope"), &double, "");
    let headers = [("Cookie".to_owned(), cookies)];
    for next in ["/vod/ladder/cmaf/sd/v1/2.m4s", "2.m4s"] {
        let said = cmcd(&format!("nor=\"{next}\",sid=\"a\",v=2"));
        let path = format!("/vod/ladder/fmp4/sd/v1/1.m4s{said}");
        assert_eq!(cdn::get(server.media, &path, &headers).status, 200);
    }
    double.wait_for("/vod/ladder/fmp4/sd/v1/2.m4s");
    let asked = double.asked();
    assert!(!asked.iter().any(|head| head.contains("/cmaf/")), "{asked:?}");
}

/// A slow origin and more viewers than places: segments are turned away at once, manifests and health
/// go on, and afterwards everything is as before.
#[test]
fn manifests_go_on_while_segments_are_shed() {
    let double = Double::start(Duration::from_secs(2));
    let text =
        "[load]\nrequests_max = 8\nwaiting_max = 4\nwait_seconds = 0.5\ndelay_target_seconds = 0\n";
    let server = edge(&tools::folder("limits-load"), &double, text);
    let address = server.media;
    let viewers: Vec<_> = (0..40)
        .map(|number| {
            std::thread::spawn(move || {
                let began = Instant::now();
                let mut client = Client::new(address);
                let answer = client.get_with(&format!("/vod/t/fmp4/sd/v1/{number}.m4s"), &[]);
                (answer, began.elapsed())
            })
        })
        .collect();
    // As soon as it is full.
    wait_for_metric(&server, "streamverse_load_shed_total{priority=\"segment_starting\"}", 1.0);
    let mut client = server.client();
    for number in 0..10 {
        let began = Instant::now();
        assert_eq!(client.get_with(&format!("/vod/t/cmaf/{number}.m3u8"), &[]).status, 200);
        assert_eq!(client.get_with("/health", &[]).status, 200);
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
    let answers: Vec<_> =
        viewers.into_iter().map(|viewer| viewer.join().expect("no viewer panics")).collect();
    let shed: Vec<_> = answers.iter().filter(|(answer, _)| answer.status == 503).collect();
    let whole = answers.iter().filter(|(answer, _)| answer.status == 200).count();
    assert_eq!(shed.len() + whole, 40);
    // Six of eight places are for those who start.
    assert!((6..=20).contains(&whole), "{whole} whole");
    for (answer, took) in shed {
        assert_eq!(code(answer), "overloaded");
        assert_eq!(answer.header("retry-after"), "5");
        assert!(*took < Duration::from_secs(2), "turned away after {took:?}");
    }
    assert_eq!(client.get_with("/vod/t/fmp4/sd/v1/100.m4s", &[]).status, 200);
    // The gauges are of a moment ago.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(server.metric("streamverse_load_running "), 0.0);
}

fn cmcd(text: &str) -> String {
    let mut out = String::from("?CMCD=");
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() {
            true => out.push(byte.into()),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// What a player names next is there when it asks, and what it says is nobody else's business.
#[test]
fn the_next_object_is_a_hit() {
    let double = Double::start(Duration::ZERO);
    let server = edge(&tools::folder("limits-next"), &double, "");
    let mut client = server.client();
    let folder = "/vod/t/fmp4/sd/v1";
    for (number, next) in [(1, "nor=\"2.m4s\",sid=\"a\""), (10, "nor=(\"11.m4s\"),sid=\"a\",v=2")] {
        let first = client.get_with(&format!("{folder}/{number}.m4s{}", cmcd(next)), &[]);
        assert_eq!(first.status, 200);
        let path = format!("{folder}/{}.m4s", number + 1);
        double.wait_for(&path);
        wait_for_metric(&server, "streamverse_cache_prefetches_total", 1.0);
        // It was asked for; it is there a moment later.
        let second = client.get_with(&(path.clone() + &cmcd("sid=\"b\"")), &[]);
        assert_eq!((second.status, second.text()), (200, path.as_str()));
        let how = second.header("cache-status").to_owned();
        assert!(how.contains("hit") || how.contains("collapsed"), "{how}");
        let again = client.get_with(&path, &[("CMCD-Session", "sid=\"c\"")]);
        assert!(again.header("cache-status").contains("hit"), "{again:?}");
    }
    assert_eq!(server.metric("streamverse_prefetch_used_total"), 2.0);
    for bad in
        ["/vod/other/1.m4s", "../../../../../x.m4s", "http://127.0.0.1:1/x", "/~t/vod/t/x.m4s"]
    {
        let said = cmcd(&format!("nor=\"{bad}\",sid=\"a\",v=2"));
        assert_eq!(client.get_with(&format!("{folder}/1.m4s{said}"), &[]).status, 200);
    }
    std::thread::sleep(Duration::from_millis(300));
    let asked = double.asked();
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert!(!asked.iter().any(|head| head.to_ascii_lowercase().contains("cmcd")), "{asked:?}");
}

#[test]
fn what_players_say_is_counted_logged_and_written_down() {
    let double = Double::start(Duration::ZERO);
    let folder = tools::folder("limits-players");
    let events = folder.join("cmcd.jsonl");
    let text = format!(
        "[cmcd]\nevents_file = \"{}\"\nsession_idle_seconds = 1\n[cmsd]\nenabled = true\n\
         name = \"edge-1\"\n[log]\nformat = \"json\"\naccess_sample = 0.4\naccess_slow_seconds = 60\n",
        tools::text(&events)
    );
    let server = edge(&folder, &double, &text);
    let mut client = server.client();
    for session in 0..40 {
        for number in 1..4 {
            let haste = if number == 1 { ",su" } else { "" };
            let said = format!("br=1500,bl=4000,cid=\"t\",ot=v,sf=h,sid=\"s-{session}\"{haste}");
            let answer =
                client.get_with(&format!("/vod/t/fmp4/sd/v1/{number}.m4s{}", cmcd(&said)), &[]);
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("cmsd-static"), "ot=v,st=v");
            let dynamic = answer.header("cmsd-dynamic");
            assert!(dynamic.starts_with("\"edge-1\"") && dynamic.contains(";rd="), "{dynamic}");
            assert!(!dynamic.contains("rtt"), "nobody measured it over TCP: {dynamic}");
            assert!(answer.header("access-control-expose-headers").contains("CMSD-Dynamic"));
        }
    }
    assert_eq!(client.get_with("/a//b", &[]).status, 400);

    // A report, by any of its types, and what is none.
    let report =
        "e=ps,sid=\"s-1\",sta=p,msd=250,ts=1764000000000,v=2\ne=t,sid=\"s-1\",bl=(9000),v=2\n";
    let post = |kind: &str, body: &str| {
        let mut stream = connect(server.media);
        let head = format!(
            "POST /cmcd HTTP/1.1\r\nHost: edge\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("it can be sent");
        stream.write_all(body.as_bytes()).expect("it can be sent");
        read_answer(&mut BufReader::new(stream), "POST").expect("an answer")
    };
    for kind in ["application/cmcd", "text/cmcd", "text/plain;charset=UTF-8"] {
        assert_eq!(post(kind, report).status, 204);
    }
    assert_eq!(post("application/json", report).status, 415);
    assert_eq!(post("application/cmcd", "").status, 400);
    assert_eq!(post("application/cmcd", &"x".repeat(65 << 10)).status, 413);
    let preflight = client.send("OPTIONS", "/cmcd", &[("Origin", "https://a.example")]);
    assert_eq!(
        (preflight.status, preflight.header("access-control-allow-methods")),
        (204, "POST, OPTIONS")
    );

    wait_for_metric(&server, "streamverse_cmcd_sessions_ended_total", 40.0);
    assert_eq!(server.metric("streamverse_cmcd_requests_total{format=\"h\",object=\"v\"}"), 120.0);
    assert_eq!(server.metric("streamverse_cmcd_reports_total"), 6.0);
    assert_eq!(server.metric("streamverse_cmcd_reports_refused_total"), 3.0);
    assert_eq!(server.metric("streamverse_cmcd_startup_seconds_count"), 40.0);
    wait_for_metric(&server, "streamverse_cmcd_events_written_total", 166.0);
    std::thread::sleep(Duration::from_millis(200));
    let written = std::fs::read_to_string(&events).expect("it was written");
    let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
    for line in written.lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect("it is JSON");
        *kinds.entry(event["event"].as_str().expect("a kind").to_owned()).or_default() += 1;
        assert_eq!(event["schema"], 1);
        assert!(event["sid"].as_str().is_some_and(|sid| sid.starts_with("s-")), "{event}");
    }
    let expected = [("report", 6), ("request", 120), ("session", 40)];
    assert_eq!(kinds, expected.map(|(kind, count)| (kind.to_owned(), count)).into());

    // Each session is in the log whole, or not at all; mistakes are there always.
    server.signal("TERM");
    server.wait_for_log("stopping");
    std::thread::sleep(Duration::from_millis(500));
    let mut sessions: BTreeMap<String, u32> = BTreeMap::new();
    let mut has_mistake = false;
    for line in server.log().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        if line["target"] == "access" {
            has_mistake |= line["status"] == 400;
            if let Some(sid) = line["sid"].as_str() {
                *sessions.entry(sid.to_owned()).or_default() += 1;
                assert_eq!(
                    (&line["br"], &line["bl"], &line["ot"]),
                    (&1_500.into(), &4_000.into(), &"v".into())
                );
            }
        }
    }
    assert!(has_mistake, "{}", server.log());
    assert!(sessions.values().all(|&count| count == 3), "{sessions:?}");
    // 16 of 40 on average; the same each time, since the names are.
    assert!((6..=28).contains(&sessions.len()), "{} sessions", sessions.len());
}
