//! What crashed ingests leave on S3, where nobody notices that a process is gone.

mod s3_support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Method;
use origin::maintenance::{verify, verify_and_sweep};
use origin::sweep::sweep;
use origin::{Library, OriginError};

use s3_support::{Rig, id, ingested, media, segment, tree};

const MINUTE_MS: u64 = 60 * 1_000;

fn in_minutes(minutes: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_millis() as u64 + minutes * MINUTE_MS
}

/// All objects of the store.
fn objects(rig: &Rig) -> Vec<String> {
    tree(&rig.dir.path().join("s3/bucket/some/prefix"))
}

/// Starts an ingest and comes back when its first index is stored.
async fn begin(rig: &Rig, node: &Library) -> tokio::task::JoinHandle<Result<(), OriginError>> {
    let node = node.clone();
    let ingest = tokio::spawn(async move { ingested(&node, &media().ladder).await.map(drop) });
    let is_index = |path: &str| path.ends_with(".idx");
    for _ in 0..3_000 {
        let trips = rig.proxy.trips.lock().unwrap().clone();
        if trips.iter().any(|trip| trip.method == Method::PUT && is_index(&trip.path)) {
            return ingest;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("the ingest does not begin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_swept_up_after_an_hour_of_silence() {
    let rig = Rig::start().await;
    let node = rig.node();
    // To end a task is all that a process can do to itself without a last word.
    let crashed = begin(&rig, &node).await;
    crashed.abort();
    assert!(crashed.await.unwrap_err().is_cancelled());
    let left = objects(&rig);
    assert!(left.iter().any(|name| name.starts_with("ingests/film/")), "{left:?}");
    assert!(left.iter().any(|name| name.ends_with("v1.idx")), "{left:?}");

    assert_eq!(sweep(&node, None, in_minutes(50)).await.unwrap(), []);
    assert_eq!(objects(&rig), left, "it may be an ingest that goes on elsewhere");
    // The title exists by now: what the crash left is no part of it.
    ingested(&node, &media().ladder[..1]).await.unwrap();
    let swept = sweep(&rig.node(), None, in_minutes(70)).await.unwrap();
    assert_eq!(swept.len(), 1, "{swept:?}");
    assert!(left.iter().any(|name| name.contains(&swept[0].generation)));
    let kept = objects(&rig);
    assert!(kept.iter().all(|name| !left.contains(name)), "{kept:?}");
    assert_eq!(verify(&rig.node(), &id()).await.unwrap().faults, [""; 0]);
}

/// A holder that slept for hours while somebody else cleaned up.
#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_that_was_taken_for_dead_makes_no_title() {
    let rig = Rig::start().await;
    let node = rig.node();
    let asleep = begin(&rig, &node).await;
    let swept = sweep(&rig.node(), None, in_minutes(120)).await.unwrap();
    assert_eq!(swept.len(), 1);
    let error = asleep.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("sign of life"), "{error}");
    assert!(matches!(node.document(&id()).await, Err(OriginError::UnknownAsset { .. })));
    assert_eq!(objects(&rig), [""; 0], "nothing of it is left");
    ingested(&node, &media().ladder[..1]).await.unwrap();
}

/// Verifying removes what has neither name nor claim by its age alone, and nothing younger.
#[tokio::test(flavor = "multi_thread")]
async fn generations_that_nothing_names_go_when_they_are_old() {
    let rig = Rig::start().await;
    let node = rig.node();
    ingested(&node, &media().ladder[..1]).await.unwrap();
    let kept = objects(&rig);
    let generation = uuid::Uuid::now_v7().simple().to_string();
    let folder = rig.title_folder().join(&generation);
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("v1.idx"), "left").unwrap();

    let week = 7 * 24 * 60;
    let reports = verify_and_sweep(&node, None, in_minutes(week)).await.unwrap();
    assert!(reports[0].removed.is_empty() && folder.join("v1.idx").exists());
    let reports = verify_and_sweep(&node, Some(&id()), in_minutes(2 * week)).await.unwrap();
    assert_eq!((&reports[0].removed, &reports[0].faults), (&vec![generation], &vec![]));
    assert_eq!(objects(&rig), kept);
    segment(&rig.node(), "v1", 1).await;
}
