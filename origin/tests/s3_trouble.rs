//! What an ill store does to titles: causes are named, nothing half-made is a title, and what is
//! in memory plays on.

mod s3_support;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, StatusCode};
use origin::OriginError;
use origin::ingest::{Phase, Progress, ingest};
use platform::objects::{ObjectKey, PutMode};

use s3_support::{
    ID, Rig, code, get, get_ok, id, ingested, media, no_progress, options, segment, tree,
};

/// One rendition on a server.
async fn title(settings: &[(&str, &str)]) -> Rig {
    let rig = Rig::with(settings).await;
    ingested(&rig.node(), &media().ladder[..1]).await.unwrap();
    rig
}

async fn assert_unavailable(node: &origin::Library, path: &str, expected: &str) {
    let (status, body) = get(node, path).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
    let text = String::from_utf8(body.clone().unwrap().to_vec()).unwrap();
    assert!(!text.contains("127.0.0.1"), "no addresses for strangers: {text}");
    assert_eq!(code(body), expected, "{path}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_was_replaced_is_never_mixed_in() {
    let rig = title(&[]).await;
    let node = rig.node();
    let (first, second) = (segment(&node, "v1", 1).await, segment(&node, "v1", 4).await);
    let before = get_ok(&node, &first).await;

    let document = node.document(&id()).await.unwrap();
    let key = document.key("v1.samples").unwrap();
    let len = document.tracks[0].packed.as_ref().unwrap().len_bytes;
    let other = Bytes::from(vec![7; len as usize]);
    node.store().put(&key, other, PutMode::Overwrite).await.unwrap();

    // The server here ignores If-Match, and the answer's tag tells; others answer 412.
    for enforces in [false, true] {
        rig.proxy.enforces_if_match.store(enforces, Ordering::SeqCst);
        assert_unavailable(&node, &second, "source_changed").await;
    }
    assert_eq!(rig.proxy.preconditions_failed.load(Ordering::SeqCst), 1);
    assert_eq!(get_ok(&node, &first).await, before, "what is in memory is still right");
    rig.proxy.enforces_if_match.store(false, Ordering::SeqCst);
    assert_unavailable(&rig.node(), &first, "source_changed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn warm_titles_outlive_their_store() {
    let rig = title(&[("objects.s3.retries_max", "0")]).await;
    let node = rig.node();
    let (kept, never_read) = (segment(&node, "v1", 1).await, segment(&node, "v1", 4).await);
    let media_bytes = get_ok(&node, &kept).await;
    let manifest = get_ok(&node, "cmaf/master.m3u8").await;
    rig.proxy.is_down.store(true, Ordering::SeqCst);
    // Long enough that the title is looked at again.
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(get_ok(&node, "cmaf/master.m3u8").await, manifest);
    assert_eq!(get_ok(&node, &kept).await, media_bytes);
    assert_unavailable(&node, &never_read, "storage_unavailable").await;
    let cold = rig.node();
    assert_unavailable(&cold, "cmaf/master.m3u8", "storage_unavailable").await;
    assert_unavailable(&cold, &kept, "storage_unavailable").await;

    rig.proxy.is_down.store(false, Ordering::SeqCst);
    assert_eq!(get_ok(&cold, &kept).await, media_bytes, "failures are not remembered");
    get_ok(&node, &never_read).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_store_is_not_waited_for() {
    let rig =
        title(&[("objects.s3.retries_max", "0"), ("objects.s3.request_timeout_seconds", "3")])
            .await;
    let node = rig.node();
    let (kept, never_read) = (segment(&node, "v1", 1).await, segment(&node, "v1", 4).await);
    get_ok(&node, &kept).await;
    rig.proxy.is_silent.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let began = Instant::now();
    get_ok(&node, &kept).await;
    get_ok(&node, "cmaf/master.m3u8").await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_unavailable(&node, &never_read, "storage_unavailable").await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

/// Whatever can't be written, there is no title and nothing is left of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_partial_upload_leaves_nothing() {
    let rig = Rig::with(&[("objects.s3.retries_max", "0")]).await;
    let node = rig.node();
    let files = &media().ladder[..1];
    for part in ["v1.samples", "v1.idx", "a1.samples", "asset.json", "film/asset.json"] {
        *rig.proxy.refused.lock().unwrap() = Some((Method::PUT, part));
        let error = ingested(&node, files).await.unwrap_err();
        assert!(matches!(error, OriginError::Object(_)), "{part}: {error}");
        assert!(tree(&rig.title_folder()).is_empty(), "{part}: {:?}", tree(&rig.title_folder()));
        assert_eq!(rig.temporary_files(), 0, "{part}");
        let (status, _) = get(&node, "cmaf/master.m3u8").await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{part}");
        assert!(node.documents().await.unwrap().is_empty());
    }
    // Without its bundle the title is there, only slower.
    *rig.proxy.refused.lock().unwrap() = Some((Method::PUT, "indexes.bin"));
    ingested(&node, files).await.unwrap();
    get_ok(&node, &segment(&node, "v1", 1).await).await;
}

/// A file of many parts whose upload breaks off.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_multipart_upload_leaves_nothing() {
    let rig = Rig::with(&[("objects.s3.retries_max", "0")]).await;
    let node = rig.node();
    let path = rig.dir.path().join("long.mp4");
    // Noise without loss, a hundred megabits a second.
    let source = "testsrc2=duration=4:rate=25:size=640x360";
    let made = std::process::Command::new("ffmpeg")
        .args(["-loglevel", "error", "-f", "lavfi", "-i", source])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-g", "25", "-vf"])
        .arg("noise=alls=100:allf=t")
        .arg(&path)
        .status();
    assert!(made.unwrap().success());
    assert!(std::fs::metadata(&path).unwrap().len() > 24 << 20);
    *rig.proxy.refused.lock().unwrap() = Some((Method::PUT, "v1.samples"));
    ingested(&node, std::slice::from_ref(&path)).await.unwrap_err();
    assert!(tree(&rig.title_folder()).is_empty());
    assert_eq!(rig.temporary_files(), 0);
    *rig.proxy.refused.lock().unwrap() = None;
    ingested(&node, &[path]).await.unwrap();
    let node = rig.node();
    let first = segment(&node, "v1", 1).await;
    rig.take_trips();
    let bytes = get_ok(&node, &first).await;
    let traffic = rig.take_trips();
    // What is begun at once is 32 MiB; the rest comes in windows of 4 MiB.
    let windows = bytes.len().saturating_sub(32 << 20).div_ceil(4 << 20);
    assert!(windows > 0, "a segment of {} bytes", bytes.len());
    assert!(traffic.gets() <= 1 + windows + 1, "{} bytes: {}", bytes.len(), traffic.names());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_second_is_told() {
    let rig = Rig::start().await;
    let node = rig.node();
    let key: ObjectKey = format!("assets/{ID}/asset.json").parse().unwrap();
    // Somebody else's document appears when all but ours is written.
    let other: Arc<Mutex<Option<tokio::task::JoinHandle<()>>>> = Arc::default();
    let (store, started) = (node.store().clone(), other.clone());
    let progress = move |progress: Progress| {
        let mut started = started.lock().unwrap();
        if progress.phase == Phase::Publish && started.is_none() {
            let (store, key) = (store.clone(), key.clone());
            *started = Some(tokio::spawn(async move {
                let bytes = Bytes::from_static(b"{}");
                store.put(&key, bytes, PutMode::IfAbsent).await.unwrap();
            }));
        }
    };
    let files = &media().ladder[..1];
    let error = ingest(&node, options(files), Arc::new(progress)).await.unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, OriginError::Refused { .. }), "{message}");
    assert!(message.contains("meanwhile") && message.contains("--replace"), "{message}");
    let other = other.lock().unwrap().take().unwrap();
    other.await.unwrap();
    assert_eq!(tree(&rig.title_folder()), ["asset.json"], "theirs stays, ours is gone");
    assert_eq!(rig.temporary_files(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_that_comes_late_changes_nothing() {
    let rig = title(&[]).await;
    let node = rig.node();
    let first = segment(&node, "v1", 1).await;
    let (before, bytes) = (tree(&rig.title_folder()), get_ok(&node, &first).await);
    let replacing =
        || origin::ingest::IngestOptions { replace: true, ..options(&media().ladder[1..]) };
    rig.proxy.refuses_conditional_puts.store(true, Ordering::SeqCst);
    let error = ingest(&node, replacing(), no_progress()).await.unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, OriginError::Refused { .. }), "{message}");
    assert!(message.contains("meanwhile"), "{message}");
    assert_eq!(tree(&rig.title_folder()), before);
    assert_eq!(get_ok(&rig.node(), &first).await, bytes);

    rig.proxy.refuses_conditional_puts.store(false, Ordering::SeqCst);
    ingest(&node, replacing(), no_progress()).await.unwrap();
    assert_ne!(segment(&node, "v1", 1).await, first);
}
