//! Two tiers of edges: edges fetch from a shield, the shield from the origin.

use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use crate::double::{Double, Then, noise, reply};
use crate::server::Server;
use crate::tools;

const SECRET: &str = "a-secret-between-the-tiers";
const EDGES: usize = 4;

/// An edge by name, in front of `upstream`; as a shield it answers edges alone.
fn edge(folder: &Path, name: &str, upstream: &str, is_shield: bool) -> Server {
    let file = folder.join(format!("{name}.toml"));
    let shield = if is_shield { "[shield]\nsecret = \"env:TIER_SECRET\"\n" } else { "" };
    let secret = if is_shield { "" } else { "secret = \"env:TIER_SECRET\"\n" };
    let text = format!(
        "{shield}[fetch]\nname = \"{name}\"\nhedge = false\n\
         [[upstream]]\nurl = \"http://{upstream}\"\n{secret}"
    );
    tools::write(&file, text.as_bytes());
    let arguments = ["--roles", "edge", "--config", tools::text(&file)];
    Server::start_with(&folder.join(name), &arguments, &[("TIER_SECRET", SECRET)])
}

/// An origin of objects that are fresh for two seconds, and validated.
fn origin() -> Double {
    Double::start(|asked, _, stream| {
        let lines = ["Cache-Control: max-age=2", "ETag: \"a\""];
        // Slow enough that all edges ask before the first answer is there.
        std::thread::sleep(Duration::from_millis(300));
        match asked.header("if-none-match") {
            "\"a\"" => reply(stream, "304 Not Modified", &lines, b""),
            _ => reply(stream, "200 OK", &lines, &noise(200_000)),
        }
        Then::Keep
    })
}

fn members(status: &str) -> Vec<&str> {
    status.split(", ").collect()
}

#[test]
fn edges_share_one_fetch_through_their_shield() {
    let folder = tools::folder("tiers");
    let double = origin();
    let shield = edge(&folder, "shield", &double.address.to_string(), true);
    let upstream = shield.media.to_string();
    let edges: Vec<_> =
        (0..EDGES).map(|at| edge(&folder, &format!("edge-{at}"), &upstream, false)).collect();
    let path = "/vod/title/1.m4s";

    // Nobody walks around the edges.
    let past = shield.client().get_with(path, &[]);
    assert_eq!((past.status, past.json()["code"].as_str()), (403, Some("shield_required")));

    let barrier = Arc::new(Barrier::new(EDGES * 8));
    let viewers: Vec<_> = (0..EDGES * 8)
        .map(|at| {
            let (mut client, barrier) = (edges[at % EDGES].client(), barrier.clone());
            std::thread::spawn(move || {
                barrier.wait();
                client.get(path)
            })
        })
        .collect();
    let mut fetches = 0;
    for viewer in viewers {
        let answer = viewer.join().expect("no viewer fails");
        assert!(answer.body == noise(200_000));
        // One line for each cache, that of the one nearest to the origin first (RFC 9211 2).
        let lines: Vec<_> =
            answer.headers.iter().filter(|(name, _)| name == "cache-status").collect();
        let text: Vec<_> = lines.iter().map(|(_, value)| value.as_str()).collect();
        let text = text.join(", ");
        let members = members(&text);
        assert_eq!(members.len(), 2, "{text}");
        fetches +=
            usize::from(!members[0].contains("collapsed") && !members[1].contains("collapsed"));
    }
    assert_eq!(double.count(path), 1, "{EDGES} edges, one fetch");
    assert_eq!(fetches, 1, "one request led to it, all others joined");
    let asked = &double.asked()[0];
    let through: Vec<_> = asked.header("cdn-loop").split(", ").collect();
    assert_eq!((through.len(), through[1]), (2, "shield"), "{through:?}");
    assert!(through[0].starts_with("edge-"), "{through:?}");
    assert!(asked.header("via").contains("shield"), "{asked:?}");
    assert!(asked.header("streamverse-shield").is_empty(), "the secret goes one hop");

    // Age counts from the origin on, not from the nearest cache.
    std::thread::sleep(Duration::from_millis(1_100));
    let hit = edges[0].client().get(path);
    let age: u64 = hit.header("age").parse().expect("a number");
    assert!((1..=2).contains(&age), "{age}");
    edges_validate_with_the_shield(&double, &edges, path);
}

/// What has gone stale at all tiers is validated at all of them, at the origin once.
fn edges_validate_with_the_shield(double: &Double, edges: &[Server], path: &str) {
    std::thread::sleep(Duration::from_millis(2_000));
    let before = double.count(path);
    for edge in edges {
        let answer = edge.client().get(path);
        assert!(answer.body == noise(200_000));
        let how = answer.header("cache-status").to_owned();
        let last = answer.headers.iter().rfind(|(name, _)| name == "cache-status");
        let last = last.map_or("", |(_, value)| value);
        assert!(last.contains("fwd=stale;fwd-status=304"), "{how} {last}");
    }
    let conditions: Vec<_> = double.asked()[before..]
        .iter()
        .filter(|asked| asked.path == path)
        .map(|asked| asked.header("if-none-match").to_owned())
        .collect();
    assert_eq!(conditions, ["\"a\""], "the shield asked once and answered the others itself");
}

/// Two edges that name each other: a request that comes back is refused at once, not left to wait for
/// itself.
#[test]
fn a_circle_of_edges_is_found() {
    let folder = tools::folder("tiers-circle");
    // A port that is free now is most likely free in a moment.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let second = free.local_addr().expect("it is bound");
    drop(free);
    let first = edge(&folder, "first", &second.to_string(), false);
    let file = folder.join("second.toml");
    let text = format!(
        "[fetch]\nname = \"second\"\nhedge = false\n\
         [[upstream]]\nurl = \"http://{}\"\n",
        first.media
    );
    tools::write(&file, text.as_bytes());
    let arguments = ["--roles", "edge", "--config", tools::text(&file)];
    let address = second.to_string();
    let variables = [("STREAMVERSE__MEDIA__HTTP", address.as_str())];
    let _second = Server::start_with(&folder.join("second"), &arguments, &variables);
    let began = std::time::Instant::now();
    let answer = first.client().get_with("/vod/title/1.m4s", &[]);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(matches!(answer.status, 502 | 508), "{} {}", answer.status, answer.text());
    // And one that a viewer made up is that viewer's business.
    let lie = first.client().get_with("/vod/title/2.m4s", &[("CDN-Loop", "first")]);
    assert_eq!((lie.status, lie.json()["code"].as_str()), (508, Some("loop_detected")));
}
