//! Many requests, one fetch.

use std::sync::Arc;

use futures_util::StreamExt;
use http_body_util::BodyStream;

use super::origin::{answer, streaming};
use super::*;

const FRESH: &[(&str, &str)] = &[("cache-control", "max-age=1000"), ("content-length", "100000")];

/// An origin whose one answer comes by hand.
fn by_hand(
    lines: &[(&str, &str)],
) -> (tokio::sync::mpsc::UnboundedSender<Result<Bytes, FetchError>>, Origin) {
    let (sender, response) = streaming(lines);
    let response = Arc::new(std::sync::Mutex::new(Some(response)));
    let origin = Origin::new(move |_, _| {
        let response = response.lock().unwrap().take();
        async move { Ok(response.expect("asked once")) }
    });
    (sender, origin)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_follow_one_fetch_from_its_first_byte() {
    const VIEWERS: usize = 10_000;
    let (sender, origin) = by_hand(FRESH);
    let cache = cache(&origin);
    let whole = noise(100_000);
    sender.send(Ok(whole.slice(..1_000))).unwrap();

    let mut viewers = Vec::new();
    let first_bytes = Arc::new(tokio::sync::Semaphore::new(0));
    for _ in 0..VIEWERS {
        let (cache, whole, first_bytes) = (cache.clone(), whole.clone(), first_bytes.clone());
        viewers.push(tokio::spawn(async move {
            let response = cache.answer(request("/a", &[]), start()).await;
            let is_collapsed =
                response.headers()["cache-status"].to_str().unwrap().contains(";collapsed");
            let mut body = BodyStream::new(response.into_body());
            let mut found = Vec::new();
            while let Some(frame) = body.next().await {
                if found.is_empty() {
                    first_bytes.add_permits(1);
                }
                found.extend_from_slice(&frame.unwrap().into_data().unwrap());
            }
            assert!(found == whole);
            is_collapsed
        }));
    }
    // Everyone has a first byte while the origin has sent no second piece.
    let all = first_bytes.acquire_many(VIEWERS as u32);
    drop(tokio::time::timeout(Duration::from_secs(60), all).await.expect("in time").unwrap());
    for piece in whole.slice(1_000..).chunks(20_000) {
        sender.send(Ok(Bytes::copy_from_slice(piece))).unwrap();
    }
    drop(sender);
    let mut collapsed = 0;
    for viewer in viewers {
        collapsed += usize::from(viewer.await.unwrap());
    }
    assert_eq!((origin.count(), collapsed), (1, VIEWERS - 1));
}

#[tokio::test(start_paused = true)]
async fn a_fill_outlives_whoever_asked_first() {
    let (sender, origin) = by_hand(FRESH);
    let cache = cache(&origin);
    sender.send(Ok(noise(100_000).slice(..10))).unwrap();
    drop(cache.answer(request("/a", &[]), start()).await);
    sender.send(Ok(noise(100_000).slice(10..))).unwrap();
    drop(sender);
    settle().await;
    let hit = get(&cache, "/a", start()).await;
    assert!(hit.cache_status().contains(";hit"));
    assert!(hit.body.unwrap() == noise(100_000));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_leaves_before_the_head_doesnt_stop_the_fetch() {
    let (release, gate) = tokio::sync::watch::channel(false);
    let origin = Origin::new(move |_, _| {
        let mut gate = gate.clone();
        async move {
            gate.wait_for(|open| *open).await.unwrap();
            Ok(answer(200, &[("cache-control", "max-age=9")], "late"))
        }
    });
    let cache = cache(&origin);
    let leader = tokio::spawn({
        let cache = cache.clone();
        async move { cache.answer(request("/a", &[]), start()).await }
    });
    settle().await;
    leader.abort();
    let follower = tokio::spawn({
        let cache = cache.clone();
        async move { get(&cache, "/a", start()).await }
    });
    settle().await;
    release.send(true).unwrap();
    assert_eq!(follower.await.unwrap().text(), "late");
    assert_eq!(origin.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_holds_nobody_up() {
    let (sender, origin) = by_hand(FRESH);
    let cache = cache(&origin);
    let slow = cache.answer(request("/a", &[]), start()).await;
    for piece in noise(100_000).chunks(1_000) {
        sender.send(Ok(Bytes::copy_from_slice(piece))).unwrap();
    }
    drop(sender);
    // The slow one has taken no byte.
    assert!(get(&cache, "/a", start()).await.body.unwrap() == noise(100_000));
    assert!(Answer::of(slow).await.body.unwrap() == noise(100_000));
}

#[tokio::test(start_paused = true)]
async fn a_range_inside_the_filled_prefix_is_answered_at_once() {
    let (sender, origin) = by_hand(FRESH);
    let cache = cache(&origin);
    let whole = noise(100_000);
    sender.send(Ok(whole.slice(..50_000))).unwrap();
    let inside = get_with(&cache, "/a", &[("range", "bytes=10000-49999")], start()).await;
    assert_eq!(inside.header("content-range"), "bytes 10000-49999/100000");
    assert!(inside.body.unwrap() == whole.slice(10_000..50_000));
    // One that isn't there yet waits for it.
    let ahead = cache.answer(request("/a", &[("range", "bytes=60000-60009")]), start()).await;
    let ahead = tokio::spawn(Answer::of(ahead));
    settle().await;
    assert!(!ahead.is_finished());
    sender.send(Ok(whole.slice(50_000..70_000))).unwrap();
    assert!(ahead.await.unwrap().body.unwrap() == whole.slice(60_000..60_010));
    assert_eq!(origin.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_cant_be_shared_releases_who_waits_in_parallel() {
    let (release, gate) = tokio::sync::watch::channel(false);
    let under_way = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let most = under_way.clone();
    let barrier = Arc::new(tokio::sync::Barrier::new(49));
    let origin = Origin::new(move |_, count| {
        let (mut gate, under_way, barrier) = (gate.clone(), under_way.clone(), barrier.clone());
        async move {
            if count == 0 {
                gate.wait_for(|open| *open).await.unwrap();
            } else {
                // All others are under way at the same time, or none gets an answer.
                under_way.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                barrier.wait().await;
            }
            Ok(answer(200, &[("cache-control", "private")], count.to_string()))
        }
    });
    let cache = cache(&origin);
    let viewers: Vec<_> = (0..50)
        .map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move { get(&cache, "/a", start()).await })
        })
        .collect();
    settle().await;
    assert_eq!(origin.count(), 1, "they wait for the first");
    release.send(true).unwrap();
    let mut bodies = Vec::new();
    for viewer in viewers {
        bodies.push(viewer.await.unwrap().text().to_owned());
    }
    bodies.sort_unstable();
    bodies.dedup();
    assert_eq!(bodies.len(), 50, "each has an answer of its own");
    assert_eq!(most.load(std::sync::atomic::Ordering::SeqCst), 49);
}

#[tokio::test(start_paused = true)]
async fn one_validation_runs_behind_a_stale_answer() {
    let (release, gate) = tokio::sync::watch::channel(false);
    let origin = Origin::new(move |_, count| {
        let mut gate = gate.clone();
        async move {
            if count > 0 {
                gate.wait_for(|open| *open).await.unwrap();
            }
            let lines = [("cache-control", "max-age=10, stale-while-revalidate=100")];
            Ok(answer(200, &lines, count.to_string()))
        }
    });
    let cache = cache(&origin);
    get(&cache, "/a", start()).await;
    for _ in 0..100 {
        let stale = get(&cache, "/a", later(20)).await;
        assert_eq!((stale.text(), stale.cache_status()), ("0", "StreamVerse;hit;ttl=-10"));
    }
    settle().await;
    assert_eq!(origin.count(), 2);
    release.send(true).unwrap();
    settle().await;
    assert_eq!(get(&cache, "/a", later(21)).await.text(), "1");
    assert_eq!(origin.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn followers_of_another_variant_ask_for_theirs() {
    let origin = Origin::new(|request, _| async move {
        tokio::task::yield_now().await;
        let language = request.headers()["accept-language"].clone();
        let lines = [("cache-control", "max-age=9"), ("vary", "accept-language")];
        Ok(answer(200, &lines, language.as_bytes().to_vec()))
    });
    let cache = cache(&origin);
    let viewers: Vec<_> = (0..40)
        .map(|number| {
            let cache = cache.clone();
            tokio::spawn(async move {
                let language = if number % 2 == 0 { "de" } else { "en" };
                let found = get_with(&cache, "/a", &[("accept-language", language)], start()).await;
                assert_eq!(found.text(), language);
            })
        })
        .collect();
    for viewer in viewers {
        viewer.await.unwrap();
    }
    assert_eq!(origin.count(), 2);
}
