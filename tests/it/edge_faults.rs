//! Upstreams that misbehave, and disks, behind an edge as a process: nothing partial is ever taken
//! for whole, answers come in bounded time, and what is kept goes on.

use std::io::Write;
use std::net::Shutdown;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::double::{Double, Then, head, noise, reply};
use crate::server::Server;
use crate::tools;

/// Short patience, so that a hang is told soon, and a breaker that doesn't hide what is tested.
const PATIENCE: &str = "[fetch]\nfirst_byte_timeout_seconds = 1.0\nidle_timeout_seconds = 1.0\n\
                        breaker_failures = 1000\nhedge = false\nattempts_max = 1\n";
/// No fault takes longer than this to be told.
const BOUND: Duration = Duration::from_secs(8);

pub(crate) fn edge(folder: &Path, double: &Double, text: &str) -> Server {
    let file = folder.join("edge.toml");
    let upstream = format!("{text}\n[[upstream]]\nurl = \"http://{}\"\n", double.address);
    tools::write(&file, upstream.as_bytes());
    let arguments = ["--roles", "edge", "--config", tools::text(&file)];
    Server::start_with(&folder.join("edge"), &arguments, &[])
}

/// Asks until the answer is from memory: a fill ends a moment after its last byte.
pub(crate) fn until_hit(client: &mut Client, path: &str, whole: &[u8]) {
    let deadline = Instant::now() + BOUND;
    loop {
        let answer = client.get(path);
        assert!(answer.body == whole);
        let how = answer.header("cache-status");
        if how.contains(";hit") {
            return;
        }
        assert!(Instant::now() < deadline, "{how}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Misbehaves in the way that the path names, after `good` good answers.
fn misbehaving(good: usize) -> Double {
    Double::start(move |asked, earlier, stream| {
        let lines = ["Cache-Control: max-age=1, stale-if-error=600", "Content-Type: video/mp4"];
        if earlier < good {
            reply(stream, "200 OK", &lines, &noise(50_000));
            return Then::Keep;
        }
        let body = noise(50_000);
        match asked.path.rsplit('/').next().unwrap_or_default() {
            "hang.m4s" => std::thread::sleep(Duration::from_secs(30)),
            "hang-after-head.m4s" => {
                head(stream, "200 OK", &lines, body.len());
                std::thread::sleep(Duration::from_secs(30));
            }
            "stall.m4s" => {
                head(stream, "200 OK", &lines, body.len());
                let _ = stream.write_all(&body[..20_000]);
                std::thread::sleep(Duration::from_secs(30));
            }
            "truncate.m4s" => {
                head(stream, "200 OK", &lines, body.len());
                let _ = stream.write_all(&body[..20_000]);
            }
            "die.m4s" => {
                head(stream, "200 OK", &lines, body.len());
                let _ = stream.write_all(&body[..20_000]);
                let _ = stream.shutdown(Shutdown::Both);
            }
            "two-lengths.m4s" => {
                let lines = [&lines[..], &["Content-Length: 40000"]].concat();
                reply(stream, "200 OK", &lines, &body);
            }
            "no-length.m4s" => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=9\r\n\r\n");
                let _ = stream.write_all(&body[..20_000]);
            }
            "bad-chunks.m4s" => {
                let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\
                            Cache-Control: max-age=9\r\n\r\n5\r\nabcde\r\nzz\r\n";
                let _ = stream.write_all(head.as_bytes());
            }
            "no-last-chunk.m4s" => {
                let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\
                            Cache-Control: max-age=9\r\n\r\n5\r\nabcde\r\n";
                let _ = stream.write_all(head.as_bytes());
            }
            "garbage.m4s" => {
                let _ = stream.write_all(&noise(5_000));
            }
            "part.m4s" => {
                let lines = [&lines[..], &["Content-Range: bytes 0-9999/50000"]].concat();
                reply(stream, "206 Partial Content", &lines, &body[..10_000]);
            }
            "not-modified.m4s" => reply(stream, "304 Not Modified", &lines, b""),
            "error.m4s" => reply(stream, "500 Internal Server Error", &[], b"oops"),
            "close.m4s" => {}
            other => panic!("{other} names no fault"),
        }
        Then::Close
    })
}

const FAULTS: [&str; 14] = [
    "hang",
    "hang-after-head",
    "stall",
    "truncate",
    "die",
    "two-lengths",
    "no-length",
    "bad-chunks",
    "no-last-chunk",
    "garbage",
    "part",
    "not-modified",
    "error",
    "close",
];

/// Without anything stale: an error, or a transfer that visibly breaks; and nothing of it is kept.
#[test]
fn an_upstreams_faults_are_told_and_never_kept() {
    let folder = tools::folder("edge-faults");
    let double = misbehaving(0);
    let server = edge(&folder, &double, PATIENCE);
    let faults = FAULTS.map(|fault| {
        let address = server.media;
        let ask = move || {
            let path = format!("/vod/{fault}/{fault}.m4s");
            let mut client = Client::new(address);
            for attempt in 0..2 {
                let began = Instant::now();
                let answer = client.get_with(&path, &[]);
                assert!(began.elapsed() < BOUND, "{fault}: {:?}", began.elapsed());
                let is_told = answer.is_cut || (500..=504).contains(&answer.status);
                assert!(is_told, "{fault}, {attempt}: {} {}", answer.status, answer.body.len());
                let how = answer.header("cache-status");
                assert!(!how.contains(";hit"), "{fault}, {attempt}: {how}");
            }
        };
        std::thread::spawn(ask)
    });
    for fault in faults {
        fault.join().expect("every fault is told");
    }
    // Each was asked for anew: nothing was kept.
    for fault in FAULTS {
        let path = format!("/vod/{fault}/{fault}.m4s");
        assert!(double.count(&path) >= 2, "{fault}");
    }
}

/// With something stale: where the fault is known before the answer begins, the stale one stands in;
/// where it isn't, the transfer breaks and the stale one is still there.
#[test]
fn what_is_stale_stands_in() {
    let folder = tools::folder("edge-stale");
    let double = misbehaving(1);
    let server = edge(&folder, &double, PATIENCE);
    let whole = noise(50_000);
    let mut client = server.client();
    for fault in FAULTS {
        assert!(client.get(&format!("/vod/{fault}/{fault}.m4s")).body == whole);
    }
    std::thread::sleep(Duration::from_millis(1_200));
    let faults = FAULTS.map(|fault| {
        let address = server.media;
        let whole = whole.clone();
        std::thread::spawn(move || {
            let began = Instant::now();
            let path = format!("/vod/{fault}/{fault}.m4s");
            let answer = Client::new(address).get_with(&path, &[]);
            assert!(began.elapsed() < BOUND, "{fault}: {:?}", began.elapsed());
            let how = answer.header("cache-status").to_owned();
            let is_late =
                ["hang-after-head", "stall", "truncate", "die", "bad-chunks", "no-last-chunk"];
            if is_late.contains(&fault) && answer.is_cut {
                return;
            }
            assert_eq!(answer.status, 200, "{fault}: {how}");
            assert!(answer.body == whole, "{fault}: {how}");
            assert!(how.contains("stale-if-error") || how.contains(";hit"), "{fault}: {how}");
        })
    });
    for fault in faults {
        fault.join().expect("every fault is covered or told");
    }
}

/// A break in the middle costs nobody their transfer where the origin can go on.
#[test]
fn a_break_in_the_middle_is_mended() {
    let folder = tools::folder("edge-resume");
    let body = noise(3_000_000);
    let served = body.clone();
    let double = Double::start(move |asked, _, stream| {
        let lines = ["Cache-Control: max-age=600", "ETag: \"a\""];
        let Some(first) = asked.header("range").strip_prefix("bytes=") else {
            head(stream, "200 OK", &lines, served.len());
            let _ = stream.write_all(&served[..1_000_000]);
            return Then::Close;
        };
        let first: usize = first.trim_end_matches('-').parse().expect("a place");
        let place = format!("Content-Range: bytes {first}-{}/{}", served.len() - 1, served.len());
        let lines = [&lines[..], &[&place]].concat();
        reply(stream, "206 Partial Content", &lines, &served[first..]);
        Then::Keep
    });
    let server = edge(&folder, &double, PATIENCE);
    let mut client = server.client();
    assert!(client.get("/vod/title/1.m4s").body == body);
    until_hit(&mut client, "/vod/title/1.m4s", &body);
    let asked = double.asked();
    let ranges: Vec<_> = asked.iter().map(|asked| asked.header("range")).collect();
    assert_eq!(ranges.len(), 2, "{ranges:?}");
    assert_eq!(asked[1].header("if-range"), "\"a\"");
    assert!((server.metric("streamverse_cache_resumed_fills_total") - 1.0).abs() < 0.1);
}

fn titles() -> Double {
    Double::start(|_, _, stream| {
        let lines = ["Cache-Control: max-age=31536000, immutable", "ETag: \"a\""];
        reply(stream, "200 OK", &lines, &noise(100_000));
        Then::Keep
    })
}

/// A small file system at a folder, as long as it lives.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    /// `None` where nothing can be mounted.
    fn at(folder: &'a Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(folder).expect("a folder can be made");
        let size = format!("size={size}");
        let arguments = ["-t", "tmpfs", "-o", &size, "tmpfs", tools::text(folder)];
        (tools::run_unchecked("mount", &arguments).code == Some(0)).then_some(Self(folder))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        tools::run_unchecked("umount", &["-l", tools::text(self.0)]);
    }
}

/// Serves from memory what it can't put on its disk, says so, and keeps what it had.
#[test]
fn a_full_disk_costs_no_answer() {
    let folder = tools::folder("edge-full");
    let cache = folder.join("edge/cache");
    let mounted = Mounted::at(&cache, "1m");
    // Where nothing can be mounted, a file in place of the folder is a disk that takes nothing.
    if mounted.is_none() {
        std::fs::remove_dir(&cache).unwrap();
        std::fs::write(&cache, "").unwrap();
    }
    let double = titles();
    let server = edge(&folder, &double, "[cache]\ndisk_bytes = \"1 GiB\"\n");
    let mut client = server.client();
    let whole = noise(100_000);
    let path = |number| format!("/vod/title/{number}.m4s");
    for number in 0..40 {
        for _ in 0..3 {
            assert!(client.get(&path(number)).body == whole, "{number}");
            // A failed write waits a second for the disk to get better.
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    server.wait_for_log("disk");
    assert!(server.log().contains("going on from memory"), "{}", server.log());
    assert!(server.metric("streamverse_cache_disk_errors_total") >= 1.0);
    for number in 0..40 {
        let hit = client.get(&path(number));
        assert!(hit.header("cache-status").contains(";hit"), "{}", hit.header("cache-status"));
        assert_eq!(double.count(&path(number)), 1);
    }
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
}

/// A disk that was made read-only goes on being read.
#[test]
fn a_read_only_disk_is_read() {
    let folder = tools::folder("edge-read-only");
    let cache = folder.join("edge/cache");
    let Some(_mounted) = Mounted::at(&cache, "64m") else {
        eprintln!("nothing can be mounted here; the errors of such a disk are tested in the tier");
        return;
    };
    let double = titles();
    let server = edge(&folder, &double, "[cache]\ndisk_bytes = \"1 GiB\"\n");
    let mut client = server.client();
    for _ in 0..4 {
        client.get("/vod/title/kept.m4s");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!((server.metric("streamverse_cache_disk_writes_total") - 1.0).abs() < 0.1);
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));

    tools::run("mount", &["-o", "remount,ro", tools::text(&cache)]);
    let server = edge(&folder, &double, "[cache]\ndisk_bytes = \"1 GiB\"\n");
    let mut client = server.client();
    let kept = client.get("/vod/title/kept.m4s");
    let how = kept.header("cache-status").to_owned();
    for _ in 0..4 {
        assert!(client.get("/vod/title/new.m4s").body == noise(100_000));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(server.metric("streamverse_cache_disk_errors_total") >= 1.0, "{}", server.log());
    assert!(server.log().contains("going on from memory"), "{}", server.log());
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
    assert!(how.contains("detail=disk"), "{how}");
    assert_eq!(double.count("/vod/title/kept.m4s"), 1);
}
