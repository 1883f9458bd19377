//! What goes to disk, and what comes back from it.

use std::path::Path;

use super::origin::answer;
use super::*;

pub(super) fn settings(folder: &Path) -> Settings {
    Settings {
        disk: Some(DiskSettings {
            folder: folder.to_owned(),
            bytes_max: 64 << 20,
            object_bytes_max: 16 << 20,
            write_bytes_per_second: 0,
            snapshot_interval: Duration::from_secs(60),
        }),
        ..Settings::default()
    }
}

/// Files of objects in a folder.
pub(super) fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for shard in std::fs::read_dir(folder.join("objects")).into_iter().flatten().flatten() {
        for file in std::fs::read_dir(shard.path()).into_iter().flatten().flatten() {
            found.push(file.path());
        }
    }
    found
}

/// Asks twice and waits until the object lies on disk.
pub(super) async fn put_on_disk(cache: &Cache<Origin>, target: &str) {
    let before = cache.metrics().disk_writes.get();
    get(cache, target, start()).await;
    // The fill ends a moment after its last byte.
    for _ in 0..1_000 {
        if get(cache, target, start()).await.cache_status().contains(";hit") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for _ in 0..5_000 {
        if cache.metrics().disk_writes.get() > before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{target} was not written");
}

/// Asked for five seconds after it was fetched, or a moment less: on a busy machine the fetch begins
/// late.
fn assert_aged(answer: &Answer) {
    assert!(matches!(answer.header("age"), "4" | "5"), "{}", answer.header("age"));
}

fn vod() -> Origin {
    Origin::new(|_, _| async {
        let lines = [("cache-control", "max-age=31536000, immutable"), ("etag", "\"a\"")];
        Ok(answer(200, &lines, noise(300_000)))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_request_puts_an_object_on_disk_and_a_restart_finds_it() {
    let folder = tempfile::tempdir().unwrap();
    let origin = vod();
    for with_snapshot in [false, true] {
        let cache = cache_with(&origin, settings(folder.path()));
        if !with_snapshot {
            put_on_disk(&cache, "/a").await;
            get(&cache, "/once", start()).await;
        } else {
            cache.wait_for_scan().await;
            cache.save();
        }
        assert_eq!(files(folder.path()).len(), 1, "what was asked for once stays in memory");
        drop(cache);
        let cache = cache_with(&origin, settings(folder.path()));
        cache.wait_for_scan().await;
        let hit = get_with(&cache, "/a", &[("range", "bytes=100000-200000")], later(5)).await;
        assert!(hit.cache_status().ends_with(";detail=disk"), "{}", hit.cache_status());
        assert_aged(&hit);
        assert!(hit.body.unwrap() == noise(300_000).slice(100_000..200_001));
        let memory = get(&cache, "/a", later(5)).await;
        assert!(memory.cache_status().contains(";hit") && !memory.cache_status().contains("disk"));
    }
    assert_eq!(origin.count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_answers_and_those_of_this_machine_stay_off_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let origin = Origin::new(|request, _| async move {
        let live = request.uri().path() == "/live";
        let lines = [("cache-control", if live { "max-age=6" } else { "max-age=3600" })];
        let mut response = answer(200, &lines, "x");
        if !live {
            response.extensions_mut().insert(KeepOffDisk);
        }
        Ok(response)
    });
    let cache = cache_with(&origin, settings(folder.path()));
    for target in ["/live", "/local"] {
        for _ in 0..5 {
            get(&cache, target, start()).await;
            settle().await;
        }
    }
    put_nothing(&cache, folder.path()).await;
}

async fn put_nothing(cache: &Cache<Origin>, folder: &Path) {
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(cache.metrics().disk_writes.get(), 0);
    assert!(files(folder).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotten_object_is_fetched_anew() {
    let folder = tempfile::tempdir().unwrap();
    let origin = vod();
    let cache = cache_with(&origin, settings(folder.path()));
    put_on_disk(&cache, "/a").await;
    drop(cache);
    let path = &files(folder.path())[0];
    let mut bytes = std::fs::read(path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(path, &bytes).unwrap();
    let cache = cache_with(&origin, settings(folder.path()));
    cache.wait_for_scan().await;
    let fetched = get(&cache, "/a", start()).await;
    assert!(fetched.cache_status().contains(";fwd=uri-miss"));
    assert!(fetched.body.unwrap() == noise(300_000));
    assert_eq!(cache.metrics().disk_rotten.get(), 1);
    assert!(!path.exists() || std::fs::read(path).unwrap() != bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_disk_the_cache_goes_on_from_memory() {
    let folder = tempfile::tempdir().unwrap();
    // A file where the folder should be.
    let place = folder.path().join("cache");
    std::fs::write(&place, "").unwrap();
    let origin = vod();
    let cache = cache_with(&origin, settings(&place));
    get(&cache, "/a", start()).await;
    settle().await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(get(&cache, "/a", start()).await.cache_status().contains(";hit"));
    assert_eq!(cache.metrics().disk_errors.get(), 1);
}

/// An origin of one object of 3 MiB, with ranges or without.
fn large(has_ranges: bool) -> Origin {
    Origin::new(move |request, _| async move {
        let whole = noise(3 << 20);
        let lines = [("cache-control", "max-age=31536000, immutable"), ("etag", "\"a\"")];
        let range = request.headers().get("range").filter(|_| has_ranges);
        let Some(range) = range.map(|range| range.to_str().unwrap().to_owned()) else {
            return match request.headers().contains_key("range") {
                true => Ok(answer(503, &[], "no")),
                false => Ok(answer(200, &lines, whole)),
            };
        };
        let first: usize =
            range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap();
        let mut response = answer(206, &lines, whole.slice(first..));
        let place = format!("bytes {first}-{}/{}", whole.len() - 1, whole.len());
        response.headers_mut().insert("content-range", place.parse().unwrap());
        Ok(response)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_object_is_sent_while_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let origin = large(true);
    let cache = cache_with(&origin, settings(folder.path()));
    put_on_disk(&cache, "/a").await;
    drop(cache);
    let cache = cache_with(&origin, settings(folder.path()));
    cache.wait_for_scan().await;
    let viewers: Vec<_> = (0..20)
        .map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move { get(&cache, "/a", later(5)).await })
        })
        .collect();
    for viewer in viewers {
        let found = viewer.await.unwrap();
        assert!(found.cache_status().contains(";hit;ttl="), "{}", found.cache_status());
        assert_aged(&found);
        assert!(found.body.unwrap() == noise(3 << 20));
    }
    assert_eq!(origin.count(), 1);
    let again = get(&cache, "/a", later(5)).await;
    let how = again.cache_status();
    assert!(how.contains(";hit;ttl=") && !how.contains("disk"), "{how}");
}

/// The beginning is sent before the end is known to be rotten: it goes on with the origin's bytes, or
/// it breaks. It never ends as if it were whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_object_with_a_rotten_end_is_mended_or_breaks() {
    for has_ranges in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let origin = large(has_ranges);
        let cache = cache_with(&origin, settings(folder.path()));
        put_on_disk(&cache, "/a").await;
        drop(cache);
        let path = &files(folder.path())[0];
        let mut bytes = std::fs::read(path).unwrap();
        let at = bytes.len() - 100_000;
        bytes[at] ^= 1;
        std::fs::write(path, &bytes).unwrap();
        let cache = cache_with(&origin, settings(folder.path()));
        cache.wait_for_scan().await;
        let found = get(&cache, "/a", start()).await;
        assert!(found.cache_status().ends_with(";detail=disk"), "{}", found.cache_status());
        match found.body {
            Ok(body) => assert!(has_ranges && body == noise(3 << 20)),
            Err(_) => assert!(!has_ranges),
        }
        settle().await;
        let again = get(&cache, "/a", start()).await;
        assert!(again.body.unwrap() == noise(3 << 20), "what was rotten is gone");
        assert_eq!(cache.metrics().disk_rotten.get(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variants_on_disk_are_found_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let origin = Origin::new(|request, _| async move {
        let language = request.headers()["accept-language"].clone();
        let lines = [("cache-control", "max-age=3600"), ("vary", "accept-language")];
        Ok(answer(200, &lines, language.as_bytes().to_vec()))
    });
    let cache = cache_with(&origin, settings(folder.path()));
    for language in ["de", "en"] {
        for _ in 0..3 {
            get_with(&cache, "/a", &[("accept-language", language)], start()).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    for _ in 0..1_000 {
        if cache.metrics().disk_writes.get() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cache.save();
    drop(cache);
    let cache = cache_with(&origin, settings(folder.path()));
    cache.wait_for_scan().await;
    let asked = origin.count();
    for language in ["en", "de"] {
        let found = get_with(&cache, "/a", &[("accept-language", language)], start()).await;
        assert_eq!(found.text(), language);
        assert!(found.cache_status().contains(";detail=disk"), "{}", found.cache_status());
    }
    assert_eq!(origin.count(), asked);
}
