//! Titles on a real S3 server that is a round trip of 50 ms away: the same bytes as from a local
//! folder, and as few requests as the targets ask for.

mod s3_support;

use std::path::PathBuf;
use std::time::Instant;

use http::{Method, StatusCode};
use origin::ingest::{IngestOptions, Layout, ingest, reindex, target_duration};
use origin::maintenance::{show, verify};
use origin::package::package;
use origin::preset::PRESETS;

use s3_support::{
    Rig, ask, get_ok, id, ingested, local_library, media, no_progress, now_ms, options, segment,
    tree, ts_segment,
};

/// Packages everything there is of a title from both stores, and compares file by file.
async fn assert_same_bytes(files: &[PathBuf]) {
    let rig = Rig::start().await;
    let local = local_library(&rig.dir.path().join("objects"));
    let options = IngestOptions { layout: Layout::Source, ..options(files) };
    ingest(&local, options, no_progress()).await.unwrap();
    ingested(&rig.node(), files).await.unwrap();
    assert_eq!(rig.temporary_files(), 0);

    let node = rig.node();
    let outs = [rig.dir.path().join("from-local"), rig.dir.path().join("from-s3")];
    for (library, out) in [&local, &node].into_iter().zip(&outs) {
        package(library, &id(), &PRESETS, out, now_ms(), &|_, _| {}).await.unwrap();
    }
    let (expected, found) = (tree(&outs[0]), tree(&outs[1]));
    assert_eq!(expected, found, "every resource has the same address");
    let kinds = ["master.m3u8", "manifest.mpd", "init.mp4", "/1.m4s", "/1.ts", "/i1.m4s"];
    for kind in kinds {
        assert!(found.iter().any(|name| name.ends_with(kind)), "no {kind} in {found:?}");
    }
    for name in &found {
        let read = |out: &PathBuf| std::fs::read(out.join(name)).unwrap();
        assert!(read(&outs[0]) == read(&outs[1]), "{name} differs");
    }
    eprintln!("{} files are the same", found.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ladder_is_the_same_from_both_stores() {
    let media = media();
    assert_same_bytes(&[&media.ladder[..], std::slice::from_ref(&media.subtitles)].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fragmented_file_is_the_same_from_both_stores() {
    assert_same_bytes(&[media().fragmented.clone()]).await;
}

/// A title on a server, and the addresses of two segments of it.
async fn title() -> (Rig, String, String) {
    let rig = Rig::start().await;
    let media = media();
    let node = rig.node();
    ingested(&node, &[&media.ladder[..], std::slice::from_ref(&media.subtitles)].concat())
        .await
        .unwrap();
    let (fmp4, ts) = (segment(&node, "v1", 3).await, ts_segment(&node, 3).await);
    rig.take_trips();
    (rig, fmp4, ts)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_served_is_stored() {
    let (rig, ..) = title().await;
    let mut files = tree(&rig.title_folder());
    for file in &mut files {
        *file = file.rsplit('/').next().unwrap().to_owned();
    }
    files.sort();
    let expected = [
        "a1.idx",
        "a1.samples",
        "asset.json",
        "asset.json",
        "indexes.bin",
        "t1.vtt",
        "v1.idx",
        "v1.samples",
        "v2.idx",
        "v2.samples",
    ];
    assert_eq!(files, expected);
    let node = rig.node();
    let document = node.document(&id()).await.unwrap();
    let source = &document.sources[0];
    assert_eq!(source.given_name, "high.mp4");
    assert_eq!(source.len_bytes, std::fs::metadata(&media().ladder[0]).unwrap().len());
    assert!(source.file.is_none() && source.version.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_segment_is_two_round_trips() {
    let (rig, fmp4, ts) = title().await;
    for (what, path, gets) in [("cold CMAF segment", &fmp4, 2), ("cold muxed TS segment", &ts, 3)] {
        let (node, began) = (rig.node(), Instant::now());
        let bytes = get_ok(&node, path).await;
        assert!(bytes.len() > 512 << 10, "a segment of {} bytes proves little", bytes.len());
        let traffic = rig.take_trips();
        traffic.report(what, began);
        assert_eq!(traffic.gets(), gets, "{}", traffic.names());
        assert_eq!(traffic.round_trips(), 2, "{}", traffic.names());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_manifest_is_one_round_trip() {
    let (rig, ..) = title().await;
    for path in ["cmaf/master.m3u8", "cmaf/manifest.mpd", "ts/v1_a1.m3u8"] {
        let (node, began) = (rig.node(), Instant::now());
        get_ok(&node, path).await;
        let traffic = rig.take_trips();
        traffic.report(path, began);
        assert_eq!((traffic.gets(), traffic.round_trips()), (1, 1), "{}", traffic.names());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_title_reads_each_segment_once() {
    let (rig, fmp4, ts) = title().await;
    let node = rig.node();
    get_ok(&node, "cmaf/master.m3u8").await;
    rig.take_trips();
    let began = Instant::now();
    let (status, body) = ask(&node, Method::HEAD, &fmp4).await;
    assert_eq!((status, body.unwrap().len()), (StatusCode::OK, 0));
    assert_eq!(rig.take_trips().gets(), 0, "HEAD reads no media");

    for (what, path, gets) in [("warm CMAF", &fmp4, 1), ("warm muxed TS, its audio", &ts, 1)] {
        get_ok(&node, path).await;
        let traffic = rig.take_trips();
        traffic.report(what, began);
        assert_eq!((traffic.gets(), traffic.round_trips()), (gets, 1), "{}", traffic.names());
    }
    for path in [&fmp4, &ts] {
        get_ok(&node, path).await;
        assert_eq!(rig.take_trips().gets(), 0, "what is in memory is not read again");
    }

    let node = rig.node();
    get_ok(&node, "ts/master.m3u8").await;
    rig.take_trips();
    get_ok(&node, &ts).await;
    let traffic = rig.take_trips();
    traffic.report("warm muxed TS", began);
    assert_eq!((traffic.gets(), traffic.round_trips()), (2, 1), "{}", traffic.names());
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_share_what_is_read() {
    let (rig, fmp4, _) = title().await;
    let expected = get_ok(&rig.node(), &fmp4).await;
    for (is_warm, gets) in [(false, 2), (true, 1)] {
        let node = rig.node();
        if is_warm {
            get_ok(&node, "cmaf/master.m3u8").await;
        }
        rig.take_trips();
        let viewers: Vec<_> = (0..50)
            .map(|_| {
                let (node, path) = (node.clone(), fmp4.clone());
                tokio::spawn(async move { get_ok(&node, &path).await })
            })
            .collect();
        for viewer in viewers {
            assert_eq!(viewer.await.unwrap(), expected);
        }
        let traffic = rig.take_trips();
        assert_eq!(traffic.gets(), gets, "{}", traffic.names());
    }
}

/// The check whether a title changed doesn't stand in front of a segment.
#[tokio::test(flavor = "multi_thread")]
async fn a_segment_does_not_wait_for_a_second_look() {
    let (rig, fmp4, _) = title().await;
    let node = rig.node();
    get_ok(&node, "cmaf/master.m3u8").await;
    tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;
    rig.take_trips();
    get_ok(&node, &fmp4).await;
    // The look may be on its way still.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let traffic = rig.take_trips();
    assert_eq!(traffic.0.len(), 2, "{}", traffic.names());
    assert_eq!(traffic.round_trips(), 1, "{}", traffic.names());
}

/// A cache that holds less than a segment costs requests, never bytes.
#[tokio::test(flavor = "multi_thread")]
async fn a_tiny_cache_serves_the_same() {
    let rig = Rig::with(&[("cache.blocks_bytes", "600 KiB")]).await;
    let local = local_library(&rig.dir.path().join("objects"));
    for library in [&local, &rig.node()] {
        ingested(library, &media().ladder).await.unwrap();
    }
    let node = rig.node();
    for path in [segment(&local, "v1", 3).await, ts_segment(&local, 3).await] {
        let bytes = get_ok(&local, &path).await;
        assert!(bytes.len() > 600 << 10, "{} bytes", bytes.len());
        assert_eq!(get_ok(&node, &path).await, bytes);
    }
}

/// Without its bundle a title is opened from its files, and served all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_a_hint() {
    let (rig, fmp4, _) = title().await;
    let expected = get_ok(&rig.node(), &fmp4).await;
    let bundle = rig.title_folder().join("indexes.bin");
    let mut bytes = std::fs::read(&bundle).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    assert_eq!(get_ok(&rig.node(), &fmp4).await, expected, "a damaged one is not used");
    std::fs::remove_file(&bundle).unwrap();
    rig.take_trips();
    let began = Instant::now();
    assert_eq!(get_ok(&rig.node(), &fmp4).await, expected);
    let traffic = rig.take_trips();
    traffic.report("cold segment without the bundle", began);
    assert_eq!(traffic.round_trips(), 4, "{}", traffic.names());
}

/// A title that is replaced: the new one at once, the old segments as long as they are kept, and
/// never one for the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_title_serves_both() {
    let (rig, old, _) = title().await;
    let before = get_ok(&rig.node(), &old).await;
    let bundle = std::fs::read(rig.title_folder().join("indexes.bin")).unwrap();
    let node = rig.node();
    let replacing =
        IngestOptions { target: target_duration(2), replace: true, ..options(&media().ladder) };
    ingest(&node, replacing, no_progress()).await.unwrap();
    let new = segment(&node, "v1", 3).await;
    assert_ne!(old, new, "other cuts, another revision");
    let other = get_ok(&rig.node(), &new).await;
    assert_ne!(before, other);
    assert_eq!(get_ok(&rig.node(), &old).await, before);

    // A bundle that is behind its document is noticed.
    std::fs::write(rig.title_folder().join("indexes.bin"), bundle).unwrap();
    assert_eq!(get_ok(&rig.node(), &new).await, other);
    assert_eq!(segment(&rig.node(), "v1", 3).await, new);
}

#[tokio::test(flavor = "multi_thread")]
async fn verifying_reads_the_packed_objects() {
    let (rig, ..) = title().await;
    let report = verify(&rig.node(), &id()).await.unwrap();
    assert_eq!((report.files, report.faults.len()), (7, 0), "{:?}", report.faults);
    let samples = tree(&rig.title_folder());
    let samples = samples.iter().find(|file| file.ends_with("v2.samples")).unwrap();
    let samples = rig.title_folder().join(samples);
    let mut bytes = std::fs::read(&samples).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&samples, bytes).unwrap();
    let report = verify(&rig.node(), &id()).await.unwrap();
    assert_eq!(report.faults.len(), 1, "{:?}", report.faults);
    assert!(report.faults[0].contains("v2.samples"), "{:?}", report.faults);
}

/// Blocks lie between the samples of a packed title, and are counted with its indexes. Its sources
/// are not kept, so that its indexes can't be made anew from them.
#[tokio::test(flavor = "multi_thread")]
async fn a_packed_title_is_shown_and_not_reindexed() {
    let rig = Rig::start().await;
    ingested(&rig.node(), &[media().fragmented.clone()]).await.unwrap();
    let shown = show(&rig.node(), &id()).await.unwrap();
    let index = shown.index;
    assert!(index.samples_video > 0 && index.samples_audio > 0, "{index:?}");
    // More than a bit for each sample, and less than the offsets and sizes of a sample table.
    assert!(index.bytes_video * 8 > index.samples_video, "{index:?}");
    assert!(index.bytes_video < index.samples_video * 12 + 2_000, "{index:?}");
    let error = reindex(&rig.node(), &id()).await.unwrap_err();
    assert!(error.to_string().contains("--replace"), "{error}");
}
