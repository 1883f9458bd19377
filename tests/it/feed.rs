//! Revocations and purges that are told to one node and hold on all of them: an origin, an edge
//! that follows it, and an edge that follows the first edge.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::operator::Operator;
use crate::same_bytes;
use crate::server::{Server, streamverse_ok};
use crate::tools;

const SECRET: &str = "a-secret-between-edge-and-origin";
const MASTER: &str = "/vod/ladder/cmaf/master.m3u8";
/// What is promised.
const EVERYWHERE: Duration = Duration::from_secs(5);

/// Ports that a restarted origin has again.
struct Ports {
    media: String,
    ops: String,
}

impl Ports {
    fn new() -> Self {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let [media, ops] =
            listeners.map(|listener| listener.local_addr().expect("it is bound").to_string());
        Self { media, ops }
    }
}

fn origin(data: &Path, ports: &Ports) -> Server {
    let variables = [
        ("STREAMVERSE__SHIELD__SECRET", SECRET),
        ("STREAMVERSE__MEDIA__HTTP", &ports.media),
        ("STREAMVERSE__OPS__HTTP", &ports.ops),
    ];
    Server::start_closed_with(data, &["--roles", "origin"], &variables)
}

/// An edge with a folder of its own, which follows whoever listens at `source`.
struct Edge {
    data: PathBuf,
    server: Server,
}

impl Edge {
    fn start(folder: &Path, upstream: &str, source: &str, source_data: &Path) -> Self {
        std::fs::create_dir_all(folder).expect("a folder can be made");
        let (file, data) = (folder.join("edge.toml"), folder.join("data"));
        let key = source_data.join("keys/ops");
        let text = format!(
            "[cache]\ndisk_bytes = \"64 MiB\"\n[feed]\nfollow = [\"http://{source}\"]\n\
             key = \"file:{}\"\n[[upstream]]\nurl = \"http://{upstream}\"\nsecret = \"{SECRET}\"\n",
            key.display()
        );
        tools::write(&file, text.as_bytes());
        let server = Self::run(folder);
        let edge = Self { data, server };
        edge.wait_until_it_follows();
        edge
    }

    fn run(folder: &Path) -> Server {
        let (file, data) = (folder.join("edge.toml"), folder.join("data"));
        let arguments = ["--roles", "edge", "--config", tools::text(&file)];
        Server::start_closed_with(&data, &arguments, &[])
    }

    /// Ends as it should, so that nothing is lost with it.
    fn stop(self) -> PathBuf {
        self.server.signal("TERM");
        assert_eq!(self.server.wait(), Some(0));
        self.data
    }

    fn operator(&self) -> Operator {
        Operator::of(&self.server, &self.data)
    }

    #[track_caller]
    fn wait_until_it_follows(&self) {
        let operator = self.operator();
        wait_for("the edge to follow", || {
            operator.ask("GET", "/stats", "")["feed"]["sources"][0]["is_up"] == true
        });
    }

    /// A signed address of the master playlist for one viewer.
    fn url(&self, session: &str) -> String {
        let arguments = ["sign", "--data", tools::text(&self.data), "--session", session, MASTER];
        streamverse_ok(&arguments).trim_end().to_owned()
    }

    fn root(&self, session: &str) -> String {
        self.url(session).strip_suffix(MASTER).expect("it ends so").to_owned()
    }
}

