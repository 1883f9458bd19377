//! Objects on a real S3 server, behind a proxy that is 25 ms away in each direction, counts what
//! passes, and makes trouble when it is told to.
#![cfg(feature = "s3")]

mod claims;
mod proxy;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use platform::config::{Config, Sources};
use platform::objects::{ObjectError, ObjectKey, ObjectStore, PutMode, SourceVersion};

use proxy::Proxy;

const ACCESS_KEY: &str = "test-access";
const SECRET_KEY: &str = "test-secret";
const MIB: usize = 1 << 20;

struct Rig {
    server: Child,
    proxy: Arc<Proxy>,
    store: ObjectStore,
    dir: tempfile::TempDir,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

/// The example program, built beside this test or now.
fn server_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let program = test.parent().unwrap().parent().unwrap().join("examples/s3_server");
        if !program.exists() {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let built = Command::new(cargo)
                .args(["build", "--offline", "-p", "platform", "--example", "s3_server"])
                .status();
            assert!(built.unwrap().success());
        }
        program
    })
}

async fn rig() -> Rig {
    rig_with(&[]).await
}

async fn rig_with(settings: &[(&str, &str)]) -> Rig {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("bucket")).unwrap();
    let mut server = Command::new(server_program())
        .args([dir.path().to_str().unwrap(), ACCESS_KEY, SECRET_KEY])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let proxy = Proxy::start(line.trim().parse().unwrap()).await;

    let mut sources = Sources::default();
    let endpoint = format!("http://{}", proxy.address);
    for (key, value) in [
        ("objects.url", "s3://bucket/some/prefix"),
        ("objects.s3.endpoint", &endpoint),
        ("objects.s3.path_style", "true"),
        ("objects.s3.access_key", ACCESS_KEY),
        ("objects.s3.secret_key", SECRET_KEY),
        ("objects.s3.request_timeout_seconds", "2"),
    ]
    .iter()
    .chain(settings)
    {
        sources.flags.push(((*key).to_owned(), (*value).to_owned()));
    }
    let config = Config::load(&sources).unwrap().config;
    let store = ObjectStore::from_config(&config, Path::new("/unused")).unwrap();
    Rig { server, proxy, store, dir }
}

fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

fn pattern(len: usize) -> Bytes {
    (0..len).map(|index| (index % 251) as u8).collect()
}

fn joined(pieces: &[Bytes]) -> Vec<u8> {
    pieces.concat()
}

impl Rig {
    fn gets(&self) -> usize {
        self.proxy.gets.load(Ordering::SeqCst)
    }

