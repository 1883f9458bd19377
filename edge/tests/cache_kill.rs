//! A process that fills the disk tier is killed at any moment, again and again; every object that is
//! there afterwards is whole.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use edge::cache::{Cache, CacheMetrics, DiskSettings, Purge, Scope, Settings};
use edge::fetch::{Fetch, FetchBody, FetchError};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};

const FOLDER: &str = "STREAMVERSE_TEST_KILLED_FOLDER";
/// The titles that the killed process asks for, over and over.
const TARGETS: u64 = 400;

/// Bytes that follow from the target, of lengths that follow from it, too.
fn body_of(target: &str) -> Bytes {
    let seed = blake3::hash(target.as_bytes());
    let len = 1_000 + u64::from_le_bytes(seed.as_bytes()[..8].try_into().unwrap()) % 600_000;
    let mut body = vec![0; len as usize];
    blake3::Hasher::new().update(target.as_bytes()).finalize_xof().fill(&mut body);
    body.into()
}

/// Answers with bytes that tell what they should be.
#[derive(Clone, Default)]
struct Origin {
    asked: Arc<AtomicU64>,
}

impl Fetch for Origin {
    async fn fetch(&self, request: Request<()>) -> Result<Response<FetchBody>, FetchError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let body = body_of(request.uri().path());
        let response = Response::builder()
            .header("cache-control", "max-age=31536000, immutable")
            .header("content-length", body.len())
            .header("etag", format!("\"{}\"", blake3::hash(&body).to_hex()))
            .body(Full::new(body).map_err(|never| match never {}).boxed_unsync());
        Ok(response.unwrap())
    }
}

fn open(folder: &Path) -> (Cache<Origin>, Origin) {
    let origin = Origin::default();
    let settings = Settings {
        // Little memory, so that the disk is read as well as written.
        vod_bytes: 16 << 20,
        disk: Some(DiskSettings {
            folder: folder.to_owned(),
            // Less than all objects take, so that the tier evicts, too.
            bytes_max: 60 << 20,
            object_bytes_max: 4 << 20,
            write_bytes_per_second: 0,
            snapshot_interval: Duration::from_millis(20),
        }),
        ..Settings::default()
    };
    (Cache::open(origin.clone(), settings, CacheMetrics::default()), origin)
}

async fn get(cache: &Cache<Origin>, target: &str) -> (HeaderMap, Bytes) {
    let request = Request::get(target).header("host", "cdn.example").body(()).unwrap();
    let response = cache.answer(request, SystemTime::now()).await;
    let (parts, body) = response.into_parts();
    (parts.headers, body.collect().await.expect("no transfer breaks").to_bytes())
}

/// What the killed process does. It does nothing as a test of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victim() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let (cache, _) = open(Path::new(&folder));
    let maintained = cache.clone();
    tokio::spawn(async move { maintained.maintain().await });
    for round in 0_u64.. {
        // Each target twice in a row: the second request is what puts it on disk.
        let target = format!("/{}", (round / 2).wrapping_mul(7_919) % TARGETS);
        let (_, body) = get(&cache, &target).await;
        assert!(body == body_of(&target));
        if round % 50 == 0 {
            let scope = Scope::Tag(format!("round-{round}"));
            cache.purge(Purge { scope, is_soft: false }, SystemTime::now()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_moment_tears_no_object() {
    let folder = tempfile::tempdir().unwrap();
    let rounds = if std::env::var_os("STREAMVERSE_SOAK").is_some() { 100 } else { 12 };
    let (mut most, mut round) = (0, 0);
    // A machine that is busy with other things gets more rounds to write something.
    while round < rounds || (most <= 20 && round < 10 * rounds) {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Moments that differ from round to round, from before the first write on.
        std::thread::sleep(Duration::from_millis(30 + (round * 137) % 700));
        victim.kill().unwrap();
        assert!(!victim.wait().unwrap().success(), "it ran until it was killed");

        let torn = torn_files(folder.path());
        assert!(torn.is_empty(), "round {round}: {torn:?}");
        most = most.max(object_files(folder.path()).len());
        round += 1;
    }
    assert!(most > 20, "{most} objects were written");

    // A new process serves what is there, byte for byte, and fetches the rest.
    let (cache, origin) = open(folder.path());
    cache.wait_for_scan().await;
    let on_disk = object_files(folder.path()).len();
    let mut from_disk = 0;
    for number in 0..TARGETS {
        let target = format!("/{number}");
        let (headers, body) = get(&cache, &target).await;
        assert!(body == body_of(&target), "{target}");
        from_disk += usize::from(headers["cache-status"].to_str().unwrap().contains("detail=disk"));
    }
    assert_eq!(cache.metrics().disk_rotten.get(), 0);
    assert_eq!(from_disk, on_disk, "all that lay on disk was served from there");
    assert_eq!(origin.asked.load(Ordering::Relaxed), TARGETS - from_disk as u64);
    let left = std::fs::read_dir(folder.path().join("tmp")).unwrap().count();
    assert_eq!(left, 0, "what was being written is gone");
}

fn object_files(folder: &Path) -> Vec<PathBuf> {
    let shards = std::fs::read_dir(folder.join("objects")).into_iter().flatten().flatten();
    shards
        .flat_map(|shard| std::fs::read_dir(shard.path()).into_iter().flatten().flatten())
        .map(|file| file.path())
        .collect()
}

/// Objects whose body is not what their ETag says, read without the cache's own code: the ETag is
/// the body's hash, and stands in front of it.
fn torn_files(folder: &Path) -> Vec<PathBuf> {
    let is_whole = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        let body_bytes = u64::from_le_bytes(bytes[16..24].try_into().unwrap()) as usize;
        let (front, body) = bytes.split_at(bytes.len() - body_bytes);
        let hash = blake3::hash(body).to_hex();
        front.windows(64).any(|window| window == hash.as_bytes())
    };
    object_files(folder).into_iter().filter(|path| !is_whole(path)).collect()
}