#[track_caller]
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until `is_so`, for no longer than is promised.
#[track_caller]
fn within_the_promise(since: Instant, what: &str, mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        assert!(since.elapsed() < EVERYWHERE, "{what} after {:?}", since.elapsed());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// How an edge came by an answer (RFC 9211).
#[track_caller]
fn how(client: &mut Client, url: &str) -> String {
    client.get(url).header("cache-status").to_owned()
}

#[track_caller]
fn warm(edge: &Edge, url: &str) {
    let mut client = edge.server.client();
    wait_for("a hit", || how(&mut client, url).contains("StreamVerse;hit"));
}

#[test]
fn a_revoked_session_is_refused_everywhere() {
    let folder = tools::folder("feed-revoked");
    let data = folder.join("data");
    same_bytes::ladder(&data);
    let ports = Ports::new();
    let origin = origin(&data, &ports);
    let near = Edge::start(&folder.join("near"), &ports.media, &ports.ops, &data);
    let far_source = near.server.ops.to_string();
    let far = Edge::start(&folder.join("far"), &ports.media, &far_source, &near.data);

    // Two viewers at each edge, of whom one is playing when it happens.
    let edges = [&near, &far];
    let urls = edges.map(|edge| (edge.url("viewer-1"), edge.url("viewer-2")));
    let mut clients = edges.map(|edge| edge.server.client());
    let played = edges.map(|edge| -> Vec<String> {
        let root = edge.root("viewer-1");
        let all = same_bytes::everything_below(&edge.server, &root, "ladder");
        all.into_keys().filter(|url| url.ends_with(".m4s")).collect()
    });
    let place = tools::text(&data);
    let since = Instant::now();
    assert_eq!(
        streamverse_ok(&["sessions", "revoke", "--data", place, "viewer-1"]),
        "revoked viewer-1\n"
    );
    for ((client, (mine, other)), segments) in clients.iter_mut().zip(&urls).zip(&played) {
        let mut segments = segments.iter().cycle();
        within_the_promise(since, "refused", || {
            let answer = client.get_with(segments.next().expect("a segment"), &[]);
            assert!(matches!(answer.status, 200 | 403), "{answer:?}");
            answer.status == 403
        });
        assert_eq!(client.get_with(mine, &[]).status, 403);
        client.get(other);
    }
    let listed = streamverse_ok(&["sessions", "list", "--json", "--data", tools::text(&far.data)]);
    assert!(listed.contains("\"viewer-1\"") && listed.contains("\"total\": 1"), "{listed}");

    // One edge is stopped, and the origin is away, while another session is revoked.
    let far_data = far.stop();
    origin.kill();
    // A source that is away stops nobody.
    clients[0].get(&urls[0].1);
    streamverse_ok(&["sessions", "revoke", "--data", place, "viewer-2"]);
    clients[0].get(&urls[0].1);
    let since = Instant::now();
    let origin = self::origin(&data, &ports);
    within_the_promise(since, "refused after the origin's return", || {
        clients[0].get_with(&urls[0].1, &[]).status == 403
    });
    let far = Edge { data: far_data, server: Edge::run(&folder.join("far")) };
    far.wait_until_it_follows();
    let mut client = far.server.client();
    for session in ["viewer-1", "viewer-2"] {
        assert_eq!(client.get_with(&far.url(session), &[]).status, 403, "{session}");
    }
    client.get(&far.url("viewer-3"));

    // A source that hangs is noticed, and heard again when it goes on.
    origin.signal("STOP");
    let operator = near.operator();
    let source = || operator.ask("GET", "/stats", "")["feed"]["sources"][0].clone();
    wait_for("silence to be noticed", || source()["is_up"] == false);
    origin.signal("CONT");
    let since = Instant::now();
    streamverse_ok(&["sessions", "revoke", "--data", place, "viewer-3"]);
    let viewer = near.url("viewer-3");
    within_the_promise(since, "refused after a pause", || {
        clients[0].get_with(&viewer, &[]).status == 403
    });

    // A source ends at once though followers listen. What was told survives the restart of an edge
    // whose source is away.
    let since = Instant::now();
    origin.signal("TERM");
    assert_eq!(origin.wait(), Some(0));
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    let near_data = near.stop();
    let near = Edge { data: near_data, server: Edge::run(&folder.join("near")) };
    let mut client = near.server.client();
    assert_eq!(client.get_with(&near.url("viewer-2"), &[]).status, 403);
    let metrics = Client::new(near.server.ops).get("/metrics").text().to_owned();
    let source = format!("source=\"http://{}\"", ports.ops);
    let is_down = metrics.contains(&format!("streamverse_feed_source_up{{{source}}} 0"));
    assert!(is_down, "{metrics}");
    assert!(metrics.contains("streamverse_feed_source_age_seconds{"), "{metrics}");
}

#[test]
fn purges_reach_every_edge_and_both_tiers() {
    let folder = tools::folder("feed-purged");
    let data = folder.join("data");
    same_bytes::ladder(&data);
    let ports = Ports::new();
    let origin = origin(&data, &ports);
    let near = Edge::start(&folder.join("near"), &ports.media, &ports.ops, &data);
    let far_source = near.server.ops.to_string();
    let far = Edge::start(&folder.join("far"), &ports.media, &far_source, &near.data);
    let place = tools::text(&data);
    let edges = [&near, &far];
    let urls = edges.map(|edge| edge.url("viewer"));
    let purge = |arguments: &[&str]| {
        for (edge, url) in edges.iter().zip(&urls) {
            warm(edge, url);
        }
        let since = Instant::now();
        let command = ["cache", "purge", "--data", place];
        let said = streamverse_ok(&[&command[..], arguments].concat());
        assert!(said.starts_with("purged "), "{said}");
        since
    };
    // What the first answer after the purge says; a hit before it arrived is passed over.
    let first = |since: Instant, edge: &Edge, url: &str| {
        let (mut client, mut found) = (edge.server.client(), String::new());
        within_the_promise(since, "purged", || {
            found = how(&mut client, url);
            !found.contains("StreamVerse;hit")
        });
        found
    };
    for (arguments, expected) in [
        (&["--tag", "ladder"][..], "fwd-status=200"),
        (&["--tag", "ladder", "--soft"], "fwd-status=304"),
        (&["--prefix", "/vod/ladder/"], "fwd-status=200"),
        (&["--prefix", "/vod/lad", "--soft"], "fwd-status=304"),
        (&["--url", MASTER], "fwd-status=200"),
        (&["--url", &format!("https://media.example{}", urls[0]), "--soft"], "fwd-status=304"),
    ] {
        let since = purge(arguments);
        for (edge, url) in edges.iter().zip(&urls) {
            let found = first(since, edge, url);
            assert!(found.contains(expected), "{arguments:?}: {found}");
        }
    }
    // What names something else leaves it alone.
    purge(&[
        "--tag",
        "lad",
        "--prefix",
        "/vod/ladder/cmaf/x/",
        "--url",
        "/vod/ladder/ts/master.m3u8",
    ]);
    // Facts arrive in order, so when this one is there, those are.
    streamverse_ok(&["sessions", "revoke", "--data", place, "marker"]);
    for (edge, url) in edges.iter().zip(&urls) {
        let operator = edge.operator();
        wait_for("the marker", || operator.ask("GET", "/sessions/revoked", "")["total"] == 1);
        assert!(how(&mut edge.server.client(), url).contains("StreamVerse;hit"));
    }

    // An edge that is told itself purges for itself.
    let answer = far.operator().ask("POST", "/cache/purge", "{\"tags\":[\"ladder\"]}");
    assert_eq!((&answer["purged"], &answer["cached_here"]), (&1.into(), &true.into()), "{answer}");
    assert!(how(&mut far.server.client(), &urls[1]).contains("fwd-status=200"));
    assert!(how(&mut near.server.client(), &urls[0]).contains("StreamVerse;hit"));
    let stats = far.operator().ask("GET", "/stats?tags=1", "");
    assert_eq!(stats["cache"]["tags"][0]["tag"], "ladder", "{stats}");
    assert!(stats["cache"]["requests"]["memory_hits"].as_u64() > Some(0), "{stats}");
    assert!(stats["connections"]["ops_http"].as_u64() > Some(0), "{stats}");
    assert_eq!(stats["upstreams"][0]["breaker"], "closed", "{stats}");
    let shown = streamverse_ok(&["cache", "stats", "--data", tools::text(&far.data)]);
    assert!(shown.contains("ladder") && shown.contains("followed"), "{shown}");

    // What will be asked for is fetched beforehand.
    let root = far.root("viewer");
    let playlist = "/vod/ladder/ts/master.m3u8";
    let body = format!("{{\"urls\":[\"{root}{playlist}\",\"{MASTER}\"]}}");
    let answer = far.operator().ask("POST", "/cache/prefetch", &body);
    assert_eq!(answer["started"], serde_json::json!([playlist]), "{answer}");
    let found = how(&mut far.server.client(), &format!("{root}{playlist}"));
    assert!(found.contains("hit") || found.contains("collapsed"), "{found}");

    // Purged while the edge was stopped: its disk would still have it.
    for (edge, url) in edges.iter().zip(&urls) {
        warm(edge, url);
    }
    wait_for("the disk", || {
        far.operator().ask("GET", "/stats", "")["cache"]["disk"]["objects"].as_u64() > Some(0)
    });
    let far_data = far.stop();
    streamverse_ok(&["cache", "purge", "--data", place, "--tag", "ladder"]);
    let far = Edge { data: far_data, server: Edge::run(&folder.join("far")) };
    far.wait_until_it_follows();
    let found = how(&mut far.server.client(), &format!("{root}{MASTER}"));
    assert!(found.contains("fwd-status=200"), "{found}");

    // The origin lost what it knew: nobody can tell what was purged, so everything is confirmed.
    warm(&near, &urls[0]);
    origin.kill();
    std::fs::remove_file(data.join("feed.log")).expect("it was there");
    let since = Instant::now();
    let origin = self::origin(&data, &ports);
    near.server.wait_for_log("has forgotten purges");
    let found = first(since, &near, &urls[0]);
    assert!(found.contains("fwd-status=304"), "{found}");

    // A title that is removed at the origin is gone from the edges, segments included.
    for edge in [&near, &far] {
        let root = edge.root("viewer");
        let mut client = edge.server.client();
        let segment = same_bytes::everything_below(&edge.server, &root, "ladder")
            .into_keys()
            .find(|url| url.ends_with("/2.m4s"))
            .expect("a segment");
        assert!(how(&mut client, &segment).contains("StreamVerse;hit"));
    }
    let since = Instant::now();
    streamverse_ok(&["assets", "remove", "--data", place, "ladder"]);
    for edge in [&near, &far] {
        let root = edge.root("viewer");
        let mut client = edge.server.client();
        within_the_promise(since, "gone", || {
            client.get_with(&format!("{root}{MASTER}"), &[]).status == 404
        });
    }
    drop(origin);
}