    fn requests(&self) -> usize {
        self.proxy.requests.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_written_read_listed_and_removed() {
    let rig = rig().await;
    let store = &rig.store;
    let bytes = pattern(100_000);
    let put = store.put(&key("a/b/c"), bytes.clone(), PutMode::Overwrite).await.unwrap();
    store.put(&key("a/d"), Bytes::from_static(b"d"), PutMode::Overwrite).await.unwrap();
    assert_eq!(store.head(&key("a/b/c")).await.unwrap(), put);
    assert_eq!(store.get(&key("a/b/c"), 100_000).await.unwrap(), bytes);
    assert_eq!(store.get_versioned(&key("a/b/c"), 100_000).await.unwrap(), (bytes, put));
    let error = store.get(&key("a/b/c"), 99_999).await.unwrap_err();
    assert!(matches!(error, ObjectError::TooLarge { .. }), "{error}");
    let absent = store.head(&key("x")).await;
    assert!(matches!(absent, Err(ObjectError::NotFound { .. })), "{absent:?}");
    assert!(rig.dir.path().join("bucket/some/prefix/a/d").is_file());

    let listed = store.list(Some(&key("a")), 9).await.unwrap();
    let listed: Vec<_> = listed.iter().map(|entry| (entry.key.as_str(), entry.len_bytes)).collect();
    assert_eq!(listed, [("a/b/c", 100_000), ("a/d", 1)]);
    assert_eq!(store.list(None, 9).await.unwrap().len(), 2);
    assert!(matches!(store.list(None, 1).await, Err(ObjectError::TooMany { .. })));

    store.delete(&key("a/d")).await.unwrap();
    store.delete(&key("a/d")).await.unwrap();
    assert!(matches!(store.get(&key("a/d"), 9).await, Err(ObjectError::NotFound { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_writers_one_wins() {
    let rig = rig().await;
    let writers: Vec<_> = (0..8_u8)
        .map(|writer| {
            let store = rig.store.clone();
            tokio::spawn(async move {
                let bytes = Bytes::from(vec![writer; 10]);
                store.put(&key("asset.json"), bytes, PutMode::IfAbsent).await
            })
        })
        .collect();
    let mut won = 0;
    for writer in writers {
        match writer.await.unwrap() {
            Ok(_) => won += 1,
            Err(error) => assert!(matches!(error, ObjectError::Exists { .. }), "{error}"),
        }
    }
    // The server here looks before it writes, so that several may get through at once; it is the
    // header that is ours. A writer that comes later is refused for certain.
    assert!((1..=8).contains(&won));
    assert_eq!(rig.proxy.if_none_match.load(Ordering::SeqCst), 8);
    let late = rig.store.put(&key("asset.json"), Bytes::new(), PutMode::IfAbsent).await;
    assert!(matches!(late, Err(ObjectError::Exists { .. })), "{late:?}");
}

/// Replacing says which version was read; a store that has another one by now refuses.
#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_read_is_replaced() {
    let rig = rig().await;
    let put = |text: &'static str| Bytes::from_static(text.as_bytes());
    let first = rig.store.put(&key("o"), put("first"), PutMode::Overwrite).await.unwrap();
    let second = rig.store.replace(&key("o"), put("second"), &first.version).await.unwrap();
    assert_eq!(rig.store.get(&key("o"), 9).await.unwrap(), "second");
    let SourceVersion::Etag { etag, .. } = &first.version else { panic!("S3 has tags") };
    assert_eq!(*rig.proxy.conditional_puts.lock().unwrap(), std::slice::from_ref(etag));

    rig.proxy.refuses_conditional_puts.store(true, Ordering::SeqCst);
    let error = rig.store.replace(&key("o"), put("third"), &second.version).await.unwrap_err();
    assert!(matches!(error, ObjectError::Changed { .. }), "{error}");
    assert_eq!(rig.store.get(&key("o"), 9).await.unwrap(), "second");

    let folder = tempfile::tempdir().unwrap();
    let local = platform::objects::LocalStore::at(folder.path()).unwrap();
    let local = ObjectStore::Local(local);
    let first = local.put(&key("o"), put("first"), PutMode::Overwrite).await.unwrap();
    local.replace(&key("o"), put("second"), &first.version).await.unwrap();
    let error = local.replace(&key("o"), put("third"), &first.version).await.unwrap_err();
    assert!(matches!(error, ObjectError::Changed { .. }), "{error}");
    assert_eq!(local.get(&key("o"), 9).await.unwrap(), "second");
}

/// Puts an object of `len` bytes and opens it by its recorded version.
async fn opened(rig: &Rig, len: usize) -> (Bytes, platform::objects::ObjectReader) {
    let bytes = pattern(len);
    let meta = rig.store.put(&key("o"), bytes.clone(), PutMode::Overwrite).await.unwrap();
    let before = rig.requests();
    let reader = rig.store.open(&key("o"), Some(&meta.version)).await.unwrap();
    assert_eq!(rig.requests(), before, "opening by a recorded version costs a request");
    (bytes, reader)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_segment_is_one_get_and_one_round_trip() {
    let rig = rig().await;
    let (bytes, reader) = opened(&rig, 12 * MIB).await;
    let segment = 3 * MIB + 77..7 * MIB + 123_456;
    let range = segment.start as u64..segment.end as u64;
    rig.proxy.log.lock().unwrap().clear();

    let began = Instant::now();
    let pieces = reader.slice(range.clone()).await.unwrap();
    let cold = began.elapsed();
    assert_eq!(joined(&pieces), bytes[segment.clone()]);
    assert_eq!(rig.gets(), 1);
    let log = rig.proxy.log.lock().unwrap().clone();
    assert_eq!(log, ["bytes=3145728-7602175"], "whole blocks around the segment, in one GET");

    let again = reader.slice(range).await.unwrap();
    assert_eq!(joined(&again), bytes[segment]);
    let mut buffer = vec![0; 100];
    reader.read_at(5 * MIB as u64, &mut buffer).await.unwrap();
    assert_eq!(buffer, bytes[5 * MIB..5 * MIB + 100]);
    assert_eq!(rig.gets(), 1, "what is in memory is not fetched again");
    // One round trip is 50 ms; a connection stands already.
    assert!(proxy::ROUND_TRIP <= cold, "{cold:?}");
    eprintln!("cold segment of 4.2 MB: {cold:?}");
}

/// The manifest's sidecar, the segment's video and its audio: what a cold start reads.
#[tokio::test(flavor = "multi_thread")]
async fn a_cold_start_is_three_gets_and_two_round_trips() {
    let rig = rig().await;
    let (_, video) = opened(&rig, 8 * MIB).await;
    let meta = rig.store.put(&key("audio"), pattern(MIB), PutMode::Overwrite).await.unwrap();
    let audio = rig.store.open(&key("audio"), Some(&meta.version)).await.unwrap();
    rig.store.put(&key("index"), pattern(40_000), PutMode::Overwrite).await.unwrap();

    let before = rig.requests();
    rig.proxy.trips.lock().unwrap().clear();
    rig.store.get(&key("index"), MIB as u64).await.unwrap();
    let (video, audio) = tokio::join!(video.slice(0..4_700_000), audio.slice(0..100_000));
    video.unwrap();
    audio.unwrap();
    assert_eq!(rig.requests() - before, 3);
    assert_eq!(rig.proxy.at_once_max.load(Ordering::SeqCst), 2, "video and audio come together");
    let trips = rig.proxy.trips.lock().unwrap().clone();
    assert_eq!(proxy::round_trips(&trips), 2);
    assert!(trips.iter().all(|trip| trip.method == http::Method::GET));
    assert_eq!(trips[0].path, "/bucket/some/prefix/index");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_readers_share_a_get() {
    let rig = rig().await;
    let (bytes, reader) = opened(&rig, 4 * MIB).await;
    let readers: Vec<_> = (0..50)
        .map(|_| {
            let reader = reader.clone();
            tokio::spawn(async move { reader.slice(0..2 * MIB as u64).await })
        })
        .collect();
    for reader in readers {
        assert_eq!(joined(&reader.await.unwrap().unwrap()), bytes[..2 * MIB]);
    }
    assert_eq!(rig.gets(), 1);
    // Overlapping ranges fetch only what the other does not.
    let (one, other) = tokio::join!(
        reader.slice(2 * MIB as u64..3 * MIB as u64),
        reader.slice(2 * MIB as u64 + 5..4 * MIB as u64)
    );
    assert_eq!(joined(&one.unwrap()), bytes[2 * MIB..3 * MIB]);
    assert_eq!(joined(&other.unwrap()), bytes[2 * MIB + 5..4 * MIB]);
    assert_eq!(rig.gets(), 3);
    assert_eq!(rig.proxy.sent_bytes.load(Ordering::SeqCst), 4 * MIB);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asked_first_may_go_away() {
    let rig = rig().await;
    let (bytes, reader) = opened(&rig, 2 * MIB).await;
    let first = tokio::spawn({
        let reader = reader.clone();
        async move { reader.slice(0..MIB as u64).await }
    });
    while reader_misses(&rig) == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();
    let second = reader.slice(0..MIB as u64).await.unwrap();
    assert_eq!(joined(&second), bytes[..MIB]);
    assert_eq!(rig.gets(), 1);
}

fn reader_misses(rig: &Rig) -> u64 {
    rig.store.metrics().block_misses.get()
}

/// Begun ranges come in one GET, whoever reads which part of them first.
#[tokio::test(flavor = "multi_thread")]
async fn a_range_can_be_begun() {
    let rig = rig().await;
    let (bytes, reader) = opened(&rig, 6 * MIB).await;
    let (start, end) = (MIB as u64 + 5, 5 * MIB as u64 - 9);
    reader.begin(start..end).unwrap();
    assert_eq!(joined(&reader.slice(start..start + 99).await.unwrap()), bytes[MIB + 5..MIB + 104]);
    assert_eq!(joined(&reader.slice(start..end).await.unwrap()), bytes[MIB + 5..5 * MIB - 9]);
    reader.begin(start..end).unwrap();
    assert_eq!(rig.gets(), 1);
    let error = reader.begin(0..6 * MIB as u64 + 1).unwrap_err();
    assert!(matches!(error, ObjectError::OutOfRange { .. }), "{error}");
}

/// More than is begun at once comes window by window, not block by block.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_reads_on_is_a_window_ahead() {
    let rig = rig().await;
    let (bytes, reader) = opened(&rig, 48 * MIB).await;
    let (end, step) = (47 * MIB as u64, 256 << 10);
    reader.begin(0..end).unwrap();
    let mut whole = Vec::new();
    for start in (0..end).step_by(step) {
        let read = start..end.min(start + step as u64);
        reader.go_on(&read, end).unwrap();
        for piece in reader.slice(read).await.unwrap() {
            whole.extend_from_slice(&piece);
        }
    }
    assert!(whole == bytes[..47 * MIB]);
    assert_eq!(rig.gets(), 1 + 4, "32 MiB, then 4 MiB at a time");
}

#[tokio::test(flavor = "multi_thread")]
async fn near_ranges_are_prepared_together_and_far_ones_apart() {
    let rig = rig().await;
    let (bytes, reader) = opened(&rig, 8 * MIB).await;
    let mib = MIB as u64;
    reader
        .prepare(&[0..1_000, 300_000..400_000, 700_000..700_001, 5 * mib..5 * mib + 1])
        .await
        .unwrap();
    assert_eq!(rig.gets(), 2);
    reader.prepare(std::slice::from_ref(&(5 * mib + 9..5 * mib + 10))).await.unwrap();
    let pieces = reader.slice(700_000..700_001).await.unwrap();
    assert_eq!(joined(&pieces), bytes[700_000..700_001]);
    assert_eq!(rig.gets(), 2);
    let error = reader.slice(0..8 * mib + 1).await.unwrap_err();
    assert!(matches!(error, ObjectError::OutOfRange { .. }), "{error}");
    assert!(reader.slice(8 * mib..8 * mib).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn long_ranges_are_streamed_by_windows() {
    let rig = rig().await;
    let (bytes, reader) = opened(&rig, 41 * MIB).await;
    let error = reader.slice(0..41 * MIB as u64).await.unwrap_err();
    assert!(matches!(error, ObjectError::TooLarge { .. }), "{error}");

    let mut stream = reader.stream(1_000..41 * MIB as u64 - 1_000).unwrap();
    let first = stream.next().await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(rig.gets(), 2, "one window is read ahead, no more");
    let mut whole = first.to_vec();
    while let Some(piece) = stream.next().await {
        whole.extend_from_slice(&piece.unwrap());
    }
    assert!(whole == bytes[1_000..41 * MIB - 1_000]);
    assert_eq!(rig.gets(), 11);
    assert!(rig.proxy.at_once_max.load(Ordering::SeqCst) <= 2);
}

/// With a cache that holds less than a window, a stream still makes progress and is right.
#[tokio::test(flavor = "multi_thread")]
async fn a_tiny_cache_is_slow_and_right() {
    let rig = rig_with(&[("cache.blocks_bytes", "1 MiB")]).await;
    let (bytes, reader) = opened(&rig, 9 * MIB).await;
    let mut stream = reader.stream(0..9 * MIB as u64).unwrap();
    let mut whole = Vec::new();
    while let Some(piece) = stream.next().await {
        whole.extend_from_slice(&piece.unwrap());
    }
    assert!(whole == bytes);
    assert_eq!(joined(&reader.slice(0..9 * MIB as u64).await.unwrap()), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_noticed() {
    let rig = rig().await;
    let (_, reader) = opened(&rig, 2 * MIB).await;
    reader.slice(0..10).await.unwrap();
    let other: Bytes = vec![1; 2 * MIB].into();
    rig.store.put(&key("o"), other, PutMode::Overwrite).await.unwrap();

    // This server ignores If-Match: the tag of the answer tells.
    let error = reader.slice(MIB as u64..MIB as u64 + 10).await.unwrap_err();
    assert!(matches!(error, ObjectError::Changed { .. }), "{error}");
    // Others answer 412.
    rig.proxy.enforces_if_match.store(true, Ordering::SeqCst);
    let error = reader.slice(MIB as u64..MIB as u64 + 10).await.unwrap_err();
    assert!(matches!(error, ObjectError::Changed { .. }), "{error}");
    assert_eq!(rig.proxy.preconditions_failed.load(Ordering::SeqCst), 1);

    let file = SourceVersion::File { len_bytes: 1, modified_ns: 1, inode: None };
    let error = rig.store.open(&key("o"), Some(&file)).await.unwrap_err();
    assert!(matches!(error, ObjectError::Changed { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_retried_and_then_reported() {
    let rig = rig_with(&[("objects.s3.retries_max", "2")]).await;
    let (bytes, reader) = opened(&rig, 2 * MIB).await;

    rig.proxy.failures_left.store(2, Ordering::SeqCst);
    assert_eq!(joined(&reader.slice(0..10).await.unwrap()), bytes[..10]);
    assert_eq!(rig.gets(), 3);

    rig.proxy.failures_left.store(3, Ordering::SeqCst);
    let error = reader.slice(MIB as u64..MIB as u64 + 10).await.unwrap_err();
    assert!(matches!(error, ObjectError::Remote { .. }) && error.is_transient(), "{error}");
    // A failure is not remembered.
    let pieces = reader.slice(MIB as u64..MIB as u64 + 10).await.unwrap();
    assert_eq!(joined(&pieces), bytes[MIB..MIB + 10]);
}

/// An answer that breaks off goes on where it stopped.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_answer_is_continued() {
    let rig = rig().await;
    let (bytes, reader) = opened(&rig, 4 * MIB).await;
    rig.proxy.cuts_left.store(1, Ordering::SeqCst);
    let pieces = reader.slice(0..4 * MIB as u64).await.unwrap();
    assert!(joined(&pieces) == bytes);
    let log = rig.proxy.log.lock().unwrap().clone();
    assert_eq!(log.len(), 2, "{log:?}");
    assert_ne!(log[1], log[0], "the rest is asked for, not the whole");
}

/// A store that falls silent is given up on in time, not waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_store_is_given_up_on() {
    let rig =
        rig_with(&[("objects.s3.retries_max", "0"), ("objects.s3.request_timeout_seconds", "0.3")])
            .await;
    let (_, reader) = opened(&rig, MIB).await;
    rig.proxy.is_silent.store(true, Ordering::SeqCst);
    let began = Instant::now();
    let error = reader.slice(0..10).await.unwrap_err();
    assert!(matches!(error, ObjectError::Remote { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_are_bounded() {
    let rig = rig_with(&[("objects.s3.requests_max", "3")]).await;
    let (_, reader) = opened(&rig, 8 * MIB).await;
    let reads: Vec<_> = (0..8_u64)
        .map(|index| {
            let reader = reader.clone();
            tokio::spawn(async move { reader.slice(index << 20..(index << 20) + 10).await })
        })
        .collect();
    for read in reads {
        read.await.unwrap().unwrap();
    }
    assert_eq!(rig.gets(), 8);
    assert!(rig.proxy.at_once_max.load(Ordering::SeqCst) <= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_up_whole_or_in_parts() {
    let rig = rig().await;
    let source = rig.dir.path().join("source.mp4");
    for len in [100_000, 20 * MIB + 5] {
        let bytes = pattern(len);
        std::fs::write(&source, &bytes).unwrap();
        let meta = rig.store.put_file(&key("title/source.mp4"), &source).await.unwrap();
        assert_eq!(meta.len_bytes, len as u64);
        let stored = rig.dir.path().join("bucket/some/prefix/title/source.mp4");
        assert!(std::fs::read(stored).unwrap() == bytes);
        let reader = rig.store.open(&key("title/source.mp4"), Some(&meta.version)).await.unwrap();
        let end = len as u64;
        assert_eq!(joined(&reader.slice(end - 10..end).await.unwrap()), bytes[len - 10..]);
    }
    assert!(rig.store.put_file(&key("x"), rig.dir.path()).await.is_err());
}

/// TLS is set up without a provider installed beforehand, and a peer that speaks none is an error.
#[tokio::test(flavor = "multi_thread")]
async fn https_endpoints_speak_tls() {
    let rig = rig().await;
    let endpoint = format!("https://{}", rig.proxy.address);
    let settings = [("objects.s3.endpoint", endpoint.as_str()), ("objects.s3.retries_max", "0")];
    let tls = rig_with(&settings).await;
    let error = tls.store.head(&key("o")).await.unwrap_err();
    assert!(matches!(error, ObjectError::Remote { .. }), "{error}");
    assert_eq!(rig.requests(), 0);
}
